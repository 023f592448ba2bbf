//! Finding and loading models: hub ids, checkpoint folders, adapters, run directories.

use crate::Recipe;
use crate::hardware::Hardware;
use crate::observer::Observer;
use crate::task::{self, Decision, Entry};
use crate::watch::Watch;
use anyhow::{Context, Result, bail};
use retune_data::hub::{Hub, Located, Progress};
use retune_models::{BaseModel, CheckpointFolder, LoadOptions, LoadedModel, ModelConfig, NewHead, Source};
use std::path::{Path, PathBuf};

/// A model to start from.
#[derive(Debug, Clone)]
pub struct Found {
    /// Where its files are.
    pub folder: PathBuf,
    /// What to call it, so that others find the same files: an absolute path, or a hub id with its commit.
    pub base: BaseModel,
}

/// A hub id or folder becomes a folder.
pub fn resolve(model: &str, revision: Option<&str>, progress: &dyn Progress) -> Result<Found> {
    let located = if Path::new(model).is_dir() {
        Located::Folder(PathBuf::from(model))
    } else {
        Hub::from_env()?.resolve_model(model, revision, progress).with_context(|| format!("model `{model}`"))?
    };
    let base = match &located {
        Located::Folder(folder) => {
            let whole = std::path::absolute(folder).with_context(|| format!("cannot locate {}", folder.display()))?;
            BaseModel { name: whole.to_string_lossy().into_owned(), revision: None }
        }
        Located::Hub { id, snapshot } => {
            BaseModel { name: id.clone(), revision: snapshot.hub_commit().map(str::to_owned) }
        }
    };
    Ok(Found { folder: located.dir().to_owned(), base })
}

/// The recipe with the commit that a hub id stood at, so that running it again takes the same files.
pub(crate) fn pinned(recipe: &Recipe, base: &BaseModel) -> Recipe {
    let mut pinned = recipe.clone();
    if base.revision.is_some() {
        pinned.data.model.clone_from(&base.name);
    }
    pinned.data.revision.clone_from(&base.revision);
    pinned
}

/// [`resolve`], seen by observers.
pub fn fetch(model: &str, revision: Option<&str>, observers: &mut [&mut dyn Observer]) -> Result<Found> {
    resolve(model, revision, &Watch::new(observers))
}

/// Files of which one tells that a folder has the tokenizer or processor of its model.
const FILES_OF_MEDIA: [&str; 9] = [
    "tokenizer.json",
    "vocab.txt",
    "vocab.json",
    "preprocessor_config.json",
    "spiece.model",
    "spm.model",
    "sentencepiece.bpe.model",
    "tokenizer.model",
    "source.spm",
];

/// A saved model, found but not loaded.
#[derive(Debug, Clone)]
pub struct SavedModel {
    /// Its folder.
    pub folder: PathBuf,
    /// The folder with its base weights: the same unless it is an adapter.
    pub base: PathBuf,
    /// Its configuration; an adapter that brings none has its base's.
    pub config: ModelConfig,
    /// The recipe that made it, where it lies beside.
    pub recipe: Option<Recipe>,
}

impl SavedModel {
    /// Looks at what a user points at: a model folder, a run directory, or a hub id.
    pub fn find(path: &Path, progress: &dyn Progress) -> Result<Self> {
        let folder = match path.to_str() {
            Some(id) if !path.exists() => {
                let found = resolve(id, None, progress);
                found.with_context(|| format!("{id} is no file or folder here, and cannot be had from the hub"))?.folder
            }
            _ => model_folder(path)?,
        };
        let base = base_folder(&folder, progress)?;
        let config = CheckpointFolder::config(if folder.join("config.json").is_file() { &folder } else { &base })?;
        let recipe = Recipe::beside(&folder)?;
        Ok(Self { folder, base, config, recipe })
    }

    /// Whether it is an adapter.
    pub fn is_adapter(&self) -> bool {
        self.base != self.folder
    }

