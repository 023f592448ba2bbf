//! The loop: lr → micro-steps → clip → step → observe → evaluate → save → stop.
//!
//! It does not know which modality it trains, which method, or who watches. Schedules, shuffles and dropout masks are
//! pure functions of the step, so a resumed run computes exactly what the uninterrupted one would have.

use crate::directory::{Progress, RunDirectory, RunState};
use crate::evaluate::{Judging, Predictor, Scored};
use crate::hardware;
use crate::metric::Metric;
use crate::observer::{Control, Observer, RunFacts};
use crate::overfit;
use crate::plan::Plan;
use crate::step::{Trainer, UnderWay, at_step};
use crate::task::Split;
use anyhow::{Result, bail};
use retune_data::{Dataset, Loader};
use retune_kernels::{Lanes, Schedule};
use retune_models::LoadedModel;
use std::sync::Arc;
use std::time::Instant;

/// What the loop needs beside the trainer.
pub struct Loop<'a> {
    /// Sizes in steps.
    pub plan: Plan,
    /// Learning rate by step.
    pub schedule: Schedule,
    /// Training rows.
    pub train: Arc<dyn Dataset>,
    /// Validation rows.
    pub validation: Arc<dyn Dataset>,
    /// Metric that picks the best checkpoint.
    pub chooses: &'static Metric,
    /// Keys of all metrics, the more telling ones first.
    pub metrics: Vec<&'static str>,
    /// Evaluations without improvement before stopping; 0 = never.
    pub patience: usize,
    /// Whether it is enough that the loss of an evaluation is nearly nothing.
    pub overfits: bool,
    /// Batch size of evaluations.
    pub evaluation_batch_size: usize,
    /// What evaluations run in.
    pub lanes: &'a Lanes,
    /// Where checkpoints go.
    pub directory: &'a RunDirectory,
    /// What a checkpoint contains beside the optimizer.
    pub loaded: &'a LoadedModel,
    /// Title for observers.
    pub title: &'a str,
}

/// How the loop ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Ended {
    /// All steps done, or patience spent.
    Finished,
    /// An observer asked to stop; a checkpoint was written.
    Interrupted,
}

