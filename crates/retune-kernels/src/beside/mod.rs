//! What may stand beside the frozen weight of a [`crate::Dense`] and learn in its place.

mod lora;

pub use lora::Lora;

use crate::fused;
use std::fmt::Debug;
use tch::Tensor;

/// The layer that something stands beside, PyTorch's `nn.Linear`.
#[derive(Debug, Clone, Copy)]
pub struct Linear<'a> {
    /// Weight [out, in].
    pub weight: &'a Tensor,
    /// Bias \[out\].
    pub bias: Option<&'a Tensor>,
    /// Whether the weight is [in, out] instead, as transformers' `Conv1D` has it.
    pub transposed: bool,
}

impl Linear<'_> {
    /// Computes `x Wᵀ + b` of `x` [.., in] in the dtype of the weight.
    pub fn forward(&self, x: &Tensor) -> Tensor {
        if !self.transposed {
            return fused::linear(x, self.weight, self.bias);
        }
        let product = x.matmul(self.weight);
        self.bias.map_or_else(|| product.shallow_clone(), |bias| &product + bias)
    }
}

/// A parameter-efficient change of a linear layer, such as LoRA. It decides what becomes of the layer's own product: some
/// methods add to it, some scale its input or its output.
pub trait Beside: Debug + Send + Sync {
    /// Computes the layer with its change. `x` [.., in] has the dtype of the weight, and so has the result [.., out].
    fn forward(&self, x: &Tensor, layer: Linear<'_>, train: bool) -> Tensor;
}
