//! What a fine-tuned model must beat: the best guess that needs no model, and the same architecture from random weights
//! with the same budget. The gap to the second is what pretraining was worth.

use crate::evaluate::{Judging, Scored};
use crate::files::write_text;
use crate::method::FROM_SCRATCH_LEARNING_RATE;
use crate::metric::{Difference, Evaluation, Metric, paired_accuracy_difference};
use crate::observer::Observer;
use crate::session::{Session, Trained};
use crate::task::{Judged, Split};
use crate::train::Ended;
use crate::{Recipe, overfit};
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// Name of the untrained start.
pub const SCRATCH: &str = "random weights, same budget";

/// Baselines, scored on the split of the headline.
#[derive(Debug, Clone, Default)]
pub struct Baselines {
    /// By name, in the order they are shown.
    pub all: Vec<(String, Evaluation)>,
    /// Share of right answers, fine-tuned minus from scratch, on the same examples.
    pub difference: Option<Difference>,
    /// That random weights have learnt next to nothing, so that their gap to the model says little.
    pub remark: Option<String>,
}

/// How measuring ended.
pub(crate) enum Measured {
    /// All of them.
    Done(Baselines),
    /// Stopped by an observer at this step of the baseline.
    Interrupted(u64),
}

#[derive(Serialize, Deserialize)]
struct SavedBaseline {
    evaluation: Evaluation,
    #[serde(default)]
    judged: Vec<Judged>,
    /// The first loss in training and the last one.
    #[serde(default)]
    losses: Option<(f64, f64)>,
}

/// Of training whose loss has kept more than this share nothing was learnt.
const HARDLY_LESS: f64 = 0.95;

/// Measures them on `split`, of which the fine-tuned model reached `scored`.
pub(crate) fn measure(
    session: &Session<'_>,
    split: Split,
    scored: &Scored,
    observers: &mut [&mut dyn Observer],
) -> Result<Measured> {
    let guesses = session.work.guesses(split)?;
    let all = guesses.into_iter().map(|(name, evaluation)| (name.to_owned(), evaluation)).collect();
    let mut baselines = Baselines { all, ..Baselines::default() };
    if let Some((name, rival)) = session.work.rival() {
        // What starts from random weights itself has a learning rate that suits them.
        let mut recipe = session.recipe.clone();
        recipe.optimization.backbone_learning_rate = None;
        if !recipe.data.from_scratch {
            recipe = recipe.for_baseline();
            recipe.optimization.learning_rate.get_or_insert(FROM_SCRATCH_LEARNING_RATE);
        }
        let session = &Session { recipe: &recipe, work: rival.as_ref(), ..*session };
        match trained(session, split, ".rival", name, observers)? {
            Ok(saved) => baselines.all.push((name.to_owned(), saved.evaluation)),
            Err(step) => return Ok(Measured::Interrupted(step)),
        }
    }
    if !session.recipe.trains_baseline() {
        return Ok(Measured::Done(baselines));
    }
    let recipe = session.recipe.for_baseline();
    let session = &Session { recipe: &recipe, ..*session };
    let saved = match trained(session, split, ".baseline", "the same from random weights", observers)? {
        Ok(saved) => saved,
        Err(step) => return Ok(Measured::Interrupted(step)),
    };
    if session.work.paired().is_some() {
        let right = |judged: &[Judged]| judged.iter().map(|it| it.right).collect::<Option<Vec<bool>>>();
        if let (Some(ours), Some(theirs)) = (right(&scored.judged), right(&saved.judged)) {
            baselines.difference = paired_accuracy_difference(&ours, &theirs).ok();
        }
    }
    let metric = session.work.metrics().first().copied().context("a task has a metric")?;
    baselines.remark = unlearnt(metric, baselines.all.first(), &saved, rate(&recipe)?);
    baselines.all.push((SCRATCH.to_owned(), saved.evaluation));
    Ok(Measured::Done(baselines))
}

