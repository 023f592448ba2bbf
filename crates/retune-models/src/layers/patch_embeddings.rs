//! Cutting an image into patches and projecting each: a convolution whose stride is its kernel, computed as a matrix
//! product (Dosovitskiy et al. 2020, §3.1). Also merges patches between the stages of ConvNeXt.
//!
//! B batch, C channels, H and W image size, P and Q patch size, h = H/P and w = W/Q, D hidden size.

use crate::checkpoint::{Init, Weights};
use crate::{Inputs, ModelError};
use retune_kernels::tch::Tensor;

/// The input `pixel_values` [B, C, H, W], checked against the number of channels and the patch size.
///
/// `divisible`: whether each side must be a multiple of the patch; Hugging Face would cut the rest off silently.
pub fn pixel_values(inputs: &Inputs, channels: i64, patch: (i64, i64), divisible: bool) -> Result<&Tensor, ModelError> {
    let pixels = inputs.get("pixel_values")?;
    let refuse = |problem: String| {
        Err(ModelError::InputShape { name: "pixel_values".to_owned(), shape: pixels.size(), problem })
    };
    let [_, found, height, width] = pixels.size()[..] else {
        return refuse("give [batch, channels, height, width]".to_owned());
    };
    if found != channels {
        return refuse(format!("the model takes {channels} channels, not {found}"));
    }
    let (p, q) = patch;
    if height < p || width < q {
        return refuse(format!("an image must be at least {p}×{q} pixels; resize it"));
    }
    if divisible && (height % p != 0 || width % q != 0) {
        return refuse(format!(
            "height and width must be multiples of the patch size {p}×{q}; resize or crop the images"
        ));
    }
    Ok(pixels)
}

/// `weight` [D, C, P, Q] and `bias` [D].
#[derive(Debug)]
pub struct PatchProjection {
    weight: Tensor,
    bias: Tensor,
    size: i64,
    patch: (i64, i64),
}

impl PatchProjection {
    /// `weights` points at the convolution.
    pub fn load(
        weights: &Weights<'_>,
        channels: i64,
        patch: (i64, i64),
        size: i64,
        init: Init,
    ) -> Result<Self, ModelError> {
        Ok(Self {
            weight: weights.compute("weight", &[size, channels, patch.0, patch.1], init)?,
            bias: weights.compute("bias", &[size], Init::Constant(0.0))?,
            size,
            patch,
        })
    }

    /// `x` [B, C, H, W]; returns [B, h, w, D].
    pub fn forward(&self, x: &Tensor) -> Tensor {
        let [batch, channels, height, width] = x.size()[..] else { panic!("images have four dimensions") };
        let (p, q) = self.patch;
        let (h, w) = (height / p, width / q);
        let cut = x.narrow(2, 0, h * p).narrow(3, 0, w * q);
        let patches = cut.reshape([batch, channels, h, p, w, q]).permute([0, 2, 4, 1, 3, 5]);
        self.project(&patches, batch, h, w)
    }

    /// `x` [B, H, W, C]; returns [B, h, w, D].
    pub fn forward_channels_last(&self, x: &Tensor) -> Tensor {
        let [batch, height, width, channels] = x.size()[..] else { panic!("feature maps have four dimensions") };
        let (p, q) = self.patch;
        let (h, w) = (height / p, width / q);
        let cut = x.narrow(1, 0, h * p).narrow(2, 0, w * q);
        let patches = cut.reshape([batch, h, p, w, q, channels]).permute([0, 1, 3, 5, 2, 4]);
        self.project(&patches, batch, h, w)
    }

    /// `patches` [B, h, w, C, P, Q].
    fn project(&self, patches: &Tensor, batch: i64, h: i64, w: i64) -> Tensor {
        let rows = patches.reshape([batch, h, w, -1]).to_kind(self.weight.kind());
        rows.linear(&self.weight.view([self.size, -1]), Some(&self.bias))
    }
}
