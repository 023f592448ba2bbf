//! What a report is made of: plain data, filled by whoever watched the run. What the engine knows already stands here as
//! it is.

use crate::directory::{Best, EvaluationPoint};
use crate::metric::Said;
use crate::metric::detail::Picture;
use crate::metric::{Evaluation, Metric};
use crate::summary::TrainSummary;
use retune_data::Leak;
use retune_models::LoadReport;

use super::verdict::Headline;

/// Everything a report may show. Empty lists, empty strings and `None` leave their section out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReportData {
    /// What the page is called.
    pub title: String,
    /// The day of the run, as it should be shown.
    pub date: String,
    /// The task's name.
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
    /// The metrics of the task, in the order in which they are shown; others follow by key.
    pub metrics: Vec<&'static Metric>,
    /// The validation split, scored with the kept weights.
    pub validation: Option<Evaluation>,
    /// The test split, scored with the kept weights; its details are shown rather than those of `validation`.
    pub test: Option<Evaluation>,
    /// Wrong predictions, worst first; the first 20 are shown.
    pub errors: Vec<WorstError>,
    /// What a reader of `errors` must know, such as what colours over pictures mean.
    pub about_errors: Option<String>,
    /// What each split contains.
    pub splits: Vec<SplitCard>,
    /// Examples that could not be used.
    pub left_out: Vec<LeftOut>,
    /// Rows and groups that two splits share.
    pub leaks: Vec<Leak>,
    /// What was taken from the checkpoint.
    pub load: Option<LoadReport>,
    /// The resolved recipe, as TOML.
    pub recipe: String,
    /// How fast it went.
    pub speed: Option<TrainSummary>,
    /// Where it ran.
    pub environment: Option<Environment>,
}

impl ReportData {
    /// The split that details are about, test or else validation, by name.
    pub(super) fn detailed(&self) -> Option<(&'static str, &Evaluation)> {
        let test = self.test.as_ref().map(|evaluation| ("test", evaluation));
        test.or(self.validation.as_ref().map(|evaluation| ("validation", evaluation)))
    }

    /// What a metric is called.
    pub(super) fn metric_name(&self, key: &str) -> String {
        crate::metric::find(&self.metrics, key).map_or_else(|| key.replace('_', " "), |metric| metric.name.to_owned())
    }
}

/// One optimizer step.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
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

/// One wrong prediction.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WorstError {
    /// What the model said, and what is right.
    pub said: Said,
    /// How wrong it is, in the unit of the task; larger is worse.
    pub severity: f64,
    /// The input, by column.
    pub fields: Vec<(String, String)>,
    /// `file:line` of the example.
    pub place: String,
    /// A PNG of the example.
    pub picture: Option<Vec<u8>>,
    /// A WAV file of the example.
    pub sound: Option<Vec<u8>>,
    /// Pictures of the prediction and of what is right.
    pub pictures: Vec<Picture>,
}

/// What one split contains.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SplitCard {
    /// `train`, `validation` or `test`.
    pub name: String,
    /// The file it came from.
    pub file: String,
    /// Examples.
    pub rows: u64,
    /// Examples per class, or per type of whatever is looked for.
    pub classes: Vec<(String, u64)>,
    /// Input lengths or sizes.
    pub lengths: Option<Histogram>,
    /// What else is known, whatever the kind of data.
    pub facts: Vec<Fact>,
}

/// Something that is known about a split.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fact {
    /// What it is.
    pub name: String,
    /// Its value, as it should be shown.
    pub value: String,
    /// Whether it asks for attention.
    pub flagged: bool,
}

/// Examples of a split that could not be used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// The split they were read for.
    pub split: String,
    /// How many.
    pub count: u64,
    /// Place and reason of the first of them.
    pub first: Vec<String>,
}

/// Counts between edges.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Histogram {
    /// What is measured, for instance `tokens`.
    pub unit: String,
    /// Ascending edges, one more than there are counts.
    pub edges: Vec<f64>,
    /// Examples between `edges[i]` and `edges[i + 1]`.
    pub counts: Vec<u64>,
}

/// Where it ran.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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
    pub threads: u64,
}
