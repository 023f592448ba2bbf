//! DistilBERT (Sanh et al. 2019), transformers `DistilBertForSequenceClassification`.

use super::text_encoder::{TextEncoderSizes, TextEncoderSpec};
use crate::heads::HeadNames;
use crate::layers::{EmbeddingSizes, LayerNames, LayerSizes, PositionScheme};
use crate::{ModelConfig, ModelError};
use retune_kernels::Activation;
use serde_json::{Value, json};

/// What `DistilBertConfig` assumes.
pub fn defaults() -> Vec<(&'static str, Value)> {
    vec![
        ("vocab_size", json!(30522)),
        ("max_position_embeddings", json!(512)),
        ("n_layers", json!(6)),
        ("n_heads", json!(12)),
        ("dim", json!(768)),
        ("hidden_dim", json!(3072)),
        ("dropout", json!(0.1)),
        ("attention_dropout", json!(0.1)),
        ("activation", json!("gelu")),
        ("initializer_range", json!(0.02)),
        ("seq_classif_dropout", json!(0.2)),
    ]
}

/// Dense (ReLU) → dropout → classifier; no segment embeddings.
pub fn sequence_classification() -> TextEncoderSpec {
    TextEncoderSpec {
        base: "distilbert",
        layers: "transformer.layer",
        layer: LayerNames {
            query: "attention.q_lin",
            key: "attention.k_lin",
            value: "attention.v_lin",
            attention_output: "attention.out_lin",
            attention_norm: "sa_layer_norm",
            intermediate: "ffn.lin1",
            output: "ffn.lin2",
            output_norm: "output_layer_norm",
        },
        head: HeadNames {
            transform: "pre_classifier",
            activation: Activation::Relu,
            dropout_before: false,
            classifier: "classifier",
        },
        head_prefixes: &["pre_classifier.", "classifier."],
        architecture: "DistilBertForSequenceClassification".to_owned(),
        sizes,
    }
}

fn sizes(config: &ModelConfig) -> Result<TextEncoderSizes, ModelError> {
    // The class fixes this number; config.json has no field for it.
    let norm_epsilon = 1e-12;
    let dropout = config.probability("dropout")?;
    Ok(TextEncoderSizes {
        embeddings: EmbeddingSizes {
            vocabulary: config.size("vocab_size")?,
            positions: config.size("max_position_embeddings")?,
            types: 0,
            size: config.size("dim")?,
            norm_epsilon,
            dropout,
            scheme: PositionScheme::Absolute,
        },
        layer: LayerSizes {
            hidden: config.size("dim")?,
            heads: config.size("n_heads")?,
            intermediate: config.size("hidden_dim")?,
            activation: Activation::from_name(&config.text("activation")?)?,
            norm_epsilon,
            hidden_dropout: dropout,
            attention_dropout: config.probability("attention_dropout")?,
        },
        layers: config.size("n_layers")?,
        classifier_dropout: config.probability("seq_classif_dropout")?,
    })
}
