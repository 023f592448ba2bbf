//! Image classification: class folders, or tables of paths or bytes, for [`Classification`].

use super::classification::{Classification, Modality, ordered, problem, saved_schema};
use super::images::{self, Images, RunRows};
use super::{Input, OnProgress, Opened, Splits, Task};
use crate::Recipe;
use anyhow::Result;
use retune_data::{ImageRows, LabelSchema};
use retune_models::registry::Purpose;
use retune_models::{CheckpointFolder, ModelConfig};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

pub(super) fn prepare(recipe: &Recipe, model: &Path, progress: OnProgress<'_>) -> Result<(Box<dyn Task>, Splits)> {
    let config = CheckpointFolder::config(model)?;
    let images = Images::of(recipe, model, &config)?;
    let columns = images::columns(recipe, None);
    let rows = RunRows::read(recipe, |path| Ok(ImageRows::read(path, &columns, true)?))?;
    let (schema, note) = ordered(LabelSchema::infer(&rows.train, problem(recipe)?)?, &config);
    let mut splits = images.splits(recipe, rows, Some(&schema), progress)?;
    splits.notes.push(schema.describe());
    splits.notes.extend(note);
    let modality = modality(Some(images.processor_file()?));
    let task = Classification::trained(modality, schema, recipe, splits.train.as_ref())?;
    Ok((Box::new(task), splits))
}

pub(super) fn open<'a>(
    recipe: &Recipe,
    model: &Path,
    config: &ModelConfig,
    input: Input<'a>,
    labels: bool,
    progress: OnProgress<'_>,
) -> Result<Opened<'a>> {
    let images = Images::of(recipe, model, config)?;
    let task = Box::new(Classification::saved(modality(None), recipe, config)?);
    // What is only predicted may have any labels, or none that this model knows.
    let schema = labels.then(|| saved_schema(config).0);
    let parts = images.parts(recipe, input, &images::columns(recipe, Some(model)), schema, labels, progress)?;
    Ok(Opened { task, parts })
}

/// With the processor's file where a model will be saved.
fn modality(processor: Option<(TempDir, PathBuf)>) -> Modality {
    let (folder, file) = processor.unzip();
    Modality {
        name: "image-classification",
        purpose: Purpose::ImageClassification,
        files: file.into_iter().collect(),
        _folder: folder,
        check: Box::new(|_| Ok(())),
    }
}
