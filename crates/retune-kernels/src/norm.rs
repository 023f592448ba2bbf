//! Layer normalisation (Ba et al. 2016).

use crate::{Weight, fused};
use tch::{Device, Kind, Tensor};

/// PyTorch's `nn.LayerNorm` over the last dimension; statistics and weights stay in fp32.
#[derive(Debug)]
pub struct LayerNorm {
    weight: Weight, // [D], fp32
    bias: Weight,   // [D], fp32
    epsilon: f64,
}

impl LayerNorm {
    /// `weight` and `bias` \[D\] in fp32; `epsilon` from the configuration.
    pub fn new(weight: impl Into<Weight>, bias: impl Into<Weight>, epsilon: f64) -> Self {
        Self { weight: weight.into(), bias: bias.into(), epsilon }
    }

    /// `x` [.., D] of any float dtype; same shape and dtype out.
    pub fn forward(&self, x: &Tensor) -> Tensor {
        fused::norm_dropout(x, self, 0.0, false)
    }

    /// `norm(residual + dropout(x))`: how a block of a post-norm encoder ends.
    pub fn after_residual(&self, x: &Tensor, residual: &Tensor, dropout: f64, train: bool) -> Tensor {
        fused::dropout_residual_norm(x, residual, self, dropout, train)
    }

    /// Weight, bias, epsilon.
    pub(crate) fn parts(&self) -> (&Tensor, &Tensor, f64) {
        (&self.weight, &self.bias, self.epsilon)
    }

    /// As libtorch computes it.
    pub(crate) fn plain(&self, x: &Tensor) -> Tensor {
        let size = self.weight.size();
        // The CPU kernel mixes bf16 input with fp32 weights; the CUDA one does not.
        let mixed = x.kind() != self.weight.kind() && x.device() != Device::Cpu;
        let input = if mixed { x.to_kind(Kind::Float) } else { x.shallow_clone() };
        let y = input.layer_norm(&size, Some(&*self.weight), Some(&*self.bias), self.epsilon, true);
        if mixed { y.to_kind(x.kind()) } else { y }
    }
}
