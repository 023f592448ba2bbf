//! Image classification: class folders, or tables of paths or bytes, for [`Classification`].

use super::classification::{Classification, Modality, ordered, problem, saved_schema};
use super::images::{self, Images, RunRows};
use super::{Input, OnProgress, Opened, Splits, Task};
use crate::Recipe;
use anyhow::Result;
use retune_data::{ClassSets, Classes, LabelSchema, Numbers, OnBadExample, read_images};
use retune_models::registry::Purpose;
use retune_models::{CheckpointFolder, ModelConfig};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

pub(super) fn prepare(recipe: &Recipe, model: &Path, progress: OnProgress<'_>) -> Result<(Box<dyn Task>, Splits)> {
    let config = CheckpointFolder::config(model)?;
    let images = Images::of(recipe, model, &config)?;
    let layout = images::layout(recipe);
    let on_bad_example: OnBadExample = recipe.on_bad_example.parse()?;
    let rows = RunRows::read(recipe, |path| Ok(read_images(path, &layout, true, on_bad_example)?))?;
    let (schema, note) = ordered(LabelSchema::infer(rows.train.as_ref(), problem(recipe)?)?, &config);
    let mut splits = match &schema {
        LabelSchema::SingleLabel { names } => images.splits(recipe, rows, |rows| Classes::read(rows, names), progress),
        LabelSchema::MultiLabel { names } => images.splits(recipe, rows, |rows| ClassSets::read(rows, names), progress),
        LabelSchema::Regression { outputs } => {
            images.splits(recipe, rows, |rows| Numbers::read(rows, *outputs), progress)
        }
    }?;
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
    let parts = images.parts(recipe, input, &images::layout(recipe), schema, labels, progress)?;
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
