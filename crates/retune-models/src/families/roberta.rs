//! RoBERTa (Liu et al. 2019), XLM-R (Conneau et al. 2020) and CamemBERT, transformers
//! `RobertaForSequenceClassification` and its siblings.

use super::text_encoder::{BERT_LAYER, TextEncoderSpec, bert_like_defaults, bert_like_sizes};
use crate::heads::HeadNames;
use crate::layers::PositionScheme;
use retune_kernels::Activation;
use serde_json::Value;

/// What `RobertaConfig` (a vocabulary of 50265) and its siblings (30522) assume.
pub fn defaults(vocabulary: i64) -> Vec<(&'static str, Value)> {
    bert_like_defaults(vocabulary)
}

/// Dropout → dense (tanh) → dropout → projection. `architecture` is Hugging Face's class.
pub fn sequence_classification(architecture: &str) -> TextEncoderSpec {
    TextEncoderSpec {
        base: "roberta",
        layers: "encoder.layer",
        layer: BERT_LAYER,
        head: HeadNames {
            transform: "classifier.dense",
            activation: Activation::Tanh,
            dropout_before: true,
            classifier: "classifier.out_proj",
        },
        head_prefixes: &["classifier."],
        architecture: architecture.to_owned(),
        sizes: |config| {
            let padding = config.number_or("pad_token_id", 1.0)? as i64;
            bert_like_sizes(config, config.size("hidden_size")?, PositionScheme::AfterPadding(padding))
        },
    }
}
