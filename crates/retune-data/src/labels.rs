//! The encoded labels of all rows, compactly.

use std::collections::HashMap;

use crate::problems::Problems;
use crate::schema::{EncodedLabel, LabelEncoder, LabelSchema};
use crate::{Array, DataError, LabelRows, RowProblem};

/// Labels by row, in one of the three shapes of [`LabelSchema`].
pub(crate) enum Labels {
    Single(Vec<u32>),
    /// Rows' classes one after the other, with each row's end.
    Multi {
        ends: Vec<usize>,
        classes: Vec<u32>,
        outputs: usize,
    },
    Values {
        values: Vec<f32>,
        outputs: usize,
    },
}

impl Labels {
    /// Encodes the labels of all rows, and says what a person should know about how they were understood; `None` when not
    /// every row has one.
    ///
    /// # Errors
    /// Labels that the schema does not know, up to ten rows together.
    pub(crate) fn encode(
        rows: &dyn LabelRows,
        schema: &LabelSchema,
    ) -> Result<Option<(Self, Option<String>)>, DataError> {
        if !rows.has_labels() {
            return Ok(None);
        }
        let columns = rows.label_columns();
        let encoder = LabelEncoder::of(rows, schema)?;
        let mut labels = Self::new(schema);
        let mut problems = Problems::new(rows.file());
        let mut last = String::new();
        for row in 0..rows.len() {
            let cells = rows.label(row)?.unwrap_or_default();
            match encoder.encode(&cells) {
                Ok(label) => labels.push(label),
                Err((column, message)) => {
                    // A class folder is one problem, not one per file in it.
                    if rows.line(row) == 0 && message == last {
                        continue;
                    }
                    last.clone_from(&message);
                    let name = columns.get(column).map(String::as_str);
                    problems.push(RowProblem::new(rows.line(row), name, message))?;
                }
            }
        }
        problems.finish()?;
        Ok(Some((labels, encoder.note())))
    }

    fn new(schema: &LabelSchema) -> Self {
        match schema {
            LabelSchema::SingleLabel { .. } => Self::Single(Vec::new()),
            LabelSchema::MultiLabel { names } => {
                Self::Multi { ends: Vec::new(), classes: Vec::new(), outputs: names.len() }
            }
            LabelSchema::Regression { outputs } => Self::Values { values: Vec::new(), outputs: *outputs },
        }
    }

    /// Appends the label of the next row; the encoder of the same schema made it.
    fn push(&mut self, label: EncodedLabel) {
        match (self, label) {
            (Self::Single(all), EncodedLabel::Class(class)) => all.push(class),
            (Self::Multi { ends, classes, .. }, EncodedLabel::Classes(more)) => {
                classes.extend(more);
                ends.push(classes.len());
            }
            (Self::Values { values, .. }, EncodedLabel::Values(more)) => values.extend(more),
            _ => unreachable!("an encoder makes labels of its own schema"),
        }
    }

    pub(crate) fn get(&self, row: usize) -> EncodedLabel {
        match self {
            Self::Single(all) => EncodedLabel::Class(all[row]),
            Self::Multi { ends, classes, .. } => {
                let start = if row == 0 { 0 } else { ends[row - 1] };
                EncodedLabel::Classes(classes[start..ends[row]].to_vec())
            }
            Self::Values { values, outputs } => {
                EncodedLabel::Values(values[row * outputs..(row + 1) * outputs].to_vec())
            }
        }
    }

    /// The `labels` array of a batch.
    pub(crate) fn array(&self, rows: &[usize]) -> Array {
        match self {
            Self::Single(all) => Array::integers(&[rows.len()], rows.iter().map(|&row| i64::from(all[row])).collect()),
            Self::Multi { outputs, .. } => {
                let mut hot = vec![0.0; rows.len() * outputs];
                for (index, &row) in rows.iter().enumerate() {
                    if let EncodedLabel::Classes(classes) = self.get(row) {
                        classes.iter().for_each(|&class| hot[index * outputs + class as usize] = 1.0);
                    }
                }
                Array::floats(&[rows.len(), *outputs], hot)
            }
            Self::Values { values, outputs } => {
                let picked = rows.iter().flat_map(|&row| &values[row * outputs..(row + 1) * outputs]);
                let shape = [rows.len(), *outputs];
                Array::floats(if *outputs == 1 { &shape[..1] } else { &shape }, picked.copied().collect())
            }
        }
    }
}

/// Stratum of each row for [`crate::stratified_split`]: the class, the rarest of several classes (whole sets of them are
/// mostly unique), or the decile of the (first) target number. All 0 without labels.
pub(crate) fn strata(labels: &[Option<EncodedLabel>]) -> Vec<u64> {
    let target = |label: &Option<EncodedLabel>| match label {
        Some(EncodedLabel::Values(values)) => values.first().copied(),
        _ => None,
    };
    let mut sorted: Vec<f32> = labels.iter().filter_map(target).collect();
    sorted.sort_by(f32::total_cmp);
    let mut counts: HashMap<u32, usize> = HashMap::new();
    for label in labels {
        if let Some(EncodedLabel::Classes(classes)) = label {
            classes.iter().for_each(|&class| *counts.entry(class).or_default() += 1);
        }
    }
    let stratum = |label: &Option<EncodedLabel>| match label {
        Some(EncodedLabel::Class(class)) => (*class).into(),
        Some(EncodedLabel::Classes(classes)) => {
            let rarest = classes.iter().min_by_key(|&class| (counts[class], class));
            rarest.map_or(0, |&class| 1 + u64::from(class))
        }
        Some(EncodedLabel::Values(_)) => {
            let value = target(label).unwrap_or(0.0);
            (sorted.partition_point(|&x| x < value) * 10 / sorted.len().max(1)) as u64
        }
        None => 0,
    };
    labels.iter().map(stratum).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Random, stratified_split};

    #[test]
    fn label_sets_that_are_mostly_unique_still_give_a_validation_set() {
        let mut random = Random::at(&[3]);
        let mut set = || -> Vec<u32> { (0..20).filter(|_| random.below(4) == 0).collect() };
        let sets: Vec<Vec<u32>> = (0..300).map(|_| set()).collect();
        let labels: Vec<Option<EncodedLabel>> = sets.iter().cloned().map(EncodedLabel::Classes).map(Some).collect();
        let (train, validation) = stratified_split(&strata(&labels), 0.1, 1).unwrap();
        assert_eq!(validation.len(), 30);
        for class in 0..20 {
            assert!(train.iter().any(|&row| sets[row].contains(&class)), "{class}");
            assert!(validation.iter().any(|&row| sets[row].contains(&class)), "{class}");
        }
    }
}
