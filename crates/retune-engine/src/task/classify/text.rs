//! Text classification: single texts or pairs, tokenized, for [`Classification`].

use super::ClassificationSettings;
use super::{Files, labels};
use crate::recipe::settings::{DATA, Settings, settings};
use crate::task::class_loss::{ClassLossSettings, SmoothingSettings};
use crate::task::splits::Encoded;
use crate::task::texts::{BatchSettings, TextInput, TextSettings, TokenSettings};
use crate::task::usual::USUAL_TASK;
use crate::task::{Entry, FromScratchSettings, Opening, Parts, Preparing, Work, parts};
use anyhow::Result;
use retune_data::{LabelSchema, Layout, OnBadExample, TRUNCATED, TableLines, TableRows, Text};
use retune_models::heads;
use std::path::Path;
use std::sync::Arc;

/// The task.
pub(in crate::task) static ENTRY: Entry = Entry {
    name: USUAL_TASK,
    purpose: &heads::SEQUENCE_CLASSIFICATION,
    settings: &[
        TextSettings::SECTION,
        PairSettings::SECTION,
        TokenSettings::SECTION,
        BatchSettings::SECTION,
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

settings! {
    /// The second text of pairs.
    struct PairSettings, under DATA, else "{task} has no pairs of texts" {
        /// Column with the second text of a pair
        text_pair_column: Option<String>, value("COLUMN"), at_use();
    }
}

fn prepare(from: &Preparing<'_>) -> Result<Box<dyn Work>> {
    let recipe = from.recipe;
    let (tokens, settings) = (recipe.read::<TokenSettings>()?, recipe.read::<ClassificationSettings>()?);
    let input = TextInput::of(tokens.max_length, from.model, from.config)?;
    let layout = layout(&settings, recipe, None)?;
    let on_bad_example: OnBadExample = recipe.data.on_bad_example.parse()?;
    let rows = Encoded::read(recipe, |path| Ok(Arc::new(TableRows::read(path, &layout, true, on_bad_example)?)))?;
    let names = from.config.labels().unwrap_or_default();
    let inferred = LabelSchema::infer_with_names(rows.train.as_ref(), labels::problem(&settings)?, &names)?;
    let (schema, note) = labels::ordered(inferred, from.config);
    let described = schema.describe();
    let options = input.options().on_bad_example(on_bad_example);
    let data = rows.map(|split, rows| {
        let what = format!("tokenizing {} data", split.whole_name());
        let report = |done, all| (from.progress)(&what, done, all);
        let medium = Text::encode(rows.as_ref(), &input.tokenizer, &options, &report)?;
        Ok((rows, medium))
    })?;
    let notes = |about: &crate::task::About| {
        let cut =
            about.facts.splits.iter().filter_map(|split| Some((split, split.count(TRUNCATED).filter(|&n| n > 0)?)));
        cut.map(|(split, cut)| {
            format!(
                "{}: {cut} of {} texts are longer than {} tokens and are cut; --max-length changes that",
                split.name, split.examples, input.max_length
            )
        })
        .collect()
    };
    let files = Files { paths: input.files(), _folder: None };
    let head = labels::Trained {
        purpose: ENTRY.purpose,
        files,
        settings: &settings,
        batching: recipe.read::<BatchSettings>()?.batching(),
        fingerprint: input.max_length as u64,
        frozen_below: 0,
    };
    labels::trained(head, recipe, schema, data, std::iter::once(described).chain(note).collect(), &notes)
}

fn open(from: Opening<'_>) -> Result<Parts<'_>> {
    let recipe = from.recipe;
    let (tokens, settings) = (recipe.read::<TokenSettings>()?, recipe.read::<ClassificationSettings>()?);
    let input = TextInput::of(tokens.max_length, from.model, from.config)?;
    let layout = layout(&settings, recipe, Some(from.model))?;
    let on_bad_example: OnBadExample = recipe.data.on_bad_example.parse()?;
    let options = input.options().on_bad_example(on_bad_example);
    let (targets, progress) = (from.targets, from.progress);
    let rows = labels::Source {
        file: Box::new({
            let layout = layout.clone();
            move |path: &Path| Ok(Arc::new(TableRows::read(path, &layout, targets, on_bad_example)?))
        }),
        lines: Box::new(move |reader| {
            let mut lines = TableLines::new(reader, Path::new(parts::STREAM), &layout)?.on_bad_example(on_bad_example);
            Ok(Box::new(move |most| Ok(lines.next_rows(most)?.map(Arc::new))))
        }),
    };
    let encode = move |rows: &Arc<TableRows>| {
        let report = |done, all| progress("tokenizing", done, all);
        Ok(Text::encode(rows.as_ref(), &input.tokenizer, &options, if rows.streamed() { &|_, _| {} } else { &report })?)
    };
    labels::opened(&ENTRY, from.config, &settings, from.input, targets, rows, encode)
}

fn layout(settings: &ClassificationSettings, recipe: &crate::Recipe, model: Option<&Path>) -> Result<Layout> {
    Ok(Layout::text(recipe.read::<TextSettings>()?.text_column)
        .pair(recipe.read::<PairSettings>()?.text_pair_column)
        .labels([settings.label_column.clone()])
        .label_separator(settings.label_separator)
        .label_numbers(labels::numbers(settings, model))
        .group(recipe.data.group_column.clone()))
}
