//! The run directory: checkpoints that are whole or absent, the published model, and what survives a crash.
//!
//! A checkpoint is written into a hidden folder, synced, described by `manifest.json` (sha256 of every file) and then
//! renamed; whatever is not renamed does not exist.

use crate::evaluate::Scored;
use crate::finetune::Start;
use crate::metric::Direction;
use crate::report::EvaluationPoint;
use crate::step::StepReport;
use anyhow::{Context, Result, ensure};
use retune_kernels::tch::Tensor;
use retune_kernels::{AdamW, Params, memory};
use retune_models::LoadedModel;
use retune_models::checkpoint::{read_tensors, write_json, write_tensors};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// The best validation so far.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Best {
    /// Step it was reached at.
    pub step: u64,
    /// Metric that decides.
    pub metric: String,
    /// Its value.
    pub value: f64,
}

/// Sums over all steps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Totals {
    /// Examples trained on.
    pub examples: u64,
    /// Tokens without padding.
    pub tokens: u64,
    /// Tokens with padding.
    pub padded: u64,
    /// Matrix-product work.
    pub flops: f64,
    /// Wall-clock seconds inside steps.
    pub seconds: f64,
    /// Loss of the last step.
    pub final_loss: f64,
}

impl Totals {
    /// Adds one step.
    pub fn add(&mut self, report: &StepReport) {
        self.examples += report.examples as u64;
        self.tokens += report.tokens as u64;
        self.padded += report.padded as u64;
        self.flops += report.flops;
        self.seconds += report.seconds;
        self.final_loss = report.loss;
    }
}

/// Where a run stands; everything else is recomputed from it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RunState {
    /// Steps done.
    pub step: u64,
    /// Of the training data.
    pub fingerprint: u64,
    /// Best validation so far.
    pub best: Option<Best>,
    /// Evaluations since then.
    pub without_improvement: usize,
    /// Every validation.
    pub evaluations: Vec<EvaluationPoint>,
    /// Sums for the summary.
    pub totals: Totals,
}

impl RunState {
    /// Notes a validation; says whether it is the best so far.
    pub fn record(&mut self, metric: &str, value: f64, direction: Direction, scored: &Scored) -> bool {
        let improved = self.best.as_ref().is_none_or(|best| direction.improves(value, best.value));
        if improved {
            self.best = Some(Best { step: self.step, metric: metric.to_owned(), value });
            self.without_improvement = 0;
        } else {
            self.without_improvement += 1;
        }
        self.evaluations.push(EvaluationPoint {
            step: self.step,
            loss: scored.loss,
            metrics: scored.evaluation.metrics.clone(),
            interval: scored.evaluation.intervals.get(metric).copied(),
        });
        improved
    }

    /// Whether patience is spent.
    pub fn is_over(&self, patience: usize) -> bool {
        patience > 0 && self.without_improvement >= patience
    }
}

#[derive(Serialize, Deserialize)]
struct Manifest {
    step: u64,
    files: BTreeMap<String, ManifestFile>,
}

#[derive(Serialize, Deserialize)]
struct ManifestFile {
    sha256: String,
    bytes: u64,
}

/// A run's folder.
#[derive(Debug, Clone)]
pub struct RunDirectory {
    path: PathBuf,
    keep: usize,
    disk_budget: Option<u64>,
    /// Copied into every saved model: tokenizer, processor.
    files: Vec<PathBuf>,
    base_model: String,
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
    ".baseline",
];

/// Files of a checkpoint that are not part of the model.
const TRAINING_FILES: &[&str] = &["optimizer.safetensors", "state.json", "manifest.json"];

