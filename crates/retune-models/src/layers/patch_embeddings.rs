//! Cutting an image into patches and projecting each: a convolution whose stride is its kernel, computed as a matrix
//! product (Dosovitskiy et al. 2020, §3.1). Also merges patches between the stages of ConvNeXt.
//!
//! B batch, C channels, H and W image size, P and Q patch size, h = H/P and w = W/Q, D hidden size.

use crate::checkpoint::{Init, Weights};
use crate::{ModelError, Tensors};
use retune_kernels::Weight;
use retune_kernels::tch::Tensor;

/// The sizes of images that a model takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SizeRule {
    /// Smallest height and width.
    least: (i64, i64),
    /// Whether height and width must be multiples of these.
    multiples: bool,
    /// Pixels along a side for a place of the finest and of the coarsest of maps that are halved, each a whole half of the one
    /// before.
    halved: Option<(i64, i64)>,
}

impl SizeRule {
    /// Whole patches only: Hugging Face would cut the rest off silently.
    pub fn multiples(patch: (i64, i64)) -> Self {
        Self { least: patch, multiples: true, halved: None }
    }

    /// Any size from this one on: what is left over is padded (Swin) or cut off (ConvNeXt).
    pub fn at_least(least: (i64, i64)) -> Self {
        Self { least, multiples: false, halved: None }
    }

    /// Sizes of which every map is a whole half of the one before, from the finest of a place in so many pixels to the coarsest.
    pub fn halved(finest: i64, coarsest: i64) -> Self {
        Self { halved: Some((finest, coarsest)), ..Self::at_least((1, 1)) }
    }

    /// Whether few sizes fit: images that keep their shape seldom do.
    pub fn wants_whole_halves(&self) -> bool {
        self.halved.is_some()
    }

    /// Whether an image of this height and width fits; else why not, and what to do.
    pub fn check(&self, (height, width): (i64, i64)) -> Result<(), String> {
        let (p, q) = self.least;
        if height < p || width < q {
            return Err(format!("an image must be at least {p}×{q} pixels; resize it"));
        }
        if self.multiples && (height % p != 0 || width % q != 0) {
            let below = (height / p * p, width / q * q);
            return Err(format!(
                "height and width must be multiples of the patch size {p}×{q}; use {}×{} or {}×{}",
                below.0,
                below.1,
                below.0 + p * i64::from(height % p != 0),
                below.1 + q * i64::from(width % q != 0)
            ));
        }
        if let Some((finest, coarsest)) = self.halved {
            let fits = |side: i64| ((side + finest - 1) / finest) % (coarsest / finest) == 0;
            if !fits(height) || !fits(width) {
                let whole = |side: i64| (side + coarsest - 1) / coarsest * coarsest;
                return Err(format!(
                    "its maps are not whole halves of each other; use multiples of {coarsest}, such as {}×{}",
                    whole(height),
                    whole(width)
                ));
            }
        }
        Ok(())
    }
}

/// The input `pixel_values` [B, C, H, W], checked against the number of channels and the sizes the model takes.
pub fn pixel_values<'a>(inputs: &'a Tensors, channels: i64, sizes: &SizeRule) -> Result<&'a Tensor, ModelError> {
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
    sizes.check((height, width)).map_or_else(refuse, |()| Ok(pixels))
}

/// `weight` [D, C, P, Q] and `bias` \[D\].
#[derive(Debug)]
pub struct PatchProjection {
    weight: Weight,
    bias: Weight,
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
        rows.linear(&self.weight.view([self.size, -1]), Some(&*self.bias))
    }
}
