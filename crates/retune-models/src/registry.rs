//! Which code serves which `model_type`: the only place that matches on it.

use crate::checkpoint::Weights;
use crate::families::{bert, distilbert, electra, roberta};
use crate::{Model, ModelConfig, ModelError};

/// What a model is loaded for: decides the head.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// `…ForSequenceClassification`.
    SequenceClassification,
}

/// A family: a table of tensor names and a config mapping over shared layers.
pub trait Family {
    /// Prefix of the base model in full checkpoints, such as `bert.`.
    fn base_prefix(&self) -> String;
    /// Path prefixes that a base checkpoint may lack.
    fn head_prefixes(&self) -> Vec<String>;
    /// Hugging Face's class name.
    fn architecture(&self) -> String;
    /// Makes the model from weights.
    fn build(&self, weights: &Weights<'_>, config: &ModelConfig) -> Result<Box<dyn Model>, ModelError>;
}

const SUPPORTED: &str = "bert, roberta, xlm-roberta, camembert, distilbert, electra";

/// The family of a configuration.
pub fn family(config: &ModelConfig, purpose: Purpose) -> Result<Box<dyn Family>, ModelError> {
    let model_type = config.model_type()?;
    let Purpose::SequenceClassification = purpose;
    Ok(match model_type.as_str() {
        "bert" => Box::new(bert::sequence_classification()),
        "roberta" => Box::new(roberta::sequence_classification("RobertaForSequenceClassification")),
        "xlm-roberta" => Box::new(roberta::sequence_classification("XLMRobertaForSequenceClassification")),
        "camembert" => Box::new(roberta::sequence_classification("CamembertForSequenceClassification")),
        "distilbert" => Box::new(distilbert::sequence_classification()),
        "electra" => Box::new(electra::sequence_classification()),
        _ => {
            return Err(ModelError::UnknownFamily {
                model_type,
                task: "sequence classification".to_owned(),
                known: SUPPORTED.to_owned(),
            });
        }
    })
}

/// Dense layers that LoRA adapts when nothing is said, as PEFT's table has them.
pub fn default_lora_targets(config: &ModelConfig) -> Result<Vec<String>, ModelError> {
    let targets: &[&str] = match config.model_type()?.as_str() {
        "distilbert" => &["q_lin", "v_lin"],
        _ => &["query", "value"],
    };
    Ok(targets.iter().map(|&t| t.to_owned()).collect())
}

/// Longest input in tokens that a text model has positions for, special tokens included.
pub fn max_positions(config: &ModelConfig) -> Result<Option<usize>, ModelError> {
    if config.get("max_position_embeddings").is_none() {
        return Ok(None);
    }
    let rows = config.size("max_position_embeddings")?;
    let reserved = match config.model_type()?.as_str() {
        // Positions are numbered from the padding id + 1.
        "roberta" | "xlm-roberta" | "camembert" => config.number_or("pad_token_id", 1.0)? as i64 + 1,
        _ => 0,
    };
    Ok(Some((rows - reserved).max(0) as usize))
}