impl RunDirectory {
    /// Refuses a folder that is in use, unless it is resumed or overwritten. Writes nothing.
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
        Ok(())
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
                    || name.starts_with(".model.");
                if ours {
                    let removed = if entry.is_dir() { fs::remove_dir_all(&entry) } else { fs::remove_file(&entry) };
                    removed.with_context(|| format!("cannot remove {}", entry.display()))?;
                }
            }
        }
        let checkpoints = path.join("checkpoints");
        fs::create_dir_all(&checkpoints).with_context(|| format!("cannot create {}", checkpoints.display()))?;
        let probe = path.join(".writable");
        File::create(&probe)
            .and_then(|file| file.sync_all())
            .and_then(|()| fs::remove_file(&probe))
            .with_context(|| format!("cannot write into {}", path.display()))
    }

    /// A handle on a prepared folder.
    pub fn new(
        path: &Path,
        keep: usize,
        disk_budget: Option<u64>,
        files: Vec<PathBuf>,
        base_model: String,
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

    /// Checks that the checkpoints of a run fit on the disk, before anything is computed.
    pub fn check_space(&self, loaded: &LoadedModel) -> Result<()> {
        let one = checkpoint_bytes(loaded);
        // One more exists while it is being written.
        let all = one * (self.keep as u64 + 1);
        if let Some(budget) = self.disk_budget {
            ensure!(
                all <= budget,
                "disk-budget: {} checkpoints of {} MB need {} MB",
                self.keep + 1,
                one / 1_000_000,
                all / 1_000_000
            );
        }
        self.check_free(all)
    }

    fn check_free(&self, needed: u64) -> Result<()> {
        // The folder itself may not be there yet; its disk is that of the nearest one that is.
        let existing = self.path.ancestors().find(|p| p.exists()).unwrap_or(Path::new("."));
        if let Some(free) = memory::free_disk_bytes(existing) {
            ensure!(
                free >= needed,
                "{}: {} MB are free on this disk, {} MB are needed for checkpoints; free some, choose another --output, \
                 or lower --keep-checkpoints",
                self.path.display(),
                free / 1_000_000,
                needed / 1_000_000
            );
        }
        Ok(())
    }

    /// Writes a checkpoint, publishes the model if it is the best, and removes what is no longer kept.
    pub fn save(&self, state: &RunState, loaded: &LoadedModel, optimizer: &AdamW, improved: bool) -> Result<()> {
        let name = step_name(state.step);
        let target = self.path.join("checkpoints").join(&name);
        let write = || -> Result<()> {
            self.check_free(checkpoint_bytes(loaded))?;
            let temporary = self.path.join("checkpoints").join(format!(".{name}.writing"));
            if temporary.exists() {
                fs::remove_dir_all(&temporary)?;
            }
            fs::create_dir(&temporary)?;
            loaded.save(&temporary, &self.base_model)?;
            for file in &self.files {
                fs::copy(file, temporary.join(file.file_name().unwrap_or_default()))
                    .with_context(|| format!("cannot copy {}", file.display()))?;
            }
            fs::write(temporary.join("recipe.toml"), &self.recipe)?;
            write_tensors(&temporary.join("optimizer.safetensors"), &optimizer.state())?;
            write_json(&temporary.join("state.json"), state)?;
            let manifest = Manifest { step: state.step, files: describe(&temporary)? };
            write_json(&temporary.join("manifest.json"), &manifest)?;
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

    /// Makes `model/` out of a checkpoint. The old one steps aside only when the new one is complete.
    fn publish(&self, checkpoint: &Path) -> Result<()> {
        let (temporary, old, model) = (self.path.join(".model.writing"), self.path.join(".model.old"), self.model());
        for leftover in [&temporary, &old] {
            if leftover.exists() {
                fs::remove_dir_all(leftover)?;
            }
        }
        fs::create_dir(&temporary)?;
        for entry in fs::read_dir(checkpoint)? {
            let entry = entry?;
            let name = entry.file_name();
            if TRAINING_FILES.iter().any(|file| name == *file) || name == "recipe.toml" {
                continue;
            }
            let to = temporary.join(&name);
            if fs::hard_link(entry.path(), &to).is_err() {
                fs::copy(entry.path(), &to)?;
                File::open(&to)?.sync_all()?;
            }
        }
        sync_folder(&temporary)?;
        if model.exists() {
            fs::rename(&model, &old)?;
        }
        fs::rename(&temporary, &model)?;
        sync_folder(&self.path)?;
        if old.exists() {
            fs::remove_dir_all(&old)?;
        }
        Ok(())
    }

    fn prune(&self, state: &RunState) -> Result<()> {
        let steps = self.steps()?;
        let best = state.best.as_ref().map(|best| best.step);
        for step in to_remove(&steps, best, self.keep) {
            let folder = self.path.join("checkpoints").join(step_name(step));
            fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))?;
        }
        Ok(())
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

    /// A run continues only on the data it was started with.
    pub fn check_same_data(&self, fingerprint: u64) -> Result<()> {
        let folders = self.steps().unwrap_or_default().into_iter().map(|step| self.checkpoint(step));
        let states: Vec<RunState> = folders.filter_map(|folder| read_state(&folder).ok()).collect();
        ensure!(
            states.iter().all(|state| state.fingerprint == fingerprint),
            "the training data is not what the run in {} was started with; start anew with --overwrite, or choose \
             another --output",
            self.path.display()
        );
        Ok(())
    }

    /// The checkpoint of a step.
    pub fn checkpoint(&self, step: u64) -> PathBuf {
        self.path.join("checkpoints").join(step_name(step))
    }

    /// Brings the published model in line with the best checkpoint, after a crash between the two.
    pub fn repair(&self, state: &RunState) -> Result<()> {
        for entry in fs::read_dir(self.path.join("checkpoints"))? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().ends_with(".writing") {
                fs::remove_dir_all(entry.path())?;
            }
        }
        if let Some(best) = &state.best {
            let folder = self.checkpoint(best.step);
            if folder.exists() {
                self.publish(&folder)?;
            }
        }
        Ok(())
    }
}

/// Reads the state of a checkpoint.
pub fn read_state(checkpoint: &Path) -> Result<RunState> {
    let path = checkpoint.join("state.json");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is not a run state", path.display()))
}

