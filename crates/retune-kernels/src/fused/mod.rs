//! Fused training kernels for the CPU: each does in one autograd node what a chain of libtorch operations does. For GPUs
//! there are norms, linear layers and attention of packed batches.
//!
//! Every function here has a `reference` beside it, the plain composition, and falls back to it on other devices, for
//! dtypes other than fp32 and bf16, and everywhere when the environment holds `RETUNE_KERNELS=reference`. Both draw the
//! same dropout masks on the CPU, and so do norms on a GPU. Results do not depend on the number of threads.

pub mod attention;
pub mod attention_of_few;
pub mod cross_entropy;
pub mod embeddings;
pub mod gated;
pub mod linear;
pub mod norm;
pub mod packed;
pub mod rms_norm;
pub mod rotary;

pub use attention::attention;
pub use attention_of_few::attention_of_few;
pub use cross_entropy::{Scored, cross_entropy};
pub use embeddings::{EmbeddingIndices, EmbeddingTables, text_embeddings};
pub use gated::{Sides, gated, gated_linear};
pub use linear::{linear, linear_activation};
pub use norm::{dropout_residual_norm, norm_dropout};
pub use rms_norm::rms_norm;
pub use rotary::rotary;

use crate::shim::{self, Drop};
use crate::{KernelError, dropout};
use std::sync::OnceLock;
use tch::{Device, Kind, Tensor};

const VARIABLE: &str = "RETUNE_KERNELS";

pub(crate) fn switched_on() -> bool {
    static ON: OnceLock<bool> = OnceLock::new();
    *ON.get_or_init(|| !std::env::var(VARIABLE).is_ok_and(|value| value == "reference"))
}

/// What computes on the CPU: `reference`, or the instruction set of the fused kernels, such as `avx512bf16`.
pub fn choice() -> &'static str {
    if switched_on() { shim::kernels_name() } else { "reference" }
}

/// Refuses a value of `RETUNE_KERNELS` that means nothing.
pub fn check_environment() -> Result<(), KernelError> {
    match std::env::var(VARIABLE) {
        Ok(value) if !["", "reference", "fused"].contains(&value.as_str()) => {
            Err(KernelError::Unknown { what: VARIABLE, name: value, known: "fused, reference" })
        }
        _ => Ok(()),
    }
}

/// Whether the fused kernels can take these activations: all on the CPU and of one storage type they know.
fn takes(activations: &[&Tensor]) -> bool {
    takes_on(Device::Cpu, activations)
}

/// The same for kernels of other devices.
fn takes_on(device: Device, activations: &[&Tensor]) -> bool {
    let kind = activations[0].kind();
    switched_on()
        && matches!(kind, Kind::Float | Kind::BFloat16)
        && activations.iter().all(|t| t.device() == device && t.kind() == kind)
}

/// Draws the next mask's key, exactly when the plain composition would.
fn next_drop(p: f64, train: bool) -> Drop {
    if !train || p == 0.0 {
        return Drop { p: 0.0, seed: 0 };
    }
    assert!((0.0..1.0).contains(&p), "dropout probability {p} is outside [0, 1)");
    Drop { p, seed: dropout::next_seed() }
}

#[cfg(test)]
pub(crate) mod testing;
