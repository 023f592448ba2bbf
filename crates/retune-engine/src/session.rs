//! What the main run and its baseline share: loading, training, scoring.

use crate::Recipe;
use crate::directory::{RunDirectory, RunState, read_state, restore_average, restore_optimizer};
use crate::evaluate::{Judging, Predictor, Scored};
use crate::frozen::Frozen;
use crate::hardware::Hardware;
use crate::heat_map;
use crate::method::{self, Full, Method};
use crate::metric::{self, LOSS, Metric};
use crate::number;
use crate::observer::{FileLog, Observer};
use crate::plan::Plan;
use crate::step::Trainer;
use crate::task::{Split, Work};
use crate::train::{Ended, Loop, train};
use anyhow::{Context, Result, ensure};
use retune_data::Dataset;
use retune_kernels::{AdamW, AdamWOptions, Param, Params, Schedule, WeightAverage};
use retune_models::{BaseModel, CheckpointFolder, LoadOptions, LoadedModel};
use std::path::Path;
use std::sync::Arc;

/// One run of a recipe.
pub(crate) struct Session<'a> {
    pub(crate) recipe: &'a Recipe,
    pub(crate) model: &'a Path,
    /// The path of the only part that the model has weights for, where that is so.
    pub(crate) only: Option<&'a str>,
    /// How a saved adapter names it.
    pub(crate) base: &'a BaseModel,
    /// Tells its files from others.
    pub(crate) identity: u64,
    pub(crate) work: &'a dyn Work,
    pub(crate) hardware: &'a Hardware,
}

/// A trained model with its best weights in place.
pub(crate) struct Trained {
    pub(crate) loaded: LoadedModel,
    pub(crate) state: RunState,
    pub(crate) ended: Ended,
}

