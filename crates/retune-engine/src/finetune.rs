//! `retune finetune`: check everything, train, score, publish.

use crate::directory::RunDirectory;
use crate::error::{EngineError, InputContext};
use crate::evaluate::Scored;
use crate::files::write_text;
use crate::hardware::Hardware;
use crate::method::Method;
use crate::observer::Observer;
use crate::predict::answer;
use crate::report::Headline;
use crate::resume::check_same_recipe;
use crate::session::{Session, Trained};
use crate::summary::{Summary, TrainSummary, intervals};
use crate::task::{self, Task};
use crate::train::Ended;
use crate::watch::Watch;
use crate::{Recipe, baseline, open, report, report_data};
use anyhow::{Context, Result, anyhow};
use retune_data::Dataset;
use retune_models::Source;
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
    let watch = Watch::new(observers);
    let model = open::resolve(&recipe.model, recipe.revision.as_deref(), &watch).input()?;
    if let Source::Adapter(base) = Source::of(&model).input()? {
        let error = anyhow!("{} is an adapter; fine-tune its base model `{base}` instead", model.display());
        return Err(EngineError::Input(error));
    }
    let (task, splits) = task::prepare(recipe, &model, &|what, done, all| watch.progress(what, done, all)).input()?;
    let (hardware, note) = Hardware::resolve(&recipe.device, &recipe.precision, recipe.threads).input()?;
    let observers = watch.into_inner();
    let mut notes: Vec<String> = Vec::new();
    let mut tell = |message: String, observers: &mut [&mut dyn Observer]| {
        observers.iter_mut().for_each(|o| o.on_message(&message));
        notes.push(message);
    };
    note.into_iter().chain(splits.notes.iter().cloned()).for_each(|note| tell(note, observers));
    let resolved = Recipe {
        learning_rate: Some(recipe.learning_rate.unwrap_or_else(|| method.default_learning_rate())),
        precision: hardware.precision.name().to_owned(),
        device: hardware.device_name(),
        best_by: Some(recipe.best_by.clone().unwrap_or_else(|| task.default_metric().to_owned())),
        ..recipe.clone()
    };
    let session = Session { recipe: &resolved, model: &model, task: task.as_ref(), splits: &splits, hardware };

    // The last checks that need the model; after them, compute begins.
    let loaded = session.load(resolved.from_scratch).input()?;
    let directory = session.directory(&resolved.output).input()?;
    directory.check_space(&loaded).input()?;
    if start == Start::Resume {
        check_same_recipe(&resolved).input()?;
        directory.check_same_data(splits.fingerprint).input()?;
    }
    RunDirectory::create(&resolved.output, start).input()?;
    write_text(&resolved.output.join("recipe.toml"), &resolved.to_toml()).input()?;
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
    let counts = loaded.params.counts();
    // Before the baseline runs, so that memory and speed are those of this model.
    let train_summary = TrainSummary::new(&state, &hardware, counts);
    if let (Some(data), Some(scored)) = (&splits.test, &test) {
        write_predictions(&resolved.output.join("predictions.jsonl"), session.task, data.as_ref(), scored)?;
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
        train: train_summary,
    };
    let data = report_data::collect(&report_data::Sources {
        session: &session,
        model: loaded.model.as_ref(),
        state: &state,
        load: &load_report,
        summary: &summary,
        validation: &validation,
        test: test.as_ref(),
        baselines: &baselines,
    })?;
    write_text(&resolved.output.join("report.html"), &report::render(&data))?;
    let json = serde_json::to_string_pretty(&summary).context("the summary is plain data")?;
    write_text(&resolved.output.join("metrics.json"), &(json + "\n"))?;
    Ok(Finished {
        summary,
        output: resolved.output.clone(),
        headline: data.headline,
        notes,
        seconds: clock.elapsed().as_secs_f64(),
    })
}

fn write_predictions(path: &Path, task: &dyn Task, data: &dyn Dataset, scored: &Scored) -> Result<()> {
    let mut text = String::new();
    for (row, prediction) in scored.predictions.iter().enumerate() {
        text.push_str(&answer(task, data, row, prediction)?);
        text.push('\n');
    }
    write_text(path, &text)
}
