//! Text classification: single texts or pairs, tokenized, for [`Classification`].

use super::classification::{Classification, Modality, ordered, problem, saved_schema};
use super::described::joined;
use super::splits::Encoded;
use super::{EncodedLabel, Input, OnProgress, Opened, Splits, Task};
use crate::Recipe;
use anyhow::{Context, Result, ensure};
use retune_data::{
    ClassSets, Classes, DataError, Dataset, Examples, LabelSchema, Layout, Numbers, OnBadExample, TRUNCATED,
    TableLines, TableRows, Targets, Text, TextOptions, Tokenizer, user_cache,
};
use retune_models::registry::{self, Purpose};
use retune_models::{CheckpointFolder, Model, ModelConfig};
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;

/// Longest input when nobody says otherwise: what BERT-like encoders were pretrained with.
const USUAL_MAX_LENGTH: usize = 512;

pub(super) fn prepare(recipe: &Recipe, model: &Path, progress: OnProgress<'_>) -> Result<(Box<dyn Task>, Splits)> {
    let config = CheckpointFolder::config(model)?;
    let (tokenizer, max_length) = tokenizer(recipe, model, &config)?;
    let layout = layout(recipe);
    let on_bad_example: OnBadExample = recipe.on_bad_example.parse()?;
    let read = |path: &Path| TableRows::read(path, &layout, true, on_bad_example).map(Arc::new);
    let train_path = recipe.train.as_deref().context("a training file")?;
    let train_rows = read(train_path)?;
    let names = config.labels().unwrap_or_default();
    let (schema, note) =
        ordered(LabelSchema::infer_with_names(train_rows.as_ref(), problem(recipe)?, &names)?, &config);
    // All files are read before any is tokenized, so that a typo in the last one costs nothing.
    let rows = RunRows {
        train: train_rows,
        validation: recipe.validation.as_deref().map(read).transpose()?,
        test: recipe.test.as_deref().map(read).transpose()?,
    };
    let texts =
        Texts { recipe, tokenizer: &tokenizer, options: TextOptions::new(max_length).on_bad_example(on_bad_example) };
    let notes = note.into_iter().collect();
    let mut splits = match &schema {
        LabelSchema::SingleLabel { names } => texts.splits(rows, |rows| Classes::read(rows, names), notes, progress),
        LabelSchema::MultiLabel { names } => texts.splits(rows, |rows| ClassSets::read(rows, names), notes, progress),
        LabelSchema::Regression { outputs } => {
            texts.splits(rows, |rows| Numbers::read(rows, *outputs), notes, progress)
        }
    }?;
    let cut = splits.facts.splits.iter().filter_map(|split| Some((split, split.count(TRUNCATED).filter(|&n| n > 0)?)));
    splits.notes.extend(cut.map(|(split, cut)| {
        format!(
            "{}: {cut} of {} texts are longer than {max_length} tokens and are cut; --max-length changes that",
            split.name, split.examples
        )
    }));
    let task = Classification::trained(modality(&tokenizer, max_length), schema, recipe, splits.train.as_ref())?;
    Ok((Box::new(task), splits))
}

/// The rows of a run.
struct RunRows {
    train: Arc<TableRows>,
    validation: Option<Arc<TableRows>>,
    test: Option<Arc<TableRows>>,
}

/// How the texts of a run become data.
struct Texts<'a> {
    recipe: &'a Recipe,
    tokenizer: &'a Tokenizer,
    options: TextOptions,
}

impl Texts<'_> {
    /// The data of a run, with the targets that `targets` reads.
    fn splits<T: Targets<Text, Gold: Into<EncodedLabel>> + 'static>(
        &self,
        rows: RunRows,
        targets: impl Fn(&TableRows) -> Result<Option<T>, DataError>,
        notes: Vec<String>,
        progress: OnProgress<'_>,
    ) -> Result<Splits> {
        let encode = |name: &str, rows: Arc<TableRows>| -> Result<_> {
            let read = targets(&rows)?;
            let report = |done, all| progress(name, done, all);
            let text = Text::encode(rows.as_ref(), self.tokenizer, &self.options, &report)?;
            Ok(Examples::new(rows, text, read)?)
        };
        let data = Encoded {
            train: encode("tokenizing training data", rows.train)?,
            validation: rows.validation.map(|rows| encode("tokenizing validation data", rows)).transpose()?,
            test: rows.test.map(|rows| encode("tokenizing test data", rows)).transpose()?,
        };
        data.splits(self.recipe, self.options.max_length as u64, notes)
    }
}

