//! ELECTRA (Clark et al. 2020), transformers `ElectraModel`.

use super::bert;
use crate::family::TextFamily;
use crate::heads::{MaskedWordsPlan, MaskedWordsSettings, SequencePlan, WordScoresPlan};
use crate::layers::PositionScheme;
use retune_kernels::Activation;
use serde_json::{Value, json};

/// Sequences: dropout → dense (GELU) → dropout → projection; embeddings may be narrower than the layers.
pub static ELECTRA: TextFamily = TextFamily {
    model_type: "electra",
    class: "Electra",
    names: bert::names("electra"),
    body: bert::BODY,
    pooler: None,
    sequence: SequencePlan {
        transform: "classifier.dense",
        is_pooler: false,
        activation: Activation::Gelu,
        dropout_before: true,
        classifier: "classifier.out_proj",
        dropout: bert::DROPOUT,
    },
    token: bert::TOKEN,
    spans: bert::SPANS,
    // The generator's: GELU, whatever the layers have.
    words: MaskedWordsPlan {
        dense: "generator_predictions.dense",
        norm: "generator_predictions.LayerNorm",
        decoder: WordScoresPlan { path: "generator_lm_head", bias: None },
        settings: |config| Ok(MaskedWordsSettings::new(Activation::Gelu, config.number("layer_norm_eps")?)),
    },
    defaults,
    sizes: |config| bert::sizes(config, config.size("embedding_size")?, PositionScheme::Absolute),
};

/// What `ElectraConfig` assumes: the small model's sizes.
fn defaults() -> Vec<(&'static str, Value)> {
    let small = [
        ("embedding_size", json!(128)),
        ("hidden_size", json!(256)),
        ("num_attention_heads", json!(4)),
        ("intermediate_size", json!(1024)),
    ];
    let same = bert::defaults(30522);
    let others = same.into_iter().filter(|(field, _)| small.iter().all(|(other, _)| other != field));
    small.iter().cloned().chain(others).collect()
}
