//! Projections with ReLU between them, transformers' `…MLPPredictionHead`.

use crate::ModelError;
use crate::checkpoint::{Init, Weights};
use retune_kernels::boxes::inverse_sigmoid;
use retune_kernels::tch::{Kind, Tensor};
use retune_kernels::{Activation, Dense};

/// The projections.
#[derive(Debug)]
pub struct Perceptron(Vec<Dense>);

impl Perceptron {
    /// Through these sizes; `weights` points at the module. The last projection of a fresh one is `last`.
    ///
    /// # Errors
    /// A checkpoint that does not fit.
    pub fn load(weights: &Weights<'_>, sizes: &[i64], last: Init) -> Result<Self, ModelError> {
        let usual = Init::Normal(weights.initializer_range());
        let layer = |(i, pair): (usize, &[i64])| {
            let init = if i + 2 == sizes.len() { last } else { usual };
            weights.at(&format!("layers.{i}")).dense_from((pair[0], pair[1]), init, Init::Constant(0.0))
        };
        Ok(Self(sizes.windows(2).enumerate().map(layer).collect::<Result<_, _>>()?))
    }

    /// `x` [.., D of the first]; returns [.., D of the last] in the compute precision.
    pub fn forward(&self, x: &Tensor, train: bool) -> Tensor {
        let mut x = x.shallow_clone();
        for (i, layer) in self.0.iter().enumerate() {
            x = match i + 1 < self.0.len() {
                true => layer.forward_activated(&x, Activation::Relu, train),
                false => layer.forward(&x, train),
            };
        }
        x
    }

    /// The same in fp32.
    pub fn forward_exact(&self, x: &Tensor, train: bool) -> Tensor {
        self.forward(x, train).to_kind(Kind::Float)
    }

    /// Boxes [.., 4] that it makes of `x` [.., D], from `references` [.., 2 or 4] on.
    pub fn refined(&self, x: &Tensor, references: &Tensor, train: bool) -> Tensor {
        let from = inverse_sigmoid(references);
        let from = if from.size().last() == Some(&2) { Tensor::cat(&[&from, &from.zeros_like()], -1) } else { from };
        (self.forward_exact(x, train) + from).sigmoid()
    }
}
