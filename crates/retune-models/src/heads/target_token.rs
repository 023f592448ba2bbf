//! Scores of the tokens that a decoder over an encoder writes: each place scores the token of the same place of the target.
//!
//! transformers' `…ForConditionalGeneration`, `MarianMTModel`. B batch, T tokens, D hidden size, V vocabulary.

use super::next_token::{SCORE_BIAS, SCORE_WEIGHT, SCORED, token_loss};
use super::{WordScores, WordScoresPlan};
use crate::checkpoint::Weights;
use crate::{Body, Head, HeadPlan, ModelConfig, ModelError, Purpose, Reads, State, Tensors};
use retune_kernels::Weight;
use retune_kernels::loss::NextTokens;
use retune_kernels::tch::{Kind, Tensor};

/// One text becomes another.
pub static SEQUENCE_TO_SEQUENCE: Purpose = Purpose {
    key: "sequence-to-sequence",
    class_ending: "ForConditionalGeneration",
    peft: Some("SEQ_2_SEQ_LM"),
    fresh: false,
    labels: false,
};

/// Cross-entropy of what is written, from the factors of a forward pass: `labels` int64 [B, T] of the places of
/// `decoder_input_ids`, where [`retune_kernels::loss::IGNORE_INDEX`] counts for nothing. Scores at a place are for the label of
/// the same one, as in transformers; results are [B, T], row by row.
///
/// # Errors
/// Outputs without factors.
pub fn target_token_loss(outputs: &Tensors, labels: &Tensor, label_smoothing: f64) -> Result<NextTokens, ModelError> {
    token_loss(outputs, outputs.get(SCORED)?, labels, label_smoothing)
}

/// Names and settings of the head.
#[derive(Debug, Clone, Copy)]
pub struct TargetTokenPlan {
    /// Full path of the projection, where it is not the table of the tokens.
    pub projection: &'static str,
    /// Whether its weight is the token table.
    pub ties: fn(&ModelConfig) -> Result<bool, ModelError>,
    /// Full name of what is added to the scores [1, V], which nothing trains.
    pub bias: Option<&'static str>,
    /// What hidden states are multiplied by before.
    pub scale: fn(&ModelConfig) -> Result<f64, ModelError>,
}

impl TargetTokenPlan {
    /// Scores alone, tied unless `tie_word_embeddings` is false.
    pub const fn new(projection: &'static str, bias: Option<&'static str>) -> Self {
        let ties = |config: &ModelConfig| config.flag_or("tie_word_embeddings", true);
        Self { projection, ties, bias, scale: |_| Ok(1.0) }
    }
}

impl HeadPlan for TargetTokenPlan {
    fn build(&self, weights: &Weights<'_>, config: &ModelConfig, body: &dyn Body) -> Result<Box<dyn Head>, ModelError> {
        let ties = self.ties;
        let plan = WordScoresPlan { has_bias: |_| Ok(false), ties, ..WordScoresPlan::new(self.projection, None) };
        let scores = plan.build(weights, config, body)?;
        // Files without it have none.
        let bias = self.bias.filter(|name| weights.is_stored(name));
        let zeros = || Tensor::zeros([1, scores.vocabulary()], (Kind::Float, weights.device()));
        let bias = bias.map(|name| weights.fixed(name, zeros())).transpose()?;
        Ok(Box::new(TargetTokenHead { scores, bias, scale: (self.scale)(config)?, kind: weights.compute_kind() }))
    }

    fn writes(&self) -> bool {
        true
    }
}

#[derive(Debug)]
struct TargetTokenHead {
    scores: WordScores,
    bias: Option<Weight>, // [1, V]
    scale: f64,
    kind: Kind,
}

impl TargetTokenHead {
    fn scored(&self, state: &State) -> Tensor {
        let hidden = state.hidden.to_kind(self.kind);
        if self.scale == 1.0 { hidden } else { hidden * self.scale }
    }
}

impl Head for TargetTokenHead {
    fn reads(&self) -> Reads {
        Reads::All
    }

    fn reads_token_table(&self) -> bool {
        self.scores.is_tied()
    }

    /// `logits` [B, T, V].
    fn forward(&self, state: &State, train: bool) -> Result<Tensors, ModelError> {
        let scores = self.scores.forward(&self.scored(state), train).to_kind(Kind::Float);
        let scores = self.bias.as_ref().map_or_else(|| scores.shallow_clone(), |bias| &scores + &**bias);
        Ok(Tensors::from([("logits", scores)]))
    }

    /// [`SCORED`], [`SCORE_WEIGHT`], and the bias.
    fn factors(&self, state: &State, train: bool) -> Option<Tensors> {
        let (states, weight) = self.scores.factors(&self.scored(state), train);
        let mut factors = Tensors::from([(SCORED, states), (SCORE_WEIGHT, weight)]);
        if let Some(bias) = &self.bias {
            factors.insert(SCORE_BIAS, bias.view([-1]));
        }
        Some(factors)
    }

    /// 2·T·D·V.
    fn work(&self, tokens: f64) -> f64 {
        2.0 * tokens * self.scores.work()
    }
}
