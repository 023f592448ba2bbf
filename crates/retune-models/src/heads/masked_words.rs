//! Masked words: scores of the vocabulary for the words that stood at places of a text (Devlin et al. 2018, §3.1).
//!
//! Hugging Face's `…ForMaskedLM`: a transform to the size of the embeddings, then the product with the token table. B batch,
//! T tokens, P places of a row, M places in all, D hidden size, E embedding size, V vocabulary.

use super::places::{self, LOGIT_POSITIONS};
use super::word_scores::{WordScores, WordScoresPlan};
use crate::checkpoint::Weights;
use crate::{Body, Head, HeadPlan, ModelConfig, ModelError, Purpose, Reads, State, Tensors};
use retune_kernels::tch::Kind;
use retune_kernels::{Activation, Dense, LayerNorm};

/// The words that stood at masked places.
pub static MASKED_WORDS: Purpose =
    Purpose { key: "masked-lm", class_ending: "ForMaskedLM", peft: None, fresh: true, labels: false };

/// Share of a text's tokens whose words are predicted, where nothing is known of a batch: BERT's.
const USUAL_SHARE: f64 = 0.15;

/// What a configuration says of the transform.
#[derive(Debug, Clone, Copy)]
pub struct MaskedWordsSettings {
    /// After the projection.
    pub activation: Activation,
    /// Added to variances.
    pub norm_epsilon: f64,
    /// Whether the projection has a bias.
    pub dense_bias: bool,
    /// Whether the norm has one.
    pub norm_bias: bool,
    /// Whether the scores have one.
    pub decoder_bias: bool,
}

impl MaskedWordsSettings {
    /// With every bias.
    pub fn new(activation: Activation, norm_epsilon: f64) -> Self {
        Self { activation, norm_epsilon, dense_bias: true, norm_bias: true, decoder_bias: true }
    }
}

/// Names and settings of the head.
#[derive(Debug, Clone, Copy)]
pub struct MaskedWordsPlan {
    /// Full path of the projection from D to E.
    pub dense: &'static str,
    /// Full path of the norm behind it.
    pub norm: &'static str,
    /// The product with the vocabulary.
    pub decoder: WordScoresPlan,
    /// Reads the settings.
    pub settings: fn(&ModelConfig) -> Result<MaskedWordsSettings, ModelError>,
}

impl HeadPlan for MaskedWordsPlan {
    fn build(&self, weights: &Weights<'_>, config: &ModelConfig, body: &dyn Body) -> Result<Box<dyn Head>, ModelError> {
        let (head, settings) = (weights.head(), (self.settings)(config)?);
        let decoder = self.decoder.build(&head, config, body, settings.decoder_bias)?;
        let (d, e) = (body.width(), decoder.width());
        Ok(Box::new(MaskedWordsHead {
            dense: head.at(self.dense).dense_with(d, e, settings.dense_bias)?,
            norm: head.at(self.norm).layer_norm_with(e, settings.norm_epsilon, settings.norm_bias)?,
            activation: settings.activation,
            decoder,
            hidden: d,
        }))
    }
}

#[derive(Debug)]
struct MaskedWordsHead {
    dense: Dense,
    activation: Activation,
    norm: LayerNorm,
    decoder: WordScores,
    /// D.
    hidden: i64,
}

impl Head for MaskedWordsHead {
    fn reads(&self) -> Reads {
        Reads::All
    }

    /// `logits` [B, T, V]; with [`LOGIT_POSITIONS`] of these places only, [M, V].
    fn forward(&self, state: &State, train: bool) -> Result<Tensors, ModelError> {
        let hidden = places::pick(&state.hidden, state.beside.optional(LOGIT_POSITIONS))?;
        let transformed = self.norm.forward(&self.dense.forward_activated(&hidden, self.activation, train));
        let logits = self.decoder.forward(&transformed);
        Ok(Tensors::from([("logits", logits.to_kind(Kind::Float))]))
    }

    fn reads_token_table(&self) -> bool {
        self.decoder.is_tied()
    }

    /// As if the usual share of places were predicted.
    fn work(&self, tokens: f64) -> f64 {
        let (d, e) = (self.hidden as f64, self.decoder.width() as f64);
        2.0 * USUAL_SHARE * tokens * e * (d + self.decoder.vocabulary() as f64)
    }
}
