//! What lies beside a saved model: its items, and how often each was met in training.

use anyhow::{Context, Result, ensure};
use retune_data::Catalogue;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The file.
const FILE: &str = "items.json";

/// The items of a model, item 1 first.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct SavedItems {
    /// Their names.
    pub(super) items: Vec<String>,
    /// How often each stands in the training data.
    pub(super) training_counts: Vec<u64>,
}

impl SavedItems {
    /// Of a model's folder; `None` where it has no items yet.
    pub(super) fn of(folder: &Path) -> Result<Option<Self>> {
        let path = folder.join(FILE);
        if !path.is_file() {
            return Ok(None);
        }
        let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let saved: Self = serde_json::from_str(&text).with_context(|| format!("{} lists no items", path.display()))?;
        ensure!(
            saved.items.len() == saved.training_counts.len(),
            "{}: {} items, but {} counts",
            path.display(),
            saved.items.len(),
            saved.training_counts.len()
        );
        Ok(Some(saved))
    }

    /// Writes it into a folder.
    pub(super) fn write(&self, folder: &Path) -> Result<PathBuf> {
        let path = folder.join(FILE);
        let text = serde_json::to_string(self)? + "\n";
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }

    /// As a catalogue.
    pub(super) fn catalogue(&self) -> Catalogue {
        Catalogue::of(&self.items)
    }

    /// Whether each item, from 0 on, was met in training.
    pub(super) fn known(&self) -> Vec<bool> {
        std::iter::once(false).chain(self.training_counts.iter().map(|&count| count > 0)).collect()
    }
}

/// Puts the list of a model's items into another folder.
///
/// # Errors
/// A list that is not there or cannot be copied.
pub(super) fn copy(from: &Path, into: &Path) -> Result<()> {
    let list = from.join(FILE);
    std::fs::copy(&list, into.join(FILE)).map(drop).with_context(|| format!("cannot copy {}", list.display()))
}
