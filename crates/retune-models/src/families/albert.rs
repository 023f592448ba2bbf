//! ALBERT (Lan et al. 2019), transformers `AlbertModel`: layers in groups that share their weights, narrow embeddings.
//!
//! A block is a group, because what shares its weights learns or is frozen together.

use super::bert;
use crate::bodies::{Sharing, TextEncoderNames, TextEncoderSizes};
use crate::family::{Fresh, FreshPieces, FreshSize, FreshTokens, TensorNames, TextBody, TextFamily, with};
use crate::heads::{
    MaskedWordsNames, MaskedWordsPlan, SequencePlan, TokenPlan, TransformPlan, TransformSettings, WordScoresPlan,
    first_token,
};
use crate::layers::{AttentionNames, LayerNames, LayerSizes, PositionScheme};
use retune_kernels::Activation;
use serde_json::{Value, json};

/// Sequences: pooler (tanh) → dropout → classifier.
pub static ALBERT: TextFamily = TextFamily {
    model_type: "albert",
    class: "Albert",
    names: TensorNames { spellings: BIAS, ..bert::names("albert") },
    body: TextBody::PostNorm {
        names: TextEncoderNames {
            layers: "encoder.albert_layer_groups",
            layer: LayerNames {
                attention: AttentionNames {
                    query: "attention.query",
                    key: "attention.key",
                    value: "attention.value",
                    output: "attention.dense",
                },
                attention_norm: "attention.LayerNorm",
                intermediate: "ffn",
                output: "ffn_output",
                output_norm: "full_layer_layer_norm",
            },
        },
        sizes: |config| {
            let sizes = bert::sizes(config, config.size("embedding_size")?, PositionScheme::Absolute)?;
            Ok(TextEncoderSizes {
                // There even where both sides are of one size.
                projection: Some("encoder.embedding_hidden_mapping_in"),
                sharing: Some(Sharing {
                    groups: config.size("num_hidden_groups")?,
                    inner: config.size("inner_group_num")?,
                    path: "albert_layers",
                }),
                layer: LayerSizes { feed_forward_dropout: 0.0, ..sizes.layer },
                ..sizes
            })
        },
    },
    pooler: Some(POOLER),
    sequence: SequencePlan {
        pooling: first_token,
        transform: TransformPlan {
            dense: POOLER,
            norm: None,
            settings: |_| Ok(TransformSettings::new(Activation::Tanh)),
        },
        is_pooler: true,
        classifier: "classifier",
        dropout_before: &[],
        dropout: &["classifier_dropout_prob"],
    },
    token: TokenPlan::new(&["classifier_dropout_prob", "hidden_dropout_prob"]),
    spans: bert::SPANS,
    words: MaskedWordsPlan(|_| {
        Ok(MaskedWordsNames {
            transform: TransformPlan {
                dense: "predictions.dense",
                norm: Some("predictions.LayerNorm"),
                settings: bert::word_transform,
            },
            decoder: WordScoresPlan::new("predictions.decoder", Some("predictions.bias")),
        })
    }),
    defaults,
    fresh: Some(Fresh::texts(FreshTokens::Bert, FreshPieces::Unigram, 512, fresh)),
};

const POOLER: &str = "albert.pooler";

/// Where only one of the two names of the bias of words' scores is stored, it may be the other.
const BIAS: &[(&str, &str)] = &[("predictions.bias", "predictions.decoder.bias")];

/// What `AlbertConfig` assumes: the sizes of its largest model.
fn defaults() -> Vec<(&'static str, Value)> {
    let own = [
        ("embedding_size", json!(128)),
        ("hidden_size", json!(4096)),
        ("num_hidden_groups", json!(1)),
        ("num_attention_heads", json!(64)),
        ("intermediate_size", json!(16384)),
        ("inner_group_num", json!(1)),
        ("hidden_act", json!("gelu_new")),
        ("hidden_dropout_prob", json!(0.0)),
        ("attention_probs_dropout_prob", json!(0.0)),
        ("classifier_dropout_prob", json!(0.1)),
    ];
    bert::defaults_with(30000, &own)
}

fn fresh(size: &FreshSize) -> Value {
    let own = json!({"embedding_size": 128, "num_hidden_groups": 1, "inner_group_num": 1, "hidden_act": "gelu_new",
        "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0, "classifier_dropout_prob": 0.1});
    with(bert::fresh_fields(size, 512, 2, 1e-12), own)
}
