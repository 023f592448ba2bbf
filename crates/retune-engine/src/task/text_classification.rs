//! Text classification: single texts or pairs, tokenized, for [`Classification`].

use super::classification::{Classification, Modality, label_numbers, ordered, problem, saved_schema};
use super::splits::Encoded;
use super::{Input, OnProgress, Opened, Splits, Task};
use crate::Recipe;
use anyhow::{Context, Result, ensure};
use retune_data::{
    Dataset, LabelSchema, OnBadExample, TextColumns, TextDataset, TextLines, TextRows, Tokenizer, user_cache,
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
    let columns = columns(recipe, None);
    let on_bad_example: OnBadExample = recipe.on_bad_example.parse()?;
    let read = |path: &Path| TextRows::read_usable(path, &columns, true, on_bad_example);
    let train_path = recipe.train.as_deref().context("a training file")?;
    let train_rows = read(train_path)?;
    let names = config.labels().unwrap_or_default();
    let (schema, note) = ordered(LabelSchema::infer_with_names(&train_rows, problem(recipe)?, &names)?, &config);
    let encode = |name: &str, rows: TextRows| {
        TextDataset::encode(rows, &tokenizer, Some(&schema), max_length, &|done, all| progress(name, done, all))
    };
    // All files are read before any is tokenized, so that a typo in the last one costs nothing.
    let validation_rows = recipe.validation.as_deref().map(read).transpose()?;
    let test_rows = recipe.test.as_deref().map(read).transpose()?;
    let data = Encoded {
        train: encode("tokenizing training data", train_rows)?,
        validation: validation_rows.map(|rows| encode("tokenizing validation data", rows)).transpose()?,
        test: test_rows.map(|rows| encode("tokenizing test data", rows)).transpose()?,
    };
    let mut splits = data.splits(recipe, max_length as u64, std::iter::once(schema.describe()).chain(note).collect())?;
    let cut = splits.facts.splits.iter().filter_map(|split| Some((split, split.truncated.filter(|&n| n > 0)?)));
    splits.notes.extend(cut.map(|(split, cut)| {
        format!(
            "{}: {cut} of {} texts are longer than {max_length} tokens and are cut; --max-length changes that",
            split.name, split.rows
        )
    }));
    let task = Classification::trained(modality(&tokenizer, max_length), schema, recipe, splits.train.as_ref())?;
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
    let (tokenizer, max_length) = tokenizer(recipe, model, config)?;
    let task = Box::new(Classification::saved(modality(&tokenizer, max_length), recipe, config)?);
    // What is only predicted may have any labels, or none that this model knows.
    let schema = labels.then(|| saved_schema(config).0);
    let columns = columns(recipe, Some(model));
    let on_bad_example: OnBadExample = recipe.on_bad_example.parse()?;
    match input {
        Input::File(path) => {
            let rows = TextRows::read_usable(path, &columns, labels, on_bad_example)?;
            let report = |done, all| progress("tokenizing", done, all);
            let dataset = TextDataset::encode(rows, &tokenizer, schema.as_ref(), max_length, &report)?;
            Ok(Opened { task, parts: Box::new(std::iter::once(Ok(Arc::new(dataset) as Arc<dyn Dataset>))) })
        }
        Input::Lines { reader, part } => {
            let name = Path::new("standard input");
            let mut lines = TextLines::new(reader, name, &columns)?.on_bad_example(on_bad_example);
            let mut next = move || -> Result<Option<Arc<dyn Dataset>>> {
                let Some(rows) = lines.next_rows(part)? else { return Ok(None) };
                let dataset = TextDataset::encode(rows, &tokenizer, schema.as_ref(), max_length, &|_, _| {})?;
                Ok(Some(Arc::new(dataset)))
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

fn columns(recipe: &Recipe, model: Option<&Path>) -> TextColumns {
    TextColumns {
        text: recipe.text_column.clone(),
        text_pair: recipe.text_pair_column.clone(),
        label: recipe.label_columns(),
        label_separator: recipe.label_separator,
        label_numbers: label_numbers(recipe, model),
        group: recipe.group_column.clone(),
    }
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
