//! Facts about the data, for the report: rows, classes, lengths or sizes, duplicates, leakage.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::groups::joined_groups;
use crate::labels::strata;
use crate::schema::{EncodedLabel, LabelSchema};
use crate::{DataError, Dataset, HeatMap};

/// Bars of a length histogram, at most.
const MOST_BINS: usize = 20;
/// Rows shown for a leak, at most.
const MOST_EXAMPLES: usize = 5;

/// A data set that can say what facts are made of. Rows beyond the end panic.
pub trait Described: Dataset {
    /// What the labels mean; `None` for data without labels.
    fn schema(&self) -> Option<&LabelSchema>;

    /// The encoded label of a row, if the data set has labels.
    fn label(&self, row: usize) -> Option<EncodedLabel>;

    /// Equal for rows with equal input.
    fn content_hash(&self, row: usize) -> u64;

    /// Hash of the row's group, if the data set has groups.
    fn group(&self, row: usize) -> Option<u64>;

    /// The same data set restricted to `rows` (of this one), in that order. Nothing is copied.
    ///
    /// # Errors
    /// A row beyond the end.
    fn subset(&self, rows: &[usize]) -> Result<Self, DataError>
    where
        Self: Sized;

    /// Stratum of each row for [`crate::stratified_group_split`]: the class, the rarest of several classes, or the decile
    /// of the (first) target number. All 0 without labels.
    fn strata(&self) -> Vec<u64> {
        strata(&(0..self.len()).map(|row| self.label(row)).collect::<Vec<_>>())
    }

    /// Group of each row for [`crate::stratified_group_split`]: rows of one group and rows with equal input share one.
    fn split_groups(&self) -> Vec<u64> {
        let hashes: Vec<u64> = (0..self.len()).map(|row| self.content_hash(row)).collect();
        joined_groups(&hashes, &|row| self.group(row))
    }

    /// How large a row is, in [`Described::extent_unit`].
    fn extent(&self, row: usize) -> usize;

    /// What extents count: `tokens`, `pixels of the shorter side`.
    fn extent_unit(&self) -> &'static str;

    /// A PNG of the row, its longer side at most `most_side` pixels, where rows can be shown so; `heat` is shown over
    /// what a model sees of the row.
    ///
    /// # Errors
    /// What the row is made from cannot be read again.
    fn thumbnail(&self, _row: usize, _most_side: usize, _heat: Option<&HeatMap>) -> Result<Option<Vec<u8>>, DataError> {
        Ok(None)
    }

    /// Rows cut to the maximum length, where rows can be cut.
    fn truncated_rows(&self) -> Option<usize> {
        None
    }

    /// Share of tokens that stand for unknown text, where there are tokens.
    fn unknown_token_fraction(&self) -> Option<f64> {
        None
    }
}

/// The targets of a regression (of the first output).
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TargetFacts {
    /// Smallest target.
    pub min: f64,
    /// Largest target.
    pub max: f64,
    /// Mean.
    pub mean: f64,
    /// Standard deviation (population).
    pub std: f64,
}

/// One split. Lengths are tokens, special ones included, or what [`SplitFacts::length_unit`] says.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SplitFacts {
    /// `train`, `validation`, `test`.
    pub name: String,
    /// Number of rows.
    pub rows: usize,
    /// Rows per class, in the order of the model's outputs; empty for regression or without labels.
    pub classes: Vec<(String, usize)>,
    /// What lengths count: `tokens`, `pixels of the shorter side`.
    pub length_unit: &'static str,
    /// Shortest row.
    pub length_min: usize,
    /// Median row (the lower of two middle ones).
    pub length_median: usize,
    /// 95 % of the rows are no longer than this.
    pub length_p95: usize,
    /// Longest row.
    pub length_max: usize,
    /// Smallest length of each bar and its number of rows; bars are equally wide.
    pub length_histogram: Vec<(usize, usize)>,
    /// Rows cut to the maximum length, where rows can be cut.
    pub truncated: Option<usize>,
    /// Rows whose input an earlier row has.
    pub duplicates: usize,
    /// Rows whose input stands in the split with more than one label.
    pub conflicting_duplicates: usize,
    /// Share of tokens that stand for unknown text, where there are tokens.
    pub unknown_token_fraction: Option<f64>,
    /// Different groups (patients, authors), where there is a group column.
    pub groups: Option<usize>,
    /// Targets, for regression.
    pub target: Option<TargetFacts>,
}

/// Inputs of one split that another has too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Leak {
    /// The first split.
    pub a: String,
    /// The second split.
    pub b: String,
    /// Rows of `b` whose input is in `a`.
    pub rows: usize,
    /// Up to five of these inputs: texts, or paths of images.
    pub examples: Vec<String>,
    /// Groups of `b` that are in `a` too, where there is a group column.
    pub groups: Option<usize>,
}

/// Facts about all splits of a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DataFacts {
    /// Each split.
    pub splits: Vec<SplitFacts>,
    /// Each pair of splits that share inputs or groups.
    pub leakage: Vec<Leak>,
}

impl DataFacts {
    /// Gathers the facts of named splits, in this order.
    ///
    /// # Errors
    /// The temporary store cannot be read.
    pub fn gather<D: Described>(splits: &[(&str, &D)]) -> Result<Self, DataError> {
        let mut leakage = Vec::new();
        for (index, (b, second)) in splits.iter().enumerate() {
            for (a, first) in &splits[..index] {
                leakage.extend(leak(a, *first, b, *second)?);
            }
        }
        let splits = splits.iter().map(|(name, dataset)| SplitFacts::gather(name, *dataset)).collect();
        Ok(Self { splits, leakage })
    }
}

