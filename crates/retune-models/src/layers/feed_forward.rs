//! The position-wise feed-forward network of an encoder layer (Vaswani et al. 2017, §3.3).

use super::{LayerNames, LayerSizes};
use crate::ModelError;
use crate::checkpoint::Weights;
use retune_kernels::tch::Tensor;
use retune_kernels::{Activation, Dense};

/// Up, activation, down.
#[derive(Debug)]
pub struct FeedForward {
    up: Dense,
    down: Dense,
    activation: Activation,
}

impl FeedForward {
    /// `weights` points at the layer.
    pub fn load(weights: &Weights<'_>, names: &LayerNames, sizes: &LayerSizes) -> Result<Self, ModelError> {
        Ok(Self {
            up: weights.at(names.intermediate).dense(sizes.hidden, sizes.intermediate)?,
            down: weights.at(names.output).dense(sizes.intermediate, sizes.hidden)?,
            activation: sizes.activation,
        })
    }

    /// `x` [B, T, D]; returns [B, T, D].
    pub fn forward(&self, x: &Tensor, train: bool) -> Tensor {
        self.down.forward(&self.up.forward_activated(x, self.activation, train), train)
    }
}
