//! Object detection by Deformable DETR (Zhu et al. 2020, §4), transformers' `DeformableDetrForObjectDetection`: its layers share their
//! heads, unless they refine boxes or, with two stages, classes.
//!
//! B batch, Q queries, D hidden size, L labels, E layers before the last.

use super::detection::{EARLIER_BOXES, EARLIER_LOGITS};
use crate::bodies::{INTERMEDIATE, REFERENCES, said_name};
use crate::checkpoint::{Init, Weights};
use crate::layers::Perceptron;
use crate::{Body, Head, HeadPlan, ModelConfig, ModelError, Reads, State, Tensors};
use retune_kernels::Dense;
use retune_kernels::tch::{Kind, Tensor};

/// The head as data.
#[derive(Debug, Clone, Copy)]
pub struct DeformableDetectionPlan;

impl HeadPlan for DeformableDetectionPlan {
    fn build(&self, weights: &Weights<'_>, config: &ModelConfig, body: &dyn Body) -> Result<Box<dyn Head>, ModelError> {
        let (d, labels, layers) = (body.width(), config.label_count(), config.size("decoder_layers")? as usize);
        let (refines, two_stage) = (config.flag_or("with_box_refine", false)?, config.flag_or("two_stage", false)?);
        let (head, decoder) = (weights.head(), weights.head().at("model.decoder"));
        let owner = if two_stage { &decoder } else { &head };
        let first = owner.at("class_embed.0.weight").path().to_owned();
        let differs = |i: usize| owner.at(&format!("class_embed.{i}")).differs("weight", &first);
        let apart = two_stage || (1..layers).map(differs).collect::<Result<Vec<_>, _>>()?.contains(&true);
        // Almost nothing is there at first (Lin et al. 2017, §4.1).
        let prior = Init::Constant(-(99f64.ln()));
        let class = |i: usize| {
            let layer = owner.at(&format!("class_embed.{i}"));
            layer.mark_outputs();
            layer.dense_from((d, labels), Init::Normal(layer.initializer_range()), prior)
        };
        let boxes = match refines {
            true => decoder.at(&format!("bbox_embed.{}", layers - 1)),
            false => head.at("bbox_embed.0"),
        };
        Ok(Box::new(DeformableDetection {
            classes: (0..if apart { layers } else { 1 }).map(class).collect::<Result<_, _>>()?,
            boxes: Perceptron::load(&boxes, &[d, d, d, 4], Init::Constant(0.0))?,
            refines,
        }))
    }
}

struct DeformableDetection {
    /// Of each layer, or of all.
    classes: Vec<Dense>,
    /// Of the last layer, or of all.
    boxes: Perceptron,
    refines: bool,
}

impl Head for DeformableDetection {
    fn reads(&self) -> Reads {
        Reads::All
    }

    /// `logits` [B, Q, L] and `pred_boxes` [B, Q, 4], centre, width and height as shares of the picture; where earlier layers are
    /// learnt, what they say, [B, E, Q, ..].
    fn forward(&self, state: &State, train: bool) -> Result<Tensors, ModelError> {
        let references = state.beside.get(REFERENCES)?;
        let class =
            |i: usize, x: &Tensor| self.classes[i.min(self.classes.len() - 1)].forward(x, train).to_kind(Kind::Float);
        let boxes = |x: &Tensor| self.boxes.refined(x, references, train);
        let (x, last) = (&state.hidden, self.classes.len() - 1);
        let mut outputs = Tensors::from([("logits", class(last, x)), ("pred_boxes", boxes(x))]);
        let Some(earlier) = state.beside.optional(INTERMEDIATE) else { return Ok(outputs) };
        let earlier = earlier.unbind(1);
        let logits: Vec<Tensor> = earlier.iter().enumerate().map(|(i, x)| class(i, x)).collect();
        let of_layer = |(i, x): (usize, &Tensor)| match self.refines {
            true => state.beside.get(&said_name(&i.to_string(), "boxes")).map(Tensor::shallow_clone),
            false => Ok(boxes(x)),
        };
        let boxes = earlier.iter().enumerate().map(of_layer).collect::<Result<Vec<_>, _>>()?;
        outputs.insert(EARLIER_LOGITS, Tensor::stack(&logits, 1));
        outputs.insert(EARLIER_BOXES, Tensor::stack(&boxes, 1));
        Ok(outputs)
    }
}
