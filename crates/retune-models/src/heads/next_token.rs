//! Scores of the next token at each place: a linear layer over the vocabulary, often the table of the tokens itself.
//!
//! transformers' `…ForCausalLM`. B batch, T tokens, D hidden size, V vocabulary.

use super::{WordScores, WordScoresPlan};
use crate::checkpoint::Weights;
use crate::{Body, Head, HeadPlan, ModelConfig, ModelError, Purpose, Reads, State, Tensors};
use retune_kernels::loss::{NextTokens, Scoring, next_token_cross_entropy};
use retune_kernels::tch::{Kind, Tensor};

/// What comes next.
pub static CAUSAL_LM: Purpose =
    Purpose { key: "causal-lm", class_ending: "ForCausalLM", peft: Some("CAUSAL_LM"), fresh: false, labels: false };

/// The weight [V, D] behind the scores, where outputs are factors.
pub const SCORE_WEIGHT: &str = "score_weight";
/// Hidden states [B, T, D] behind the scores, where outputs are factors.
pub const SCORED: &str = "scored_states";

/// The bound of the scores, a scalar, where outputs are factors and there is a bound.
const SCORE_BOUND: &str = "score_bound";
/// What is added to the scores, \[V\], where outputs are factors and something is.
pub(super) const SCORE_BIAS: &str = "score_bias";

/// Cross-entropy of what comes next, from the factors of a forward pass: `labels` int64 [B, T] of the same places as the input,
/// where [`retune_kernels::loss::IGNORE_INDEX`] counts for nothing. Scores at a place are for the label of the next one, as in
/// transformers; results are [B, T - 1], row by row.
///
/// # Errors
/// Outputs without factors.
pub fn next_token_loss(outputs: &Tensors, labels: &Tensor, label_smoothing: f64) -> Result<NextTokens, ModelError> {
    let next = outputs.get(SCORED)?.size()[1] - 1;
    token_loss(outputs, &outputs.get(SCORED)?.narrow(1, 0, next), &labels.narrow(1, 1, next), label_smoothing)
}

/// Cross-entropy of `targets` [B, T] by the scores of `states` [B, T, D], from the other factors of a forward pass.
pub(super) fn token_loss(
    outputs: &Tensors,
    states: &Tensor,
    targets: &Tensor,
    label_smoothing: f64,
) -> Result<NextTokens, ModelError> {
    let scoring = Scoring {
        weight: outputs.get(SCORE_WEIGHT)?,
        bias: outputs.optional(SCORE_BIAS),
        softcap: outputs.optional(SCORE_BOUND).map(|bound| bound.double_value(&[])),
    };
    let states = states.reshape([-1, states.size()[2]]);
    Ok(next_token_cross_entropy(&states, scoring, &targets.reshape([-1]), label_smoothing))
}

/// Names of the head.
#[derive(Debug, Clone, Copy)]
pub struct NextTokenPlan {
    /// Full path of the projection, where it is not the table of the tokens.
    pub projection: &'static str,
    /// Field of config.json with the bound of the scores.
    pub softcap: Option<&'static str>,
}

/// The bound of the scores, by the field that may state it.
///
/// # Errors
/// A bound that is not above 0.
pub fn softcap(config: &ModelConfig, field: Option<&'static str>) -> Result<Option<f64>, ModelError> {
    let Some(field) = field.filter(|field| config.get(field).is_some()) else { return Ok(None) };
    let cap = config.number(field)?;
    if cap > 0.0 {
        return Ok(Some(cap));
    }
    Err(ModelError::Config { field: field.to_owned(), problem: format!("is {cap}, not above 0") })
}

impl HeadPlan for NextTokenPlan {
    fn build(&self, weights: &Weights<'_>, config: &ModelConfig, body: &dyn Body) -> Result<Box<dyn Head>, ModelError> {
        let scores = WordScoresPlan { has_bias: |_| Ok(false), ..WordScoresPlan::new(self.projection, None) };
        let scores = scores.build(weights, config, body)?;
        Ok(Box::new(NextTokenHead { scores, kind: weights.compute_kind(), softcap: softcap(config, self.softcap)? }))
    }
}

#[derive(Debug)]
struct NextTokenHead {
    scores: WordScores,
    kind: Kind,
    softcap: Option<f64>,
}

impl Head for NextTokenHead {
    fn reads(&self) -> Reads {
        Reads::All
    }

    fn reads_token_table(&self) -> bool {
        self.scores.is_tied()
    }

    /// `logits` [B, T, V].
    fn forward(&self, state: &State, train: bool) -> Result<Tensors, ModelError> {
        let scores = self.scores.forward(&state.hidden.to_kind(self.kind), train).to_kind(Kind::Float);
        let scores = self.softcap.map_or_else(|| scores.shallow_clone(), |cap| (&scores / cap).tanh() * cap);
        Ok(Tensors::from([("logits", scores)]))
    }

    /// [`SCORED`], [`SCORE_WEIGHT`], and the bound.
    fn factors(&self, state: &State, train: bool) -> Option<Tensors> {
        let (states, weight) = self.scores.factors(&state.hidden.to_kind(self.kind), train);
        let mut factors = Tensors::from([(SCORED, states), (SCORE_WEIGHT, weight)]);
        if let Some(bound) = self.softcap {
            factors.insert(SCORE_BOUND, Tensor::from(bound));
        }
        Some(factors)
    }

    /// 2·T·D·V.
    fn work(&self, tokens: f64) -> f64 {
        2.0 * tokens * self.scores.work()
    }
}