    /// What the run decided that made it, where its `metrics.json` says so.
    pub(crate) fn decision(&self, entry: &Entry) -> Result<Option<Decision>> {
        let Some(key) = entry.decides else { return Ok(None) };
        // `RUN/model`, or `RUN/checkpoints/step-…`.
        let is_run = |folder: &&Path| folder.join("checkpoints").is_dir();
        let run = self.folder.ancestors().skip(1).take(2).find(is_run);
        run.map_or(Ok(None), |run| Decision::of_run(run, key))
    }

    /// What it does: as named, else as the recipe says that made it, else as its configuration says.
    pub fn task(&self, named: Option<&str>) -> Result<&'static Entry> {
        let known = named.or_else(|| self.recipe.as_ref().map(|recipe| recipe.data.task.as_str()));
        if let Some(task) = known {
            return task::find(task);
        }
        // An adapter has a head of its own, whatever its base was made for.
        let own = task::of_model(&self.config)
            .or_else(|e| if self.is_adapter() { task::possible(&self.config) } else { Err(e) });
        own.with_context(|| format!("{}: what the model does is not known; name it with --task", self.folder.display()))
    }

    /// As [`Self::task`]; files beside the weights may say it, too.
    pub fn task_of_use(&self, named: Option<&str>) -> Result<&'static Entry> {
        let told = if named.is_none() && self.recipe.is_none() { task::Embedder::of_files(&self.folder) } else { None };
        told.map_or_else(|| self.task(named), Ok)
    }

    /// Loads the body alone, whatever head it has or lacks.
    pub fn load_body(&self, hardware: &Hardware) -> Result<LoadedModel> {
        let options = LoadOptions { precision: hardware.precision, device: hardware.device, ..LoadOptions::base() };
        Ok(LoadedModel::load(&self.folder, &options)?)
    }

    /// Loads it as it is.
    pub fn load(&self, entry: &Entry, hardware: &Hardware) -> Result<LoadedModel> {
        let mut options = LoadOptions::new(NewHead::of(entry.purpose));
        options.precision = hardware.precision;
        options.device = hardware.device;
        Ok(if self.is_adapter() {
            LoadedModel::load_adapter(&self.folder, &self.base, &options)?
        } else {
            LoadedModel::load(&self.folder, &options)?
        })
    }

    /// The folder with the tokenizer or processor: an adapter that was saved by others may have none; its base has one.
    pub(crate) fn folder_with_files(&self) -> &Path {
        let has = FILES_OF_MEDIA.iter().any(|file| self.folder.join(file).is_file());
        if has { &self.folder } else { &self.base }
    }
}

/// The model folder of something a user points at: a model folder, or a run directory (its published model, else its
/// newest whole checkpoint).
fn model_folder(path: &Path) -> Result<PathBuf> {
    let is_model = |p: &Path| p.join("config.json").is_file() || p.join("adapter_config.json").is_file();
    if is_model(path) {
        return Ok(path.to_owned());
    }
    let model = path.join("model");
    if is_model(&model) {
        return Ok(model);
    }
    if path.join("checkpoints").is_dir() {
        let directory =
            crate::directory::RunDirectory::new(path, 1, None, Vec::new(), BaseModel::default(), String::new());
        if let (Some(checkpoint), _) = directory.newest()? {
            return Ok(checkpoint);
        }
        bail!("{}: this run has neither a model nor a whole checkpoint yet", path.display());
    }
    bail!("{}: neither a model (config.json) nor a run directory", path.display())
}

/// The folder with the base weights of a saved model, itself unless it is an adapter.
fn base_folder(folder: &Path, progress: &dyn Progress) -> Result<PathBuf> {
    match Source::of(folder)? {
        Source::Checkpoint => Ok(folder.to_owned()),
        Source::Adapter(base) => {
            // PEFT resolves a relative path from the current folder; ones beside the adapter are found too.
            let beside = folder.join(&base.name);
            if !Path::new(&base.name).is_dir() && beside.is_dir() {
                return Ok(beside);
            }
            let found = resolve(&base.name, base.revision.as_deref(), progress);
            let found = found
                .with_context(|| format!("{} is an adapter for `{base}`, which cannot be found", folder.display()));
            Ok(found?.folder)
        }
    }
}
