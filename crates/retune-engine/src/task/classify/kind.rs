//! What differs between one label, several labels and numbers for each example.

use crate::metric::{Evaluation, Metric};
use crate::task::{Decision, Judged, Phase};
use anyhow::{Result, bail};
use retune_data::{Medium, Targets};
use retune_kernels::loss::SummedLoss;
use retune_kernels::tch::Tensor;
use retune_models::ProblemType;
use serde_json::{Map, Value};

/// What is right of an example.
pub(in crate::task) type Gold<M, K> = <<K as Kind<M>>::Targets as Targets<M>>::Gold;

/// A kind of problem. Scores are those of one example, \[C\].
pub(in crate::task) trait Kind<M: Medium>: Send + Sync + 'static {
    /// Its labels.
    type Targets: Targets<M> + 'static;

    /// Names of the outputs.
    fn names(&self) -> &[String];
    /// As config.json says it.
    fn problem(&self) -> ProblemType;
    /// The loss of logits [B, C].
    fn loss(&self, logits: &Tensor, labels: &Tensor, phase: Phase) -> Result<SummedLoss>;
    /// Scores [B, C] of fp32 logits [B, C].
    fn scores(&self, logits: &Tensor) -> Result<Tensor>;
    /// The score \[B\] of what the model said: its first choice, or all of its numbers.
    fn explained(&self, logits: &Tensor) -> Tensor {
        logits.amax([-1i64], false)
    }
    /// The scores that a model should have given.
    fn target(&self, gold: &Gold<M, Self>) -> Vec<f32>;
    /// How the scores of an example are.
    fn judge(&self, scores: &[f32], gold: &Gold<M, Self>) -> Judged;
    /// The metrics of this kind.
    fn meter(&self) -> Box<dyn Meter<Gold<M, Self>>>;
    /// The mean of the training labels, as a guess, is called so.
    fn guess_name(&self) -> &'static str;
    /// Scores as a person reads them.
    fn describe(&self, scores: &[f32]) -> Map<String, Value>;
    /// What scores say in words, and how sure they are.
    fn said(&self, scores: &[f32]) -> (String, Option<f64>);
    /// Whether the settings leave a decision to the validation split.
    fn decides(&self) -> bool {
        false
    }
    /// Whether the validation split can decide it.
    fn check_validation(&self, _ideal: &Evaluation) -> Result<()> {
        Ok(())
    }
    /// What was decided, to be used from now on.
    fn adopt(&self, decision: &Decision) -> Result<()> {
        bail!("{}: there is no positive class to decide about", decision.key)
    }
}

/// Metrics over scores and labels of type `G`.
pub(in crate::task) trait Meter<G> {
    /// Adds an example.
    fn add(&mut self, scores: &[f32], gold: &G) -> Result<()>;
    /// All of them so far.
    fn evaluation(&self) -> Evaluation;
    /// Those that some examples have; the first is the usual one.
    fn metrics(&self) -> Vec<&'static Metric>;
    /// The one that is the share of right answers.
    fn paired(&self) -> Option<&'static Metric> {
        None
    }
    /// Chooses what the settings leave to these examples.
    fn decide(&mut self) -> Result<Option<Decision>> {
        Ok(None)
    }
}
