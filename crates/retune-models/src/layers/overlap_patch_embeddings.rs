//! Overlapping patch embeddings (Xie et al. 2021, §3.1), transformers `SegformerOverlapPatchEmbeddings`: a convolution whose
//! kernel is larger than its stride, then a norm.
//!
//! B batch, H and W map before, h and w behind, C and D channels before and behind.

use super::MapLayer;
use crate::ModelError;
use crate::checkpoint::{Init, Weights};
use retune_kernels::tch::Tensor;
use retune_kernels::{LayerNorm, Weight};

/// Kernel, stride and widths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PatchShape {
    /// Side of the kernel.
    pub side: i64,
    /// Stride.
    pub stride: i64,
    /// C.
    pub channels: i64,
    /// D.
    pub width: i64,
}

impl PatchShape {
    /// Places along a side of the map behind, of places before; 0 where none fits.
    pub fn places(&self, before: i64) -> i64 {
        let free = before + 2 * (self.side / 2) - self.side;
        if free < 0 { 0 } else { free / self.stride + 1 }
    }
}

/// Convolution and norm.
#[derive(Debug)]
pub struct OverlapPatchEmbeddings {
    weight: Weight, // [D, C, side, side]
    bias: Weight,
    norm: LayerNorm,
    shape: PatchShape,
}

impl OverlapPatchEmbeddings {
    /// `weights` points at `….patch_embeddings.<stage>`.
    ///
    /// # Errors
    /// A checkpoint that does not fit.
    pub fn load(weights: &Weights<'_>, shape: PatchShape, norm_epsilon: f64) -> Result<Self, ModelError> {
        let (projection, init) = (weights.at("proj"), Init::Normal(weights.initializer_range()));
        Ok(Self {
            weight: projection.compute("weight", &[shape.width, shape.channels, shape.side, shape.side], init)?,
            bias: projection.compute("bias", &[shape.width], Init::Constant(0.0))?,
            norm: weights.at("layer_norm").layer_norm(shape.width, norm_epsilon)?,
            shape,
        })
    }
}

impl MapLayer for OverlapPatchEmbeddings {
    /// `x` [B, H, W, C]; returns [B, h, w, D].
    fn forward(&self, x: &Tensor, _train: bool) -> Tensor {
        let (stride, pad) = (self.shape.stride, self.shape.side / 2);
        let channels_first = x.permute([0, 3, 1, 2]).to_kind(self.weight.kind());
        let y = channels_first.conv2d(&self.weight, Some(&*self.bias), [stride; 2], [pad; 2], [1, 1], 1);
        self.norm.forward(&y.permute([0, 2, 3, 1]).contiguous())
    }

    fn work(&self, places: f64) -> f64 {
        let PatchShape { side, channels, width, .. } = self.shape;
        2.0 * places * (side * side * channels * width) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_those_of_the_convolution() {
        let shape = PatchShape { side: 7, stride: 4, channels: 3, width: 8 };
        assert_eq!([1, 4, 5, 32, 33, 360].map(|side| shape.places(side)), [1, 1, 2, 8, 9, 90]);
        // An even kernel pads more than it covers.
        assert_eq!(PatchShape { side: 4, ..shape }.places(8), 3);
    }
}
