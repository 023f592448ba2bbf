//! SwiGLU feed-forward network (Shazeer 2020) as DINOv2-giant has it: `down(silu(gate) · up)`.

use crate::ModelError;
use crate::checkpoint::Weights;
use retune_kernels::Dense;
use retune_kernels::tch::Tensor;

/// Gate and up in one projection, down.
#[derive(Debug)]
pub struct GatedFeedForward {
    gate_and_up: Dense,
    down: Dense,
}

impl GatedFeedForward {
    /// `weights` points at the network; `intermediate` is the width of the gate.
    pub fn load(weights: &Weights<'_>, hidden: i64, intermediate: i64) -> Result<Self, ModelError> {
        Ok(Self {
            gate_and_up: weights.at("weights_in").dense(hidden, 2 * intermediate)?,
            down: weights.at("weights_out").dense(intermediate, hidden)?,
        })
    }

    /// `x` [B, T, D]; returns [B, T, D].
    pub fn forward(&self, x: &Tensor, train: bool) -> Tensor {
        let both = self.gate_and_up.forward(x, train).chunk(2, -1);
        self.down.forward(&(both[0].silu() * &both[1]), train)
    }
}
