//! Convolutions one behind the other, and the inverted residual of MobileNetV2 (Sandler et al. 2018, §3.3) made of them: to more
//! channels, each by itself over its neighbours, and back. transformers' `MobileViTInvertedResidual`.
//!
//! B batch, C and D channels, H and W map.

use super::normed_convolution::NORM_EPSILON;
use super::{ConvolutionShape, MapLayer, NormedConvolution};
use crate::ModelError;
use crate::checkpoint::{Init, Weights};
use retune_kernels::Activation;
use retune_kernels::tch::{Kind, Tensor};

/// Channels inside are multiples of this.
const DIVISOR: i64 = 8;

/// The nearest multiple of `divisor`, `least` at least, but no more than a tenth below `wanted`: `make_divisible` of transformers.
pub fn divisible(wanted: f64, divisor: i64, least: i64) -> i64 {
    let nearest = least.max((wanted + divisor as f64 / 2.0) as i64 / divisor * divisor);
    if (nearest as f64) < 0.9 * wanted { nearest + divisor } else { nearest }
}

/// How an inverted residual is made.
#[derive(Debug, Clone, Copy)]
pub struct InvertedSizes {
    /// C.
    pub input: i64,
    /// D.
    pub output: i64,
    /// Of the middle convolution: 1 or 2.
    pub stride: i64,
    /// Of the middle convolution.
    pub dilation: i64,
    /// How many times more channels there are inside.
    pub expansion: f64,
    /// Behind the first two.
    pub activation: Activation,
}

impl InvertedSizes {
    /// Channels inside.
    fn inside(&self) -> i64 {
        divisible((self.input as f64 * self.expansion).round_ties_even(), DIVISOR, DIVISOR)
    }
}

/// The convolutions.
#[derive(Debug)]
pub struct ConvolutionChain {
    convolutions: Vec<NormedConvolution>,
    /// Whether what comes in is added to what comes out.
    residual: bool,
}

/// A convolution with a norm that learns, by the names of MobileViT.
pub(super) fn named(
    weights: &Weights<'_>,
    shape: ConvolutionShape,
    activation: Option<Activation>,
) -> Result<NormedConvolution, ModelError> {
    let init = Init::Normal(weights.initializer_range());
    NormedConvolution::drawn(weights, "convolution", ("normalization", NORM_EPSILON, false), shape, (activation, init))
}

impl ConvolutionChain {
    /// One alone, at `weights`.
    ///
    /// # Errors
    /// A checkpoint that does not fit.
    pub fn single(weights: &Weights<'_>, shape: ConvolutionShape, activation: Activation) -> Result<Self, ModelError> {
        Ok(Self { convolutions: vec![named(weights, shape, Some(activation))?], residual: false })
    }

    /// An inverted residual at `weights`.
    ///
    /// # Errors
    /// A checkpoint that does not fit.
    pub fn inverted(weights: &Weights<'_>, sizes: InvertedSizes) -> Result<Self, ModelError> {
        let InvertedSizes { input, output, stride, dilation, activation, .. } = sizes;
        let inside = sizes.inside();
        let middle = ConvolutionShape { dilation, groups: inside, ..ConvolutionShape::new(inside, inside, 3, stride) };
        let of = |name: &str, shape, activation| named(&weights.at(name), shape, activation);
        Ok(Self {
            convolutions: vec![
                of("expand_1x1", ConvolutionShape::new(input, inside, 1, 1), Some(activation))?,
                of("conv_3x3", middle, Some(activation))?,
                of("reduce_1x1", ConvolutionShape::new(inside, output, 1, 1), None)?,
            ],
            residual: stride == 1 && input == output,
        })
    }
}

impl MapLayer for ConvolutionChain {
    fn forward(&self, x: &Tensor, train: bool) -> Tensor {
        let x = x.permute([0, 3, 1, 2]).to_kind(Kind::Float);
        let mut y = x.shallow_clone();
        for convolution in &self.convolutions {
            y = convolution.forward(&y, train);
        }
        let y = if self.residual { x + y } else { y };
        y.permute([0, 2, 3, 1])
    }

    fn work(&self, places: f64) -> f64 {
        // Those before a stride work on more places; near enough.
        self.convolutions.iter().map(|convolution| convolution.work(places)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_inside_are_those_of_the_reference() {
        let inside = |input, expansion| {
            let activation = Activation::Silu;
            InvertedSizes { input, output: 1, stride: 1, dilation: 1, expansion, activation }.inside()
        };
        assert_eq!(
            [inside(16, 4.0), inside(3, 2.0), inside(5, 2.5), inside(11, 1.0), inside(12, 1.5)],
            [64, 8, 16, 16, 24]
        );
    }
}
