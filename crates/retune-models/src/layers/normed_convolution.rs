//! A convolution without bias, its norm over channels, which may be frozen, and perhaps an activation.
//!
//! transformers' `ResNetConvLayer`, `RTDetrConvNormLayer`, `UperNetConvModule`, `BeitConvLayer` and `MobileViTConvLayer`. B batch, C and D channels, H and W map, k kernel.

use crate::ModelError;
use crate::checkpoint::{Init, Weights};
use retune_kernels::tch::{Kind, Tensor};
use retune_kernels::{Activation, BatchNorm, Weight};

/// PyTorch's default.
pub(super) const NORM_EPSILON: f64 = 1e-5;
const MOMENTUM: f64 = 0.1;

/// A norm of channels.
#[derive(Debug)]
enum ChannelNorm {
    Batch(BatchNorm),
    /// Weight, bias, mean and variance, none of which ever changes.
    Frozen([Weight; 4]),
}

impl ChannelNorm {
    fn load(weights: &Weights<'_>, size: i64, epsilon: f64, frozen: bool) -> Result<Self, ModelError> {
        if !frozen {
            return Ok(Self::Batch(weights.batch_norm(size, epsilon, MOMENTUM)?));
        }
        let filled =
            |name: &str, value: f64| weights.fixed(name, Tensor::full([size], value, (Kind::Float, weights.device())));
        let (weight, bias) = (filled("weight", 1.0)?, filled("bias", 0.0)?);
        Ok(Self::Frozen([weight, bias, filled("running_mean", 0.0)?, filled("running_var", 1.0)?]))
    }
}

/// What a convolution makes of what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConvolutionShape {
    /// C.
    pub input: i64,
    /// D.
    pub output: i64,
    /// k, odd; the map is padded by half of it.
    pub kernel: i64,
    /// Places that it moves on by.
    pub stride: i64,
    /// Places from one that it reads to the next: more than 1 leaves holes.
    pub dilation: i64,
    /// Groups of channels that know nothing of each other.
    pub groups: i64,
}

impl ConvolutionShape {
    /// Of neighbours, and of all channels: C, D, k and stride.
    pub fn new(input: i64, output: i64, kernel: i64, stride: i64) -> Self {
        Self { input, output, kernel, stride, dilation: 1, groups: 1 }
    }
}

/// The layer.
#[derive(Debug)]
pub struct NormedConvolution {
    weight: Weight, // [D, C of a group, k, k]
    norm: ChannelNorm,
    shape: ConvolutionShape,
    activation: Option<Activation>,
}

impl NormedConvolution {
    /// `convolution` and the name of the norm are paths below `weights`; the norm comes with its epsilon and whether it is frozen.
    ///
    /// # Errors
    /// A checkpoint that does not fit.
    pub fn load(
        weights: &Weights<'_>,
        convolution: &str,
        (norm, epsilon, frozen): (&str, f64, bool),
        shape: ConvolutionShape,
        activation: Option<Activation>,
    ) -> Result<Self, ModelError> {
        let ConvolutionShape { output, kernel, .. } = shape;
        // He et al. 2015, by fan out, as there.
        let init = Init::Normal((2.0 / (output * kernel * kernel) as f64).sqrt());
        Self::drawn(weights, convolution, (norm, epsilon, frozen), shape, (activation, init))
    }

    /// With a norm that learns and ReLU; from C to D channels by a kernel of k × k. The map keeps its size.
    ///
    /// # Errors
    /// A checkpoint that does not fit.
    pub fn rectified(
        weights: &Weights<'_>,
        (convolution, norm): (&str, &str),
        (input, output, kernel): (i64, i64, i64),
    ) -> Result<Self, ModelError> {
        let (shape, init) =
            (ConvolutionShape::new(input, output, kernel, 1), Init::Normal(weights.initializer_range()));
        Self::drawn(weights, convolution, (norm, NORM_EPSILON, false), shape, (Some(Activation::Relu), init))
    }

    /// As [`Self::load`], with other fresh values.
    ///
    /// # Errors
    /// A checkpoint that does not fit.
    pub fn drawn(
        weights: &Weights<'_>,
        convolution: &str,
        (norm, epsilon, frozen): (&str, f64, bool),
        shape: ConvolutionShape,
        (activation, init): (Option<Activation>, Init),
    ) -> Result<Self, ModelError> {
        let ConvolutionShape { input, output, kernel, groups, .. } = shape;
        Ok(Self {
            weight: weights.at(convolution).compute("weight", &[output, input / groups, kernel, kernel], init)?,
            norm: ChannelNorm::load(&weights.at(norm), output, epsilon, frozen)?,
            shape,
            activation,
        })
    }

    /// `x` [B, C, H, W]; returns [B, D, ⌈H/stride⌉, ⌈W/stride⌉] in the dtype of computation, and the memory format of `x`.
    pub fn forward(&self, x: &Tensor, train: bool) -> Tensor {
        let ConvolutionShape { kernel, stride, dilation, groups, .. } = self.shape;
        let (kind, pad) = (self.kind(), kernel / 2 * dilation);
        let x = x.to_kind(kind);
        let convolved = |weight: &Tensor, bias: Option<&Tensor>| {
            x.conv2d(weight, bias, [stride; 2], [pad; 2], [dilation; 2], groups)
        };
        let y = match &self.norm {
            ChannelNorm::Batch(norm) => norm.forward(&convolved(&self.weight, None), train),
            // What never changes is part of the convolution, which saves passes over maps.
            ChannelNorm::Frozen([weight, bias, mean, variance]) => {
                let scale = &**weight * (&**variance + NORM_EPSILON).rsqrt();
                let shift = (&**bias - &**mean * &scale).to_kind(kind);
                convolved(&(&*self.weight * scale.view([-1, 1, 1, 1])).to_kind(kind), Some(&shift))
            }
        };
        self.activation.map_or_else(|| y.shallow_clone(), |activation| activation.forward(&y))
    }

    /// The dtype of computation.
    pub fn kind(&self) -> Kind {
        self.weight.kind()
    }

    /// For a result of so many places.
    pub fn work(&self, places: f64) -> f64 {
        let ConvolutionShape { input, output, kernel, groups, .. } = self.shape;
        2.0 * places * (input / groups * output * kernel * kernel) as f64
    }
}
