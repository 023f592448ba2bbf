//! `retune finetune`: check everything, train, score, publish.

use crate::directory::RunDirectory;
use crate::error::{EngineError, InputContext};
use crate::evaluate::Scored;
use crate::files::write_text;
use crate::hardware::Hardware;
use crate::method::Method;
use crate::observer::Observer;
use crate::open::Found;
use crate::operating::{Operating, operate};
use crate::predict::answer;
use crate::report::Headline;
use crate::resume::check_same_recipe;
use crate::session::{Session, Trained};
use crate::summary::{Summary, TrainSummary, intervals};
use crate::task::{self, Splits, Task};
use crate::train::Ended;
use crate::watch::Watch;
use crate::{Recipe, baseline, open, report, report_data};
use anyhow::{Context, Result, anyhow};
use retune_data::{BadExample, Dataset, set_encoding_threads};
use retune_models::checkpoint::identity;
use retune_models::{CheckpointFolder, Source};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// How to treat a run directory that is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// Refuse it.
    New,
    /// Continue it.
    Resume,
    /// Replace it.
    Overwrite,
}

/// A finished run.
#[derive(Debug)]
pub struct Finished {
    /// What `metrics.json` holds.
    pub summary: Summary,
    /// The run directory.
    pub output: PathBuf,
    /// The result beside its baselines.
    pub headline: Option<Headline>,
    /// Things a person should know.
    pub notes: Vec<String>,
    /// Wall-clock seconds of everything.
    pub seconds: f64,
}

