//! The one projection of the workspace: `y = x Wᵀ + b`, with an optional low-rank adapter inside.

use crate::{Activation, Weight, dropout, fused};
use tch::{Device, Tensor};

/// Low-rank update of a frozen weight (LoRA, Hu et al. 2021): `ΔW = scale · B A`.
#[derive(Debug)]
pub struct LowRank {
    /// `lora_A` [rank, in].
    pub a: Weight,
    /// `lora_B` [out, rank].
    pub b: Weight,
    /// `alpha / rank`, or `alpha / √rank` (rsLoRA, Kalajdzievski 2023).
    pub scale: f64,
    /// Dropout on the adapter's input while training.
    pub dropout: f64,
}

/// A linear layer, PyTorch's `nn.Linear`.
#[derive(Debug)]
pub struct Dense {
    weight: Weight, // [out, in]
    bias: Option<Weight>,
    low_rank: Option<LowRank>,
}

impl Dense {
    /// `weight` [out, in], `bias` \[out\].
    pub fn new(weight: impl Into<Weight>, bias: Option<Weight>) -> Self {
        Self { weight: weight.into(), bias, low_rank: None }
    }

    /// The same layer with a low-rank adapter beside its weight.
    #[must_use]
    pub fn with_low_rank(mut self, low_rank: LowRank) -> Self {
        self.low_rank = Some(low_rank);
        self
    }

    /// Weight [out, in] and bias \[out\], where they are all of the layer: no adapter beside them.
    pub(crate) fn plain(&self) -> Option<(&Tensor, Option<&Tensor>)> {
        self.low_rank.is_none().then_some((&*self.weight, self.bias.as_deref()))
    }

    /// Several layers on one input as one product, on a GPU, where each operation costs more than its arithmetic. `None`
    /// elsewhere (on a CPU it saves nothing: benches/NOTES.md), and beside an adapter or a missing bias.
    pub fn joint<const N: usize>(layers: [&Self; N], x: &Tensor) -> Option<[Tensor; N]> {
        if !matches!(x.device(), Device::Cuda(_)) || !fused::switched_on() {
            return None;
        }
        let (mut weights, mut biases) = (Vec::with_capacity(N), Vec::with_capacity(N));
        for layer in layers {
            let (weight, bias) = layer.plain()?;
            weights.push(weight);
            biases.push(bias?);
        }
        let widths: Vec<i64> = weights.iter().map(|weight| weight.size()[0]).collect();
        let (weight, bias) = (Tensor::cat(&weights, 0), Tensor::cat(&biases, 0));
        let joined = fused::linear(&x.to_kind(weight.kind()), &weight, Some(&bias));
        joined.split_with_sizes(&widths, -1).try_into().ok()
    }

    /// `x` [.., in] of any float dtype; returns [.., out] in the dtype of the weight.
    pub fn forward(&self, x: &Tensor, train: bool) -> Tensor {
        let x = x.to_kind(self.weight.kind());
        let y = fused::linear(&x, &self.weight, self.bias.as_deref());
        match &self.low_rank {
            None => y,
            Some(LowRank { a, b, scale, dropout }) => {
                let down = fused::linear(&dropout::dropout(&x, *dropout, train), a, None); // [.., rank]
                y + fused::linear(&(down * *scale), b, None)
            }
        }
    }

    /// `activation` of [`Self::forward`], in the same pass where there is no adapter.
    pub fn forward_activated(&self, x: &Tensor, activation: Activation, train: bool) -> Tensor {
        if self.low_rank.is_some() {
            return activation.forward(&self.forward(x, train));
        }
        fused::linear_activation(&x.to_kind(self.weight.kind()), &self.weight, self.bias.as_deref(), activation)
    }
}
