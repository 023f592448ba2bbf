//! ConvNeXt's downsampling between stages: a norm, then a 2×2 convolution of stride 2 (Liu et al. 2022, §2.6).
//!
//! B batch, H and W feature map, C channels.

use super::conv_next_layer::NORM_EPSILON;
use super::{MapLayer, PatchProjection};
use crate::ModelError;
use crate::checkpoint::{Init, Weights};
use retune_kernels::LayerNorm;
use retune_kernels::tch::Tensor;

/// Norm and convolution.
#[derive(Debug)]
pub struct Downsampling {
    norm: LayerNorm,
    projection: PatchProjection,
    widths: (i64, i64),
}

impl Downsampling {
    /// `weights` points at `….downsampling_layer`; `widths` are those before and after.
    pub fn load(weights: &Weights<'_>, widths: (i64, i64)) -> Result<Self, ModelError> {
        let init = Init::Normal(weights.initializer_range());
        Ok(Self {
            norm: weights.at("0").layer_norm(widths.0, NORM_EPSILON)?,
            projection: PatchProjection::load(&weights.at("1"), widths.0, (2, 2), widths.1, init)?,
            widths,
        })
    }
}

impl MapLayer for Downsampling {
    /// `x` [B, H, W, C]; returns [B, ⌊H/2⌋, ⌊W/2⌋, C of the next stage].
    fn forward(&self, x: &Tensor, _train: bool) -> Tensor {
        self.projection.forward_channels_last(&self.norm.forward(x))
    }

    fn work(&self, places: f64) -> f64 {
        8.0 * places * (self.widths.0 * self.widths.1) as f64
    }
}
