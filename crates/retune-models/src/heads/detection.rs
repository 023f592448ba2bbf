//! Object detection: a class and a box for each query (Carion et al. 2020, §3.2; Fang et al. 2021).
//!
//! transformers' `YolosForObjectDetection`, `DetrForObjectDetection` and `ConditionalDetrForObjectDetection`. B batch, Q queries, D
//! hidden size, L labels, C outputs for them, of which one may be no object.

use crate::bodies::{INTERMEDIATE, MIDDLES};
use crate::checkpoint::{Init, Weights};
use crate::layers::Perceptron;
use crate::{Body, Head, HeadPlan, ModelConfig, ModelError, Purpose, Reads, State, Tensors};
use retune_kernels::boxes::inverse_sigmoid;
use retune_kernels::loss::{ClassCost, ClassLoss, DetectionOutputs, DetectionWeights};
use retune_kernels::tch::{Kind, Tensor};
use retune_kernels::{Activation, Dense};

/// Boxes with classes.
pub static OBJECT_DETECTION: Purpose =
    Purpose { key: "object-detection", class_ending: "ForObjectDetection", peft: None, fresh: true, labels: true };

/// Outputs of earlier layers of a decoder, [B, E, Q, C] and [B, E, Q, 4].
pub const EARLIER_LOGITS: &str = "auxiliary_outputs.logits";
/// Their boxes.
pub const EARLIER_BOXES: &str = "auxiliary_outputs.pred_boxes";
/// What layers say of noised objects, [B, E, N, L].
pub(super) const NOISED_LOGITS: &str = "denoising_outputs.logits";
/// Their boxes, [B, E, N, 4].
pub(super) const NOISED_BOXES: &str = "denoising_outputs.pred_boxes";
/// Inputs that a body may read while training: classes of objects, int64 [B, M], -100 behind those of an image.
pub const OBJECT_LABELS: &str = "class_labels";
/// Their boxes, [B, M, 4].
pub const OBJECT_BOXES: &str = "boxes";
/// Random numbers by which objects are noised, [B, N, 10], in the place of those of the stream of dropout.
pub const DENOISING_DRAWS: &str = "denoising_draws";

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
        let learnt = detection_weights(config)?.classes;
        let classes = learnt.outputs(config.label_count());
        // Where each class is judged by itself, almost nothing is there at first (Lin et al. 2017, §4.1).
        let bias = if matches!(learnt, ClassLoss::Softmax { .. }) { 0.0 } else { -(99f64.ln()) };
        let last_layer = |layer: Weights<'_>| {
            layer.mark_outputs();
            layer.dense_from((d, classes), Init::Normal(layer.initializer_range()), Init::Constant(bias))
        };
        let class_layer = |i: usize| match (self.class_layers, i + 1) {
            (1, _) => last_layer(head.at("class_labels_classifier")),
            (last, number) => {
                let layer = head.at(&format!("class_labels_classifier.layers.{i}"));
                if number == last { last_layer(layer) } else { layer.dense(d, d) }
            }
        };
        let usual = Init::Normal(weights.initializer_range());
        Ok(Box::new(Detection {
            classifier: (0..self.class_layers).map(class_layer).collect::<Result<_, _>>()?,
            boxes: Perceptron::load(&head.at("bbox_predictor"), &[d, d, d, 4], usual)?,
            front: self.front,
            queries: config.size(self.queries)?,
        }))
    }
}

#[derive(Debug)]
struct Detection {
    classifier: Vec<Dense>,
    boxes: Perceptron,
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
    /// `logits` [B, Q, C] and `pred_boxes` [B, Q, 4], centre, width and height as shares of the picture.
    fn forward(&self, state: &State, train: bool) -> Result<Tensors, ModelError> {
        // Where queries look around middles, boxes begin there.
        let middles = state.beside.optional(MIDDLES).map(|middles| {
            let middles = inverse_sigmoid(middles);
            Tensor::cat(&[&middles, &middles.zeros_like()], -1)
        });
        let said = |x: &Tensor| {
            let boxes = self.boxes.forward_exact(x, train);
            let boxes = match &middles {
                Some(middles) if x.dim() == 4 => boxes + middles.unsqueeze(1),
                Some(middles) => boxes + middles,
                None => boxes,
            };
            (perceptron(&self.classifier, x, train), boxes.sigmoid())
        };
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

/// What a head's outputs say of sets of queries.
///
/// # Errors
/// Outputs of another head.
pub fn detection_outputs(outputs: &Tensors) -> Result<DetectionOutputs, ModelError> {
    let each = |logits: &str, boxes: &str| match (outputs.optional(logits), outputs.optional(boxes)) {
        (Some(logits), Some(boxes)) => logits.unbind(1).into_iter().zip(boxes.unbind(1)).collect(),
        _ => Vec::new(),
    };
    let last = (outputs.get("logits")?.shallow_clone(), outputs.get("pred_boxes")?.shallow_clone());
    let earlier = each(EARLIER_LOGITS, EARLIER_BOXES);
    let layers = std::iter::once(last).chain(earlier).collect();
    Ok(DetectionOutputs { layers, noised: each(NOISED_LOGITS, NOISED_BOXES) })
}

/// How a configuration weighs matching and losses: by the fields that its class has, which say how classes are learnt.
///
/// # Errors
/// Fields that are no numbers.
pub fn detection_weights(config: &ModelConfig) -> Result<DetectionWeights, ModelError> {
    let number = |field: &str, usual: f64| config.number_or(field, usual);
    if config.get("weight_loss_vfl").is_some() {
        let (alpha, gamma) = (number("matcher_alpha", 0.25)?, number("matcher_gamma", 2.0)?);
        let focal = config.flag_or("use_focal_loss", true)?;
        return Ok(DetectionWeights {
            cost: if focal { ClassCost::Focal { alpha, gamma } } else { ClassCost::Probability },
            class_cost: number("matcher_class_cost", 2.0)?,
            box_cost: number("matcher_bbox_cost", 5.0)?,
            overlap_cost: number("matcher_giou_cost", 2.0)?,
            classes: ClassLoss::Varifocal {
                alpha: number("focal_loss_alpha", 0.75)?,
                gamma: number("focal_loss_gamma", 2.0)?,
            },
            class: number("weight_loss_vfl", 1.0)?,
            distance: number("weight_loss_bbox", 5.0)?,
            overlap: number("weight_loss_giou", 2.0)?,
        });
    }
    let (cost, classes) = match config.get("focal_alpha") {
        // What its cost is made of, no configuration changes.
        Some(_) => {
            let loss = ClassLoss::Focal { alpha: number("focal_alpha", 0.25)?, gamma: 2.0 };
            (ClassCost::Focal { alpha: 0.25, gamma: 2.0 }, loss)
        }
        None => (ClassCost::Probability, ClassLoss::Softmax { nothing: number("eos_coefficient", 0.1)? }),
    };
    Ok(DetectionWeights {
        cost,
        class_cost: number("class_cost", 1.0)?,
        box_cost: number("bbox_cost", 5.0)?,
        overlap_cost: number("giou_cost", 2.0)?,
        classes,
        class: 1.0,
        distance: number("bbox_loss_coefficient", 5.0)?,
        overlap: number("giou_loss_coefficient", 2.0)?,
    })
}
