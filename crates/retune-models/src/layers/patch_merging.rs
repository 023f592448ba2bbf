//! Swin's downsampling between stages (Liu et al. 2021, §3.1).
//!
//! B batch, H and W feature map, C channels.

use super::MapLayer;
use crate::ModelError;
use crate::checkpoint::Weights;
use retune_kernels::tch::Tensor;
use retune_kernels::{Dense, LayerNorm};

/// Epsilon of Swin's norms whose Hugging Face modules take none from the configuration.
pub const DEFAULT_EPSILON: f64 = 1e-5;

/// Four neighbouring patches become one of twice the width.
#[derive(Debug)]
pub struct PatchMerging {
    norm: LayerNorm,
    reduction: Dense,
    hidden: i64,
    /// Whether the norm is of what was reduced (Liu et al. 2022).
    normed_behind: bool,
}

impl PatchMerging {
    /// `weights` points at `….downsample`; `hidden` is C.
    pub fn load(weights: &Weights<'_>, hidden: i64) -> Result<Self, ModelError> {
        Ok(Self {
            norm: weights.at("norm").layer_norm(4 * hidden, DEFAULT_EPSILON)?,
            reduction: weights.at("reduction").dense_with(4 * hidden, 2 * hidden, false)?,
            hidden,
            normed_behind: false,
        })
    }

    /// The same with its norm behind the reduction, as in Swin V2.
    ///
    /// # Errors
    /// A checkpoint that does not fit.
    pub fn normed_behind(weights: &Weights<'_>, hidden: i64) -> Result<Self, ModelError> {
        Ok(Self {
            norm: weights.at("norm").layer_norm(2 * hidden, DEFAULT_EPSILON)?,
            reduction: weights.at("reduction").dense_with(4 * hidden, 2 * hidden, false)?,
            hidden,
            normed_behind: true,
        })
    }
}

impl MapLayer for PatchMerging {
    /// `x` [B, H, W, C]; returns [B, ⌈H/2⌉, ⌈W/2⌉, 2C].
    fn forward(&self, x: &Tensor, train: bool) -> Tensor {
        let [batch, height, width, channels] = x.size()[..] else { panic!("feature maps have four dimensions") };
        let even = height % 2 + width % 2 == 0;
        let x = if even { x.shallow_clone() } else { x.constant_pad_nd([0, 0, 0, width % 2, 0, height % 2]) };
        let (h, w) = ((height + 1) / 2, (width + 1) / 2);
        // Of the four: first both of the left column, then both of the right one.
        let merged = x.reshape([batch, h, 2, w, 2, channels]).permute([0, 1, 3, 4, 2, 5]).reshape([batch, h, w, -1]);
        match self.normed_behind {
            true => self.norm.forward(&self.reduction.forward(&merged, train)),
            false => self.reduction.forward(&self.norm.forward(&merged), train),
        }
    }

    fn work(&self, places: f64) -> f64 {
        16.0 * places * (self.hidden * self.hidden) as f64
    }
}
