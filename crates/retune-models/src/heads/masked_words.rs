//! Masked words: scores of the vocabulary for the words that stood at places of a text (Devlin et al. 2018, §3.1).
//!
//! Hugging Face's `…ForMaskedLM`: a transform to the size of the embeddings, then the product with the token table. B batch,
//! T tokens, P places of a row, M places in all, D hidden size, E embedding size, V vocabulary.

use super::places::{self, LOGIT_POSITIONS};
use super::transform::{Transform, TransformPlan};
use super::word_scores::{WordScores, WordScoresPlan};
use crate::checkpoint::Weights;
use crate::{Body, Head, HeadPlan, ModelConfig, ModelError, Purpose, Reads, State, Tensors};
use retune_kernels::tch::Kind;

/// The words that stood at masked places.
pub static MASKED_WORDS: Purpose =
    Purpose { key: "masked-lm", class_ending: "ForMaskedLM", peft: None, fresh: true, labels: false };

/// Share of a text's tokens whose words are predicted, where nothing is known of a batch: BERT's.
const USUAL_SHARE: f64 = 0.15;

/// Names and settings of the head.
#[derive(Debug, Clone, Copy)]
pub struct MaskedWordsNames {
    /// From D to E.
    pub transform: TransformPlan,
    /// The product with the vocabulary.
    pub decoder: WordScoresPlan,
}

/// The head as data, by config.json.
#[derive(Debug, Clone, Copy)]
pub struct MaskedWordsPlan(pub fn(&ModelConfig) -> Result<MaskedWordsNames, ModelError>);

impl HeadPlan for MaskedWordsPlan {
    fn build(&self, weights: &Weights<'_>, config: &ModelConfig, body: &dyn Body) -> Result<Box<dyn Head>, ModelError> {
        let (head, d, names) = (weights.head(), body.width(), (self.0)(config)?);
        let decoder = names.decoder.build(&head, config, body)?;
        let transform = names.transform.build(&head, config, (d, decoder.width()))?;
        Ok(Box::new(MaskedWordsHead { transform, decoder, hidden: d }))
    }
}

#[derive(Debug)]
struct MaskedWordsHead {
    transform: Transform,
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
        let logits = self.decoder.forward(&self.transform.forward(&hidden, train), train);
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
