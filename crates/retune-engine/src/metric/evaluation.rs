//! The result of evaluating one split: numbers, their intervals and the tables behind them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::operating_point::{Curve, Operated};

/// Metric values by key; an undefined metric is absent, never NaN.
pub type Metrics = BTreeMap<String, f64>;

/// Everything one pass over a split has to say.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Evaluation {
    /// Metric values by key.
    pub metrics: Metrics,
    /// 95 % intervals `(low, high)` by key, for the metrics that have one.
    pub intervals: BTreeMap<String, (f64, f64)>,
    /// Labelled examples that were scored.
    pub examples: usize,
    /// Gold classes (rows) against predicted ones (columns).
    pub confusion: Option<Confusion>,
    /// One row per class or label.
    pub per_class: Vec<ClassRow>,
    /// Regression with several outputs: one row per output.
    pub per_output: Vec<OutputRow>,
    /// Reliability of the predicted confidence, in equal-width bins; empty bins included.
    pub calibration: Vec<CalibrationBin>,
    /// Regression: up to 2000 pairs `(gold, predicted)`, evenly spread over the split.
    pub scatter: Vec<(f32, f32)>,
    /// What thresholds on the probability of the positive class do, where there is one; not written down.
    #[serde(skip)]
    pub curve: Option<Curve>,
    /// What the threshold of the run does on these rows, where it has one.
    pub operating_point: Option<Operated>,
    /// Metrics that are undefined or approximate here, and why.
    pub notes: Vec<String>,
}

/// A confusion matrix.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confusion {
    /// Class names, in index order.
    pub names: Vec<String>,
    /// `counts[gold][predicted]`.
    pub counts: Vec<Vec<u64>>,
}

/// How well one class is found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ClassRow {
    /// The class.
    pub name: String,
    /// Examples whose gold label is this class.
    pub support: u64,
    /// Share of the predictions of this class that are right (0 when there is none).
    pub precision: f64,
    /// Share of the examples of this class that are found (0 when there is none).
    pub recall: f64,
    /// Harmonic mean of precision and recall.
    pub f1: f64,
}

impl ClassRow {
    /// The row of a class found `hits` times among `support` gold and `predicted` predicted ones.
    pub(super) fn new(name: &str, hits: u64, support: u64, predicted: u64) -> Self {
        Self {
            name: name.to_owned(),
            support,
            precision: share(hits, predicted),
            recall: share(hits, support),
            f1: share(2 * hits, support + predicted),
        }
    }
}

/// How well one of several numbers is predicted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct OutputRow {
    /// The output.
    pub name: String,
    /// The metrics of regression, for this output alone.
    pub metrics: Metrics,
}

/// One bin `(low, high]` of a reliability diagram.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CalibrationBin {
    /// Lower edge of the confidence, exclusive (the first bin includes 0).
    pub low: f64,
    /// Upper edge, inclusive.
    pub high: f64,
    /// Predictions in the bin.
    pub count: u64,
    /// Their mean confidence; 0 when the bin is empty.
    pub confidence: f64,
    /// The share of them that is right; 0 when the bin is empty.
    pub accuracy: f64,
}

/// `part / whole`, and 0 when there is no whole (scikit-learn's `zero_division=0`).
pub(super) fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}
