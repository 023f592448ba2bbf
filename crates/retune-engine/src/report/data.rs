//! What a report is made of: plain data, filled by whoever watched the run.

use serde::{Deserialize, Serialize};

use crate::metric::operating_point::AtThreshold;
use crate::metric::{Difference, Evaluation, Metrics};

/// Everything a report may show. Empty lists, empty strings and `None` leave their section out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ReportData {
    /// What the page is called.
    pub title: String,
    /// The day of the run, as it should be shown.
    pub date: String,
    /// The task's name, for instance `text-classification`.
    pub task: String,
    /// The pretrained model, as the user named it.
    pub model: String,
    /// How it was adapted, for instance `lora`.
    pub method: String,
    /// The result in one figure.
    pub headline: Option<Headline>,
    /// One point per optimizer step.
    pub steps: Vec<StepPoint>,
    /// One point per evaluation during training.
    pub evaluations: Vec<EvaluationPoint>,
    /// The step whose weights were kept.
    pub best: Option<Best>,
    /// The validation split, scored with the kept weights.
    pub validation: Option<Evaluation>,
    /// The test split, scored with the kept weights; detail tables prefer it to `validation`.
    pub test: Option<Evaluation>,
    /// What thresholds on the positive class do on the split of the detail tables.
    pub roc: Option<Roc>,
    /// The threshold that was chosen.
    pub operating_point: Option<Operating>,
    /// Wrong predictions, worst first; the first 20 are shown.
    pub errors: Vec<WorstError>,
    /// What the colours over the pictures of `errors` mean.
    pub heat_maps: Option<String>,
    /// What each split contains.
    pub splits: Vec<SplitFacts>,
    /// Examples that could not be used.
    pub left_out: Vec<LeftOut>,
    /// Rows and groups that two splits share.
    pub leaks: Vec<Leak>,
    /// What was taken from the checkpoint.
    pub load: Option<LoadFacts>,
    /// The resolved recipe, as TOML.
    pub recipe: String,
    /// How fast it went.
    pub speed: Option<Speed>,
    /// Where it ran.
    pub environment: Option<Environment>,
}

/// The main metric of the finished model, beside what it should be compared with.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Headline {
    /// Metric key.
    pub metric: String,
    /// The split it was measured on.
    pub split: String,
    /// Its value.
    pub value: f64,
    /// Its 95 % interval.
    pub interval: Option<(f64, f64)>,
    /// Examples measured.
    pub examples: usize,
    /// Other ways to do the task, on the same examples.
    pub baselines: Vec<Baseline>,
    /// A paired test against one of them.
    pub comparison: Option<Comparison>,
}

/// Another way to do the task.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Baseline {
    /// What it is, for instance `majority class`.
    pub name: String,
    /// The headline metric's value.
    pub value: f64,
    /// Its 95 % interval.
    pub interval: Option<(f64, f64)>,
}

/// A paired comparison of the model with one baseline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// The baseline's name.
    pub against: String,
    /// Model minus baseline, in accuracy.
    pub difference: Difference,
}

/// A receiver operating characteristic.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Roc {
    /// The split it was measured on.
    pub split: String,
    /// The class that is looked for.
    pub positive_class: String,
    /// `(1 − specificity, sensitivity)` from corner to corner.
    pub points: Vec<(f64, f64)>,
}

/// A threshold, and what it does on each split.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Operating {
    /// The class that is looked for.
    pub positive_class: String,
    /// How the threshold was found.
    pub rule: String,
    /// Whether the validation split decided it, rather than the person.
    pub chosen: bool,
    /// From this probability on, an example is positive.
    pub threshold: f64,
    /// On each split, by name.
    pub splits: Vec<(String, AtThreshold)>,
}

/// One optimizer step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct StepPoint {
    /// Steps done, from 1.
    pub step: u64,
    /// Training loss per target; none when it was not finite.
    pub loss: Option<f64>,
    /// Learning rate of the step.
    pub learning_rate: Option<f64>,
    /// Norm of the gradient before clipping; none when it was not finite or not measured.
    pub gradient_norm: Option<f64>,
}

/// One evaluation during training.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct EvaluationPoint {
    /// Steps done.
    pub step: u64,
    /// Validation loss per target.
    pub loss: Option<f64>,
    /// Validation metrics.
    pub metrics: Metrics,
    /// The 95 % interval of the main metric, drawn as a band.
    pub interval: Option<(f64, f64)>,
}

