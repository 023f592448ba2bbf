//! Image classification: class folders, or tables of paths or bytes, for [`super::Classification`].

use super::ClassificationSettings;
use super::{Files, labels};
use crate::Recipe;
use crate::recipe::Settings;
use crate::task::class_loss::{ClassLossSettings, SmoothingSettings};
use crate::task::images::ImageSettings;
use crate::task::images::ImagesInput;
use crate::task::splits::Encoded;
use crate::task::{Entry, FromScratchSettings, Opening, Parts, Preparing, Work};
use anyhow::Result;
use retune_data::{Batching, LabelSchema, Layout, TableRows};
use retune_models::heads;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

/// The task.
pub(in crate::task) static ENTRY: Entry = Entry {
    name: "image-classification",
    purpose: &heads::IMAGE_CLASSIFICATION,
    settings: &[
        ImageSettings::SECTION,
        ClassificationSettings::SECTION,
        SmoothingSettings::SECTION,
        ClassLossSettings::SECTION,
        FromScratchSettings::SECTION,
    ],
    decides: Some(super::threshold::KEY),
    targets: &["labels"],
    loss: labels::loss,
    prepare,
    open,
};

fn prepare(from: &Preparing<'_>) -> Result<Box<dyn Work>> {
    let recipe = from.recipe;
    let settings = recipe.read::<ClassificationSettings>()?;
    let input = ImagesInput::of(recipe, from.model, from.config)?;
    let layout = layout(recipe, &settings, None)?;
    let rows = Encoded::read(recipe, |path| input.read(path, &layout, true))?;
    let inferred = LabelSchema::infer(rows.train.as_ref(), labels::problem(&settings)?)?;
    let (schema, note) = labels::ordered(inferred, from.config);
    let described = schema.describe();
    let data = rows.map(|split, rows| {
        let images = input.encode(split, &rows, from.progress)?;
        Ok((rows, images))
    })?;
    let mut notes = input.notes(&data.train.1);
    notes.push(described);
    notes.extend(note);
    let (folder, file) = input.processor_file()?;
    let files = Files { paths: vec![file], _folder: Some(folder) };
    let with = labels::Trained {
        purpose: ENTRY.purpose,
        files,
        settings: &settings,
        batching: Batching::Examples,
        fingerprint: input.settings(),
        frozen_below: 0,
    };
    labels::trained(with, recipe, schema, data, notes, &|_| Vec::new())
}

fn open(from: Opening<'_>) -> Result<Parts<'_>> {
    let settings = from.recipe.read::<ClassificationSettings>()?;
    let input = Rc::new(ImagesInput::of(from.recipe, from.model, from.config)?);
    let layout = layout(from.recipe, &settings, Some(from.model))?;
    let (targets, progress) = (from.targets, from.progress);
    let rows = labels::Source {
        file: Box::new({
            let (input, layout) = (Rc::clone(&input), layout.clone());
            move |path| input.read(path, &layout, targets)
        }),
        lines: Box::new({
            let input = Rc::clone(&input);
            move |reader| input.lines(reader, &layout)
        }),
    };
    let encode = move |rows: &Arc<TableRows>| {
        let report = |done, all| progress("decoding", done, all);
        input.decode(rows, false, if rows.streamed() { &|_, _| {} } else { &report })
    };
    labels::opened(&ENTRY, from.config, &settings, from.input, targets, rows, encode)
}

fn layout(recipe: &Recipe, settings: &ClassificationSettings, model: Option<&Path>) -> Result<Layout> {
    let images = recipe.read::<ImageSettings>()?;
    Ok(Layout::image(images.image_column)
        .labels([settings.label_column.clone()])
        .label_separator(settings.label_separator)
        .label_numbers(labels::numbers(settings, model))
        .group(recipe.data.group_column.clone()))
}
