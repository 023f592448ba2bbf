//! `retune finetune`: check everything, train, score, publish.

use crate::directory::{RunDirectory, Start};
use crate::error::{EngineError, InputContext};
use crate::evaluate::{Judging, Scored};
use crate::files::{Draft, files_beside, write_text};
use crate::hardware::Hardware;
use crate::initial::InitialModel;
use crate::method;
use crate::observer::Observer;
use crate::open;
use crate::plan::Plan;
use crate::report::{self, Headline};
use crate::resume::check_same_recipe;
use crate::session::{Session, Trained};
use crate::summary::{Summary, TrainSummary, intervals};
use crate::task::{self, About, Preparing, Split, Work};
use crate::train::Ended;
use crate::watch::Watch;
use crate::{Recipe, baseline, overfit, report_data};
use anyhow::{Context, Result, anyhow};
use retune_data::{BadExample, set_encoding_threads};
use retune_models::checkpoint::identity;
use retune_models::{CheckpointFolder, LoadedModel, Source};
use serde_json::{Map, Value, json};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// A finished run.
#[derive(Debug)]
pub struct Finished {
    /// What `metrics.json` holds.
    pub summary: Summary,
    /// The run directory.
    pub output: PathBuf,
    /// The result beside its baselines.
    pub headline: Option<Headline>,
    /// What the task chose on the validation split, and what it does on the split of the headline, in words.
    pub decided: Vec<String>,
    /// Things a person should know.
    pub notes: Vec<String>,
    /// Wall-clock seconds of everything.
    pub seconds: f64,
}

/// Runs a recipe.
pub fn finetune(recipe: &Recipe, start: Start, observers: &mut [&mut dyn Observer]) -> Result<Finished, EngineError> {
    let clock = Instant::now();
    recipe.validate().input()?;
    let recipe = &overfit::plain(recipe).input()?;
    let entry = task::find(&recipe.data.task).input()?;
    let output = recipe.run.output.clone();
    RunDirectory::check(&output, start).input()?;
    set_encoding_threads(recipe.run.threads);
    let watch = Watch::new(observers);
    let initial = InitialModel::of(recipe, entry.purpose, start, &watch).input()?;
    let model = initial.folder();
    let identity = identity(model).input()?;
    if let Source::Adapter(base) = Source::of(model).input()? {
        let error = anyhow!("{} is an adapter; fine-tune its base model `{base}` instead", model.display());
        return Err(EngineError::Input(error));
    }
    // What the weights' files claim is checked before texts or images are read; so is the device.
    if !recipe.data.from_scratch {
        CheckpointFolder::open(model).input()?;
    }
    let run = &recipe.run;
    let (hardware, note) = Hardware::resolve(&run.device, &run.precision, run.threads).input()?;
    let config = CheckpointFolder::config(model).input()?;
    let progress = |what: &str, done, all| watch.progress(what, done, all);
    let preparing = Preparing { recipe, model, config: &config, progress: &progress };
    let work = (entry.prepare)(&preparing).input()?;
    task::check(recipe, work.as_ref()).input()?;
    let plan = work.rows(Split::Train).map(|rows| Plan::of(recipe, rows.len()));
    let long = plan.and_then(|plan| task::long_by_preset(recipe, &plan));
    let observers = watch.into_inner();
    let mut notes: Vec<String> = Vec::new();
    let mut tell = |message: String, observers: &mut [&mut dyn Observer]| {
        observers.iter_mut().for_each(|o| o.on_message(&message));
        notes.push(message);
    };
    initial
        .notes
        .iter()
        .cloned()
        .chain(note)
        .chain(work.about().notes.iter().cloned())
        .chain(long)
        .for_each(|note| tell(note, observers));
    let pinned = open::pinned(recipe, &initial.base);
    let resolved = resolve(recipe, &pinned, &hardware, work.as_ref(), initial.has_backbone()).input()?;
    let session = Session {
        recipe: &resolved,
        model,
        only: initial.only(),
        base: &initial.base,
        identity,
        work: work.as_ref(),
        hardware: &hardware,
    };

    // The last checks that need the model; after them, compute begins.
    let loaded = session.load(resolved.data.from_scratch && session.only.is_none()).input()?;
    let directory = session.directory(&output).input()?;
    directory.check_space(&loaded, resolved.optimization.ema.is_some(), resolved.trains_baseline()).input()?;
    if start == Start::Resume {
        check_same_recipe(&resolved).input()?;
        directory.check_same_start(work.about().fingerprint, identity).input()?;
    }
    RunDirectory::create(&output, start).input()?;
    initial.keep(&output).input()?;
    write_text(&output.join("recipe.toml"), &resolved.to_toml()).input()?;
    write_left_out(&output.join("bad_examples.jsonl"), work.about()).input()?;
    tell(format!("{}\n{}", resolved.start(), loaded.report.summary()), observers);
    tell(session.describe(&loaded), observers);
    let load_report = loaded.report.clone();

    let Trained { loaded, state, ended } =
        session.train(loaded, &directory, start == Start::Resume, "fine-tuning", true, observers)?;
    if ended == Ended::Interrupted {
        return Err(EngineError::Interrupted { step: state.step, output });
    }
    let mut progress = |done, all| observers.iter_mut().for_each(|o| o.on_progress("validation", done, all));
    let judging = Judging { decide: true, line: None, files: None, progress: &mut progress };
    let validation = session.score(&loaded, Split::Validation, judging)?;
    let test = work.rows(Split::Test).is_some().then(|| test(&session, &loaded, observers)).transpose()?;
    let counts = loaded.params.counts();
    // Before the baseline runs, so that memory and speed are those of this model.
    let train_summary = TrainSummary::new(&state, &hardware, counts);
    let (split, scored) = test.as_ref().map_or((Split::Validation, &validation), |test| (Split::Test, test));
    let baselines = match baseline::measure(&session, split, scored, observers)? {
        baseline::Measured::Done(baselines) => baselines,
        baseline::Measured::Interrupted(step) => return Err(EngineError::Interrupted { step, output }),
    };
    let summary = Summary {
        task: resolved.data.task.clone(),
        method: resolved.optimization.method.clone(),
        best: state.best.clone(),
        validation: Some(validation.evaluation.metrics.clone()),
        test: test.as_ref().map(|scored| scored.evaluation.metrics.clone()),
        intervals: intervals(&validation.evaluation, test.as_ref().map(|scored| &scored.evaluation)),
        baselines: baselines.all.iter().map(|(name, e)| (name.clone(), e.metrics.clone())).collect(),
        decided: Summary::decided(&validation, test.as_ref()),
        train: train_summary,
    };
    // The figures first: nothing about the report may cost them.
    let json = serde_json::to_string_pretty(&summary).context("the summary is plain data")?;
    write_text(&output.join("metrics.json"), &(json + "\n"))?;
    let mut missing = Vec::new();
    let sources = report_data::Sources {
        session: &session,
        loaded: &loaded,
        state: &state,
        load: &load_report,
        summary: &summary,
        validation: &validation,
        test: test.as_ref(),
        baselines: &baselines,
    };
    let data = report_data::collect(&sources, &mut missing)?;
    // How the figures came about; advice is a line of its own.
    let of = &scored.evaluation;
    let noted = of
        .notes
        .iter()
        .filter(|note| of.advice.as_ref() != Some(*note))
        .map(|note| format!("{}: {note}", split.name()));
    noted.chain(missing).chain(overfit::result(&resolved, &state)).for_each(|note| tell(note, observers));
    write_text(&output.join("report.html"), &report::render(&data))?;
    let on = |words: String| format!("On the {} examples: {words}", split.name());
    let decided = scored.evaluation.decided().map(on).collect();
    Ok(Finished { summary, output, headline: data.headline, decided, notes, seconds: clock.elapsed().as_secs_f64() })
}

