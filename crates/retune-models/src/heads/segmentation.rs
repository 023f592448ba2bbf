//! Semantic segmentation: an all-MLP decoder over the maps of all stages (Xie et al. 2021, §3.2), transformers
//! `SegformerDecodeHead`.
//!
//! B batch, S stages, C channels of a stage, E decoder size, L labels; h and w first feature map.

use crate::bodies::stage_name;
use crate::checkpoint::{Init, Weights};
use crate::layers::PatchProjection;
use crate::{Body, Head, HeadPlan, ModelConfig, ModelError, Purpose, Reads, State, Tensors};
use retune_kernels::dropout::dropout;
use retune_kernels::tch::{Kind, Tensor};
use retune_kernels::{BatchNorm, Dense, Weight};

/// A class for each pixel.
pub static SEMANTIC_SEGMENTATION: Purpose = Purpose {
    key: "semantic-segmentation",
    class_ending: "ForSemanticSegmentation",
    peft: None,
    fresh: true,
    labels: true,
};

/// Logits [B, L, h, w] of a head that only the loss reads.
pub const AUXILIARY_LOGITS: &str = "auxiliary_logits";

/// PyTorch's defaults, which no configuration changes.
const EPSILON: f64 = 1e-5;
const MOMENTUM: f64 = 0.1;

/// Sizes and settings, from config.json.
#[derive(Debug, Clone)]
pub struct SegmenterSizes {
    /// C of each stage, and how many places of the first map one of its places stands for.
    pub stages: Vec<(i64, f64)>,
    /// E.
    pub hidden: i64,
    /// Before the classifier.
    pub dropout: f64,
}

/// The head as data.
#[derive(Debug, Clone, Copy)]
pub struct AllMlpPlan(pub fn(&ModelConfig) -> Result<SegmenterSizes, ModelError>);

impl HeadPlan for AllMlpPlan {
    fn build(
        &self,
        weights: &Weights<'_>,
        config: &ModelConfig,
        _body: &dyn Body,
    ) -> Result<Box<dyn Head>, ModelError> {
        let sizes = (self.0)(config)?;
        let (e, labels, init) = (sizes.hidden, config.label_count(), Init::Normal(weights.initializer_range()));
        let head = weights.head().at("decode_head");
        let project = |(i, &(width, _)): (usize, &(i64, f64))| head.at(&format!("linear_c.{i}.proj")).dense(width, e);
        let classifier = head.at("classifier");
        classifier.mark_outputs();
        Ok(Box::new(AllMlp {
            projections: sizes.stages.iter().enumerate().map(project).collect::<Result<_, _>>()?,
            fuse: head.at("linear_fuse").compute("weight", &[e, e * sizes.stages.len() as i64, 1, 1], init)?,
            norm: head.at("batch_norm").batch_norm(e, EPSILON, MOMENTUM)?,
            classifier: PatchProjection::load(&classifier, e, (1, 1), labels, init)?,
            labels,
            sizes,
        }))
    }
}

#[derive(Debug)]
struct AllMlp {
    projections: Vec<Dense>,
    fuse: Weight, // [E, S·E, 1, 1], the last stage first
    norm: BatchNorm,
    classifier: PatchProjection,
    labels: i64,
    sizes: SegmenterSizes,
}

impl AllMlp {
    /// What the fused map has of a stage, before it is brought to the first stage's size, [B, E, h of the stage, w].
    ///
    /// Fusing and resizing are linear and each works on the other's axes, so that their order does not matter; fusing first
    /// costs a product over the small map instead of the large one.
    fn share(&self, stage: usize, map: &Tensor, train: bool) -> Tensor {
        let (e, stages) = (self.sizes.hidden, self.projections.len());
        let columns = self.fuse.view([e, -1]).narrow(1, (stages - 1 - stage) as i64 * e, e);
        let fused = self.projections[stage].forward(map, train).linear(&columns, None::<&Tensor>);
        fused.permute([0, 3, 1, 2]).to_kind(Kind::Float)
    }
}

impl Head for AllMlp {
    fn reads(&self) -> Reads {
        Reads::Stages
    }

    /// `logits` [B, L, h, w] of the maps of all stages.
    fn forward(&self, state: &State, train: bool) -> Result<Tensors, ModelError> {
        let last = self.projections.len() - 1;
        let map = |stage: usize| if stage == last { Ok(&state.hidden) } else { state.beside.get(&stage_name(stage)) };
        let mut sum = self.share(0, map(0)?, train);
        let [_, _, h, w] = sum.size()[..] else { panic!("feature maps have four dimensions") };
        for stage in 1..=last {
            let share = self.share(stage, map(stage)?, train);
            sum += share.upsample_bilinear2d([h, w], false, None, None);
        }
        let active = dropout(&self.norm.forward(&sum, train).relu(), self.sizes.dropout, train);
        let logits = self.classifier.forward_channels_last(&active.permute([0, 2, 3, 1]));
        Ok(Tensors::from([("logits", logits.permute([0, 3, 1, 2]).to_kind(Kind::Float))]))
    }

    fn work(&self, places: f64) -> f64 {
        let e = self.sizes.hidden as f64;
        let stages = self.sizes.stages.iter().map(|&(width, area)| 2.0 * places / area * e * (width as f64 + e));
        stages.sum::<f64>() + 2.0 * places * e * self.labels as f64
    }
}
