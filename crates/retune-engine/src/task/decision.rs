//! What a task chooses on the validation split after training, and keeps with the model: a threshold, for one.

use anyhow::{Context, Result};
use serde_json::{Map, Value};
use std::path::Path;

/// A choice, as `metrics.json` keeps it under its key.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// The key of `metrics.json`, and of the detail of an evaluation that shows what the choice does there.
    pub key: &'static str,
    /// What was chosen.
    pub chosen: Map<String, Value>,
}

impl Decision {
    /// What a run decided that left `metrics.json`; `None` where it decided nothing of that name.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn of_run(run: &Path, key: &'static str) -> Result<Option<Self>> {
        let path = run.join("metrics.json");
        if !path.is_file() {
            return Ok(None);
        }
        let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let kept: Value =
            serde_json::from_str(&text).with_context(|| format!("{} is not what a run leaves", path.display()))?;
        Ok(kept.get(key).and_then(Value::as_object).map(|chosen| Self { key, chosen: chosen.clone() }))
    }

    /// The threshold that was chosen.
    ///
    /// # Errors
    /// Something else was.
    pub fn threshold(&self) -> Result<f64> {
        let threshold = self.chosen.get("threshold").and_then(Value::as_f64);
        threshold.with_context(|| format!("`{}` of metrics.json has no threshold", self.key))
    }

    /// As `metrics.json` has it: what was chosen, and what it does on each split that was scored with it, as `(split,
    /// what the detail of that split's evaluation holds)`.
    pub fn with_splits<'a>(&self, splits: impl IntoIterator<Item = (&'static str, &'a Value)>) -> Value {
        let mut all = self.chosen.clone();
        for (split, found) in splits {
            let mut found = found.as_object().cloned().unwrap_or_default();
            found.retain(|key, _| !self.chosen.contains_key(key));
            all.insert(split.to_owned(), Value::Object(found));
        }
        Value::Object(all)
    }
}
