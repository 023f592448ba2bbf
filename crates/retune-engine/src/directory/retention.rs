//! Which checkpoints stay, and whether there is room for them.

use super::state::RunState;
use super::{RunDirectory, step_name};
use anyhow::{Context, Result, ensure};
use retune_kernels::memory;
use retune_models::LoadedModel;
use std::fs;
use std::path::Path;

impl RunDirectory {
    /// Checks that the checkpoints of a run fit on the disk, before anything is computed. `baseline`: whether the same
    /// architecture is then trained from random weights, which keeps one checkpoint and the best; `averaged`: whether the weights
    /// that are saved are averages of others.
    pub fn check_space(&self, loaded: &LoadedModel, averaged: bool, baseline: bool) -> Result<()> {
        let (keep, one) = (self.keep as u64, checkpoint_bytes(loaded, averaged));
        let (parameters, _) = loaded.params.counts();
        let whole = bytes_of(parameters, parameters, averaged);
        // One more exists while it is being written.
        let all = one * (keep + 1).max(if baseline { keep + (3 * whole).div_ceil(one) } else { 0 });
        if let Some(budget) = self.disk_budget {
            ensure!(
                all <= budget,
                "disk-budget: {} MB in all are needed for {} checkpoints of {} MB each{}",
                all / 1_000_000,
                keep + 1,
                one / 1_000_000,
                if baseline { " and those of the baseline" } else { "" }
            );
        }
        // What a resumed run has, and what an overwritten one leaves, takes no more room.
        self.check_free(all.saturating_sub(bytes_below(&self.path.join("checkpoints"))))
    }

    pub(super) fn check_free(&self, needed: u64) -> Result<()> {
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

    /// Removes the checkpoints that are no longer kept.
    pub(super) fn prune(&self, state: &RunState) -> Result<()> {
        let steps = self.steps()?;
        let best = state.best.as_ref().map(|best| best.step);
        for step in to_remove(&steps, best, self.keep) {
            let folder = self.path.join("checkpoints").join(step_name(step));
            fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))?;
        }
        Ok(())
    }
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

/// Size of the next checkpoint.
pub(super) fn checkpoint_bytes(loaded: &LoadedModel, averaged: bool) -> u64 {
    let (total, trainable) = loaded.params.counts();
    let model = if loaded.adapter.is_some() { trainable } else { total };
    bytes_of(model, trainable, averaged)
}

/// Weights, and two moments of those that learn, which are beside their averages.
fn bytes_of(weights: usize, trainable: usize, averaged: bool) -> u64 {
    (4 * weights + if averaged { 12 } else { 8 } * trainable) as u64 + OTHER_FILES
}

/// Tokenizer, state and manifest.
const OTHER_FILES: u64 = 4 << 20;

/// Bytes of the files in a folder and below it; 0 where it cannot be read.
fn bytes_below(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let bytes = entries.map(|entry| match entry.metadata() {
        Ok(data) if data.is_dir() => bytes_below(&entry.path()),
        Ok(data) => data.len(),
        Err(_) => 0,
    });
    bytes.sum()
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
}
