//! Root mean square norm (Zhang & Sennrich 2019), and the choice between it and the layer norm.
//!
//! transformers' `LlamaRMSNorm`, `GemmaRMSNorm`, `T5LayerNorm`. D hidden size.

use crate::ModelError;
use crate::checkpoint::Weights;
use retune_kernels::dropout::dropout;
use retune_kernels::tch::{Kind, Tensor};
use retune_kernels::{LayerNorm, Weight, fused};

/// Which norm a family has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NormKind {
    /// Mean and variance, weight and bias.
    Layer,
    /// Mean and variance, and a weight alone.
    LayerWithoutBias,
    /// Root mean square and weight.
    Rms,
    /// Root mean square and 1 + weight (Gemma).
    RmsPlusOne,
}

/// `x / √(mean(x²) + ε) · w` over the last dimension, in fp32.
#[derive(Debug)]
pub struct RmsNorm {
    weight: Weight, // [D], fp32
    epsilon: f64,
    plus_one: bool,
}

impl RmsNorm {
    /// `weights` points at the norm; with `plus_one` the factor is 1 + w.
    ///
    /// # Errors
    /// A checkpoint that does not fit.
    pub fn load(weights: &Weights<'_>, size: i64, epsilon: f64, plus_one: bool) -> Result<Self, ModelError> {
        let weight = weights.norm_part("weight", size, if plus_one { 0.0 } else { 1.0 })?;
        Ok(Self { weight, epsilon, plus_one })
    }

    /// `x` [.., D] of any float dtype; same shape and dtype out.
    pub fn forward(&self, x: &Tensor) -> Tensor {
        self.forward_as(x, x.kind())
    }

    /// The same as `kind`.
    pub fn forward_as(&self, x: &Tensor, kind: Kind) -> Tensor {
        fused::rms_norm(x, &self.weight, self.epsilon, if self.plus_one { 1.0 } else { 0.0 }, kind)
    }
}

/// The norm of a family.
#[derive(Debug)]
pub enum Norm {
    /// A layer norm.
    Layer(LayerNorm),
    /// One of the root mean square.
    Rms(RmsNorm),
}

impl Norm {
    /// `weights` points at the norm.
    ///
    /// # Errors
    /// A checkpoint that does not fit.
    pub fn load(weights: &Weights<'_>, kind: NormKind, size: i64, epsilon: f64) -> Result<Self, ModelError> {
        Ok(match kind {
            NormKind::Layer => Self::Layer(weights.layer_norm(size, epsilon)?),
            NormKind::LayerWithoutBias => Self::Layer(weights.layer_norm_with(size, epsilon, false)?),
            NormKind::Rms | NormKind::RmsPlusOne => {
                Self::Rms(RmsNorm::load(weights, size, epsilon, kind == NormKind::RmsPlusOne)?)
            }
        })
    }

    /// `x` [.., D]; same shape and dtype out.
    pub fn forward(&self, x: &Tensor) -> Tensor {
        match self {
            Self::Layer(norm) => norm.forward(x),
            Self::Rms(norm) => norm.forward(x),
        }
    }

    /// The same as `kind`.
    pub fn forward_as(&self, x: &Tensor, kind: Kind) -> Tensor {
        match self {
            Self::Layer(norm) => norm.forward(x).to_kind(kind),
            Self::Rms(norm) => norm.forward_as(x, kind),
        }
    }

    /// Of `residual` + dropout of `x`, both [.., D].
    pub fn after_residual(&self, x: &Tensor, residual: &Tensor, p: f64, train: bool) -> Tensor {
        match self {
            Self::Layer(norm) => norm.after_residual(x, residual, p, train),
            Self::Rms(norm) => norm.forward(&(residual + dropout(x, p, train))),
        }
    }
}
