//! The one projection of the workspace: `y = x Wᵀ + b`, with an optional adapter beside its weight.

use crate::beside::{Beside, Linear};
use crate::dropout::dropout;
use crate::fused::Sides;
use crate::{Activation, Weight, fused};
use tch::{Device, Tensor};

/// A linear layer, PyTorch's `nn.Linear`.
#[derive(Debug)]
pub struct Dense {
    weight: Weight, // [out, in], or [in, out] where it is transposed
    bias: Option<Weight>,
    transposed: bool,
    beside: Option<Box<dyn Beside>>,
}

impl Dense {
    /// `weight` [out, in], `bias` \[out\].
    pub fn new(weight: impl Into<Weight>, bias: Option<Weight>) -> Self {
        Self { weight: weight.into(), bias, transposed: false, beside: None }
    }

    /// The same of a weight [in, out], transformers' `Conv1D`.
    pub fn transposed(weight: impl Into<Weight>, bias: Option<Weight>) -> Self {
        Self { transposed: true, ..Self::new(weight, bias) }
    }

    /// The same layer with an adapter beside its weight.
    #[must_use]
    pub fn with_beside(mut self, beside: Box<dyn Beside>) -> Self {
        self.beside = Some(beside);
        self
    }

    fn linear(&self) -> Linear<'_> {
        Linear { weight: &self.weight, bias: self.bias.as_deref(), transposed: self.transposed }
    }

    /// Weight [out, in] and bias \[out\], where they are all of the layer: no adapter beside them, and no other
    /// order of the weight.
    pub(crate) fn plain(&self) -> Option<(&Tensor, Option<&Tensor>)> {
        (self.beside.is_none() && !self.transposed).then_some((&*self.weight, self.bias.as_deref()))
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
        match &self.beside {
            None => self.linear().forward(&x),
            Some(beside) => beside.forward(&x, self.linear(), train),
        }
    }

    /// [`Self::forward`] of `activation(gate) · up` after dropout; where nothing comes in between, that is not kept for the backward
    /// pass but computed again.
    pub fn forward_gated(&self, sides: Sides<'_>, activation: Activation, p: f64, train: bool) -> Tensor {
        match self.plain() {
            Some((weight, None)) if !train || p == 0.0 => fused::gated_linear(sides, activation, weight),
            _ => self.forward(&dropout(&fused::gated(sides, activation), p, train), train),
        }
    }

    /// `activation` of [`Self::forward`], in the same pass where there is no adapter.
    pub fn forward_activated(&self, x: &Tensor, activation: Activation, train: bool) -> Tensor {
        if self.beside.is_some() || self.transposed {
            return activation.forward(&self.forward(x, train));
        }
        fused::linear_activation(&x.to_kind(self.weight.kind()), &self.weight, self.bias.as_deref(), activation)
    }
}
