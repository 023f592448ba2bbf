//! A map brought to the size of a transformer: a convolution with bias and a norm over groups of channels (Wu & He 2018), as Deformable
//! DETR's `input_proj` has it.
//!
//! B batch, C channels, h and w map, D hidden size.

use crate::ModelError;
use crate::checkpoint::{Init, Weights};
use retune_kernels::Weight;
use retune_kernels::tch::{Kind, Tensor};

/// Groups of channels.
const GROUPS: i64 = 32;
/// PyTorch's default.
const EPSILON: f64 = 1e-5;

/// The layer.
#[derive(Debug)]
pub struct ProjectedMap {
    weight: Weight, // [D, C, k, k]
    bias: Weight,
    norm: (Weight, Weight),
    halves: bool,
}

impl ProjectedMap {
    /// `weights` points at the pair, sizes are C and D; the map is halved, or keeps its size.
    ///
    /// # Errors
    /// A checkpoint or sizes that do not fit.
    pub fn load(weights: &Weights<'_>, (input, output): (i64, i64), halves: bool) -> Result<Self, ModelError> {
        if output % GROUPS != 0 {
            let problem = format!("is {output}, no multiple of the {GROUPS} groups of its norms");
            return Err(ModelError::Config { field: "d_model".to_owned(), problem });
        }
        let kernel = if halves { 3 } else { 1 };
        let init = Init::even(input * kernel * kernel, output * kernel * kernel);
        let (convolution, norm) = (weights.at("0"), weights.at("1"));
        Ok(Self {
            weight: convolution.compute("weight", &[output, input, kernel, kernel], init)?,
            bias: convolution.compute("bias", &[output], Init::Constant(0.0))?,
            norm: (norm.norm_part("weight", output, 1.0)?, norm.norm_part("bias", output, 0.0)?),
            halves,
        })
    }

    /// `map` [B, C, h, w]; returns [B, D, h, w], or halves of these sides rounded up, in fp32.
    pub fn forward(&self, map: &Tensor) -> Tensor {
        let (stride, pad) = if self.halves { (2, 1) } else { (1, 0) };
        let x = map.to_kind(self.weight.kind());
        let y = x.conv2d(&self.weight, Some(&*self.bias), [stride; 2], [pad; 2], [1, 1], 1).to_kind(Kind::Float);
        y.group_norm(GROUPS, Some(&*self.norm.0), Some(&*self.norm.1), EPSILON, true)
    }

    /// Floating-point operations for a result of so many places.
    pub fn work(&self, places: f64) -> f64 {
        2.0 * places * self.weight.numel() as f64
    }
}
