//! The result of evaluating one split: numbers, their intervals and what stands behind them.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;

use super::detail::Detail;

/// Metric values by key; an undefined metric is absent, never NaN.
pub type Metrics = BTreeMap<String, f64>;

/// Intervals `(low, high)` by metric key.
pub type Intervals = BTreeMap<String, (f64, f64)>;

/// Everything one pass over a split has to say. In JSON each detail stands under its own key.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(from = "Read")]
pub struct Evaluation {
    /// Metric values by key.
    pub metrics: Metrics,
    /// 95 % intervals by key, for the metrics that have one.
    pub intervals: Intervals,
    /// Labelled examples that were scored.
    pub examples: usize,
    /// Metrics that are undefined or approximate here, and why.
    pub notes: Vec<String>,
    /// What stands behind the numbers, in the order in which it is shown.
    pub details: Vec<Detail>,
    /// What goes wrong, and what to do about it: while a model is trained, it is told at once. A note says it, too.
    pub advice: Option<String>,
}

impl Evaluation {
    /// The detail of a key.
    pub fn detail(&self, key: &str) -> Option<&Detail> {
        self.details.iter().find(|detail| detail.key == key)
    }

    /// The value of a detail as the type that it was made from; `None` where there is none.
    pub fn read<T: DeserializeOwned>(&self, key: &str) -> Option<T> {
        T::deserialize(&self.detail(key)?.value).ok()
    }

    /// What was decided on another split and is applied here, in words.
    pub fn decided(&self) -> impl Iterator<Item = String> + '_ {
        self.details.iter().filter(|detail| detail.decided).flat_map(Detail::words)
    }

    /// The value of a metric, and its interval.
    pub fn value(&self, key: &str) -> Option<(f64, Option<(f64, f64)>)> {
        Some((*self.metrics.get(key)?, self.intervals.get(key).copied()))
    }
}

impl Serialize for Evaluation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("metrics", &self.metrics)?;
        map.serialize_entry("intervals", &self.intervals)?;
        map.serialize_entry("examples", &self.examples)?;
        for detail in self.details.iter().filter(|detail| !detail.value.is_null()) {
            map.serialize_entry(&detail.key, &detail.value)?;
        }
        if !self.notes.is_empty() {
            map.serialize_entry("notes", &self.notes)?;
        }
        map.end()
    }
}

/// An evaluation as JSON has it.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Read {
    metrics: Metrics,
    intervals: Intervals,
    examples: usize,
    notes: Vec<String>,
    #[serde(flatten)]
    details: serde_json::Map<String, Value>,
}

impl From<Read> for Evaluation {
    fn from(read: Read) -> Self {
        // Earlier versions wrote null or an empty list for what an evaluation does not have.
        let there = |value: &Value| !value.is_null() && value.as_array().is_none_or(|items| !items.is_empty());
        let details = read.details.into_iter().filter(|(_, value)| there(value));
        Self {
            metrics: read.metrics,
            intervals: read.intervals,
            examples: read.examples,
            notes: read.notes,
            details: details.map(|(key, value)| Detail { key, value, ..Detail::default() }).collect(),
            advice: None,
        }
    }
}

/// `part / whole`, and 0 when there is no whole (scikit-learn's `zero_division=0`).
pub(super) fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}
