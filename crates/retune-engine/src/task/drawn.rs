//! `--draw`: pictures with what was found in them, one beside each line.

use super::written::Written;
use crate::recipe::settings::{DATA, settings};
use anyhow::Result;
use retune_data::Dataset;
use serde_json::{Map, Value};
use std::path::PathBuf;

settings! {
    /// Answers as pictures.
    pub(super) struct DrawSettings, under DATA, else "{task} finds no places in pictures" {
        /// Folder that pictures with what was found in them are written to, of their own size: boxes with names and scores, or masks
        /// with a legend below
        draw: Option<PathBuf>, value("FOLDER"), usual("none are written"), at_use(), neutral();
    }
}

/// The folder, and what is in it.
#[derive(Debug, Default)]
pub(super) struct Drawn {
    folder: Option<PathBuf>,
    written: Written,
}

impl Drawn {
    pub(super) fn new(settings: DrawSettings) -> Self {
        Self { folder: settings.draw, written: Written::default() }
    }

    /// Writes the picture of an example, where pictures are wanted, and says where it is.
    pub(super) fn write(
        &self,
        data: &dyn Dataset,
        example: usize,
        png: impl FnOnce() -> Result<Vec<u8>>,
    ) -> Result<Map<String, Value>> {
        let Some(folder) = &self.folder else { return Ok(Map::new()) };
        let source = data.source(example)?;
        let image = source.fields.values().find_map(Value::as_str).unwrap_or_default();
        let path = self.written.write(folder, (image, "image"), &png()?)?;
        Ok(Map::from_iter([("drawn".to_owned(), path.display().to_string().into())]))
    }
}
