//! RoBERTa (Liu et al. 2019), XLM-R (Conneau et al. 2020) and CamemBERT, transformers `RobertaModel` and its siblings.

use super::bert;
use crate::family::{TensorNames, TextFamily};
use crate::heads::{MaskedWordsPlan, MaskedWordsSettings, SequencePlan, WordScoresPlan};
use crate::layers::PositionScheme;
use retune_kernels::Activation;
use serde_json::Value;

/// English.
pub static ROBERTA: TextFamily = family("roberta", "Roberta", || bert::defaults(50265));
/// A hundred languages.
pub static XLM_ROBERTA: TextFamily = family("xlm-roberta", "XLMRoberta", || bert::defaults(30522));
/// French.
pub static CAMEMBERT: TextFamily = family("camembert", "Camembert", || bert::defaults(30522));

/// Where only one of the two names of the bias of words' scores is stored, it may be the other.
const BIAS: &[(&str, &str)] = &[("lm_head.bias", "lm_head.decoder.bias")];

/// Words: dense (GELU, whatever the layers have) → norm → the table.
pub(super) const WORDS: MaskedWordsPlan = MaskedWordsPlan {
    dense: "lm_head.dense",
    norm: "lm_head.layer_norm",
    decoder: WordScoresPlan { path: "lm_head.decoder", bias: Some("lm_head.bias") },
    settings: |config| Ok(MaskedWordsSettings::new(Activation::Gelu, config.number("layer_norm_eps")?)),
};

/// Sequences: dropout → dense (tanh) → dropout → projection; the pooler is read by no head.
const fn family(
    model_type: &'static str,
    class: &'static str,
    defaults: fn() -> Vec<(&'static str, Value)>,
) -> TextFamily {
    TextFamily {
        model_type,
        class,
        names: TensorNames { spellings: BIAS, ..bert::names("roberta") },
        body: bert::BODY,
        pooler: Some("roberta.pooler.dense"),
        sequence: SequencePlan {
            transform: "classifier.dense",
            is_pooler: false,
            activation: Activation::Tanh,
            dropout_before: true,
            classifier: "classifier.out_proj",
            dropout: bert::DROPOUT,
        },
        token: bert::TOKEN,
        spans: bert::SPANS,
        words: WORDS,
        defaults,
        sizes: |config| {
            let padding = config.number_or("pad_token_id", 1.0)? as i64;
            bert::sizes(config, config.size("hidden_size")?, PositionScheme::AfterPadding(padding))
        },
    }
}
