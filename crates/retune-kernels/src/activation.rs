//! Activation functions by their names in `config.json` (transformers `ACT2FN`), each written once.

use crate::KernelError;
use tch::Tensor;

/// Element-wise non-linearity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// Gaussian error linear unit through erf (Hendrycks & Gimpel 2016): `gelu`.
    Gelu,
    /// Its tanh approximation: `gelu_new`, `gelu_fast`, `gelu_pytorch_tanh`.
    GeluTanh,
    /// `relu`.
    Relu,
    /// `silu`, also called `swish`.
    Silu,
    /// `tanh`.
    Tanh,
    /// The identity: `linear`.
    Identity,
}

impl Activation {
    /// From the name used in `config.json`.
    pub fn from_name(name: &str) -> Result<Self, KernelError> {
        Ok(match name {
            "gelu" => Self::Gelu,
            "gelu_new" | "gelu_fast" | "gelu_pytorch_tanh" => Self::GeluTanh,
            "relu" => Self::Relu,
            "silu" | "swish" => Self::Silu,
            "tanh" => Self::Tanh,
            "linear" => Self::Identity,
            other => {
                return Err(KernelError::Unknown {
                    what: "activation",
                    name: other.to_owned(),
                    known: "gelu, gelu_new, gelu_fast, gelu_pytorch_tanh, relu, silu, swish, tanh, linear",
                });
            }
        })
    }

    /// Same shape and dtype as `x`.
    pub fn forward(self, x: &Tensor) -> Tensor {
        match self {
            Self::Gelu => x.gelu("none"),
            Self::GeluTanh => x.gelu("tanh"),
            Self::Relu => x.relu(),
            Self::Silu => x.silu(),
            Self::Tanh => x.tanh(),
            Self::Identity => x.shallow_clone(),
        }
    }
}
