//! Everything that decides a run. Each key is a flag of `retune finetune`, declared once, beside its owner.
//!
//! | file | holds |
//! |---|---|
//! | `settings` | how settings are declared, checked and described |
//! | `kind` | what a value is, in TOML, on the command line and in Rust |
//! | `common` | the settings of every run |
//! | `known` | every section that there is, and recipes made of their keys |
//! | `check` | what a recipe must say, and what nothing would read |
//!
//! Those of a task, of what it reads, and of a method lie in `task` and `method`; [`Recipe::read`] gives them.

mod check;
mod common;
mod kind;
mod known;
pub mod settings;

pub use common::{DataSettings, OptimizationSettings, RunSettings};
pub use known::{keys, sections, setting};
pub use settings::{Section, Setting, Settings};

use anyhow::{Context, Result, bail};
use std::collections::BTreeSet;
use std::path::Path;
use toml::Table;

/// What decides a run: the settings that every run has, and what was given of others. A resolved one repeats its run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Recipe {
    /// What is learnt, from what, with which model.
    pub data: DataSettings,
    /// How the run goes, what it leaves behind, and what it runs on.
    pub run: RunSettings,
    /// What learns, how fast, and when that is enough.
    pub optimization: OptimizationSettings,
    /// Keys of other sections, as they were given.
    others: Table,
    /// All keys that were given, if only with their usual values.
    named: BTreeSet<String>,
}

/// The key of a configuration that stands in place of a model.
const CONFIG: &str = "config";
/// The key of a model that a part starts from.
const BACKBONE: &str = "backbone";

/// Reads a recipe file; problems name line and column.
pub fn read(path: &Path) -> Result<Table> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read the recipe {}", path.display()))?;
    text.parse().with_context(|| format!("the recipe {} is not valid TOML", path.display()))
}

impl Recipe {
    /// The settings of a section, with defaults where nothing was given.
    ///
    /// # Errors
    /// Values that cannot be used, all named at once.
    pub fn read<S: Settings>(&self) -> Result<S> {
        let values = S::SECTION.filled(&self.given());
        let problems = S::SECTION.problems(&values);
        if !problems.is_empty() {
            bail!("{}", problems.join("; "));
        }
        values.try_into().context("the recipe does not fit")
    }

    /// Whether a key was given, if only with its usual value.
    pub(crate) fn names(&self, key: &str) -> bool {
        self.named.contains(key)
    }

    /// What a run starts from, in words: a model, or the configuration of one that is made from nothing.
    pub fn start(&self) -> String {
        let made = self.others.get(CONFIG).and_then(toml::Value::as_str).filter(|_| self.data.model.is_empty());
        made.map_or_else(|| self.data.model.clone(), str::to_owned)
    }

    /// Whether the same architecture is also trained from random weights, for comparison.
    pub fn trains_baseline(&self) -> bool {
        // What is random already is its own comparison, unless a part of it was trained before.
        let random = self.data.from_scratch && !self.others.contains_key(BACKBONE);
        self.run.baselines == "all" && !random
    }

    /// The recipe of the baseline from random weights: its small steps would hold random weights back, so its learning rate
    /// is its own.
    pub(crate) fn for_baseline(&self) -> Self {
        let mut recipe = self.clone();
        recipe.optimization.learning_rate = self.run.baseline_learning_rate;
        recipe.optimization.backbone_learning_rate = None;
        recipe.run.keep_checkpoints = 1;
        recipe
    }

    /// All that was given or set, by key.
    fn given(&self) -> Table {
        let mut all = self.others.clone();
        all.extend(table(&self.data));
        all.extend(table(&self.run));
        all.extend(table(&self.optimization));
        all
    }
}

/// The keys of settings that have a value.
fn table(settings: &impl Settings) -> Table {
    Table::try_from(settings).expect("a recipe holds only TOML values")
}
