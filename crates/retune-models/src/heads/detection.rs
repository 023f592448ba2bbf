//! Object detection: a class and a box for each query (Carion et al. 2020, §3.2; Fang et al. 2021).
//!
//! transformers' `YolosForObjectDetection` and `DetrForObjectDetection`. B batch, Q queries, D hidden size, L labels, and one for
//! no object.

use crate::bodies::INTERMEDIATE;
use crate::checkpoint::Weights;
use crate::{Body, Head, HeadPlan, ModelConfig, ModelError, Purpose, Reads, State, Tensors};
use retune_kernels::loss::DetectionWeights;
use retune_kernels::tch::{Kind, Tensor};
use retune_kernels::{Activation, Dense};

/// Boxes with classes.
pub static OBJECT_DETECTION: Purpose =
    Purpose { key: "object-detection", class_ending: "ForObjectDetection", peft: None, fresh: true, labels: true };

/// Outputs of earlier layers of a decoder, [B, E, Q, L + 1] and [B, E, Q, 4].
pub const EARLIER_LOGITS: &str = "auxiliary_outputs.logits";
/// Their boxes.
pub const EARLIER_BOXES: &str = "auxiliary_outputs.pred_boxes";
/// Projections of the network that makes boxes.
const BOX_LAYERS: usize = 3;

/// The head as data.
#[derive(Debug, Clone, Copy)]
pub struct DetectionPlan {
    /// Tokens before those that queries are.
    pub front: i64,
    /// Projections of the network that makes classes; one is a `Linear` without a number in its name.
    pub class_layers: usize,
    /// The field of config.json that says how many queries there are.
    pub queries: &'static str,
}

impl HeadPlan for DetectionPlan {
    fn build(&self, weights: &Weights<'_>, config: &ModelConfig, body: &dyn Body) -> Result<Box<dyn Head>, ModelError> {
        let (d, head) = (body.width(), weights.head());
        let classes = config.label_count() + 1;
        let class_layer = |i: usize| match (self.class_layers, i + 1) {
            (1, _) => head.at("class_labels_classifier").outputs(d, classes),
            (last, number) => {
                let layer = head.at(&format!("class_labels_classifier.layers.{i}"));
                if number == last { layer.outputs(d, classes) } else { layer.dense(d, d) }
            }
        };
        let box_layer = |i: usize| {
            let outputs = if i + 1 == BOX_LAYERS { 4 } else { d };
            head.at(&format!("bbox_predictor.layers.{i}")).dense(d, outputs)
        };
        Ok(Box::new(Detection {
            classifier: (0..self.class_layers).map(class_layer).collect::<Result<_, _>>()?,
            boxes: (0..BOX_LAYERS).map(box_layer).collect::<Result<_, _>>()?,
            front: self.front,
            queries: config.size(self.queries)?,
        }))
    }
}

#[derive(Debug)]
struct Detection {
    classifier: Vec<Dense>,
    boxes: Vec<Dense>,
    front: i64,
    /// Q.
    queries: i64,
}

/// Projections with ReLU between them.
fn perceptron(layers: &[Dense], x: &Tensor, train: bool) -> Tensor {
    let mut x = x.shallow_clone();
    for (i, layer) in layers.iter().enumerate() {
        x = match i + 1 < layers.len() {
            true => layer.forward_activated(&x, Activation::Relu, train),
            false => layer.forward(&x, train),
        };
    }
    x.to_kind(Kind::Float)
}

impl Head for Detection {
    fn reads(&self) -> Reads {
        Reads::First(self.front + self.queries)
    }

    /// What earlier layers say, [B, E, Q, ..], stands beside it where a body learns all of them.
    ///
    /// `logits` [B, Q, L + 1] and `pred_boxes` [B, Q, 4], centre, width and height as shares of the picture.
    fn forward(&self, state: &State, train: bool) -> Result<Tensors, ModelError> {
        let said = |x: &Tensor| (perceptron(&self.classifier, x, train), perceptron(&self.boxes, x, train).sigmoid());
        let (logits, boxes) = said(&state.hidden.narrow(1, self.front, self.queries));
        let mut outputs = Tensors::from([("logits", logits), ("pred_boxes", boxes)]);
        if let Some(intermediate) = state.beside.optional(INTERMEDIATE) {
            let (logits, boxes) = said(intermediate);
            outputs.insert(EARLIER_LOGITS, logits);
            outputs.insert(EARLIER_BOXES, boxes);
        }
        Ok(outputs)
    }
}

/// How a configuration weighs matching and losses.
///
/// # Errors
/// Fields that are no numbers.
pub fn detection_weights(config: &ModelConfig) -> Result<DetectionWeights, ModelError> {
    Ok(DetectionWeights {
        class_cost: config.number_or("class_cost", 1.0)?,
        box_cost: config.number_or("bbox_cost", 5.0)?,
        overlap_cost: config.number_or("giou_cost", 2.0)?,
        distance: config.number_or("bbox_loss_coefficient", 5.0)?,
        overlap: config.number_or("giou_loss_coefficient", 2.0)?,
        nothing: config.number_or("eos_coefficient", 0.1)?,
    })
}
