//! Facts about the data, for the report: examples, targets, sizes, duplicates, leakage.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{DataError, Dataset, Examples, Fact, FactValue, Medium, Targets};

/// Bars of a histogram, at most.
const MOST_BINS: usize = 20;
/// Inputs shown for a leak, at most.
const MOST_SHOWN: usize = 5;

/// Name of the fact that counts examples whose input an earlier one has.
pub const DUPLICATES: &str = "duplicates";
/// Name of the fact that counts examples whose input stands in the split with more than one target.
pub const CONFLICTING: &str = "conflicting labels";
/// Name of the fact that counts different groups (patients, authors).
pub const GROUPS: &str = "groups";

/// How large the examples of a split are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sizes {
    /// What sizes count: `tokens`, `pixels of the shorter side`.
    pub unit: String,
    /// The smallest example.
    pub min: usize,
    /// The median (the lower of two middle ones).
    pub median: usize,
    /// 95 % of the examples are no larger than this.
    pub p95: usize,
    /// The largest example.
    pub max: usize,
    /// Smallest size of each bar and its number of examples; bars are equally wide.
    pub histogram: Vec<(usize, usize)>,
}

/// One split.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SplitFacts {
    /// `train`, `validation`, `test`.
    pub name: String,
    /// Number of examples.
    pub examples: usize,
    /// What medium and targets say, then groups, duplicates and conflicts.
    pub facts: Vec<Fact>,
    /// Occurrences of each class or type, in the order of the model's outputs.
    pub counts: Vec<(String, usize)>,
    /// Sizes of the examples.
    pub sizes: Sizes,
}

/// Inputs of one split that another has too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leak {
    /// The first split.
    pub a: String,
    /// The second split.
    pub b: String,
    /// Examples of `b` whose input is in `a`.
    pub examples: usize,
    /// Up to five of these inputs: texts, or paths of images.
    pub shown: Vec<String>,
    /// Groups of `b` that are in `a` too, where there is a group column.
    pub groups: Option<usize>,
}

/// Facts about all splits of a run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
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
    pub fn gather<M: Medium, T: Targets<M>>(splits: &[(&str, &Examples<M, T>)]) -> Result<Self, DataError> {
        let mut leakage = Vec::new();
        for (index, (b, second)) in splits.iter().enumerate() {
            for (a, first) in &splits[..index] {
                leakage.extend(leak(a, first, b, second)?);
            }
        }
        let splits = splits.iter().map(|(name, data)| SplitFacts::gather(name, data)).collect::<Result<_, _>>()?;
        Ok(Self { splits, leakage })
    }
}

fn leak<M: Medium, T: Targets<M>>(
    a: &str,
    first: &Examples<M, T>,
    b: &str,
    second: &Examples<M, T>,
) -> Result<Option<Leak>, DataError> {
    let mut known: Vec<u64> = (0..first.examples()).map(|example| first.content_hash(example)).collect();
    known.sort_unstable();
    let is_known = |&example: &usize| known.binary_search(&second.content_hash(example)).is_ok();
    let shared: Vec<usize> = (0..second.examples()).filter(is_known).collect();
    let mut shown: Vec<String> = Vec::new();
    for &example in &shared {
        let source = second.source(example)?;
        let texts: Vec<&str> = source.fields.values().filter_map(|value| value.as_str()).collect();
        let text = texts.join(" | ");
        if !shown.contains(&text) {
            shown.push(text);
        }
        if shown.len() == MOST_SHOWN {
            break;
        }
    }
    let groups = match (groups(first), groups(second)) {
        (Some(first), Some(second)) => Some(second.intersection(&first).count()),
        _ => None,
    };
    let leak = Leak { a: a.to_owned(), b: b.to_owned(), examples: shared.len(), shown, groups };
    Ok((leak.examples > 0 || leak.groups > Some(0)).then_some(leak))
}

/// The different groups, where every example has one.
fn groups<M: Medium, T: Targets<M>>(data: &Examples<M, T>) -> Option<BTreeSet<u64>> {
    (0..data.examples()).map(|example| data.group(example)).collect()
}

impl SplitFacts {
    /// Gathers the facts of one split.
    ///
    /// # Errors
    /// Targets that cannot be read.
    pub fn gather<M: Medium, T: Targets<M>>(name: &str, data: &Examples<M, T>) -> Result<Self, DataError> {
        let (inner, all) = (data.inner_examples(), data.examples());
        let mut facts = data.medium().facts(&inner);
        facts.extend(data.targets().map(|targets| targets.facts(&inner)).unwrap_or_default());
        facts.extend(groups(data).map(|groups| Fact::new(GROUPS, FactValue::Count(groups.len() as u64))));
        let (duplicates, conflicting) = duplicates(data)?;
        facts.push(Fact::part(DUPLICATES, duplicates, all));
        facts.push(Fact::part(CONFLICTING, conflicting, all).flagged(conflicting > 0));
        let sizes = (0..all).map(|example| data.size(example)).collect();
        Ok(Self {
            name: name.to_owned(),
            examples: all,
            facts,
            counts: data.targets().map(|targets| targets.counts(&inner)).unwrap_or_default(),
            sizes: Sizes::of(sizes, data.medium().unit()),
        })
    }

    /// The fact of a name, if the split has it.
    pub fn fact(&self, name: &str) -> Option<&Fact> {
        self.facts.iter().find(|fact| fact.name == name)
    }

    /// How many the fact of a name counts, if the split has it and it counts.
    pub fn count(&self, name: &str) -> Option<u64> {
        match self.fact(name)?.value {
            FactValue::Count(count) | FactValue::Part { count, .. } => Some(count),
            FactValue::Share(_) | FactValue::Number(_) => None,
        }
    }
}

impl Sizes {
    fn of(mut sizes: Vec<usize>, unit: &str) -> Self {
        sizes.sort_unstable();
        let at = |share: f64| {
            let rank = (share * sizes.len() as f64).ceil() as usize;
            sizes.get(rank.saturating_sub(1)).copied().unwrap_or(0)
        };
        Self {
            unit: unit.to_owned(),
            min: sizes.first().copied().unwrap_or(0),
            median: at(0.5),
            p95: at(0.95),
            max: sizes.last().copied().unwrap_or(0),
            histogram: histogram(&sizes),
        }
    }
}

/// Examples whose input came before, and examples of inputs with more than one target.
fn duplicates<M: Medium, T: Targets<M>>(data: &Examples<M, T>) -> Result<(usize, usize), DataError> {
    // Sorted pairs rather than a map: 16 bytes an example, whatever the number of different inputs.
    let mut inputs: Vec<(u64, usize)> =
        (0..data.examples()).map(|example| (data.content_hash(example), example)).collect();
    inputs.sort_unstable();
    let (mut duplicates, mut conflicting) = (0, 0);
    for group in inputs.chunk_by(|a, b| a.0 == b.0).filter(|group| group.len() > 1) {
        duplicates += group.len() - 1;
        let first = data.fingerprint(group[0].1)?;
        for &(_, example) in &group[1..] {
            if data.fingerprint(example)? != first {
                conflicting += group.len();
                break;
            }
        }
    }
    Ok((duplicates, conflicting))
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

#[cfg(all(test, feature = "text"))]
mod tests;