/// Puts the weights of a checkpoint into a model.
pub fn restore_weights(checkpoint: &Path, params: &mut Params) -> Result<()> {
    let adapter = checkpoint.join("adapter_model.safetensors");
    let is_adapter = adapter.exists();
    let path = if is_adapter { adapter } else { checkpoint.join("model.safetensors") };
    let tensors: BTreeMap<String, Tensor> = read_tensors(&path)?;
    for (name, tensor) in &tensors {
        let name = name.strip_prefix("base_model.model.").unwrap_or(name);
        let param =
            params.get_mut(name).with_context(|| format!("{} holds the unknown tensor `{name}`", path.display()))?;
        ensure!(param.value().size() == tensor.size(), "{}: `{name}` has another shape", path.display());
        param.set(&tensor.to_device(param.value().device()))?;
    }
    Ok(())
}

/// Puts the moments of a checkpoint into an optimizer.
pub fn restore_optimizer(checkpoint: &Path, step: u64, optimizer: &mut AdamW) -> Result<()> {
    Ok(optimizer.restore(step as i64, &read_tensors(&checkpoint.join("optimizer.safetensors"))?)?)
}

fn step_name(step: u64) -> String {
    format!("step-{step:08}")
}

/// Which checkpoints go: all but the best and the newest ones, `keep` in all (the best counts, and is always kept).
fn to_remove(steps: &[u64], best: Option<u64>, keep: usize) -> Vec<u64> {
    let mut kept: Vec<u64> = steps.iter().copied().filter(|step| Some(*step) == best).collect();
    for &step in steps.iter().rev() {
        if !kept.contains(&step) && (kept.len() < keep.max(1) || Some(&step) == steps.last()) {
            kept.push(step);
        }
    }
    steps.iter().copied().filter(|step| !kept.contains(step)).collect()
}

fn checkpoint_bytes(loaded: &LoadedModel) -> u64 {
    let (total, trainable) = loaded.params.counts();
    let model = if loaded.adapter.is_some() { trainable } else { total };
    (4 * model + 8 * trainable + (4 << 20)) as u64
}

fn describe(folder: &Path) -> Result<BTreeMap<String, ManifestFile>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let file = File::open(entry.path())?;
        file.sync_all()?;
        let name = entry.file_name().to_string_lossy().into_owned();
        files.insert(name, ManifestFile { sha256: sha256(&entry.path())?, bytes: file.metadata()?.len() });
    }
    Ok(files)
}

fn verify(folder: &Path) -> Result<()> {
    let text = fs::read_to_string(folder.join("manifest.json")).context("no manifest.json")?;
    let manifest: Manifest = serde_json::from_str(&text).context("manifest.json is not readable")?;
    for (name, expected) in &manifest.files {
        let path = folder.join(name);
        let bytes = fs::metadata(&path).with_context(|| format!("{name} is missing"))?.len();
        ensure!(bytes == expected.bytes, "{name} has {bytes} bytes instead of {}", expected.bytes);
        ensure!(sha256(&path)? == expected.sha256, "{name} has changed");
    }
    Ok(())
}

fn sha256(path: &Path) -> Result<String> {
    let mut hasher = Sha256::new();
    let mut file = File::open(path)?;
    let mut buffer = vec![0u8; 1 << 20];
    loop {
        let count = std::io::Read::read(&mut file, &mut buffer)?;
        if count == 0 {
            break;
        }
        hasher.update(&buffer[..count]);
    }
    Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

fn sync_folder(folder: &Path) -> Result<()> {
    // Folders cannot be opened for syncing everywhere; where they can, the rename is durable afterwards.
    if let Ok(handle) = File::open(folder) {
        let _ = handle.sync_all();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retention_keeps_best_and_last() {
        assert_eq!(to_remove(&[10, 20, 30, 40], Some(10), 2), [20, 30]);
        assert_eq!(to_remove(&[10, 20, 30, 40], Some(40), 2), [10, 20]);
        assert_eq!(to_remove(&[10, 20], Some(10), 1), [0u64; 0]);
        assert_eq!(to_remove(&[10, 20, 30], None, 1), [10, 20]);
        assert_eq!(to_remove(&[], None, 3), [0u64; 0]);
    }

    #[test]
    fn patience_counts_evaluations_without_improvement() {
        let scored = Scored { evaluation: Default::default(), loss: Some(1.0), predictions: Vec::new() };
        let mut state = RunState::default();
        let improved: Vec<bool> = [0.5, 0.4, 0.5, 0.6, 0.6]
            .into_iter()
            .map(|value| state.record("accuracy", value, Direction::Higher, &scored))
            .collect();
        assert_eq!(improved, [true, false, false, true, false]);
        assert!(state.is_over(1) && !state.is_over(2) && !state.is_over(0));
    }

    #[test]
    fn a_changed_file_fails_its_manifest() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a"), "one").unwrap();
        let manifest = Manifest { step: 1, files: describe(folder.path()).unwrap() };
        write_json(&folder.path().join("manifest.json"), &manifest).unwrap();
        verify(folder.path()).unwrap();
        fs::write(folder.path().join("a"), "two").unwrap();
        assert!(verify(folder.path()).unwrap_err().to_string().contains("a has changed"));
    }
}
