//! A tiny BERT (two layers of width 32, a vocabulary of 300) and a few real reviews.

use retune_engine::{EngineError, Finished, Observer, Recipe, Start, finetune};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tempfile::TempDir;

pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures").join(name)
}

/// A folder for a test that runs alone: probing the processor for one run switches matrix products for all.
pub(crate) struct Desk {
    folder: TempDir,
    _alone: MutexGuard<'static, ()>,
}

impl Desk {
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// A recipe of ten steps, and the folder it lives in.
pub(crate) fn recipe() -> (Desk, Recipe) {
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, rows: usize| {
        let text = fs::read_to_string(fixture("sentiment").join(name)).unwrap();
        let path = folder.path().join(name);
        fs::write(&path, text.lines().take(rows + 1).map(|line| format!("{line}\n")).collect::<String>()).unwrap();
        Some(path)
    };
    let mut recipe: Recipe =
        "batch-size = 8\nsteps = 10\nprecision = 'fp32'\ndevice = 'cpu'\nthreads = 1".parse().unwrap();
    recipe.data.model = fixture("parity/bert-base-only").to_str().unwrap().to_owned();
    recipe.data.train = file("train.csv", 80);
    recipe.data.validation = file("validation.csv", 20);
    recipe.data.test = file("test.csv", 20);
    recipe.run.output = folder.path().join("run");
    (Desk { folder, _alone }, recipe)
}

/// The recipe with other values for some keys.
pub(crate) fn with(recipe: &Recipe, keys: &str) -> Recipe {
    recipe.with(&keys.parse().unwrap()).unwrap()
}

pub(crate) fn run(recipe: &Recipe, start: Start, observer: &mut dyn Observer) -> Result<Finished, EngineError> {
    finetune(recipe, start, &mut [observer])
}

/// Watches nothing.
pub(crate) struct Nobody;
impl Observer for Nobody {}
