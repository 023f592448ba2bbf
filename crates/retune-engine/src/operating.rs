//! The threshold of a run: chosen on its validation split, kept in `metrics.json`, applied wherever its model is used.

use crate::Recipe;
use crate::evaluate::Scored;
use crate::metric::operating_point::{Cut, Operated, OperatingPoint};
use crate::metric::{Curve, Evaluation};
use crate::task::{Prediction, Task};
use anyhow::{Context, Result};
use serde::Deserialize;
use std::path::Path;

/// Chooses the threshold that the recipe asks for on the validation split and applies it to the test split.
pub(crate) fn operate(
    recipe: &Recipe,
    task: &dyn Task,
    validation: &Scored,
    test: Option<&Scored>,
) -> Option<OperatingPoint> {
    let (rule, curve) = (recipe.operating_point?, validation.evaluation.curve.as_ref()?);
    let (names, _) = task.head()?;
    let cut = Cut { positive_class: names.get(curve.positive)?.clone(), rule, threshold: curve.choose(rule) };
    let at = |curve: &Curve| curve.at(cut.threshold);
    let test = test.and_then(|scored| scored.evaluation.curve.as_ref()).map(at);
    Some(OperatingPoint { validation: at(curve), test, cut })
}

/// The threshold that a run keeps beside its model.
pub(crate) fn saved(run: &Path) -> Result<Option<Cut>> {
    let path = run.join("metrics.json");
    if !path.is_file() {
        return Ok(None);
    }
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let kept: Kept =
        serde_json::from_str(&text).with_context(|| format!("{} is not what a run leaves", path.display()))?;
    Ok(kept.operating_point.map(|point| point.cut))
}

/// What of `metrics.json` is needed here.
#[derive(Deserialize)]
struct Kept {
    operating_point: Option<OperatingPoint>,
}

/// A threshold at work on predictions.
#[derive(Debug, Clone)]
pub(crate) struct Operating {
    cut: Cut,
    class: usize,
}

impl Operating {
    /// For a task that knows the class.
    pub(crate) fn of(cut: &Cut, task: &dyn Task) -> Option<Self> {
        let (names, _) = task.head()?;
        let class = names.iter().position(|name| *name == cut.positive_class)?;
        Some(Self { cut: cut.clone(), class })
    }

    /// Whether a prediction reaches the threshold.
    pub(crate) fn is_positive(&self, prediction: &Prediction) -> bool {
        prediction.scores.get(self.class).is_some_and(|score| *score >= self.cut.threshold)
    }

    /// What the threshold does on rows that were scored.
    pub(crate) fn on(&self, evaluation: &Evaluation) -> Option<Operated> {
        let curve = evaluation.curve.as_ref()?;
        Some(Operated { cut: self.cut.clone(), found: curve.at(self.cut.threshold) })
    }
}
