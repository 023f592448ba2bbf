//! `retune finetune`: check everything, train, score, publish.

use crate::directory::{RunDirectory, RunState, read_state, restore_optimizer, restore_weights};
use crate::error::{EngineError, InputContext};
use crate::evaluate::{Scored, evaluate};
use crate::hardware::Hardware;
use crate::method::Method;
use crate::observer::{FileLog, Observer};
use crate::plan::Plan;
use crate::report::Headline;
use crate::step::Trainer;
use crate::summary::{Summary, TrainSummary, intervals};
use crate::task::{self, Splits, Task};
use crate::train::{Ended, Loop, train};
use crate::{Recipe, baseline, open, report, report_data};
use anyhow::{Context, Result, anyhow, bail, ensure};
use retune_data::Dataset;
use retune_data::hub::Progress;
use retune_kernels::{AdamW, AdamWOptions, Schedule};
use retune_models::{CheckpointFolder, LoadOptions, LoadedModel, Source};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
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

/// What main run and baseline share.
pub(crate) struct Session<'a> {
    pub(crate) recipe: &'a Recipe,
    pub(crate) model: &'a Path,
    pub(crate) task: &'a dyn Task,
    pub(crate) splits: &'a Splits,
    pub(crate) hardware: Hardware,
}

/// A trained model with its best weights in place.
pub(crate) struct Trained {
    pub(crate) loaded: LoadedModel,
    pub(crate) state: RunState,
    pub(crate) ended: Ended,
}

/// Runs a recipe.
pub fn finetune(recipe: &Recipe, start: Start, observers: &mut [&mut dyn Observer]) -> Result<Finished, EngineError> {
    let clock = Instant::now();
    recipe.validate().input()?;
    let method = Method::parse(&recipe.method).input()?;
    RunDirectory::check(&recipe.output, start).input()?;
    let watch = Watch { observers: Mutex::new(observers), download: Mutex::default() };
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

impl Session<'_> {
    fn method(&self, from_scratch: bool) -> Result<Method> {
        // Nothing pretrained is there to be kept frozen.
        if from_scratch { Ok(Method::Full) } else { Method::parse(&self.recipe.method) }
    }

    /// Loads the model for this task and freezes what the method does not train.
    pub(crate) fn load(&self, from_scratch: bool) -> Result<LoadedModel> {
        let method = self.method(from_scratch)?;
        let config = CheckpointFolder::config(self.model)?;
        let mut options = LoadOptions::new(self.task.purpose());
        options.labels = Some(self.task.head());
        options.from_scratch = from_scratch;
        options.seed = self.recipe.seed;
        options.precision = self.hardware.precision;
        options.device = self.hardware.device;
        options.dropout = self.recipe.dropout;
        options.adapter = method.adapter(self.recipe, &config)?;
        options.new_head = true;
        let mut loaded = LoadedModel::load(self.model, &options)?;
        self.task.check_model(loaded.model.as_ref())?;
        let blocks = loaded.model.blocks();
        method.apply(&mut loaded.params, blocks)?;
        ensure!(loaded.params.counts().1 > 0, "method {}: nothing would be trained", self.recipe.method);
        Ok(loaded)
    }

    pub(crate) fn directory(&self, path: &Path) -> Result<RunDirectory> {
        Ok(RunDirectory::new(
            path,
            self.recipe.keep_checkpoints,
            self.recipe.disk_budget_bytes()?,
            self.task.files(),
            self.recipe.model.clone(),
            self.recipe.to_toml(),
        ))
    }

    fn plan(&self) -> Plan {
        let every = self.recipe.evaluate_every.parse().ok();
        Plan::new(
            self.splits.train.len(),
            self.recipe.batch_size,
            self.recipe.gradient_accumulation,
            self.recipe.epochs,
            self.recipe.steps,
            every,
            self.recipe.seed,
        )
    }

    fn describe(&self, loaded: &LoadedModel) -> String {
        let (total, trainable) = loaded.params.counts();
        let h = &self.hardware;
        format!(
            "{} of {} parameters learn ({}); {} on {}, {} threads",
            thousands(trainable),
            thousands(total),
            self.recipe.method,
            h.precision.name(),
            h.device_name(),
            h.threads
        )
    }

    /// Trains (or continues), and leaves the best weights in the model.
    pub(crate) fn train(
        &self,
        mut loaded: LoadedModel,
        directory: &RunDirectory,
        resume: bool,
        title: &str,
        log: bool,
        observers: &mut [&mut dyn Observer],
    ) -> Result<Trained> {
        let from_scratch = loaded.report.loaded == 0;
        let mut state = RunState { fingerprint: self.splits.fingerprint, ..RunState::default() };
        let mut checkpoint = None;
        if resume {
            let (newest, notes) = directory.newest()?;
            notes.iter().for_each(|note| observers.iter_mut().for_each(|o| o.on_message(note)));
            if let Some(folder) = newest {
                state = read_state(&folder)?;
                restore_weights(&folder, &mut loaded.params)?;
                directory.repair(&state)?;
                checkpoint = Some(folder);
            }
        }
        let recipe = self.recipe;
        let plan = self.plan();
        let options = AdamWOptions {
            weight_decay: recipe.weight_decay,
            layer_decay: recipe.layer_decay,
            ..AdamWOptions::default()
        };
        let mut optimizer = AdamW::new(&loaded.params, options);
        if let Some(folder) = &checkpoint {
            restore_optimizer(folder, state.step, &mut optimizer)?;
        }
        let first_trained_depth = loaded.params.lowest_trainable_depth();
        let mut trainer = Trainer {
            model: loaded.model.as_ref(),
            params: &loaded.params,
            task: self.task,
            dataset: self.splits.train.as_ref(),
            optimizer,
            device: self.hardware.device,
            first_trained_depth,
            clip: recipe.clip,
            seed: recipe.seed,
            training_factor: self.method(from_scratch)?.training_factor(first_trained_depth, loaded.model.blocks()),
        };
        let learning_rate = recipe.learning_rate.context("a resolved learning rate")?;
        let it = Loop {
            plan,
            schedule: Schedule::new(&recipe.schedule, learning_rate, recipe.warmup, plan.total_steps)?,
            train: Arc::clone(&self.splits.train),
            validation: Arc::clone(&self.splits.validation),
            best_by: recipe.best_by.clone().context("a resolved metric")?,
            patience: recipe.patience,
            evaluation_batch_size: recipe.evaluation_batch_size,
            directory,
            loaded: &loaded,
            title,
        };
        let mut file_log = if log { Some(FileLog::open(directory.path(), state.step)?) } else { None };
        let mut all: Vec<&mut dyn Observer> = observers.iter_mut().map(|o| &mut **o as &mut dyn Observer).collect();
        all.extend(file_log.as_mut().map(|log| log as &mut dyn Observer));
        let ended = train(&it, &mut trainer, &mut state, &mut all)?;
        if ended == Ended::Finished
            && let Some(best) = &state.best
            && best.step != state.step
        {
            restore_weights(&directory.checkpoint(best.step), &mut loaded.params)?;
        }
        Ok(Trained { loaded, state, ended })
    }

    pub(crate) fn score(
        &self,
        loaded: &LoadedModel,
        data: &Arc<dyn Dataset>,
        what: &str,
        observers: &mut [&mut dyn Observer],
    ) -> Result<Scored> {
        let mut progress = |done: usize, all: usize| observers.iter_mut().for_each(|o| o.on_progress(what, done, all));
        let batch = self.recipe.evaluation_batch_size;
        evaluate(loaded.model.as_ref(), self.task, data, batch, self.hardware.device, &mut progress)
    }
}

