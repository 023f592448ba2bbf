//! Audio classification: class folders, or tables of paths or bytes, for [`super::Classification`].

use super::ClassificationSettings;
use super::{Files, labels};
use crate::recipe::Settings;
use crate::task::audio::{AudioSettings, SoundInput};
use crate::task::{Entry, FromScratchSettings, Opening, Parts, Preparing, Work};
use anyhow::Result;
use retune_data::{Batching, LabelSchema, Layout, TableRows};
use retune_models::heads;
use std::rc::Rc;
use std::sync::Arc;

/// The task.
pub(in crate::task) static ENTRY: Entry = Entry {
    name: "audio-classification",
    purpose: &heads::AUDIO_CLASSIFICATION,
    settings: &[AudioSettings::SECTION, ClassificationSettings::SECTION, FromScratchSettings::SECTION],
    decides: Some(super::threshold::KEY),
    targets: &["labels"],
    loss: labels::loss,
    prepare,
    open,
};

fn prepare(from: &Preparing<'_>) -> Result<Box<dyn Work>> {
    let recipe = from.recipe;
    let settings = recipe.read::<ClassificationSettings>()?;
    let input = SoundInput::of(recipe, from.model, from.config, true)?;
    let layout = with_labels(input.layout(recipe, [settings.label_column.clone()]), &settings, None);
    let rows = input.splits(recipe, &layout)?;
    let inferred = LabelSchema::infer(rows.train.as_ref(), labels::problem(&settings)?)?;
    let (schema, note) = labels::ordered(inferred, from.config);
    let described = schema.describe();
    let data = rows.map(|split, rows| {
        let sounds = input.encode(split, &rows, from.progress)?;
        Ok((rows, sounds))
    })?;
    input.check(data.iter().map(|(_, sounds)| sounds))?;
    let mut notes = input.notes();
    notes.push(described);
    notes.extend(note);
    let (folder, file) = input.processor_file()?;
    let files = Files { paths: vec![file], _folder: Some(folder) };
    let with = labels::Trained {
        purpose: ENTRY.purpose,
        files,
        settings: &settings,
        // Padding is work, and a long sound is as much of it as many short ones.
        batching: Batching::Tokens,
        fingerprint: input.fingerprint(),
        frozen_below: input.frozen_below(),
    };
    labels::trained(with, recipe, schema, data, notes, &|_| Vec::new())
}

fn open(from: Opening<'_>) -> Result<Parts<'_>> {
    let settings = from.recipe.read::<ClassificationSettings>()?;
    let input = Rc::new(SoundInput::of(from.recipe, from.model, from.config, true)?);
    let labels_of = input.layout(from.recipe, [settings.label_column.clone()]);
    let layout = with_labels(labels_of, &settings, Some(from.model));
    let (targets, progress) = (from.targets, from.progress);
    let rows = labels::Source {
        file: Box::new({
            let (input, layout) = (Rc::clone(&input), layout.clone());
            move |path| input.file(path, &layout, targets)
        }),
        lines: Box::new({
            let input = Rc::clone(&input);
            move |reader| input.lines(reader, &layout)
        }),
    };
    let encode = move |rows: &Arc<TableRows>| {
        let report = |done, all| progress("decoding", done, all);
        let sounds = input.decode(rows, if rows.streamed() { &|_, _| {} } else { &report })?;
        input.check([&sounds])?;
        Ok(sounds)
    };
    labels::opened(&ENTRY, from.config, &settings, from.input, targets, rows, encode)
}

fn with_labels(layout: Layout, settings: &ClassificationSettings, model: Option<&std::path::Path>) -> Layout {
    layout.label_separator(settings.label_separator).label_numbers(labels::numbers(settings, model))
}