/// The recipe with everything that was left to the program; `backbone` where a part of the model starts from another one.
fn resolve(given: &Recipe, pinned: &Recipe, hardware: &Hardware, work: &dyn Work, backbone: bool) -> Result<Recipe> {
    let mut recipe = pinned.clone();
    let of_method = method::parse(&given.optimization.method)?.learning_rate();
    let usual = if given.data.from_scratch { method::FROM_SCRATCH_LEARNING_RATE } else { of_method };
    if given.data.from_scratch && backbone {
        // What is pretrained takes smaller steps than what is not.
        recipe.optimization.backbone_learning_rate.get_or_insert(of_method);
    }
    recipe.optimization.learning_rate.get_or_insert(usual);
    let usual_metric = work.metrics().first().context("a task has a metric")?.key;
    recipe.optimization.best_by.get_or_insert_with(|| usual_metric.to_owned());
    recipe.run.baseline_learning_rate =
        given.trains_baseline().then(|| given.run.baseline_learning_rate.unwrap_or(method::FROM_SCRATCH_LEARNING_RATE));
    recipe.run.precision = hardware.precision.name().to_owned();
    recipe.run.device = hardware.device_name();
    Ok(recipe)
}

/// Scores the test split, writing its predictions as they are made.
fn test(session: &Session<'_>, loaded: &LoadedModel, observers: &mut [&mut dyn Observer]) -> Result<Scored> {
    let path = session.recipe.run.output.join("predictions.jsonl");
    let files = files_beside(&path);
    let mut file = Draft::new(&path)?;
    let mut line = |_: usize, line: Map<String, Value>| {
        writeln!(file, "{}", serde_json::to_string(&line)?).with_context(|| format!("cannot write {}", path.display()))
    };
    let mut progress = |done, all| observers.iter_mut().for_each(|o| o.on_progress("test", done, all));
    let judging = Judging { decide: false, line: Some(&mut line), files: Some(&files), progress: &mut progress };
    let scored = session.score(loaded, Split::Test, judging)?;
    file.publish()?;
    Ok(scored)
}

/// Examples that cannot be used, if there are any: one JSON object a line. The list of an earlier run goes in any case.
fn write_left_out(path: &Path, about: &About) -> Result<()> {
    if about.left_out.is_empty() {
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
    write_text(path, &about.left_out.iter().map(line).collect::<String>())
}