pub(super) fn open<'a>(
    recipe: &Recipe,
    model: &Path,
    config: &ModelConfig,
    input: Input<'a>,
    labels: bool,
    progress: OnProgress<'_>,
) -> Result<Opened<'a>> {
    let (tokenizer, max_length) = tokenizer(recipe, model, config)?;
    let task = Box::new(Classification::saved(modality(&tokenizer, max_length), recipe, config)?);
    // What is only predicted may have any labels, or none that this model knows.
    let schema = labels.then(|| saved_schema(config).0);
    let layout = layout(recipe);
    let on_bad_example: OnBadExample = recipe.on_bad_example.parse()?;
    let options = TextOptions::new(max_length).on_bad_example(on_bad_example);
    match input {
        Input::File(path) => {
            let rows = Arc::new(TableRows::read(path, &layout, labels, on_bad_example)?);
            let report = |done, all| progress("tokenizing", done, all);
            let text = Text::encode(rows.as_ref(), &tokenizer, &options, &report)?;
            Ok(Opened { task, parts: Box::new(std::iter::once(Ok(joined(rows, text, schema.as_ref())?))) })
        }
        Input::Lines { reader, part } => {
            let name = Path::new("standard input");
            let mut lines = TableLines::new(reader, name, &layout)?.on_bad_example(on_bad_example);
            let mut next = move || -> Result<Option<Arc<dyn Dataset>>> {
                let Some(rows) = lines.next_rows(part)?.map(Arc::new) else { return Ok(None) };
                let text = Text::encode(rows.as_ref(), &tokenizer, &options, &|_, _| {})?;
                Ok(Some(joined(rows, text, schema.as_ref())?))
            };
            Ok(Opened { task, parts: Box::new(std::iter::from_fn(move || next().transpose())) })
        }
    }
}

fn modality(tokenizer: &Tokenizer, max_length: usize) -> Modality {
    let check = move |model: &dyn Model| {
        let longest = model.max_length().unwrap_or(usize::MAX);
        ensure!(max_length <= longest, "max-length: {max_length} is more than the {longest} positions this model has");
        Ok(())
    };
    Modality {
        name: "text-classification",
        purpose: Purpose::SequenceClassification,
        files: tokenizer.files().to_vec(),
        _folder: None,
        check: Box::new(check),
    }
}

fn layout(recipe: &Recipe) -> Layout {
    Layout::text(&recipe.text_column)
        .pair(recipe.text_pair_column.clone())
        .labels(recipe.label_columns())
        .label_separator(recipe.label_separator)
        .group(recipe.group_column.clone())
}

fn tokenizer(recipe: &Recipe, model: &Path, config: &ModelConfig) -> Result<(Tokenizer, usize)> {
    let tokenizer = Tokenizer::load(model)?;
    let tokenizer = match user_cache() {
        Some(cache) => tokenizer.with_cache(cache.join("tokens")),
        None => tokenizer,
    };
    let vocabulary = config.size("vocab_size")? as usize;
    ensure!(
        tokenizer.vocabulary_size() <= vocabulary,
        "{}: the tokenizer has {} pieces, but the model's embedding has {vocabulary} rows; they do not belong together",
        tokenizer.folder().display(),
        tokenizer.vocabulary_size()
    );
    let positions = registry::max_positions(config)?.unwrap_or(usize::MAX);
    let allowed = tokenizer.model_max_length().unwrap_or(usize::MAX).min(positions);
    let max_length = recipe.max_length.unwrap_or(allowed.min(USUAL_MAX_LENGTH));
    ensure!(max_length <= positions, "max-length: {max_length} is more than the {positions} positions this model has");
    let two_types = config.get("type_vocab_size").and_then(Value::as_u64).is_some_and(|n| n > 1);
    let wanted = tokenizer.token_types() && two_types;
    Ok((tokenizer.with_token_types(wanted), max_length))
}
