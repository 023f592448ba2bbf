//! The loss of masked autoencoders: squared error of the removed patches (He et al. 2021, §3).
//!
//! B batch, C channels, H and W image size, P and Q patch size, N patches.

use crate::{ModelConfig, ModelError, Tensors};
use retune_kernels::loss::SummedLoss;
use retune_kernels::tch::{Kind, Tensor};

/// `pixels` [B, C, H, W] as patches [B, N, P·Q·C], the channel last.
pub fn patchify(pixels: &Tensor, patch: (i64, i64)) -> Tensor {
    let [batch, channels, height, width] = pixels.size()[..] else { panic!("images have four dimensions") };
    let (p, q) = patch;
    let (h, w) = (height / p, width / q);
    let cut = pixels.narrow(2, 0, h * p).narrow(3, 0, w * q).reshape([batch, channels, h, p, w, q]);
    cut.permute([0, 2, 4, 3, 5, 1]).reshape([batch, h * w, p * q * channels])
}

/// How the loss is computed, from config.json.
#[derive(Debug, Clone, Copy)]
pub struct MaskedPatchLoss {
    /// Height and width of a patch.
    pub patch: (i64, i64),
    /// Whether each patch is normalised to mean 0 and variance 1 first: `norm_pix_loss`.
    pub normalise: bool,
}

impl MaskedPatchLoss {
    /// Reads `patch_size` and `norm_pix_loss`.
    pub fn new(config: &ModelConfig) -> Result<Self, ModelError> {
        Ok(Self { patch: config.height_and_width("patch_size")?, normalise: config.flag_or("norm_pix_loss", false)? })
    }

    /// Mean squared error per removed patch, summed; the weight is the number of removed patches.
    ///
    /// `outputs` has logits [B, N, P·Q·C] and `mask` [B, N]; `pixels` is the input [B, C, H, W].
    pub fn summed(&self, outputs: &Tensors, pixels: &Tensor) -> Result<SummedLoss, ModelError> {
        let mask = outputs.get("mask")?;
        let error = self.per_patch(outputs.get("logits")?, pixels) * mask;
        Ok(SummedLoss { sum: error.sum(Kind::Float), weight: mask.sum(Kind::Double) })
    }

    /// Mean squared error of the removed patches of each image, \[B\].
    ///
    /// `predicted` is [B, N, P·Q·C], `mask` [B, N], `pixels` [B, C, H, W].
    pub fn per_image(&self, predicted: &Tensor, mask: &Tensor, pixels: &Tensor) -> Tensor {
        let patches = [-1i64].as_slice();
        let error = (self.per_patch(predicted, pixels) * mask).sum_dim_intlist(patches, false, Kind::Float);
        error / mask.sum_dim_intlist(patches, false, Kind::Float)
    }

    /// [B, N].
    fn per_patch(&self, predicted: &Tensor, pixels: &Tensor) -> Tensor {
        let last = [-1i64].as_slice();
        let mut target = patchify(&pixels.to_kind(Kind::Float), self.patch);
        if self.normalise {
            let mean = target.mean_dim(last, true, None);
            let variance = target.var_dim(last, true, true);
            target = (target - mean) / (variance + 1e-6).sqrt();
        }
        (predicted.to_kind(Kind::Float) - target).square().mean_dim(last, false, None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patches_hold_their_pixels_with_the_channel_last() {
        let pixels = Tensor::arange(16, (Kind::Float, retune_kernels::tch::Device::Cpu)).view([1, 2, 2, 4]);
        let patches = patchify(&pixels, (2, 2));
        assert_eq!(patches.size(), [1, 2, 8]);
        let second = Vec::<f32>::try_from(patches.get(0).get(1)).unwrap();
        assert_eq!(second, [2.0, 10.0, 3.0, 11.0, 6.0, 14.0, 7.0, 15.0]);
    }
}
