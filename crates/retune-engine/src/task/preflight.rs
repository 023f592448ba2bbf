//! Whether the validation split can decide what the recipe asks of it, before any compute is spent.

use super::Task;
use crate::Recipe;
use crate::metric::operating_point::Rule;
use crate::metric::{Evaluation, LOSS};
use anyhow::{Result, bail, ensure};
use retune_data::Described;

/// Checks `best-by` and `operating-point`.
pub(super) fn check(recipe: &Recipe, task: &dyn Task, validation: &dyn Described) -> Result<()> {
    if recipe.best_by.is_none() && recipe.operating_point.is_none() {
        return Ok(());
    }
    if let Some(metric) = &recipe.best_by {
        let known = keys(task);
        ensure!(
            known.contains(&metric.as_str()),
            "best-by: `{metric}` is not a metric of this task; choose one of {}",
            known.join(", ")
        );
    }
    let Some(ideal) = task.ideal(validation)? else { return Ok(()) };
    if let Some(metric) = recipe.best_by.as_deref().filter(|metric| *metric != LOSS.key) {
        check_metric(metric, task, &ideal)?;
    }
    recipe.operating_point.map_or(Ok(()), |rule| check_rule(rule, &ideal))
}

/// What can decide, by name.
fn keys(task: &dyn Task) -> Vec<&'static str> {
    let mut keys: Vec<&str> = task.metrics().iter().map(|metric| metric.key).collect();
    keys.sort_unstable();
    keys
}

fn check_metric(metric: &str, task: &dyn Task, ideal: &Evaluation) -> Result<()> {
    if ideal.metrics.contains_key(metric) {
        return Ok(());
    }
    let why = ideal.notes.iter().find(|note| note.starts_with(metric));
    let why = why.map_or_else(|| ideal.notes.join("; "), Clone::clone);
    let defined = keys(task).into_iter().filter(|key| *key == LOSS.key || ideal.metrics.contains_key(*key));
    bail!(
        "best-by: the validation split cannot decide by {metric}: {why}; give validation data that can, or choose one of {}",
        defined.collect::<Vec<_>>().join(", ")
    )
}

fn check_rule(rule: Rule, ideal: &Evaluation) -> Result<()> {
    let (positives, negatives) = ideal.curve.as_ref().map_or((0, 0), |curve| curve.totals());
    let missing = match rule {
        Rule::Specificity(_) | Rule::Sensitivity(_) if positives == 0 => "a row of the positive class",
        Rule::Specificity(_) | Rule::Sensitivity(_) if negatives == 0 => "a row of another class",
        _ => return Ok(()),
    };
    bail!("operating-point: {rule} cannot be chosen: the validation split lacks {missing}")
}
