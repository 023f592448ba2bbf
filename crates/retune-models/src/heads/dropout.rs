//! The dropout of a head, by config.json.

use crate::{ModelConfig, ModelError};
use serde_json::json;

/// The probability that the first of these fields states which the configuration has; 0 if it has none.
pub(super) fn dropout_of(config: &ModelConfig, fields: &[&str]) -> Result<f64, ModelError> {
    fields.iter().find(|field| config.get(field).is_some()).map_or(Ok(0.0), |field| config.probability(field))
}

/// Writes into the first of these fields what Hugging Face's class assumes where none of them is there: whoever overrides the
/// dropouts of a configuration then overrides this one, too.
pub(super) fn state_dropout(config: &mut ModelConfig, fields: &[&str], usual: f64) {
    if usual > 0.0
        && let Some(field) = fields.first()
        && fields.iter().all(|field| config.get(field).is_none())
    {
        config.set(field, json!(usual));
    }
}