impl Session<'_> {
    fn method(&self, from_scratch: bool) -> Result<Box<dyn Method>> {
        // Nothing pretrained is there to be kept frozen.
        if from_scratch { Ok(Box::new(Full)) } else { method::parse(&self.recipe.optimization.method) }
    }

    /// Loads the model for this task and freezes what the method does not train.
    pub(crate) fn load(&self, from_scratch: bool) -> Result<LoadedModel> {
        let method = self.method(from_scratch)?;
        let config = CheckpointFolder::config(self.model)?;
        let mut options = LoadOptions::new(self.work.head());
        options.from_scratch = from_scratch;
        options.only = self.only.map(str::to_owned);
        options.seed = self.recipe.run.seed;
        options.precision = self.hardware.precision;
        options.device = self.hardware.device;
        options.dropout = self.recipe.optimization.dropout;
        options.adapter = method.adapter(self.recipe, &config)?;
        options.new_head = true; // What may not be new, the head's purpose says.
        let mut loaded = LoadedModel::load(self.model, &options)?;
        heat_map::check(self.recipe, &loaded.network)?;
        let blocks = loaded.network.blocks();
        method.apply(&mut loaded.params, blocks)?;
        let below = if from_scratch { 0 } else { self.work.frozen_below() };
        let part = if from_scratch { None } else { self.work.frozen_part() };
        let kept = |name: &str| part.is_some_and(|part| name.starts_with(part));
        loaded
            .params
            .iter_mut()
            .filter(|param| (param.depth < below && !param.head) || kept(&param.name))
            .for_each(|it| it.set_trainable(false));
        ensure!(loaded.params.counts().1 > 0, "method {}: nothing would be trained", self.recipe.optimization.method);
        let rows = self.rows(Split::Train)?.tokens_in_use()?;
        // An average follows every row.
        let rows = rows.filter(|_| self.recipe.optimization.ema.is_none());
        if let (Some(table), Some(rows)) = (loaded.network.token_table(), rows) {
            loaded.params.compact(table, &rows)?;
        }
        Ok(loaded)
    }

    pub(crate) fn directory(&self, path: &Path) -> Result<RunDirectory> {
        Ok(RunDirectory::new(
            path,
            self.recipe.run.keep_checkpoints,
            self.recipe.run.disk_budget_bytes()?,
            self.work.files().to_vec(),
            self.base.clone(),
            self.recipe.to_toml(),
        ))
    }

    fn rows(&self, split: Split) -> Result<Arc<dyn Dataset>> {
        self.work.rows(split).with_context(|| format!("a {} split", split.name()))
    }

    fn plan(&self) -> Result<Plan> {
        Ok(Plan::of(self.recipe, self.rows(Split::Train)?.len()).with_batching(self.work.batching()))
    }

    /// What follows the weights that learn, where it is asked for.
    fn average(&self, loaded: &LoadedModel) -> Result<Option<WeightAverage>> {
        let running = loaded.buffers.iter().filter(|buffer| buffer.running);
        let running = running.map(|buffer| (buffer.name.clone(), buffer.tensor.shallow_clone()));
        let decay = self.recipe.optimization.ema;
        Ok(decay.map(|decay| WeightAverage::new(&loaded.params, running, decay)).transpose()?)
    }

    pub(crate) fn describe(&self, loaded: &LoadedModel) -> String {
        let (total, trainable) = loaded.params.counts();
        let h = self.hardware;
        format!(
            "{} of {} parameters learn ({}); {} on {}, {} threads",
            number::count(trainable as u64),
            number::count(total as u64),
            self.recipe.optimization.method,
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
        let mut state =
            RunState { fingerprint: self.work.about().fingerprint, base_model: self.identity, ..RunState::default() };
        let mut checkpoint = None;
        if resume {
            let (newest, notes) = directory.newest()?;
            notes.iter().for_each(|note| observers.iter_mut().for_each(|o| o.on_message(note)));
            if let Some(folder) = newest {
                state = read_state(&folder)?;
                loaded.restore(&folder)?;
                directory.repair(&state)?;
                checkpoint = Some(folder);
            }
        }
        let recipe = &self.recipe.optimization;
        let plan = self.plan()?;
        // Without pretrained weights there is nothing that a new head could spoil.
        let head_warmup = if from_scratch { 0 } else { recipe.head_warmup };
        if head_warmup > 0 {
            ensure!(
                loaded.params.trainable().any(|param| param.head),
                "head-warmup: this model has no head of its own that could learn alone"
            );
            ensure!(
                head_warmup < plan.total_steps,
                "head-warmup: is {head_warmup}, but the run has {} steps; the rest would learn nothing",
                plan.total_steps
            );
        }
        let options = AdamWOptions {
            weight_decay: recipe.weight_decay,
            layer_decay: recipe.layer_decay,
            head_alone: head_warmup,
            ..AdamWOptions::default()
        };
        let learning_rate = recipe.learning_rate.context("a resolved learning rate")?;
        let slow = recipe.backbone_learning_rate.map_or(1.0, |rate| rate / learning_rate);
        let of_backbone = backbone(&loaded.params);
        let factor = |param: &Param| if of_backbone(param) { slow } else { 1.0 };
        let mut optimizer = AdamW::new(&loaded.params, options).with_factors(&loaded.params, factor);
        if let Some(folder) = &checkpoint {
            restore_optimizer(folder, state.step, &mut optimizer)?;
        }
        let mut average = self.average(&loaded)?;
        if let Some(average) = &average {
            let note =
                format!("an average of the weights is kept beside them: {} MB more", average.bytes() / 1_000_000);
            observers.iter_mut().for_each(|o| o.on_message(&note));
        }
        if let (Some(folder), Some(average)) = (&checkpoint, &mut average) {
            restore_average(folder, &loaded.params, average)?;
        }
        let first_trained_depth = loaded.params.lowest_trainable_depth();
        let frozen = Frozen {
            network: &loaded.network,
            loss_reads: self.work.loss_reads(),
            first_trained_depth,
            batch_size: recipe.evaluation_batch_size,
            device: self.hardware.device,
        };
        let (rows, validation) = (self.rows(Split::Train)?, self.rows(Split::Validation)?);
        // A single pass computes each row once anyway. Of the whole run, so that a resumed one does the same.
        let repeats = plan.total_steps > plan.steps_per_epoch && frozen.is_worth_it() && rows.one_input_a_row();
        let kept = if repeats && !rows.varies() { frozen.features(&rows, "frozen blocks", observers)? } else { None };
        let features = kept.is_some();
        if features {
            let note = "what the frozen blocks return is kept: an epoch computes only the blocks that learn";
            observers.iter_mut().for_each(|o| o.on_message(note));
        }
        let rows = kept.unwrap_or(rows);
        let kept = if repeats { frozen.features(&validation, "frozen blocks, validation", observers)? } else { None };
        let validation = kept.unwrap_or(validation);
        let mut trainer = Trainer {
            network: &loaded.network,
            params: &loaded.params,
            work: self.work,
            dataset: rows.as_ref(),
            optimizer,
            average,
            device: self.hardware.device,
            first_trained_depth,
            head_warmup,
            recompute: recipe.gradient_checkpointing,
            clip: recipe.clip,
            seed: self.recipe.run.seed,
            training_factor: self.method(from_scratch)?.training_factor(
                first_trained_depth,
                loaded.network.blocks(),
                features,
            ),
        };
        let best_by = recipe.best_by.as_deref().context("a resolved metric")?;
        let known: Vec<&'static Metric> = self.work.metrics().into_iter().chain([&LOSS]).collect();
        let chooses = metric::find(&known, best_by).with_context(|| format!("best-by: `{best_by}` is not a metric"))?;
        let mut metrics = vec![chooses.key];
        metrics.extend(self.work.metrics().iter().map(|metric| metric.key).filter(|key| *key != chooses.key));
        let it = Loop {
            plan,
            schedule: Schedule::new(&recipe.schedule, learning_rate, recipe.warmup, plan.total_steps)?,
            train: Arc::clone(&rows),
            validation,
            chooses,
            metrics,
            patience: recipe.patience,
            overfits: self.recipe.run.overfit.is_some(),
            evaluation_batch_size: recipe.evaluation_batch_size,
            lanes: &self.hardware.lanes,
            directory,
            loaded: &loaded,
            title,
        };
        let mut file_log = if log { Some(FileLog::open(directory.path(), state.step)?) } else { None };
        let mut all: Vec<&mut dyn Observer> = observers.iter_mut().map(|o| &mut **o as &mut dyn Observer).collect();
        all.extend(file_log.as_mut().map(|log| log as &mut dyn Observer));
        let ended = train(&it, &mut trainer, &mut state, &mut all)?;
        trainer.exchange()?;
        if ended == Ended::Finished
            && let Some(best) = &state.best
            && best.step != state.step
        {
            loaded.restore(&directory.checkpoint(best.step))?;
        }
        Ok(Trained { loaded, state, ended })
    }

    /// The model at work on rows.
    pub(crate) fn predictor<'b>(&'b self, loaded: &'b LoadedModel) -> Predictor<'b> {
        Predictor {
            network: &loaded.network,
            batch_size: self.recipe.optimization.evaluation_batch_size,
            device: self.hardware.device,
            lanes: &self.hardware.lanes,
        }
    }

    pub(crate) fn score(&self, loaded: &LoadedModel, split: Split, judging: Judging<'_>) -> Result<Scored> {
        self.work.score(split, &self.rows(split)?, &self.predictor(loaded), judging)
    }
}

/// Which parameters are a backbone's: those of the part that is called so, else all below the head.
fn backbone(params: &Params) -> impl Fn(&Param) -> bool + use<> {
    let called_so = |param: &Param| param.name.split('.').any(|part| part == "backbone");
    let is_part = params.iter().any(called_so);
    move |param| if is_part { called_so(param) && !param.head } else { !param.head }
}
