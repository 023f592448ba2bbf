//! Finding and loading models: hub ids, checkpoint folders, adapters, run directories.

use crate::hardware::Hardware;
use anyhow::{Context, Result, bail};
use retune_data::hub::{Hub, Progress};
use retune_models::registry::Purpose;
use retune_models::{LoadOptions, LoadedModel, Source};
use std::path::{Path, PathBuf};

/// A hub id or folder becomes a folder.
pub fn resolve(model: &str, revision: Option<&str>, progress: &dyn Progress) -> Result<PathBuf> {
    if Path::new(model).is_dir() {
        return Ok(PathBuf::from(model));
    }
    let hub = Hub::from_env()?;
    hub.resolve_model(model, revision, progress).with_context(|| format!("model `{model}`"))
}

/// The model folder of something a user points at: a model folder, or a run directory (its published model, else its
/// newest whole checkpoint).
pub fn model_folder(path: &Path) -> Result<PathBuf> {
    let is_model = |p: &Path| p.join("config.json").is_file() || p.join("adapter_config.json").is_file();
    if is_model(path) {
        return Ok(path.to_owned());
    }
    let model = path.join("model");
    if is_model(&model) {
        return Ok(model);
    }
    if path.join("checkpoints").is_dir() {
        let directory = crate::directory::RunDirectory::new(path, 1, None, Vec::new(), String::new(), String::new());
        if let (Some(checkpoint), _) = directory.newest()? {
            return Ok(checkpoint);
        }
        bail!("{}: this run has neither a model nor a whole checkpoint yet", path.display());
    }
    bail!("{}: neither a model (config.json) nor a run directory", path.display())
}

/// The folder with the base weights of a saved model, itself unless it is an adapter.
pub fn base_folder(folder: &Path, progress: &dyn Progress) -> Result<PathBuf> {
    match Source::of(folder)? {
        Source::Checkpoint => Ok(folder.to_owned()),
        Source::Adapter(base) => {
            // PEFT resolves a relative path from the current folder; ones beside the adapter are found too.
            let beside = folder.join(&base);
            if !Path::new(&base).is_dir() && beside.is_dir() {
                return Ok(beside);
            }
            resolve(&base, None, progress)
                .with_context(|| format!("{} is an adapter for `{base}`, which cannot be found", folder.display()))
        }
    }
}

/// Loads a saved model as it is, for evaluation and prediction.
pub fn load_saved(folder: &Path, hardware: &Hardware, progress: &dyn Progress) -> Result<LoadedModel> {
    let mut options = LoadOptions::new(Purpose::SequenceClassification);
    options.precision = hardware.precision;
    options.device = hardware.device;
    let base = base_folder(folder, progress)?;
    Ok(if base == folder {
        LoadedModel::load(folder, &options)?
    } else {
        LoadedModel::load_adapter(folder, &base, &options)?
    })
}