fn leak(a: &str, first: &dyn Described, b: &str, second: &dyn Described) -> Result<Option<Leak>, DataError> {
    let mut known: Vec<u64> = (0..first.len()).map(|row| first.content_hash(row)).collect();
    known.sort_unstable();
    let shared: Vec<usize> =
        (0..second.len()).filter(|&row| known.binary_search(&second.content_hash(row)).is_ok()).collect();
    let mut examples: Vec<String> = Vec::new();
    for &row in &shared {
        let source = second.source(row)?;
        let texts: Vec<&str> = source.fields.values().filter_map(|value| value.as_str()).collect();
        let text = texts.join(" | ");
        if !examples.contains(&text) {
            examples.push(text);
        }
        if examples.len() == MOST_EXAMPLES {
            break;
        }
    }
    let groups = match (groups(first), groups(second)) {
        (Some(first), Some(second)) => Some(second.intersection(&first).count()),
        _ => None,
    };
    let leak = Leak { a: a.to_owned(), b: b.to_owned(), rows: shared.len(), examples, groups };
    Ok((leak.rows > 0 || leak.groups > Some(0)).then_some(leak))
}

/// The different groups, where every row has one.
fn groups(dataset: &dyn Described) -> Option<BTreeSet<u64>> {
    (0..dataset.len()).map(|row| dataset.group(row)).collect()
}

impl SplitFacts {
    /// Gathers the facts of one split.
    pub fn gather(name: &str, dataset: &dyn Described) -> Self {
        let rows = dataset.len();
        let mut lengths: Vec<usize> = (0..rows).map(|row| dataset.extent(row)).collect();
        lengths.sort_unstable();
        let at = |share: f64| {
            let rank = (share * rows as f64).ceil() as usize;
            lengths.get(rank.saturating_sub(1)).copied().unwrap_or(0)
        };
        let (duplicates, conflicting_duplicates) = duplicates(dataset);
        Self {
            name: name.to_owned(),
            rows,
            classes: classes(dataset),
            length_unit: dataset.extent_unit(),
            length_min: lengths.first().copied().unwrap_or(0),
            length_median: at(0.5),
            length_p95: at(0.95),
            length_max: lengths.last().copied().unwrap_or(0),
            length_histogram: histogram(&lengths),
            truncated: dataset.truncated_rows(),
            duplicates,
            conflicting_duplicates,
            unknown_token_fraction: dataset.unknown_token_fraction(),
            groups: groups(dataset).map(|groups| groups.len()),
            target: target(dataset),
        }
    }
}

fn classes(dataset: &dyn Described) -> Vec<(String, usize)> {
    let Some(schema) = dataset.schema().filter(|_| dataset.has_labels()) else {
        return Vec::new();
    };
    let names = schema.names();
    let mut counts = vec![0; names.len()];
    for row in 0..dataset.len() {
        match dataset.label(row) {
            Some(EncodedLabel::Class(class)) => counts[class as usize] += 1,
            Some(EncodedLabel::Classes(classes)) => classes.iter().for_each(|&class| counts[class as usize] += 1),
            _ => {}
        }
    }
    names.iter().cloned().zip(counts).collect()
}

/// Rows whose input came before, and rows of inputs with more than one label.
fn duplicates(dataset: &dyn Described) -> (usize, usize) {
    // Sorted pairs rather than a map: 16 bytes a row, whatever the number of different inputs.
    let mut inputs: Vec<(u64, usize)> = (0..dataset.len()).map(|row| (dataset.content_hash(row), row)).collect();
    inputs.sort_unstable();
    let (mut duplicates, mut conflicting) = (0, 0);
    for group in inputs.chunk_by(|a, b| a.0 == b.0).filter(|group| group.len() > 1) {
        duplicates += group.len() - 1;
        let first = dataset.label(group[0].1);
        if group.iter().any(|&(_, row)| dataset.label(row) != first) {
            conflicting += group.len();
        }
    }
    (duplicates, conflicting)
}

fn histogram(sorted: &[usize]) -> Vec<(usize, usize)> {
    let (Some(&low), Some(&high)) = (sorted.first(), sorted.last()) else {
        return Vec::new();
    };
    let width = (high - low + 1).div_ceil(MOST_BINS);
    let mut bins: BTreeMap<usize, usize> = (low..=high).step_by(width).map(|start| (start, 0)).collect();
    for &length in sorted {
        *bins.entry(low + (length - low) / width * width).or_default() += 1;
    }
    bins.into_iter().collect()
}

fn target(dataset: &dyn Described) -> Option<TargetFacts> {
    if !matches!(dataset.schema(), Some(LabelSchema::Regression { .. })) {
        return None;
    }
    // Welford's update: no cancellation whatever the offset of the targets.
    let (mut count, mut mean, mut squares) = (0.0, 0.0, 0.0);
    let (mut min, mut max) = (f64::INFINITY, f64::NEG_INFINITY);
    for row in 0..dataset.len() {
        let Some(EncodedLabel::Values(values)) = dataset.label(row) else {
            continue;
        };
        let Some(value) = values.first().map(|&value| f64::from(value)) else {
            continue;
        };
        count += 1.0;
        let difference = value - mean;
        mean += difference / count;
        squares += difference * (value - mean);
        min = min.min(value);
        max = max.max(value);
    }
    (count > 0.0).then(|| TargetFacts { min, max, mean, std: f64::sqrt(squares / count) })
}

#[cfg(all(test, feature = "text"))]
mod tests;
