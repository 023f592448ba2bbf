//! RoBERTa (Liu et al. 2019), XLM-R (Conneau et al. 2020) and CamemBERT, transformers `RobertaModel` and its siblings.

use super::bert;
use crate::family::{Fresh, FreshPieces, FreshSize, FreshTokens, TensorNames, TextBody, TextFamily};
use crate::heads::{
    MaskedWordsNames, MaskedWordsPlan, SequencePlan, TransformPlan, TransformSettings, WordScoresPlan, first_token,
};
use crate::layers::PositionScheme;
use retune_kernels::Activation;
use serde_json::Value;

/// English.
pub static ROBERTA: TextFamily = family("roberta", "Roberta", FreshPieces::Bpe, || bert::defaults(50265));
/// A hundred languages.
pub static XLM_ROBERTA: TextFamily =
    family("xlm-roberta", "XLMRoberta", FreshPieces::Unigram, || bert::defaults(30522));
/// French.
pub static CAMEMBERT: TextFamily = family("camembert", "Camembert", FreshPieces::Unigram, || bert::defaults(30522));

/// Where only one of the two names of the bias of words' scores is stored, it may be the other.
pub(super) const BIAS: &[(&str, &str)] = &[("lm_head.bias", "lm_head.decoder.bias")];

/// Words: dense (GELU, whatever the layers have) → norm → the table.
pub(super) const WORDS: MaskedWordsPlan = MaskedWordsPlan(|_| {
    Ok(MaskedWordsNames {
        transform: TransformPlan {
            dense: "lm_head.dense",
            norm: Some("lm_head.layer_norm"),
            settings: |config| Ok(TransformSettings::normed(Activation::Gelu, config.number("layer_norm_eps")?)),
        },
        decoder: WordScoresPlan::new("lm_head.decoder", Some("lm_head.bias")),
    })
});

/// Sequences: dropout → dense (tanh) → dropout → projection; the pooler is read by no head.
const fn family(
    model_type: &'static str,
    class: &'static str,
    pieces: FreshPieces,
    defaults: fn() -> Vec<(&'static str, Value)>,
) -> TextFamily {
    TextFamily {
        model_type,
        class,
        names: TensorNames { spellings: BIAS, ..bert::names("roberta") },
        body: TextBody::PostNorm {
            names: bert::BODY,
            sizes: |config| {
                let padding = config.number_or("pad_token_id", 1.0)? as i64;
                bert::sizes(config, config.size("hidden_size")?, PositionScheme::AfterPadding(padding))
            },
        },
        pooler: Some("roberta.pooler.dense"),
        sequence: SequencePlan {
            pooling: first_token,
            transform: TransformPlan {
                dense: "classifier.dense",
                norm: None,
                settings: |_| Ok(TransformSettings::new(Activation::Tanh)),
            },
            is_pooler: false,
            classifier: "classifier.out_proj",
            dropout_before: bert::DROPOUT,
            dropout: bert::DROPOUT,
        },
        token: bert::TOKEN,
        spans: bert::SPANS,
        words: WORDS,
        defaults,
        fresh: Some(Fresh::texts(FreshTokens::Roberta, pieces, 512, fresh)),
    }
}

/// Positions begin behind that of padding.
pub(super) fn fresh(size: &FreshSize) -> Value {
    bert::fresh_fields(size, 514, 1, 1e-5)
}
