//! MPNet (Song et al. 2020), transformers `MPNetModel`: a bias by relative position on the scores of every layer.

use super::{bert, roberta};
use crate::bodies::{TextEncoderNames, TextEncoderSizes};
use crate::family::{Fresh, FreshPieces, FreshSize, FreshTokens, TensorNames, TextBody, TextFamily, with};
use crate::heads::{SequencePlan, TokenPlan, TransformPlan, TransformSettings, first_token};
use crate::layers::{AttentionNames, Buckets, EmbeddingSizes, LayerNames, PositionScheme};
use crate::{ModelConfig, ModelError};
use retune_kernels::Activation;
use serde_json::{Value, json};

/// The class fixes the token of padding, behind whose number positions begin.
const PADDING: i64 = 1;
/// The class fixes them, whatever its configuration says.
const BUCKETS: Buckets = Buckets { count: 32, farthest: 128, both_sides: true };

/// Sequences: dropout → dense (tanh) → dropout → projection; the pooler is read by no head.
pub static MPNET: TextFamily = TextFamily {
    model_type: "mpnet",
    class: "MPNet",
    names: TensorNames { spellings: roberta::BIAS, lora: Ok(&["q", "v"]), ..bert::names("mpnet") },
    body: TextBody::PostNorm {
        names: TextEncoderNames {
            layers: "encoder.layer",
            layer: LayerNames {
                attention: AttentionNames {
                    query: "attention.attn.q",
                    key: "attention.attn.k",
                    value: "attention.attn.v",
                    output: "attention.attn.o",
                },
                attention_norm: "attention.LayerNorm",
                ..bert::BODY.layer
            },
        },
        sizes,
    },
    pooler: Some("mpnet.pooler.dense"),
    sequence: SequencePlan {
        pooling: first_token,
        transform: TransformPlan {
            dense: "classifier.dense",
            norm: None,
            settings: |_| Ok(TransformSettings::new(Activation::Tanh)),
        },
        is_pooler: false,
        classifier: "classifier.out_proj",
        dropout_before: DROPOUT,
        dropout: DROPOUT,
    },
    token: TokenPlan::new(DROPOUT),
    spans: bert::SPANS,
    words: roberta::WORDS,
    defaults,
    fresh: Some(Fresh::texts(FreshTokens::Roberta, FreshPieces::WordPiece, 512, fresh)),
};

const DROPOUT: &[&str] = &["hidden_dropout_prob"];

/// What `MPNetConfig` assumes.
fn defaults() -> Vec<(&'static str, Value)> {
    let mut all = bert::defaults_with(30527, &[("relative_attention_num_buckets", json!(BUCKETS.count))]);
    all.retain(|(field, _)| *field != "type_vocab_size");
    all
}

fn sizes(config: &ModelConfig) -> Result<TextEncoderSizes, ModelError> {
    let field = "relative_attention_num_buckets";
    let rows = config.size(field)?;
    if rows < BUCKETS.count {
        let problem = format!("is {rows}; MPNet numbers its buckets up to {} whatever this field says", BUCKETS.count);
        return Err(ModelError::Config { field: field.to_owned(), problem });
    }
    // It has no segments.
    let mut plain = config.clone();
    plain.set("type_vocab_size", json!(0));
    plain.set("pad_token_id", json!(PADDING));
    let sizes = bert::sizes(&plain, config.size("hidden_size")?, PositionScheme::AfterPadding(PADDING))?;
    Ok(TextEncoderSizes {
        embeddings: EmbeddingSizes { padding: Some(PADDING), ..sizes.embeddings },
        relative_positions: Some(("encoder.relative_attention_bias", rows, BUCKETS)),
        ..sizes
    })
}

fn fresh(size: &FreshSize) -> Value {
    with(bert::fresh_fields(size, 514, 1, 1e-5), json!({"relative_attention_num_buckets": 32}))
}
