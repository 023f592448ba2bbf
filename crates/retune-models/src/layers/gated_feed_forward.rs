//! Gated feed-forward network (Shazeer 2020): `down(activation(gate) · up)`, gate and up in one projection; SwiGLU of DINOv2-giant,
//! GeGLU of ModernBERT.

use crate::ModelError;
use crate::checkpoint::Weights;
use retune_kernels::fused::Sides;
use retune_kernels::tch::Tensor;
use retune_kernels::{Activation, Dense};

/// Names and settings.
#[derive(Debug, Clone, Copy)]
pub struct GatedOptions {
    /// Path of gate and up, the gate first.
    pub gate_and_up: &'static str,
    /// Path of down.
    pub down: &'static str,
    /// Of the gate.
    pub activation: Activation,
    /// Whether both projections have a bias.
    pub bias: bool,
    /// Before down.
    pub dropout: f64,
}

/// Gate and up in one projection, down.
#[derive(Debug)]
pub struct GatedFeedForward {
    gate_and_up: Dense,
    down: Dense,
    activation: Activation,
    dropout: f64,
}

impl GatedFeedForward {
    /// `weights` points at the network; `intermediate` is the width of the gate.
    pub fn load(
        weights: &Weights<'_>,
        hidden: i64,
        intermediate: i64,
        options: &GatedOptions,
    ) -> Result<Self, ModelError> {
        Ok(Self {
            gate_and_up: weights.at(options.gate_and_up).dense_with(hidden, 2 * intermediate, options.bias)?,
            down: weights.at(options.down).dense_with(intermediate, hidden, options.bias)?,
            activation: options.activation,
            dropout: options.dropout,
        })
    }

    /// `x` [B, T, D]; returns [B, T, D].
    pub fn forward(&self, x: &Tensor, train: bool) -> Tensor {
        let sides = Sides::Joint(&self.gate_and_up.forward(x, train), true);
        self.down.forward_gated(sides, self.activation, self.dropout, train)
    }
}
