//! What labels mean: as the data and the recipe say for a new model, as config.json says for a saved one.

use super::super::class_loss::{ClassLossSettings, SmoothingSettings};
use super::ClassificationSettings;
use super::kind::Kind;
use super::multi::Multi;
use super::numbers::Numbers;
use super::single::Single;
use super::threshold::Threshold;
use super::{Classification, Files, demand_single};
use crate::Recipe;
use crate::task::parts::{self, NextRows};
use crate::task::splits::Encoded;
use crate::task::{About, Entry, Input, LossOf, Parts, Phase, Prepared, Work};
use anyhow::Result;
use retune_data::{
    Batching, ClassSets, Classes, Dataset, Examples, LabelNumbers, LabelSchema, Medium, Numbers as NumberTargets,
    Problem, TableRows, Targets, Text,
};
use retune_models::{ModelConfig, ProblemType, Purpose};
use std::io::BufRead;
use std::path::Path;
use std::sync::Arc;

/// What the recipe says labels mean; `None` = to be inferred.
pub(super) fn problem(settings: &ClassificationSettings) -> Result<Option<Problem>> {
    Ok((settings.problem != "auto").then(|| settings.problem.parse()).transpose()?)
}

/// What numbers in label cells are where labels have names. The order of a model that a run made, whose recipe lies beside
/// it, is the one that inference gives names, unless it looks otherwise.
pub(super) fn numbers(settings: &ClassificationSettings, model: Option<&Path>) -> LabelNumbers {
    match (settings.label_numbers, model) {
        (Some(first), _) => LabelNumbers::From(first as u32),
        (None, Some(model)) if !model.join("recipe.toml").is_file() => LabelNumbers::Given,
        _ => LabelNumbers::ByOrder,
    }
}

/// Names and meaning of a saved model's outputs.
pub(super) fn saved(config: &ModelConfig) -> LabelSchema {
    let count = config.label_count() as usize;
    let names = config.labels().unwrap_or_else(|| numbered(count));
    match config.problem_type() {
        ProblemType::SingleLabelClassification => LabelSchema::SingleLabel { names },
        ProblemType::MultiLabelClassification => LabelSchema::MultiLabel { names },
        ProblemType::Regression => LabelSchema::Regression { outputs: count },
    }
}

/// The schema with its classes in the order of the checkpoint's labels, where these are the same but for case: its head
/// goes on meaning what it meant. With a note where that changed the order.
pub(super) fn ordered(schema: LabelSchema, config: &ModelConfig) -> (LabelSchema, Option<String>) {
    let Some(names) = config.in_label_order(schema.names()).filter(|names| names != schema.names()) else {
        return (schema, None);
    };
    let note = format!("labels are numbered as in the model: {}", names.join(", "));
    let ordered = match schema {
        LabelSchema::SingleLabel { .. } => LabelSchema::SingleLabel { names },
        LabelSchema::MultiLabel { .. } => LabelSchema::MultiLabel { names },
        LabelSchema::Regression { .. } => schema,
    };
    (ordered, Some(note))
}

/// Names of outputs that have none.
pub(super) fn numbered(count: usize) -> Vec<String> {
    (0..count).map(|i| format!("LABEL_{i}")).collect()
}

/// What a saved model's loss is, for raw outputs.
pub(super) fn loss(config: &ModelConfig) -> Result<LossOf> {
    let problem = config.problem_type();
    let names = config.labels().unwrap_or_default();
    Ok(Box::new(move |outputs, batch| {
        let (logits, labels) = (outputs.get("logits")?, batch.targets.get("labels")?);
        let phase = Phase::Evaluation;
        match problem {
            ProblemType::SingleLabelClassification => {
                let threshold = Threshold::new(&[], None, None)?;
                Kind::<Text>::loss(&Single::saved(names.clone(), threshold), logits, labels, phase)
            }
            ProblemType::MultiLabelClassification => {
                Kind::<Text>::loss(&Multi::new(names.clone()), logits, labels, phase)
            }
            ProblemType::Regression => Kind::<Text>::loss(&Numbers::new(names.clone()), logits, labels, phase),
        }
    }))
}

/// What all media have in common that train a classifier.
pub(super) struct Trained<'a> {
    /// The head.
    pub(super) purpose: &'static Purpose,
    /// Files that belong into the saved model.
    pub(super) files: Files,
    /// What the recipe says of labels.
    pub(super) settings: &'a ClassificationSettings,
    /// What micro-batches have equally many of.
    pub(super) batching: Batching,
    /// Changes with whatever the encoding of an example depends on.
    pub(super) fingerprint: u64,
    /// Blocks below this depth never learn.
    pub(super) frozen_below: usize,
}

/// Rows with what a medium made of them.
type Read<M> = (Arc<TableRows>, M);

