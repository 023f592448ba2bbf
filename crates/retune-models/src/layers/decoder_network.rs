//! Feed-forward networks of decoders: plain, or gated (SwiGLU, GeGLU; Shazeer 2020).
//!
//! transformers' `LlamaMLP`, `Phi3MLP`, `GPT2MLP`, `T5DenseGatedActDense`. B batch, T tokens, D hidden size.

use super::DecoderSizes;
use crate::ModelError;
use crate::checkpoint::Weights;
use retune_kernels::dropout::dropout;
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
    /// The same with gate and up in one projection, the gate first.
    Joint {
        /// Gate and up.
        gate_and_up: &'static str,
        /// Back.
        down: &'static str,
    },
}

#[derive(Debug)]
enum Up {
    Plain(Dense),
    Gated(Dense, Dense),
    Joint(Dense),
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
            NetworkNames::Joint { gate_and_up, down } => (Up::Joint(dense(gate_and_up, d, 2 * f)?), down),
        };
        let (activation, dropout) = (sizes.activation, sizes.network_dropout);
        Ok(Self { up, down: dense(down, f, d)?, activation, dropout })
    }

    /// `x` [B, T, D]; returns [B, T, D].
    pub fn forward(&self, x: &Tensor, train: bool) -> Tensor {
        let inner = match &self.up {
            Up::Plain(up) => up.forward_activated(x, self.activation, train),
            Up::Gated(gate, up) => gate.forward_activated(x, self.activation, train) * up.forward(x, train),
            Up::Joint(both) => {
                let both = both.forward(x, train).chunk(2, -1);
                self.activation.forward(&both[0]) * &both[1]
            }
        };
        self.down.forward(&dropout(&inner, self.dropout, train), train)
    }
}
