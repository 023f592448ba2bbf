//! The encoded labels of all rows, compactly.

use crate::Array;
use crate::schema::{EncodedLabel, LabelSchema};

/// Labels by row, in one of the three shapes of [`LabelSchema`].
pub(super) enum Labels {
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
    pub(super) fn new(schema: &LabelSchema) -> Self {
        match schema {
            LabelSchema::SingleLabel { .. } => Self::Single(Vec::new()),
            LabelSchema::MultiLabel { names } => {
                Self::Multi { ends: Vec::new(), classes: Vec::new(), outputs: names.len() }
            }
            LabelSchema::Regression { outputs } => Self::Values { values: Vec::new(), outputs: *outputs },
        }
    }

    /// Appends the label of the next row; the encoder of the same schema made it.
    pub(super) fn push(&mut self, label: EncodedLabel) {
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

    pub(super) fn get(&self, row: usize) -> EncodedLabel {
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
    pub(super) fn array(&self, rows: &[usize]) -> Array {
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