/// The checkpoint that was kept.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Best {
    /// Its step.
    pub step: u64,
    /// The metric that chose it.
    pub metric: String,
    /// The metric's value there.
    pub value: f64,
}

/// One wrong prediction.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct WorstError {
    /// The input; a caption or a file name where it is not text.
    pub text: String,
    /// What it should have been.
    pub gold: String,
    /// What the model said.
    pub predicted: String,
    /// How sure it was, 0 to 1.
    pub confidence: Option<f64>,
    /// `file:line` of the example.
    pub place: String,
    /// A `data:image/…;base64,…` picture; anything else is not shown.
    pub thumbnail: Option<String>,
}

/// What one split contains.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SplitFacts {
    /// `train`, `validation` or `test`.
    pub name: String,
    /// The file it came from.
    pub file: String,
    /// Examples.
    pub rows: u64,
    /// Examples per class.
    pub classes: Vec<(String, u64)>,
    /// Input lengths.
    pub lengths: Option<Histogram>,
    /// Inputs cut to the maximum length.
    pub truncated: Option<u64>,
    /// Rows that repeat an earlier one.
    pub duplicates: Option<u64>,
    /// Rows whose input also occurs with another label.
    pub conflicting: Option<u64>,
    /// Different groups, such as patients; none without a group column.
    pub groups: Option<u64>,
    /// Tokens that the vocabulary lacks, as a share of all tokens.
    pub unknown_tokens: Option<f64>,
}

/// Examples of a split that could not be used.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LeftOut {
    /// The split they were read for.
    pub split: String,
    /// How many.
    pub count: u64,
    /// Place and reason of the first of them.
    pub first: Vec<String>,
}

/// Counts between edges.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Histogram {
    /// What is measured, for instance `tokens`.
    pub unit: String,
    /// Ascending edges, one more than there are counts.
    pub edges: Vec<f64>,
    /// Examples between `edges[i]` and `edges[i + 1]`.
    pub counts: Vec<u64>,
}

/// Inputs or groups that occur in two splits.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Leak {
    /// The split that should not have been seen.
    pub held_out: String,
    /// The split that contains it too.
    pub seen_in: String,
    /// How many of the held-out rows.
    pub rows: u64,
    /// How many held-out rows there are.
    pub of: u64,
    /// How many groups of the held-out split are in the other too; none without groups.
    pub groups: Option<u64>,
}

/// What was taken from the checkpoint.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LoadFacts {
    /// Where the weights came from.
    pub source: String,
    /// Tensors loaded.
    pub loaded: u64,
    /// Tensors that start from random or constant values.
    pub new: Vec<NewTensor>,
    /// Tensors of the checkpoint that the task has no use for.
    pub unexpected: Vec<String>,
}

/// A tensor that the checkpoint did not give.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct NewTensor {
    /// Its name.
    pub name: String,
    /// Why it is new.
    pub reason: String,
}

/// How fast the training went, and how large it was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Speed {
    /// Wall-clock seconds of training.
    pub seconds: Option<f64>,
    /// Training examples a second.
    pub examples_per_second: Option<f64>,
    /// Training tokens a second, padding excluded.
    pub tokens_per_second: Option<f64>,
    /// Share of the computed positions that were padding, 0 to 1.
    pub padding_fraction: Option<f64>,
    /// Model floating-point operations a second.
    pub model_flops_per_second: Option<f64>,
    /// The fastest matrix product measured on this device, in operations a second.
    pub peak_flops_per_second: Option<f64>,
    /// Peak memory in bytes.
    pub peak_memory_bytes: Option<u64>,
    /// The same on the GPU.
    pub peak_device_memory_bytes: Option<u64>,
    /// Parameters that were trained.
    pub trainable_parameters: Option<u64>,
    /// All parameters.
    pub total_parameters: Option<u64>,
}

/// Where it ran.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Environment {
    /// Version of this program.
    pub retune: String,
    /// Version of libtorch.
    pub libtorch: String,
    /// The device that trained.
    pub device: String,
    /// The processor.
    pub cpu: String,
    /// Threads used.
    pub threads: Option<u64>,
}
