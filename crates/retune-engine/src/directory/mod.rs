//! The run directory: checkpoints that are whole or absent, the published model, and what survives a crash.
//!
//! A checkpoint is written into a hidden folder, synced, described by `manifest.json` (sha256 of every file) and then
//! renamed; whatever is not renamed does not exist.
//!
//! | file | holds |
//! |---|---|
//! | `state` | where a run stands |
//! | `manifest` | which checkpoints are whole |
//! | `publish` | `model/` |
//! | `retention` | which checkpoints stay, and disk space |

mod manifest;
mod publish;
mod retention;
mod start;
mod state;

use crate::files::copy_folder;
use anyhow::{Context, Result, ensure};
use manifest::{verify, write_manifest};
use publish::sync_folder;
use retention::checkpoint_bytes;
use retune_models::checkpoint::write_json;
use retune_models::{BaseModel, LoadedModel};
use std::fs;
use std::path::{Path, PathBuf};

pub use start::Start;
pub use state::{Best, EvaluationPoint, Progress, RunState, Totals, read_state, restore_average, restore_optimizer};

/// A run's folder.
#[derive(Debug, Clone)]
pub struct RunDirectory {
    path: PathBuf,
    keep: usize,
    disk_budget: Option<u64>,
    /// Files and folders copied into every saved model: tokenizer, processor.
    files: Vec<PathBuf>,
    base_model: BaseModel,
    recipe: String,
}

/// What a run leaves in its folder; nothing else is touched when a run is replaced.
const OWN_NAMES: &[&str] = &[
    "checkpoints",
    "model",
    "metrics.json",
    "log.jsonl",
    "report.html",
    "recipe.toml",
    "predictions.jsonl",
    "bad_examples.jsonl",
    ".baseline",
    ".rival",
    "from_scratch",
    ".from_scratch.writing",
];

impl RunDirectory {
    /// Refuses a folder that is in use, unless it is resumed or overwritten, or that cannot be written. Leaves nothing.
    pub fn check(path: &Path, start: Start) -> Result<()> {
        ensure!(!path.is_file(), "{} is a file; --output names a folder", path.display());
        let used = ["checkpoints", "metrics.json", "model"].iter().any(|name| path.join(name).exists());
        ensure!(
            !used || start != Start::New,
            "{} already holds a run; continue it with --resume, replace it with --overwrite, or choose another --output",
            path.display()
        );
        ensure!(
            used || start != Start::Resume || path.join("recipe.toml").exists() || !path.exists(),
            "{} holds no run to resume",
            path.display()
        );
        // A file without a name in the nearest folder that is there: whether the run could write is known before it costs.
        let existing = path.ancestors().find(|p| p.exists()).filter(|p| !p.as_os_str().is_empty());
        let existing = existing.unwrap_or(Path::new("."));
        tempfile::tempfile_in(existing)
            .and_then(|file| file.sync_all())
            .map(drop)
            .with_context(|| format!("cannot write into {}; choose another --output", existing.display()))
    }

    /// Makes the folder, and empties it of an earlier run if that is to be replaced.
    pub fn create(path: &Path, start: Start) -> Result<()> {
        Self::check(path, start)?;
        if start == Start::Overwrite && path.exists() {
            for entry in fs::read_dir(path).with_context(|| format!("cannot read {}", path.display()))? {
                let entry = entry?.path();
                let name = entry.file_name().unwrap_or_default().to_string_lossy().into_owned();
                let ours = OWN_NAMES.contains(&name.as_str())
                    || name.starts_with("events.out.tfevents.")
                    || name.starts_with(".model.")
                    || name.starts_with(crate::files::WRITING);
                if ours {
                    let removed = if entry.is_dir() { fs::remove_dir_all(&entry) } else { fs::remove_file(&entry) };
                    removed.with_context(|| format!("cannot remove {}", entry.display()))?;
                }
            }
        }
        let checkpoints = path.join("checkpoints");
        fs::create_dir_all(&checkpoints).with_context(|| format!("cannot create {}", checkpoints.display()))
    }

