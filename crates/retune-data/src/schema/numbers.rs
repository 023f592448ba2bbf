//! Numbers as labels of a model whose labels have names: places in the order of the names, if that order means anything.

use std::collections::HashMap;
use std::path::Path;

use super::cells::whole;
use super::infer::{items, truth};
use super::{LabelSchema, Problem};
use crate::error::shortened;
use crate::{DataError, LabelNumbers, LabelRows};

/// What numbers in label cells mean.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Numbering {
    /// The number of the first class; `None` where numbers are no labels.
    pub(super) first: Option<i64>,
    /// What a person should know about it.
    pub(super) note: Option<String>,
}

/// Whether no name could be taken for a number.
fn are_words(names: &[String]) -> bool {
    names.iter().all(|name| name.trim().parse::<f64>().is_err())
}

/// Whether the names are those that transformers makes up: they number the outputs.
pub(super) fn are_made_up(names: &[String]) -> bool {
    names.iter().enumerate().all(|(id, name)| *name == format!("LABEL_{id}"))
}

/// The mapping, for people.
fn mapping(names: &[String], first: i64) -> String {
    const MOST: usize = 20;
    let shown = (first..).zip(names).take(MOST).map(|(number, name)| format!("{number} = {}", shortened(name)));
    let more = if names.len() > MOST { ", …" } else { "" };
    shown.collect::<Vec<_>>().join(", ") + more
}

/// Looks at all labels of a file and decides.
///
/// # Errors
/// Numbers whose meaning nobody gave, or that seem to be counted from 1 where they are not said to be.
pub(super) fn numbering(
    rows: &dyn LabelRows,
    schema: &LabelSchema,
    index: &HashMap<&str, u32>,
) -> Result<Numbering, DataError> {
    let names = schema.names();
    let one_column = rows.label_columns().len() == 1;
    if schema.problem() == Problem::Regression || !one_column || !are_words(names) || names.is_empty() {
        return Ok(Numbering::default());
    }
    // 0 and 1 are false and true by their meaning.
    if names.len() == 2 && names.iter().all(|name| truth(name).is_some()) {
        return Ok(Numbering::default());
    }
    let (mut least, mut greatest) = (i64::MAX, i64::MIN);
    for row in 0..rows.len() {
        for cell in rows.label(row)?.unwrap_or_default() {
            for item in items(&cell.with_list(), rows.label_separator()).unwrap_or_default() {
                let named = item.name().is_some_and(|name| index.contains_key(name.as_str()));
                if let Some(number) = whole(&item).filter(|_| !named) {
                    (least, greatest) = (least.min(number), greatest.max(number));
                }
            }
        }
    }
    if least > greatest {
        return Ok(Numbering::default());
    }
    decide(rows.file(), rows.label_numbers(), names, least, greatest)
}

/// The names that a file has for its labels as places in the order of a model's, where the model's are only numbers: both
/// count the same classes.
pub(super) fn by_place<'a>(
    rows: &dyn LabelRows,
    given: &'a [String],
    names: &[String],
) -> Option<(HashMap<&'a str, u32>, Numbering)> {
    let counted = names.iter().enumerate().all(|(id, name)| *name == id.to_string());
    if given.len() != names.len() || given == names || !(counted || are_made_up(names)) {
        return None;
    }
    let note = format!(
        "{}: the model's labels have no names; its outputs count as the file numbers its labels: {}",
        rows.file().display(),
        mapping(given, 0)
    );
    let index = given.iter().zip(0..).map(|(name, id)| (name.as_str(), id)).collect();
    Some((index, Numbering { first: None, note: Some(note) }))
}

fn decide(
    file: &Path,
    allowed: LabelNumbers,
    names: &[String],
    least: i64,
    greatest: i64,
) -> Result<Numbering, DataError> {
    let refuse = |message: String| Err(DataError::Schema { file: file.to_owned(), message });
    let first = match allowed {
        LabelNumbers::From(first) => i64::from(first),
        _ => 0,
    };
    let note = format!(
        "{}: labels are numbers, taken as places in the order of the model's labels: {}",
        file.display(),
        mapping(names, first)
    );
    let taken = Numbering { first: Some(first), note: Some(note) };
    if matches!(allowed, LabelNumbers::From(_)) {
        return Ok(taken);
    }
    // Inference sorts names.
    if allowed == LabelNumbers::ByOrder && names.is_sorted() && !are_made_up(names) {
        return refuse(format!(
            "has numbers as labels ({least} to {greatest}), but the model's labels are names, whose order is only the \
             alphabet's; write the names, or say with --label-numbers 0 that numbers count them from 0 ({}), with 1 from 1",
            mapping(names, 0)
        ));
    }
    let count = names.len() as i64;
    if least == 1 && (greatest == count || (count > 2 && greatest < count)) {
        return refuse(format!(
            "has labels from 1 to {greatest} and never 0: the model's {count} labels may be counted from 0 ({}) or from 1; \
             say which with --label-numbers 0 or 1, or write the names",
            mapping(names, 0)
        ));
    }
    Ok(taken)
}
