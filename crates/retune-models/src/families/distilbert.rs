//! DistilBERT (Sanh et al. 2019), transformers `DistilBertModel`.

use super::bert;
use crate::bodies::{TextEncoderNames, TextEncoderSizes};
use crate::family::{Fresh, FreshPieces, FreshSize, FreshTokens, TensorNames, TextBody, TextFamily};
use crate::heads::{
    MaskedWordsNames, MaskedWordsPlan, SequencePlan, SpanPlan, TokenPlan, TransformPlan, TransformSettings,
    WordScoresPlan, first_token,
};
use crate::layers::{AttentionNames, EmbeddingSizes, LayerNames, LayerSizes, PositionScheme};
use crate::{ModelConfig, ModelError};
use retune_kernels::Activation;
use serde_json::{Value, json};

/// Sequences: dense (ReLU) → dropout → classifier; no segment embeddings.
pub static DISTILBERT: TextFamily = TextFamily {
    model_type: "distilbert",
    class: "DistilBert",
    names: TensorNames { lora: Ok(&["q_lin", "v_lin"]), ..bert::names("distilbert") },
    body: TextBody::PostNorm {
        names: TextEncoderNames {
            layers: "transformer.layer",
            layer: LayerNames {
                attention: AttentionNames {
                    query: "attention.q_lin",
                    key: "attention.k_lin",
                    value: "attention.v_lin",
                    output: "attention.out_lin",
                },
                attention_norm: "sa_layer_norm",
                intermediate: "ffn.lin1",
                output: "ffn.lin2",
                output_norm: "output_layer_norm",
            },
        },
        sizes,
    },
    pooler: None,
    sequence: SequencePlan {
        pooling: first_token,
        transform: TransformPlan {
            dense: "pre_classifier",
            norm: None,
            settings: |_| Ok(TransformSettings::new(Activation::Relu)),
        },
        is_pooler: false,
        classifier: "classifier",
        dropout_before: &[],
        dropout: &["seq_classif_dropout"],
    },
    token: TokenPlan::new(&["dropout"]),
    spans: SpanPlan { transform: None, outputs: "qa_outputs", dropout: &["qa_dropout"] },
    words: MaskedWordsPlan(|_| {
        Ok(MaskedWordsNames {
            transform: TransformPlan {
                dense: "vocab_transform",
                norm: Some("vocab_layer_norm"),
                settings: |config| {
                    Ok(TransformSettings::normed(Activation::from_name(&config.text("activation")?)?, NORM_EPSILON))
                },
            },
            decoder: WordScoresPlan::new("vocab_projector", None),
        })
    }),
    defaults,
    fresh: Some(Fresh::texts(FreshTokens::Bert, FreshPieces::WordPiece, 512, fresh)),
};

/// The class fixes this number; config.json has no field for it.
const NORM_EPSILON: f64 = 1e-12;

/// What `DistilBertConfig` assumes.
fn defaults() -> Vec<(&'static str, Value)> {
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
        ("qa_dropout", json!(0.1)),
        ("seq_classif_dropout", json!(0.2)),
    ]
}

fn sizes(config: &ModelConfig) -> Result<TextEncoderSizes, ModelError> {
    let norm_epsilon = NORM_EPSILON;
    let dropout = config.probability("dropout")?;
    Ok(TextEncoderSizes {
        embeddings: EmbeddingSizes {
            vocabulary: config.size("vocab_size")?,
            padding: bert::padding(config, &PositionScheme::Absolute)?,
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
            feed_forward_dropout: dropout,
            attention_dropout: config.probability("attention_dropout")?,
        },
        layers: config.size("n_layers")?,
        projection: None,
        sharing: None,
        relative_positions: None,
    })
}

fn fresh(size: &FreshSize) -> Value {
    json!({
        "dim": size.hidden, "n_layers": size.layers, "n_heads": size.heads, "hidden_dim": 4 * size.hidden,
        "activation": "gelu", "dropout": 0.1, "attention_dropout": 0.1, "max_position_embeddings": 512,
        "initializer_range": 0.02, "sinusoidal_pos_embds": false, "tie_word_embeddings": true,
    })
}
