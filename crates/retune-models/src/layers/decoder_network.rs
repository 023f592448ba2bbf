//! Feed-forward networks of decoders: plain, or gated (SwiGLU, GeGLU; Shazeer 2020).
//!
//! transformers' `LlamaMLP`, `Phi3MLP`, `GPT2MLP`, `T5DenseGatedActDense`, `MoonshineDecoderMLP`. B batch, T tokens, D hidden size.

use super::DecoderSizes;
use crate::ModelError;
use crate::checkpoint::Weights;
use retune_kernels::dropout::dropout;
use retune_kernels::fused::Sides;
use retune_kernels::tch::Tensor;
use retune_kernels::{Activation, Dense};

/// Tensor names, relative to the layer.
#[derive(Debug, Clone, Copy)]
pub enum NetworkNames {
    /// `down(activation(up x))`.
    Plain {
        /// To the intermediate width.
        up: &'static str,
        /// And back.
        down: &'static str,
    },
    /// `down(activation(gate x) · up x)`.
    Gated {
        /// Inside the activation.
        gate: &'static str,
        /// Beside it.
        up: &'static str,
        /// Back.
        down: &'static str,
    },
    /// The same with gate and up in one projection.
    Joint {
        /// Gate and up.
        both: &'static str,
        /// Which of them comes first.
        gate_first: bool,
        /// Back.
        down: &'static str,
    },
}

#[derive(Debug)]
enum Up {
    Plain(Dense),
    Gated(Dense, Dense),
    Joint { both: Dense, gate_first: bool },
}

/// A feed-forward network.
#[derive(Debug)]
pub struct DecoderNetwork {
    up: Up,
    down: Dense,
    activation: Activation,
    dropout: f64,
}

impl DecoderNetwork {
    /// `weights` points at the layer.
    ///
    /// # Errors
    /// A checkpoint that does not fit.
    pub fn load(weights: &Weights<'_>, names: &NetworkNames, sizes: &DecoderSizes) -> Result<Self, ModelError> {
        let (d, f) = (sizes.hidden, sizes.intermediate);
        let dense = |name: &str, input, output| {
            weights.at(name).dense_stored(input, output, sizes.network_bias, sizes.transposed)
        };
        let (up, down) = match *names {
            NetworkNames::Plain { up, down } => (Up::Plain(dense(up, d, f)?), down),
            NetworkNames::Gated { gate, up, down } => (Up::Gated(dense(gate, d, f)?, dense(up, d, f)?), down),
            NetworkNames::Joint { both, gate_first, down } => {
                (Up::Joint { both: dense(both, d, 2 * f)?, gate_first }, down)
            }
        };
        let (activation, dropout) = (sizes.activation, sizes.network_dropout);
        Ok(Self { up, down: dense(down, f, d)?, activation, dropout })
    }

    /// `x` [B, T, D]; returns [B, T, D].
    pub fn forward(&self, x: &Tensor, train: bool) -> Tensor {
        let gated = |sides: Sides<'_>| self.down.forward_gated(sides, self.activation, self.dropout, train);
        match &self.up {
            Up::Plain(up) => {
                let inner = up.forward_activated(x, self.activation, train);
                self.down.forward(&dropout(&inner, self.dropout, train), train)
            }
            Up::Gated(gate, up) => gated(Sides::Apart(&gate.forward(x, train), &up.forward(x, train))),
            Up::Joint { both, gate_first } => gated(Sides::Joint(&both.forward(x, train), *gate_first)),
        }
    }
}
