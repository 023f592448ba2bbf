//! ELECTRA (Clark et al. 2020), transformers `ElectraModel`.

use super::bert;
use crate::bodies::TextEncoderSizes;
use crate::family::{Fresh, FreshPieces, FreshSize, FreshTokens, TextBody, TextFamily, with};
use crate::heads::{
    MaskedWordsNames, MaskedWordsPlan, SequencePlan, TransformPlan, TransformSettings, WordScoresPlan, first_token,
};
use crate::layers::PositionScheme;
use retune_kernels::Activation;
use serde_json::{Value, json};

/// Sequences: dropout → dense (GELU) → dropout → projection; embeddings may be narrower than the layers.
pub static ELECTRA: TextFamily = TextFamily {
    model_type: "electra",
    class: "Electra",
    names: bert::names("electra"),
    body: TextBody::PostNorm {
        names: bert::BODY,
        sizes: |config| {
            let size = config.size("embedding_size")?;
            let sizes = bert::sizes(config, size, PositionScheme::Absolute)?;
            Ok(TextEncoderSizes { projection: (size != sizes.layer.hidden).then_some("embeddings_project"), ..sizes })
        },
    },
    pooler: None,
    sequence: SequencePlan {
        pooling: first_token,
        transform: TransformPlan {
            dense: "classifier.dense",
            norm: None,
            settings: |_| Ok(TransformSettings::new(Activation::Gelu)),
        },
        is_pooler: false,
        classifier: "classifier.out_proj",
        dropout_before: bert::DROPOUT,
        dropout: bert::DROPOUT,
    },
    token: bert::TOKEN,
    spans: bert::SPANS,
    // The generator's: GELU, whatever the layers have.
    words: MaskedWordsPlan(|_| {
        Ok(MaskedWordsNames {
            transform: TransformPlan {
                dense: "generator_predictions.dense",
                norm: Some("generator_predictions.LayerNorm"),
                settings: |config| Ok(TransformSettings::normed(Activation::Gelu, config.number("layer_norm_eps")?)),
            },
            decoder: WordScoresPlan::new("generator_lm_head", None),
        })
    }),
    defaults,
    fresh: Some(Fresh::texts(FreshTokens::Bert, FreshPieces::WordPiece, 512, fresh)),
};

/// What `ElectraConfig` assumes: the small model's sizes.
fn defaults() -> Vec<(&'static str, Value)> {
    let small = [
        ("embedding_size", json!(128)),
        ("hidden_size", json!(256)),
        ("num_attention_heads", json!(4)),
        ("intermediate_size", json!(1024)),
    ];
    bert::defaults_with(30522, &small)
}

fn fresh(size: &FreshSize) -> Value {
    with(bert::fresh_fields(size, 512, 2, 1e-12), json!({"embedding_size": size.hidden / 2}))
}
