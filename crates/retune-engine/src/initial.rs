//! What a run starts from: a model's folder, from a disk or a hub; one made from nothing; or a configuration beside another model's convolutions.

use crate::Recipe;
use crate::directory::Start;
use crate::open::{self, Found};
use crate::task::{Backbone, FromScratch};
use crate::watch::Watch;
use anyhow::Result;
use retune_models::{BaseModel, Purpose};
use std::path::{Path, PathBuf};

/// A model before it learns. What it had to make lies in folders that go with it.
pub(crate) struct InitialModel {
    /// What to call it.
    pub(crate) base: BaseModel,
    /// How it was made, in words.
    pub(crate) notes: Vec<String>,
    folder: PathBuf,
    from_scratch: Option<FromScratch>,
    backbone: Option<Backbone>,
}

impl InitialModel {
    /// Finds or makes it.
    ///
    /// # Errors
    /// A model that cannot be found, a configuration that is not known, convolutions that do not fit.
    pub(crate) fn of(recipe: &Recipe, purpose: &Purpose, start: Start, watch: &Watch<'_, '_>) -> Result<Self> {
        let from_scratch = FromScratch::of(recipe, purpose, start)?;
        let Found { folder, base } = match &from_scratch {
            None => open::resolve(&recipe.data.model, recipe.data.revision.as_deref(), watch)?,
            Some(it) => {
                Found { folder: it.folder().to_owned(), base: BaseModel { name: recipe.start(), revision: None } }
            }
        };
        let graft = |name: String| {
            let found = open::resolve(&name, None, watch)?;
            Backbone::of(recipe, &folder, (&found.base.name, &found.folder))
        };
        let backbone = Backbone::named(recipe)?.map(graft).transpose()?;
        let folder = backbone.as_ref().map_or(folder, |it| it.folder().to_owned());
        let notes = from_scratch.iter().map(|it| &it.note).chain(backbone.iter().map(|it| &it.note)).cloned().collect();
        Ok(Self { base, notes, folder, from_scratch, backbone })
    }

    /// Where its files lie.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The path of the only part that has weights, where not all have.
    pub(crate) fn only(&self) -> Option<&str> {
        self.backbone.as_ref().and_then(|it| it.only.as_deref())
    }

    /// Leaves what resuming needs in the run's folder.
    ///
    /// # Errors
    /// What cannot be written.
    pub(crate) fn keep(&self, output: &Path) -> Result<()> {
        self.from_scratch.as_ref().map_or(Ok(()), |it| it.keep(output))
    }
}
