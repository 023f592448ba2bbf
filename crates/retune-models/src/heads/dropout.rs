//! The dropout of a head, by config.json.

use crate::{ModelConfig, ModelError};

/// The probability that the first of these fields states which the configuration has; 0 if it has none.
pub(super) fn dropout_of(config: &ModelConfig, fields: &[&str]) -> Result<f64, ModelError> {
    fields.iter().find(|field| config.get(field).is_some()).map_or(Ok(0.0), |field| config.probability(field))
}
