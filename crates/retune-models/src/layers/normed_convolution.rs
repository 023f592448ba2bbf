//! A convolution without a bias, batch norm, and ReLU: transformers' `UperNetConvModule` and `BeitConvLayer`.
//!
//! B batch, C and D channels, H and W map, k kernel.

use crate::ModelError;
use crate::checkpoint::{Init, Weights};
use retune_kernels::tch::{Kind, Tensor};
use retune_kernels::{BatchNorm, Weight};

/// PyTorch's defaults, which no configuration changes.
const EPSILON: f64 = 1e-5;
const MOMENTUM: f64 = 0.1;

/// The layer; the map keeps its size.
#[derive(Debug)]
pub struct NormedConvolution {
    weight: Weight, // [D, C, k, k]
    norm: BatchNorm,
    shape: (i64, i64, i64),
}

impl NormedConvolution {
    /// From C to D channels by a kernel of k × k, odd; `convolution` and `norm` are names below `weights`.
    ///
    /// # Errors
    /// A checkpoint that does not fit.
    pub fn load(
        weights: &Weights<'_>,
        (convolution, norm): (&str, &str),
        (input, output, kernel): (i64, i64, i64),
    ) -> Result<Self, ModelError> {
        let init = Init::Normal(weights.initializer_range());
        Ok(Self {
            weight: weights.at(convolution).compute("weight", &[output, input, kernel, kernel], init)?,
            norm: weights.at(norm).batch_norm(output, EPSILON, MOMENTUM)?,
            shape: (input, output, kernel),
        })
    }

    /// `x` [B, C, H, W]; returns [B, D, H, W] in fp32.
    pub fn forward(&self, x: &Tensor, train: bool) -> Tensor {
        let padding = self.shape.2 / 2;
        let x = x.to_kind(self.weight.kind());
        let y = x.conv2d(&self.weight, None::<&Tensor>, [1, 1], [padding; 2], [1, 1], 1);
        self.norm.forward(&y.to_kind(Kind::Float), train).relu()
    }

    /// Floating-point operations for a map of so many places.
    pub fn work(&self, places: f64) -> f64 {
        let (input, output, kernel) = self.shape;
        2.0 * places * (input * output * kernel * kernel) as f64
    }
}
