//! ELECTRA (Clark et al. 2020), transformers `ElectraForSequenceClassification`.

use super::text_encoder::{BERT_LAYER, TextEncoderSpec, bert_like_defaults, bert_like_sizes};
use crate::heads::HeadNames;
use crate::layers::PositionScheme;
use retune_kernels::Activation;
use serde_json::{Value, json};

/// What `ElectraConfig` assumes: the small model's sizes.
pub fn defaults() -> Vec<(&'static str, Value)> {
    let small = [
        ("embedding_size", json!(128)),
        ("hidden_size", json!(256)),
        ("num_attention_heads", json!(4)),
        ("intermediate_size", json!(1024)),
    ];
    let same = bert_like_defaults(30522);
    let others = same.into_iter().filter(|(field, _)| small.iter().all(|(other, _)| other != field));
    small.iter().cloned().chain(others).collect()
}

/// Dropout → dense (GELU) → dropout → projection; embeddings may be narrower than the layers.
pub fn sequence_classification() -> TextEncoderSpec {
    TextEncoderSpec {
        base: "electra",
        layers: "encoder.layer",
        layer: BERT_LAYER,
        head: HeadNames {
            transform: "classifier.dense",
            activation: Activation::Gelu,
            dropout_before: true,
            classifier: "classifier.out_proj",
        },
        head_prefixes: &["classifier."],
        architecture: "ElectraForSequenceClassification".to_owned(),
        sizes: |config| bert_like_sizes(config, config.size("embedding_size")?, PositionScheme::Absolute),
    }
}
