//! The convolution beside the first layer of DeBERTa-v2 (He et al. 2021): `LN(residual + activation(Drop(convolution(x))))`.
//!
//! transformers' `ConvLayer`. B batch, T tokens, D hidden size.

use crate::ModelError;
use crate::checkpoint::{Init, Weights};
use retune_kernels::dropout::dropout;
use retune_kernels::tch::Tensor;
use retune_kernels::{Activation, LayerNorm, Weight};

/// Sizes and settings, from config.json.
#[derive(Debug, Clone, Copy)]
pub struct TokenConvolutionSizes {
    /// Tokens that a place sees; odd.
    pub kernel: i64,
    /// Groups of channels.
    pub groups: i64,
    /// Behind dropout.
    pub activation: Activation,
    /// Before the activation.
    pub dropout: f64,
    /// Added to variances.
    pub norm_epsilon: f64,
}

/// Convolution and norm.
#[derive(Debug)]
pub struct TokenConvolution {
    weight: Weight, // [D, D / groups, kernel]
    bias: Weight,
    norm: LayerNorm,
    sizes: TokenConvolutionSizes,
}

impl TokenConvolution {
    /// `weights` points at `….conv`.
    ///
    /// # Errors
    /// A checkpoint that does not fit.
    pub fn load(weights: &Weights<'_>, hidden: i64, sizes: TokenConvolutionSizes) -> Result<Self, ModelError> {
        let (conv, init) = (weights.at("conv"), Init::Normal(weights.initializer_range()));
        Ok(Self {
            weight: conv.compute("weight", &[hidden, hidden / sizes.groups, sizes.kernel], init)?,
            bias: conv.compute("bias", &[hidden], Init::Constant(0.0))?,
            norm: weights.at("LayerNorm").layer_norm(hidden, sizes.norm_epsilon)?,
            sizes,
        })
    }

    /// Of `x` [B, T, D], added to `residual` [B, T, D]; `open` [B, T, 1] is 1 for tokens that are no padding, which becomes zero.
    pub fn forward(&self, x: &Tensor, residual: &Tensor, open: Option<&Tensor>, train: bool) -> Tensor {
        let kept = |x: Tensor| open.map_or_else(|| x.shallow_clone(), |open| &x * open.to_kind(x.kind()));
        let channels = x.to_kind(self.weight.kind()).transpose(1, 2);
        let padding = [(self.sizes.kernel - 1) / 2];
        let y = channels.conv1d(&self.weight, Some(&*self.bias), [1], padding, [1], self.sizes.groups);
        let y = self.sizes.activation.forward(&dropout(&kept(y.transpose(1, 2)), self.sizes.dropout, train));
        kept(self.norm.forward(&(residual + y)))
    }
}
