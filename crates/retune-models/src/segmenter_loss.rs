//! What a configuration says of a segmenter's loss: transformers' `ForSemanticSegmentationLoss`.

use crate::heads::SEMANTIC_SEGMENTATION;
use crate::{ModelConfig, ModelError, registry};

/// Names of the label that counts in no loss: of most classes, and of UPerNet's.
const IGNORE_FIELDS: [&str; 2] = ["semantic_loss_ignore_index", "loss_ignore_index"];

/// What beside logits and labels decides on the loss.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SegmenterLoss {
    /// The label of pixels that do not count.
    pub ignored: i64,
    /// Weight of the loss of an auxiliary head, where there is one.
    pub auxiliary_weight: f64,
}

impl SegmenterLoss {
    /// Reads it.
    ///
    /// # Errors
    /// Fields that are no numbers.
    pub fn of(config: &ModelConfig) -> Result<Self, ModelError> {
        Ok(Self {
            ignored: config.number_or(Self::ignore_field(config), 255.0)? as i64,
            auxiliary_weight: config.number_or("auxiliary_loss_weight", 0.4)?,
        })
    }

    /// The field that names the label of pixels that do not count, in the class that serves this configuration.
    pub fn ignore_field(config: &ModelConfig) -> &'static str {
        let [usual, other] = IGNORE_FIELDS;
        let family = registry::family_for(config, Some(&SEMANTIC_SEGMENTATION));
        let has = |field: &str| family.is_ok_and(|family| family.defaults().iter().any(|(name, _)| *name == field));
        if has(other) { other } else { usual }
    }
}
