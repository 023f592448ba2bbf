//! Models of which a part starts from another model: detectors whose backbone was an image classifier's, and all else anew.

use crate::Recipe;
use crate::method;
use crate::recipe::settings::{DATA, settings};
use anyhow::{Context, Result, ensure};
use retune_models::CheckpointFolder;
use retune_models::checkpoint::{Grafted, graft};
use std::path::Path;
use tempfile::TempDir;

settings! {
    /// Where a detector's convolutions come from.
    pub(super) struct BackboneSettings, under DATA, else "{task} has no backbone that could start from another model" {
        /// Folder or hub id of an image classifier, a ResNet of transformers' or timm's, that the detector's backbone starts from;
        /// of --model its configuration is enough (or --from-scratch --config), and what it has no weights for starts anew
        backbone: Option<String>, value("MODEL"), usual("the model's own");
    }
}

/// Classifiers' tensors that a note names, at most.
const MOST_NAMED: usize = 4;

/// What such a run starts from: a folder with the model's configuration and the weights that there are.
pub(crate) struct Backbone {
    folder: TempDir,
    /// In words.
    pub(crate) note: String,
    /// The path of that part, where nothing else has weights.
    pub(crate) only: Option<String>,
}

impl Backbone {
    /// The classifier that a recipe names, if it names one.
    ///
    /// # Errors
    /// Settings that cannot be read.
    pub(crate) fn named(recipe: &Recipe) -> Result<Option<String>> {
        Ok(recipe.read::<BackboneSettings>()?.backbone)
    }

    /// Puts the convolutions of a classifier into a detector.
    ///
    /// # Errors
    /// Models that do not fit, or an adapter, which would be saved without what it stands beside.
    pub(crate) fn of(recipe: &Recipe, detector: &Path, (name, classifier): (&str, &Path)) -> Result<Self> {
        // A model that was made from nothing is what its backbone is put into.
        let named = recipe.data.from_scratch && !recipe.data.model.is_empty();
        ensure!(
            !named,
            "backbone: contradicts from-scratch, unless --config stands in place of --model; leave one of them out"
        );
        let method = &recipe.optimization.method;
        let adapter = method::parse(method)?.adapter(recipe, &CheckpointFolder::config(detector)?)?;
        ensure!(
            adapter.is_none(),
            "method: {method} is saved beside its base model, which a detector with another backbone has not; train it with \
             --method full first"
        );
        let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
        let Grafted { path, taken, left, whole } =
            graft(detector, classifier, folder.path()).with_context(|| format!("backbone `{name}`"))?;
        let mut named: Vec<&str> = left.iter().take(MOST_NAMED).map(String::as_str).collect();
        if left.len() > MOST_NAMED {
            named.push("…");
        }
        let left = if left.is_empty() { String::new() } else { format!(", without {}", named.join(", ")) };
        let rest = if whole { "the model's own weights are kept for all else" } else { "all else starts anew" };
        let note = format!("the backbone starts from {name}: {taken} tensors{left}; {rest}");
        Ok(Self { folder, note, only: (!whole).then(|| path.to_owned()) })
    }

    /// One that was made otherwise.
    pub(super) fn new(folder: TempDir, note: String, only: Option<String>) -> Self {
        Self { folder, note, only }
    }

    /// Where it lies.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }
}
