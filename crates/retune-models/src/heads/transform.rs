//! What stands between hidden states and outputs in a head for texts: a projection, an activation, in some families a norm.
//!
//! D hidden size, E width behind the projection.

use crate::checkpoint::Weights;
use crate::{ModelConfig, ModelError};
use retune_kernels::tch::Tensor;
use retune_kernels::{Activation, Dense, LayerNorm};

/// What a configuration says of it.
#[derive(Debug, Clone, Copy)]
pub struct TransformSettings {
    /// After the projection.
    pub activation: Activation,
    /// Whether the projection has a bias.
    pub bias: bool,
    /// Added to variances, and whether the norm has a bias; read where there is a norm.
    pub norm: (f64, bool),
}

impl TransformSettings {
    /// Without a norm, every bias there.
    pub const fn new(activation: Activation) -> Self {
        Self { activation, bias: true, norm: (0.0, true) }
    }

    /// With a norm, every bias there.
    pub const fn normed(activation: Activation, epsilon: f64) -> Self {
        Self { activation, bias: true, norm: (epsilon, true) }
    }
}

/// Names and settings.
#[derive(Debug, Clone, Copy)]
pub struct TransformPlan {
    /// Full path of the projection.
    pub dense: &'static str,
    /// Full path of the norm, if there is one.
    pub norm: Option<&'static str>,
    /// Reads the settings.
    pub settings: fn(&ModelConfig) -> Result<TransformSettings, ModelError>,
}

/// With its weights.
#[derive(Debug)]
pub struct Transform {
    dense: Dense,
    activation: Activation,
    norm: Option<LayerNorm>,
}

impl TransformPlan {
    /// `weights` points at the top; `widths` are D and E.
    ///
    /// # Errors
    /// A configuration or checkpoint that does not fit.
    pub fn build(
        &self,
        weights: &Weights<'_>,
        config: &ModelConfig,
        widths: (i64, i64),
    ) -> Result<Transform, ModelError> {
        let TransformSettings { activation, bias, norm: (epsilon, norm_bias) } = (self.settings)(config)?;
        let norm = |path| weights.at(path).layer_norm_with(widths.1, epsilon, norm_bias);
        Ok(Transform {
            dense: weights.at(self.dense).dense_with(widths.0, widths.1, bias)?,
            activation,
            norm: self.norm.map(norm).transpose()?,
        })
    }
}

impl Transform {
    /// `x` [.., D]; returns [.., E].
    pub fn forward(&self, x: &Tensor, train: bool) -> Tensor {
        let y = self.dense.forward_activated(x, self.activation, train);
        self.norm.as_ref().map_or_else(|| y.shallow_clone(), |norm| norm.forward(&y))
    }
}

/// `x` behind a transform, where there is one.
pub(super) fn transformed(transform: Option<&Transform>, x: &Tensor, train: bool) -> Tensor {
    transform.map_or_else(|| x.shallow_clone(), |transform| transform.forward(x, train))
}
