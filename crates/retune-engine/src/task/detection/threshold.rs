//! The score from which boxes are answered: given, or chosen on the validation split and kept with the model.

use crate::metric::detection::KEY;
use crate::task::Decision;
use anyhow::Result;
use serde_json::{Map, json};
use std::sync::{Arc, OnceLock};

/// Where nothing is given or chosen.
const USUAL: f64 = 0.5;

/// A threshold.
#[derive(Debug, Clone, Default)]
pub(super) struct Threshold {
    given: Option<f64>,
    chosen: Arc<OnceLock<f64>>,
}

impl Threshold {
    pub(super) fn new(given: Option<f64>) -> Self {
        Self { given, chosen: Arc::default() }
    }

    /// The one in use.
    pub(super) fn value(&self) -> f64 {
        self.given.or_else(|| self.chosen.get().copied()).unwrap_or(USUAL)
    }

    /// Whether it was chosen on a validation split.
    pub(super) fn chosen(&self) -> bool {
        self.given.is_none() && self.chosen.get().is_some()
    }

    /// Whether it is to be chosen.
    pub(super) fn decides(&self) -> bool {
        self.given.is_none()
    }

    pub(super) fn decision(threshold: f64) -> Decision {
        Decision { key: KEY, chosen: Map::from_iter([("threshold".to_owned(), json!(threshold))]) }
    }

    /// Goes on with what was chosen before; the first choice stands.
    pub(super) fn adopt(&self, decision: &Decision) -> Result<()> {
        let threshold = decision.threshold()?;
        self.chosen.get_or_init(|| threshold);
        Ok(())
    }
}