/// Lets shared callbacks reach the observers.
struct Watch<'a, 'b> {
    observers: Mutex<&'a mut [&'b mut dyn Observer]>,
    /// File, bytes done, bytes in all.
    download: Mutex<(String, u64, u64)>,
}

impl<'a, 'b> Watch<'a, 'b> {
    fn progress(&self, what: &str, done: usize, all: usize) {
        if let Ok(mut observers) = self.observers.lock() {
            observers.iter_mut().for_each(|o| o.on_progress(what, done, all));
        }
    }

    fn into_inner(self) -> &'a mut [&'b mut dyn Observer] {
        self.observers.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// A resumed run must be the same run; what does not change its result may differ.
fn check_same_recipe(recipe: &Recipe) -> Result<()> {
    let path = recipe.output.join("recipe.toml");
    if !path.exists() {
        return Ok(());
    }
    let neutral = |mut r: Recipe| {
        r.output = PathBuf::new();
        r.keep_checkpoints = 1;
        r.disk_budget = None;
        r.baselines = String::new();
        r.test = None;
        r.evaluation_batch_size = 1;
        r.device = String::new();
        r
    };
    let table = |r: Recipe| r.to_toml().parse::<toml::Table>();
    let old = table(neutral(Recipe::from_table(Recipe::read(&path)?)?))?;
    let new = table(neutral(recipe.clone()))?;
    let keys = old.keys().chain(new.keys()).filter(|key| old.get(*key) != new.get(*key));
    let changed: std::collections::BTreeSet<&String> = keys.collect();
    if !changed.is_empty() {
        let show = |t: &toml::Table, key: &str| t.get(key).map_or("nothing".to_owned(), ToString::to_string);
        let lines: Vec<String> =
            changed.iter().map(|key| format!("{key}: {} then, {} now", show(&old, key), show(&new, key))).collect();
        bail!(
            "--resume: this is not the run that was started in {}:\n  {}",
            recipe.output.display(),
            lines.join("\n  ")
        );
    }
    Ok(())
}

fn write_predictions(path: &Path, task: &dyn Task, data: &dyn Dataset, scored: &Scored) -> Result<()> {
    let mut text = String::new();
    for (row, prediction) in scored.predictions.iter().enumerate() {
        let source = data.source(row)?;
        let mut line = source.fields;
        line.extend(source.label.map(|label| ("label".to_owned(), label)));
        line.extend(task.describe(prediction));
        text.push_str(&serde_json::to_string(&line)?);
        text.push('\n');
    }
    write_text(path, &text)
}

/// Writes a file so that it is either whole or absent.
pub(crate) fn write_text(path: &Path, text: &str) -> Result<()> {
    let write = || -> std::io::Result<()> {
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut builder = tempfile::Builder::new();
        // Temporary files are private; this one becomes a result that others may read, as the umask allows.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let mut file = builder.prefix(".writing-").tempfile_in(folder)?;
        std::io::Write::write_all(&mut file, text.as_bytes())?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        Ok(())
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

pub(crate) fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> = digits.as_bytes().rchunks(3).rev().filter_map(|g| std::str::from_utf8(g).ok()).collect();
    groups.join(",")
}

impl Progress for Watch<'_, '_> {
    fn started(&self, file: &str, total: Option<u64>, already: u64) {
        if let Ok(mut download) = self.download.lock() {
            *download = (file.to_owned(), already, total.unwrap_or(0));
        }
        self.advanced(0);
    }

    fn advanced(&self, bytes: u64) {
        if let Ok(mut download) = self.download.lock() {
            download.1 += bytes;
            let (file, done, total) = &*download;
            self.progress(&format!("downloading {file}"), *done as usize, *total as usize);
        }
    }

    fn finished(&self) {}
}