/// That random weights have learnt next to nothing: their loss hardly fell, or the `simplest` guess is as good.
fn unlearnt(
    metric: &Metric,
    simplest: Option<&(String, Evaluation)>,
    saved: &SavedBaseline,
    rate: f64,
) -> Option<String> {
    let better = |guess: &Evaluation| {
        let (own, theirs) = (saved.evaluation.value(metric.key)?.0, guess.value(metric.key)?.0);
        Some(metric.direction.gain(own, theirs) > 0.0)
    };
    let why = match (saved.losses, simplest) {
        (Some((first, last)), _) if last > HARDLY_LESS * first => {
            format!("their loss hardly fell, from {first:.3} to {last:.3}")
        }
        (_, Some((name, guess))) if better(guess) == Some(false) => format!("they are no better than {name}"),
        _ => return None,
    };
    Some(format!(
        "Random weights have learnt next to nothing at learning rate {rate:e} ({why}): the gap to them is what pretraining was \
         worth only if another --baseline-learning-rate does no better."
    ))
}

fn rate(recipe: &Recipe) -> Result<f64> {
    recipe.optimization.learning_rate.context("a resolved learning rate")
}

/// What is reached from random weights, or the step at which training was stopped. It has a run directory of its own, so that it
/// resumes like any other run, and which goes when its result is written. Its learning rate is its own too: the small steps
/// that keep pretrained weights would hold random ones back.
fn trained(
    session: &Session<'_>,
    split: Split,
    folder: &str,
    what: &str,
    observers: &mut [&mut dyn Observer],
) -> Result<Result<SavedBaseline, u64>> {
    let folder = session.recipe.run.output.join(folder);
    let result = folder.join("result.json");
    if let Ok(bytes) = std::fs::read(&result) {
        let saved =
            serde_json::from_slice(&bytes).with_context(|| format!("{} is damaged; delete it", result.display()))?;
        return Ok(Ok(saved));
    }
    std::fs::create_dir_all(folder.join("checkpoints"))?;
    let directory = session.directory(&folder)?;
    let loaded = session.load(true)?;
    let title = format!("baseline: {what}, learning rate {:e}", rate(session.recipe)?);
    let Trained { loaded, state, ended } = session.train(loaded, &directory, true, &title, false, observers)?;
    if ended == Ended::Interrupted {
        return Ok(Err(state.step));
    }
    let mut progress = |done, all| observers.iter_mut().for_each(|o| o.on_progress("test", done, all));
    let scratch = session.score(&loaded, split, Judging::only(&mut progress))?;
    let saved =
        SavedBaseline { evaluation: scratch.evaluation, judged: scratch.judged, losses: overfit::losses(&state) };
    write_text(&result, &serde_json::to_string(&saved)?)?;
    for part in ["checkpoints", "model"] {
        std::fs::remove_dir_all(folder.join(part)).with_context(|| format!("cannot remove {part}"))?;
    }
    Ok(Ok(saved))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::ACCURACY;

    #[test]
    fn random_weights_that_learnt_nothing_are_told() {
        let of = |accuracy: f64| Evaluation {
            metrics: [(ACCURACY.key.to_owned(), accuracy)].into(),
            ..Evaluation::default()
        };
        let saved = |accuracy, losses| SavedBaseline { evaluation: of(accuracy), judged: Vec::new(), losses };
        let majority = ("majority class".to_owned(), of(0.5));
        let told = |saved: &SavedBaseline| unlearnt(&ACCURACY, Some(&majority), saved, 5e-4);
        assert_eq!(told(&saved(0.7, Some((0.69, 0.4)))), None);
        assert_eq!(told(&saved(0.7, None)), None);
        assert!(
            told(&saved(0.7, Some((0.69, 0.68))))
                .unwrap()
                .contains("5e-4 (their loss hardly fell, from 0.690 to 0.680)")
        );
        assert!(told(&saved(0.5, Some((0.69, 0.4)))).unwrap().contains("no better than majority class"));
        assert_eq!(unlearnt(&ACCURACY, None, &saved(0.5, None), 5e-4), None);
    }
}
