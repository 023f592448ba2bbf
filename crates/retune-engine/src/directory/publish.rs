//! `model/`: hard links to the best checkpoint, replaced only when the new one is complete.

use super::RunDirectory;
use super::state::RunState;
use anyhow::Result;
use std::fs::{self, File};
use std::path::Path;

/// Files of a checkpoint that are not part of the model.
const TRAINING_FILES: &[&str] = &["optimizer.safetensors", "learnt.safetensors", "state.json", "manifest.json"];

impl RunDirectory {
    /// Makes `model/` out of a checkpoint. The old one steps aside only when the new one is complete.
    pub(super) fn publish(&self, checkpoint: &Path) -> Result<()> {
        let (temporary, old, model) = (self.path.join(".model.writing"), self.path.join(".model.old"), self.model());
        for leftover in [&temporary, &old] {
            if leftover.exists() {
                fs::remove_dir_all(leftover)?;
            }
        }
        fs::create_dir(&temporary)?;
        link(checkpoint, &temporary)?;
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

/// Puts the files of a model into another folder, those in folders below it, too.
fn link(from: &Path, into: &Path) -> Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let name = entry.file_name();
        if TRAINING_FILES.iter().any(|file| name == *file) {
            continue;
        }
        let to = into.join(&name);
        if entry.file_type()?.is_dir() {
            fs::create_dir(&to)?;
            link(&entry.path(), &to)?;
        } else if fs::hard_link(entry.path(), &to).is_err() {
            fs::copy(entry.path(), &to)?;
            File::open(&to)?.sync_all()?;
        }
    }
    sync_folder(into)
}

/// Makes renames inside a folder durable.
pub(super) fn sync_folder(folder: &Path) -> Result<()> {
    // Folders cannot be opened for syncing everywhere; where they can, the rename is durable afterwards.
    if let Ok(handle) = File::open(folder) {
        let _ = handle.sync_all();
    }
    Ok(())
}