/// The task on the data of a run, of the kind that the labels say. `after` adds notes once the splits are known.
pub(super) fn trained<M: Medium + 'static>(
    with: Trained<'_>,
    recipe: &Recipe,
    schema: LabelSchema,
    data: Encoded<Read<M>>,
    notes: Vec<String>,
    after: &dyn Fn(&About) -> Vec<String>,
) -> Result<Box<dyn Work>>
where
    Classes: Targets<M, Gold = u32>,
    ClassSets: Targets<M, Gold = Vec<u32>>,
    NumberTargets: Targets<M, Gold = Vec<f32>>,
{
    let settings = with.settings;
    let of_loss = recipe.read::<ClassLossSettings>()?;
    let smoothing = recipe.read::<SmoothingSettings>()?.label_smoothing;
    let single = matches!(schema, LabelSchema::SingleLabel { .. });
    if !single {
        demand_single(&[
            ("positive-class", settings.positive_class.is_some()),
            ("operating-point", settings.operating_point.is_some()),
            ("label-smoothing", smoothing != 0.0),
            ("class-weights balanced", of_loss.class_weights == "balanced"),
        ])?;
    }
    match schema {
        LabelSchema::SingleLabel { names } => {
            let threshold = Threshold::new(&names, settings.positive_class.as_deref(), settings.operating_point)?;
            let kind = Single::saved(names.clone(), threshold).with_smoothing(smoothing);
            finish(with, recipe, data, notes, after, &|rows| Ok(Classes::read(rows, &names)?), |train| {
                kind.with_weights(
                    &of_loss.class_weights,
                    (0..train.examples()).map(|it| super::gold::<M, Single>(train, it)),
                )
            })
        }
        LabelSchema::MultiLabel { names } => {
            let read = |rows: &TableRows| Ok(ClassSets::read(rows, &names)?);
            finish(with, recipe, data, notes, after, &read, |_| Ok(Multi::new(names.clone())))
        }
        LabelSchema::Regression { outputs } => {
            let columns = retune_data::column_list(&settings.label_column);
            let names = if outputs > 1 && columns.len() == outputs { columns } else { numbered(outputs) };
            let read = |rows: &TableRows| Ok(NumberTargets::read(rows, outputs)?);
            finish(with, recipe, data, notes, after, &read, |_| Ok(Numbers::new(names.clone())))
        }
    }
}

fn finish<M: Medium + 'static, K: Kind<M>>(
    with: Trained<'_>,
    recipe: &Recipe,
    data: Encoded<Read<M>>,
    notes: Vec<String>,
    after: &dyn Fn(&About) -> Vec<String>,
    read: &dyn Fn(&TableRows) -> Result<Option<K::Targets>>,
    kind: impl FnOnce(&Examples<M, K::Targets>) -> Result<K>,
) -> Result<Box<dyn Work>> {
    let data = data.map(|_, (rows, medium)| {
        let targets = read(&rows)?;
        Ok(Examples::new(rows, medium, targets)?)
    })?;
    let mut splits = data.splits::<Classification<M, K>>(recipe, with.fingerprint, notes)?;
    let more = after(&splits.about);
    splits.about.notes.extend(more);
    let kind = kind(splits.train())?;
    Ok(Box::new(Prepared::new(
        Classification::new(with.purpose, kind, with.files)
            .with_batching(with.batching)
            .with_frozen_below(with.frozen_below),
        splits,
    )))
}

/// Reads the rows of a file.
type OnFile<'a> = Box<dyn FnOnce(&Path) -> Result<Arc<TableRows>> + 'a>;

/// Makes a reader of rows of a reader of lines.
type OnLines<'a> = Box<dyn FnOnce(Box<dyn BufRead + 'a>) -> Result<NextRows<'a, Arc<TableRows>>> + 'a>;

/// Where the rows for a saved classifier come from.
pub(super) struct Source<'a> {
    /// Reads a file.
    pub(super) file: OnFile<'a>,
    /// Reads lines.
    pub(super) lines: OnLines<'a>,
}

/// The task on data for a saved model. What is only predicted may have any labels, or none that this model knows.
pub(super) fn opened<'a, M: Medium + 'static>(
    entry: &Entry,
    config: &ModelConfig,
    settings: &ClassificationSettings,
    input: Input<'a>,
    targets: bool,
    rows: Source<'a>,
    encode: impl Fn(&Arc<TableRows>) -> Result<M> + 'a,
) -> Result<Parts<'a>>
where
    Classes: Targets<M, Gold = u32>,
    ClassSets: Targets<M, Gold = Vec<u32>>,
    NumberTargets: Targets<M, Gold = Vec<f32>>,
{
    let purpose = entry.purpose;
    match saved(config) {
        LabelSchema::SingleLabel { names } => {
            let threshold = Threshold::new(&names, settings.positive_class.as_deref(), None)?;
            let task = Classification::new(purpose, Single::saved(names.clone(), threshold), Files::default());
            let read = move |rows: &TableRows| Ok(Classes::read(rows, &names)?);
            of_kind(task, input, rows, encode, targets, read)
        }
        LabelSchema::MultiLabel { names } => {
            let task = Classification::new(purpose, Multi::new(names.clone()), Files::default());
            let read = move |rows: &TableRows| Ok(ClassSets::read(rows, &names)?);
            of_kind(task, input, rows, encode, targets, read)
        }
        LabelSchema::Regression { outputs } => {
            let names = config.labels().unwrap_or_else(|| numbered(outputs));
            let task = Classification::new(purpose, Numbers::new(names), Files::default());
            let read = move |rows: &TableRows| Ok(NumberTargets::read(rows, outputs)?);
            of_kind(task, input, rows, encode, targets, read)
        }
    }
}

fn of_kind<'a, M: Medium + 'static, K: Kind<M>>(
    task: Classification<M, K>,
    input: Input<'a>,
    rows: Source<'a>,
    encode: impl Fn(&Arc<TableRows>) -> Result<M> + 'a,
    targets: bool,
    read: impl Fn(&TableRows) -> Result<Option<K::Targets>> + 'a,
) -> Result<Parts<'a>> {
    parts::parts(task, input, rows.file, rows.lines, move |rows: Arc<TableRows>| {
        let medium = encode(&rows)?;
        let targets = if targets { read(&rows)? } else { None };
        Ok(Examples::new(rows, medium, targets)?)
    })
}
