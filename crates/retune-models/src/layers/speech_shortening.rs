//! Convolutions behind an encoder of speech that make fewer frames: transformers' `Wav2Vec2Adapter`, whose layers are strided
//! convolutions with gated linear units.
//!
//! B batch, T frames, D hidden size of the encoder, E that behind it.

use crate::ModelError;
use crate::checkpoint::{Init, Weights};
use retune_kernels::tch::Tensor;
use retune_kernels::{Dense, LayerNorm, Weight};

/// Zeros on either side; the class fixes this number.
const AROUND: i64 = 1;
/// Added to variances by the norm; the class fixes this number.
const NORM_EPSILON: f64 = 1e-5;

/// Sizes, from config.json.
#[derive(Debug, Clone, Copy)]
pub struct SpeechShorteningSizes {
    /// E.
    pub width: i64,
    /// Of each convolution.
    pub kernel: i64,
    /// Of each convolution.
    pub stride: i64,
    /// Number of convolutions.
    pub layers: i64,
}

impl SpeechShorteningSizes {
    /// Frames that one convolution makes of so many.
    pub fn frames(&self, frames: i64) -> i64 {
        (frames + 2 * AROUND - self.kernel).div_euclid(self.stride) + 1
    }

    /// Kernel, stride and zeros on either side with which transformers counts frames that are no padding.
    pub fn counted(&self) -> (i64, i64, i64) {
        (1, self.stride, 0)
    }

    /// Floating-point operations of one convolution that makes so many frames.
    pub fn work(&self, frames: f64) -> f64 {
        4.0 * frames * (self.width * self.width * self.kernel) as f64
    }
}

/// The convolutions.
#[derive(Debug)]
pub struct SpeechShortening {
    /// Where E is not D.
    narrowing: Option<(Dense, LayerNorm)>,
    convolutions: Vec<(Weight, Weight)>, // [2 · E, E, kernel], [2 · E]
    sizes: SpeechShorteningSizes,
}

impl SpeechShortening {
    /// `weights` points at `….adapter`, `depth` is that of the first convolution, `hidden` is D.
    ///
    /// # Errors
    /// A checkpoint that does not fit.
    pub fn load(
        weights: &Weights<'_>,
        depth: usize,
        hidden: i64,
        sizes: SpeechShorteningSizes,
    ) -> Result<Self, ModelError> {
        let first = weights.depth(depth);
        let narrowing = || {
            let dense = first.at("proj").dense(hidden, sizes.width)?;
            Ok::<_, ModelError>((dense, first.at("proj_layer_norm").layer_norm(sizes.width, NORM_EPSILON)?))
        };
        let fan_in = (sizes.width * sizes.kernel) as f64;
        let convolution = |index: i64| {
            let at = weights.at(&format!("layers.{index}.conv")).depth(depth + index as usize);
            let shape = [2 * sizes.width, sizes.width, sizes.kernel];
            let weight = at.compute("weight", &shape, Init::Normal((2.0 / fan_in).sqrt()))?;
            Ok::<_, ModelError>((weight, at.compute("bias", &[2 * sizes.width], Init::Uniform(1.0 / fan_in.sqrt()))?))
        };
        Ok(Self {
            narrowing: (hidden != sizes.width).then(narrowing).transpose()?,
            convolutions: (0..sizes.layers).map(convolution).collect::<Result<_, _>>()?,
            sizes,
        })
    }

    /// Convolution `index` of `x` [B, T, D], of the first, else [B, T, E].
    pub fn forward(&self, x: &Tensor, index: usize, train: bool) -> Tensor {
        let narrowing = self.narrowing.as_ref().filter(|_| index == 0);
        let narrowed = narrowing.map(|(dense, norm)| norm.forward(&dense.forward(x, train)));
        let (weight, bias) = &self.convolutions[index];
        let x = narrowed.as_ref().unwrap_or(x).transpose(1, 2);
        let x = x.conv1d(weight, Some(&**bias), [self.sizes.stride], [AROUND], [1], 1);
        x.glu(1).transpose(1, 2).contiguous()
    }
}