/// Trains from `state.step` to the end.
pub fn train(
    it: &Loop<'_>,
    trainer: &mut Trainer<'_>,
    state: &mut RunState,
    observers: &mut [&mut dyn Observer],
) -> Result<Ended> {
    let total = it.plan.total_steps;
    let facts = RunFacts {
        title: it.title.to_owned(),
        total_steps: total,
        first_step: state.step,
        steps_per_epoch: it.plan.steps_per_epoch,
        metrics: it.metrics.clone(),
    };
    observers.iter_mut().try_for_each(|o| o.on_start(&facts))?;
    let micro_batches = it.plan.micro_batches(Arc::clone(&it.train), state.step);
    let (threads, ahead) = hardware::loaders(it.train.as_ref(), trainer.device);
    let mut loader = Loader::new(Arc::clone(&it.train), micro_batches, threads, ahead);
    let is_over = |state: &RunState| state.is_over(it.patience) || (it.overfits && overfit::is_learnt(state));
    let mut stopping = is_over(state);
    let mut advice = None;

    // At most one: while a GPU computes it, the host prepares the next.
    let mut under_way: Option<UnderWay> = None;
    let mut since = Instant::now();
    while state.step < total && !stopping {
        if under_way.is_none() {
            since = Instant::now();
        }
        let learning_rate = it.schedule.at(state.step);
        let window = loader.by_ref().take(it.plan.window(state.step)).collect::<Result<Vec<_>, _>>()?;
        let begun = at_step(trainer.begin(state.step, window, learning_rate), state.step, total)?;
        state.step += 1;
        let mut interrupted = false;
        if let Some(before) = under_way.replace(begun) {
            interrupted |= look(it, trainer, state, observers, &before, &mut since)?;
        }
        // A checkpoint holds finished steps.
        let now = it.plan.evaluates_at(state.step) || state.step == total || interrupted;
        if let Some(finished) = under_way.take_if(|it| now || it.is_there().unwrap_or(true)) {
            interrupted |= look(it, trainer, state, observers, &finished, &mut since)?;
        }

        // What is evaluated and saved are the averages of the weights, where there are any.
        let leaves = it.plan.evaluates_at(state.step) || interrupted;
        if leaves {
            trainer.exchange()?;
            trainer.work.renew(trainer.network, trainer.device, it.lanes)?;
        }
        if it.plan.evaluates_at(state.step) {
            let scored = at_step(score(it, trainer, observers), state.step - 1, total)?;
            let value = scored.value(it.chooses.key);
            let improved = state.record(it.chooses.key, value, it.chooses.direction, &scored);
            if value.is_none() {
                let note = scored.undefined(it.chooses.key);
                observers.iter_mut().for_each(|o| o.on_message(&note));
            }
            // Logged first: a crash before the save repeats both, one after it has both.
            for observer in observers.iter_mut() {
                interrupted |= observer.on_evaluation(state.step, &scored, improved)? == Control::Stop;
            }
            // Told when it begins to be true, not again at each evaluation.
            let now = scored.evaluation.advice.clone();
            if let Some(now) = now.as_ref().filter(|now| advice.as_ref() != Some(*now)) {
                observers.iter_mut().for_each(|o| o.on_message(now));
            }
            advice = now;
            it.directory.save(state, it.loaded, progress(trainer), improved)?;
            stopping = is_over(state);
        } else if interrupted {
            it.directory.save(state, it.loaded, progress(trainer), false)?;
        }
        if leaves {
            trainer.exchange()?;
        }
        // Also after the last step: whoever asks to stop does not want to wait for scores and baselines.
        if interrupted {
            observers.iter_mut().try_for_each(|o| o.on_end())?;
            return Ok(Ended::Interrupted);
        }
    }
    observers.iter_mut().try_for_each(|o| o.on_end())?;
    Ok(Ended::Finished)
}

/// What a checkpoint holds beside the model.
fn progress<'a>(trainer: &'a Trainer<'_>) -> Progress<'a> {
    Progress { optimizer: &trainer.optimizer, average: trainer.average.as_ref() }
}

/// Waits for a step, adds it up and shows it; whether an observer asks to stop.
fn look(
    it: &Loop<'_>,
    trainer: &Trainer<'_>,
    state: &mut RunState,
    observers: &mut [&mut dyn Observer],
    step: &UnderWay,
    since: &mut Instant,
) -> Result<bool> {
    let mut report = at_step(trainer.finish(step), step.number(), it.plan.total_steps)?;
    report.epoch = report.step as f64 / it.plan.steps_per_epoch as f64;
    report.seconds = since.elapsed().as_secs_f64();
    *since = Instant::now();
    state.totals.add(&report);
    let mut stop = false;
    for observer in observers.iter_mut() {
        stop |= observer.on_step(&report)? == Control::Stop;
    }
    Ok(stop)
}

fn score(it: &Loop<'_>, trainer: &Trainer<'_>, observers: &mut [&mut dyn Observer]) -> Result<Scored> {
    let mut progress = |done: usize, of: usize| {
        observers.iter_mut().for_each(|o| o.on_progress("validation", done, of));
    };
    let Trainer { network, work, device, .. } = *trainer;
    let with = Predictor { network, batch_size: it.evaluation_batch_size, device, lanes: it.lanes };
    let scored = work.score(Split::Validation, &it.validation, &with, Judging::only(&mut progress))?;
    if let Some(bad) = scored.loss.filter(|loss| !loss.is_finite()) {
        bail!("the validation loss is not finite ({bad}): the weights have diverged; try a lower learning rate");
    }
    Ok(scored)
}
