//! Tasks: schema → preflight → encode → loss → scorer → decoded prediction. The only place that matches on task names.

mod text_classification;

use crate::Recipe;
use crate::metric::{self, Evaluation};
use anyhow::{Result, bail};
use retune_data::{DataFacts, Dataset};
use retune_kernels::loss::SummedLoss;
use retune_models::registry::Purpose;
use retune_models::{Inputs, ModelConfig, Outputs, ProblemType};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Known task names.
pub const TASKS: &[&str] = &["text-classification"];

/// What a model says about one row.
#[derive(Debug, Clone, PartialEq)]
pub struct Prediction {
    /// Probabilities per class (one or several labels), or predicted numbers.
    pub scores: Vec<f32>,
}

/// Collects predictions batch by batch and keeps sufficient statistics.
pub trait Scorer {
    /// Adds a batch with its labels.
    fn update(&mut self, predictions: &[Prediction], inputs: &Inputs) -> Result<()>;
    /// Metrics of everything so far.
    fn compute(&self) -> Evaluation;
}

/// One way to use a model. Training, evaluation and prediction go through the same methods.
pub trait Task {
    /// As in `--task`.
    fn name(&self) -> &'static str;
    /// Which head it needs.
    fn purpose(&self) -> Purpose;
    /// Names of the outputs and what they mean.
    fn head(&self) -> (Vec<String>, ProblemType);
    /// Training loss, smoothing and class weights included.
    fn loss(&self, outputs: &Outputs, inputs: &Inputs) -> Result<SummedLoss>;
    /// The same loss without them, for evaluation.
    fn plain_loss(&self, outputs: &Outputs, inputs: &Inputs) -> Result<SummedLoss>;
    /// A fresh scorer.
    fn scorer(&self) -> Box<dyn Scorer>;
    /// One prediction per row of the batch.
    fn decode(&self, outputs: &Outputs) -> Result<Vec<Prediction>>;
    /// A prediction as the user reads it: `{"prediction": …, "scores": …}`.
    fn describe(&self, prediction: &Prediction) -> serde_json::Map<String, serde_json::Value>;
    /// The best constant guess, learnt from the training labels, scored on `dataset`.
    fn majority(&self, train: &dyn Dataset, dataset: &dyn Dataset) -> Result<Evaluation>;
    /// How wrong each prediction is: 0 = right, larger = worse.
    fn severities(&self, dataset: &dyn Dataset, predictions: &[Prediction]) -> Result<Vec<f64>>;
    /// Metric that picks the best checkpoint when the user names none.
    fn default_metric(&self) -> &'static str;
    /// Files that belong into the saved model: tokenizer, processor.
    fn files(&self) -> Vec<PathBuf>;
    /// Whether this input can be used with the loaded model; called before any compute.
    fn check_model(&self, model: &dyn retune_models::Model) -> Result<()>;
}

/// The data of a run.
pub struct Splits {
    /// Learnt from.
    pub train: Arc<dyn Dataset>,
    /// Chooses the checkpoint.
    pub validation: Arc<dyn Dataset>,
    /// Measured once.
    pub test: Option<Arc<dyn Dataset>>,
    /// What is in them.
    pub facts: DataFacts,
    /// Changes when any training row does: a run resumes only on the same data.
    pub fingerprint: u64,
    /// Things a person should know, such as truncation.
    pub notes: Vec<String>,
}

/// Reads and checks all data of a run.
pub fn prepare(
    recipe: &Recipe,
    model: &Path,
    progress: &dyn Fn(&str, usize, usize),
) -> Result<(Box<dyn Task>, Splits)> {
    match recipe.task.as_str() {
        "text-classification" => text_classification::prepare(recipe, model, progress),
        other => bail!("task `{other}` is not one of {}", TASKS.join(", ")),
    }
}

/// Where rows come from when a saved model is used.
pub enum Input<'a> {
    /// A data file.
    File(&'a Path),
    /// Lines: JSON objects or plain text.
    Lines(Box<dyn std::io::BufRead + 'a>),
}

/// Opens data for a saved model; `labels` says whether the rows must have them.
pub fn open(
    recipe: &Recipe,
    model: &Path,
    config: &ModelConfig,
    input: Input<'_>,
    labels: bool,
) -> Result<(Box<dyn Task>, Arc<dyn Dataset>)> {
    match recipe.task.as_str() {
        "text-classification" => text_classification::open(recipe, model, config, input, labels),
        other => bail!("task `{other}` is not one of {}", TASKS.join(", ")),
    }
}

/// The default metric by kind of problem.
fn default_metric(problem: ProblemType) -> &'static str {
    metric::default_metric(match problem {
        ProblemType::SingleLabelClassification => metric::Problem::SingleLabel,
        ProblemType::MultiLabelClassification => metric::Problem::MultiLabel,
        ProblemType::Regression => metric::Problem::Regression,
    })
}
