//! Whether the validation split can decide what the recipe asks of it, before any compute is spent.

use super::{Split, Work};
use crate::Recipe;
use crate::metric::Evaluation;
use anyhow::{Result, bail, ensure};

/// Checks `best-by`, and what the task's own settings leave to the validation split.
pub(crate) fn check(recipe: &Recipe, work: &dyn Work) -> Result<()> {
    let metric = recipe.optimization.best_by.as_deref();
    if let Some(metric) = metric {
        let mut known: Vec<&str> = work.metrics().iter().map(|metric| metric.key).chain(["loss"]).collect();
        known.sort_unstable();
        ensure!(
            known.contains(&metric),
            "best-by: `{metric}` is not a metric of this task; choose one of {}",
            known.join(", ")
        );
    }
    if metric.is_none() && !work.decides() {
        return Ok(());
    }
    let Some(ideal) = work.ideal(Split::Validation)? else { return Ok(()) };
    if let Some(metric) = metric.filter(|metric| *metric != "loss") {
        check_metric(metric, work, &ideal)?;
    }
    if work.decides() { work.check_validation(&ideal) } else { Ok(()) }
}

fn check_metric(metric: &str, work: &dyn Work, ideal: &Evaluation) -> Result<()> {
    if ideal.metrics.contains_key(metric) {
        return Ok(());
    }
    let why = ideal.notes.iter().find(|note| note.starts_with(metric));
    let why = why.map_or_else(|| ideal.notes.join("; "), Clone::clone);
    let mut defined: Vec<&str> =
        work.metrics().iter().map(|metric| metric.key).filter(|key| ideal.metrics.contains_key(*key)).collect();
    defined.push("loss");
    defined.sort_unstable();
    bail!(
        "best-by: the validation split cannot decide by {metric}: {why}; give validation data that can, or choose one of {}",
        defined.join(", ")
    )
}