/// Runs a recipe.
pub fn finetune(recipe: &Recipe, start: Start, observers: &mut [&mut dyn Observer]) -> Result<Finished, EngineError> {
    let clock = Instant::now();
    recipe.validate().input()?;
    let method = Method::parse(&recipe.method).input()?;
    RunDirectory::check(&recipe.output, start).input()?;
    set_encoding_threads(recipe.threads);
    let watch = Watch::new(observers);
    let Found { folder: model, base } = open::resolve(&recipe.model, recipe.revision.as_deref(), &watch).input()?;
    let identity = identity(&model).input()?;
    if let Source::Adapter(base) = Source::of(&model).input()? {
        let error = anyhow!("{} is an adapter; fine-tune its base model `{base}` instead", model.display());
        return Err(EngineError::Input(error));
    }
    // What the weights' files claim is checked before texts or images are read; so is the device.
    if !recipe.from_scratch {
        CheckpointFolder::open(&model).input()?;
    }
    let (hardware, note) = Hardware::resolve(&recipe.device, &recipe.precision, recipe.threads).input()?;
    let (task, splits) = task::prepare(recipe, &model, &|what, done, all| watch.progress(what, done, all)).input()?;
    let observers = watch.into_inner();
    let mut notes: Vec<String> = Vec::new();
    let mut tell = |message: String, observers: &mut [&mut dyn Observer]| {
        observers.iter_mut().for_each(|o| o.on_message(&message));
        notes.push(message);
    };
    note.into_iter().chain(splits.notes.iter().cloned()).for_each(|note| tell(note, observers));
    let from_scratch_rate = Method::FROM_SCRATCH_LEARNING_RATE;
    let usual_rate = if recipe.from_scratch { from_scratch_rate } else { method.default_learning_rate() };
    let resolved = Recipe {
        learning_rate: Some(recipe.learning_rate.unwrap_or(usual_rate)),
        baseline_learning_rate: recipe
            .trains_baseline()
            .then(|| recipe.baseline_learning_rate.unwrap_or(from_scratch_rate)),
        precision: hardware.precision.name().to_owned(),
        device: hardware.device_name(),
        best_by: Some(recipe.best_by.clone().unwrap_or_else(|| task.default_metric().to_owned())),
        ..open::pinned(recipe, &base)
    };
    let session = Session {
        recipe: &resolved,
        model: &model,
        base: &base,
        identity,
        task: task.as_ref(),
        splits: &splits,
        hardware: &hardware,
    };

    // The last checks that need the model; after them, compute begins.
    let loaded = session.load(resolved.from_scratch).input()?;
    let directory = session.directory(&resolved.output).input()?;
    directory.check_space(&loaded, resolved.trains_baseline()).input()?;
    if start == Start::Resume {
        check_same_recipe(&resolved).input()?;
        directory.check_same_start(splits.fingerprint, identity).input()?;
    }
    RunDirectory::create(&resolved.output, start).input()?;
    write_text(&resolved.output.join("recipe.toml"), &resolved.to_toml()).input()?;
    write_left_out(&resolved.output.join("bad_examples.jsonl"), &splits).input()?;
    tell(format!("{}\n{}", resolved.model, loaded.report.summary()), observers);
    tell(session.describe(&loaded), observers);
    let load_report = loaded.report.clone();

    let Trained { loaded, state, ended } =
        session.train(loaded, &directory, start == Start::Resume, "fine-tuning", true, observers)?;
    if ended == Ended::Interrupted {
        return Err(EngineError::Interrupted { step: state.step, output: resolved.output.clone() });
    }
    let validation = session.score(&loaded, &splits.validation, "validation", observers)?;
    let test = splits.test.as_ref().map(|data| session.score(&loaded, data, "test", observers)).transpose()?;
    let point = operate(&resolved, session.task, &validation, test.as_ref());
    let counts = loaded.params.counts();
    // Before the baseline runs, so that memory and speed are those of this model.
    let train_summary = TrainSummary::new(&state, &hardware, counts);
    if let (Some(data), Some(scored)) = (&splits.test, &test) {
        let operating = point.as_ref().and_then(|point| Operating::of(&point.cut, session.task));
        let path = resolved.output.join("predictions.jsonl");
        write_predictions(&path, session.task, operating.as_ref(), data.as_ref(), scored)?;
    }
    let baselines = baseline::measure(&session, test.as_ref().unwrap_or(&validation), observers)?;
    let baselines = match baselines {
        baseline::Measured::Done(baselines) => baselines,
        baseline::Measured::Interrupted(step) => {
            return Err(EngineError::Interrupted { step, output: resolved.output.clone() });
        }
    };
    let summary = Summary {
        task: resolved.task.clone(),
        method: resolved.method.clone(),
        best: state.best.clone(),
        validation: Some(validation.evaluation.metrics.clone()),
        test: test.as_ref().map(|scored| scored.evaluation.metrics.clone()),
        intervals: intervals(&validation.evaluation, test.as_ref().map(|scored| &scored.evaluation)),
        baselines: baselines.all.iter().map(|(name, e)| (name.clone(), e.metrics.clone())).collect(),
        operating_point: point,
        train: train_summary,
    };
    // The figures first: nothing about the report may cost them.
    let json = serde_json::to_string_pretty(&summary).context("the summary is plain data")?;
    write_text(&resolved.output.join("metrics.json"), &(json + "\n"))?;
    let mut missing = Vec::new();
    let sources = report_data::Sources {
        session: &session,
        model: loaded.model.as_ref(),
        state: &state,
        load: &load_report,
        summary: &summary,
        validation: &validation,
        test: test.as_ref(),
        baselines: &baselines,
    };
    let data = report_data::collect(&sources, &mut missing)?;
    missing.into_iter().for_each(|note| tell(note, observers));
    write_text(&resolved.output.join("report.html"), &report::render(&data))?;
    Ok(Finished {
        summary,
        output: resolved.output.clone(),
        headline: data.headline,
        notes,
        seconds: clock.elapsed().as_secs_f64(),
    })
}

/// Examples that cannot be used, if there are any: one JSON object a line. A list of an earlier run goes.
fn write_left_out(path: &Path, splits: &Splits) -> Result<()> {
    if splits.left_out.is_empty() {
        return match std::fs::remove_file(path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("cannot remove {}", path.display()))
            }
            _ => Ok(()),
        };
    }
    let line = |(split, bad): &(&str, BadExample)| {
        let line = (bad.line > 0).then_some(bad.line);
        json!({"split": split, "path": bad.place, "line": line, "reason": bad.reason}).to_string() + "\n"
    };
    write_text(path, &splits.left_out.iter().map(line).collect::<String>())
}

fn write_predictions(
    path: &Path,
    task: &dyn Task,
    operating: Option<&Operating>,
    data: &dyn Dataset,
    scored: &Scored,
) -> Result<()> {
    let mut text = String::new();
    for (row, prediction) in scored.predictions.iter().enumerate() {
        text.push_str(&answer(task, operating, data, row, prediction)?);
        text.push('\n');
    }
    write_text(path, &text)
}
