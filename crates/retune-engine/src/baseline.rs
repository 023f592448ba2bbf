//! What a fine-tuned model must beat: the best constant guess, and the same architecture from random weights with the
//! same budget. The gap to the second is what pretraining was worth.

use crate::Recipe;
use crate::evaluate::Scored;
use crate::files::write_text;
use crate::metric::{Difference, Evaluation, paired_accuracy_difference};
use crate::observer::Observer;
use crate::session::{Session, Trained};
use crate::train::Ended;
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// Name of the constant guess where labels are known.
pub const MAJORITY: &str = "majority class";
/// Name of the untrained start.
pub const SCRATCH: &str = "random weights, same budget";

/// Baselines, scored on the split of the headline.
#[derive(Debug, Clone, Default)]
pub struct Baselines {
    /// By name, in the order they are shown.
    pub all: Vec<(String, Evaluation)>,
    /// Fine-tuned minus from-scratch accuracy on the same rows.
    pub difference: Option<Difference>,
}

/// How measuring ended.
pub(crate) enum Measured {
    /// All of them.
    Done(Baselines),
    /// Stopped by an observer at this step of the baseline.
    Interrupted(u64),
}

#[derive(Serialize, Deserialize)]
struct Saved {
    evaluation: Evaluation,
    severities: Vec<f64>,
}

pub(crate) fn measure(session: &Session<'_>, scored: &Scored, observers: &mut [&mut dyn Observer]) -> Result<Measured> {
    let splits = session.splits;
    let data = splits.test.as_ref().unwrap_or(&splits.validation);
    let (name, majority) = session.task.majority(splits.train.as_ref(), data.as_ref())?;
    let mut baselines = Baselines { all: vec![(name.to_owned(), majority)], difference: None };
    if !session.recipe.trains_baseline() {
        return Ok(Measured::Done(baselines));
    }
    // A run directory of its own, so that it resumes like any other run; it goes when its result is written. Its learning
    // rate is its own too: the small steps that keep pretrained weights would hold random ones back.
    let folder = session.recipe.output.join(".baseline");
    let recipe =
        Recipe { learning_rate: session.recipe.baseline_learning_rate, keep_checkpoints: 1, ..session.recipe.clone() };
    let session = &Session { recipe: &recipe, ..*session };
    let result = folder.join("result.json");
    let saved: Saved = match std::fs::read(&result) {
        Ok(bytes) => {
            serde_json::from_slice(&bytes).with_context(|| format!("{} is damaged; delete it", result.display()))?
        }
        Err(_) => {
            std::fs::create_dir_all(folder.join("checkpoints"))?;
            let directory = session.directory(&folder)?;
            let loaded = session.load(true)?;
            let rate = recipe.learning_rate.context("a resolved learning rate")?;
            let title = format!("baseline: the same from random weights, learning rate {rate:e}");
            let Trained { loaded, state, ended } = session.train(loaded, &directory, true, &title, false, observers)?;
            if ended == Ended::Interrupted {
                return Ok(Measured::Interrupted(state.step));
            }
            let scratch = session.score(&loaded, data, "test", observers)?;
            let severities = session.task.severities(data.as_ref(), &scratch.predictions)?;
            let saved = Saved { evaluation: scratch.evaluation, severities };
            write_text(&result, &serde_json::to_string(&saved)?)?;
            for part in ["checkpoints", "model"] {
                std::fs::remove_dir_all(folder.join(part)).with_context(|| format!("cannot remove {part}"))?;
            }
            saved
        }
    };
    if saved.evaluation.metrics.contains_key("accuracy") {
        let right = |severities: &[f64]| severities.iter().map(|&s| s == 0.0).collect::<Vec<_>>();
        let ours = session.task.severities(data.as_ref(), &scored.predictions)?;
        baselines.difference = paired_accuracy_difference(&right(&ours), &right(&saved.severities)).ok();
    }
    baselines.all.push((SCRATCH.to_owned(), saved.evaluation));
    Ok(Measured::Done(baselines))
}
