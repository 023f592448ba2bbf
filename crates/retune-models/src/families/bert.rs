//! BERT (Devlin et al. 2018), transformers `BertForSequenceClassification`.

use super::text_encoder::{BERT_LAYER, TextEncoderSpec, bert_like_defaults, bert_like_sizes};
use crate::heads::HeadNames;
use crate::layers::PositionScheme;
use retune_kernels::Activation;
use serde_json::Value;

/// What `BertConfig` assumes.
pub fn defaults() -> Vec<(&'static str, Value)> {
    bert_like_defaults(30522)
}

/// Pooler (tanh) → dropout → classifier.
pub fn sequence_classification() -> TextEncoderSpec {
    TextEncoderSpec {
        base: "bert",
        layers: "encoder.layer",
        layer: BERT_LAYER,
        head: HeadNames {
            transform: "bert.pooler.dense",
            activation: Activation::Tanh,
            dropout_before: false,
            classifier: "classifier",
        },
        // Checkpoints of masked language models have no pooler.
        head_prefixes: &["bert.pooler.", "classifier."],
        architecture: "BertForSequenceClassification".to_owned(),
        sizes: |config| bert_like_sizes(config, config.size("hidden_size")?, PositionScheme::Absolute),
    }
}