    /// A handle on a prepared folder.
    pub fn new(
        path: &Path,
        keep: usize,
        disk_budget: Option<u64>,
        files: Vec<PathBuf>,
        base_model: BaseModel,
        recipe: String,
    ) -> Self {
        Self { path: path.to_owned(), keep, disk_budget, files, base_model, recipe }
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The published model.
    pub fn model(&self) -> PathBuf {
        self.path.join("model")
    }

    /// Writes a checkpoint, publishes the model if it is the best, and removes what is no longer kept.
    pub fn save(&self, state: &RunState, loaded: &LoadedModel, progress: Progress<'_>, improved: bool) -> Result<()> {
        let name = step_name(state.step);
        let target = self.path.join("checkpoints").join(&name);
        let write = || -> Result<()> {
            self.check_free(checkpoint_bytes(loaded, progress.average.is_some()))?;
            let temporary = self.path.join("checkpoints").join(format!(".{name}.writing"));
            if temporary.exists() {
                fs::remove_dir_all(&temporary)?;
            }
            fs::create_dir(&temporary)?;
            loaded.save(&temporary, &self.base_model)?;
            for file in &self.files {
                copy(file, &temporary.join(file.file_name().unwrap_or_default()))
                    .with_context(|| format!("cannot copy {}", file.display()))?;
            }
            fs::write(temporary.join("recipe.toml"), &self.recipe)?;
            progress.write(&temporary)?;
            write_json(&temporary.join("state.json"), state)?;
            write_manifest(&temporary, state.step)?;
            if target.exists() {
                fs::remove_dir_all(&target)?;
            }
            fs::rename(&temporary, &target)?;
            sync_folder(&self.path.join("checkpoints"))
        };
        write().with_context(|| {
            format!("the checkpoint of step {} could not be written to {}", state.step, target.display())
        })?;
        if improved {
            self.publish(&target).context("the model could not be published")?;
        }
        self.prune(state)
    }

    fn steps(&self) -> Result<Vec<u64>> {
        let folder = self.path.join("checkpoints");
        let mut steps = Vec::new();
        for entry in fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            steps.extend(name.strip_prefix("step-").and_then(|digits| digits.parse::<u64>().ok()));
        }
        steps.sort_unstable();
        Ok(steps)
    }

    /// The newest checkpoint whose files are all as its manifest says, and notes about those that are not.
    pub fn newest(&self) -> Result<(Option<PathBuf>, Vec<String>)> {
        let mut notes = Vec::new();
        for step in self.steps()?.into_iter().rev() {
            let folder = self.path.join("checkpoints").join(step_name(step));
            match verify(&folder) {
                Ok(()) => return Ok((Some(folder), notes)),
                Err(error) => notes.push(format!("{} is damaged and ignored: {error:#}", folder.display())),
            }
        }
        Ok((None, notes))
    }

    /// A run continues only on the data and from the model it was started with.
    pub fn check_same_start(&self, fingerprint: u64, base_model: u64) -> Result<()> {
        let folders = self.steps().unwrap_or_default().into_iter().map(|step| self.checkpoint(step));
        let states: Vec<RunState> = folders.filter_map(|folder| read_state(&folder).ok()).collect();
        ensure!(
            states.iter().all(|state| state.fingerprint == fingerprint),
            "the training data is not what the run in {} was started with; start anew with --overwrite, or choose \
             another --output",
            self.path.display()
        );
        ensure!(
            states.iter().all(|state| state.base_model == base_model),
            "the files of the model `{}` are not those the run in {} was started with; put those back, start anew with \
             --overwrite, or choose another --output",
            self.base_model,
            self.path.display()
        );
        Ok(())
    }

    /// The checkpoint of a step.
    pub fn checkpoint(&self, step: u64) -> PathBuf {
        self.path.join("checkpoints").join(step_name(step))
    }
}

/// Copies a file, or a folder of files.
fn copy(from: &Path, to: &Path) -> Result<()> {
    if from.is_dir() {
        fs::create_dir(to)?;
        return copy_folder(from, to);
    }
    fs::copy(from, to)?;
    Ok(())
}

fn step_name(step: u64) -> String {
    format!("step-{step:08}")
}
