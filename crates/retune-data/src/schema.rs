//! What the label column means: classes, sets of classes, or numbers.
//!
//! Inference, from the training file alone, when no [`Problem`] is given:
//!
//! | label cells | schema |
//! |---|---|
//! | several columns, all cells 0/1 or bool | several labels, named as the columns |
//! | several columns of other numbers | regression with that many outputs |
//! | lists of one length, all entries 0/1 or bool | several labels, one per entry: `[0, 1, 0]` is the second |
//! | lists of one length, numbers with fractions | regression with that many outputs |
//! | other lists, or a label separator is given | several labels, named by the entries |
//! | all numbers, some with a fraction | regression |
//! | whole numbers, bools, words | single label |
//!
//! Lists stand in JSON and Parquet, or are spelt in a text cell as Python or JSON writes them. Classes are ordered as the
//! file has them (a ClassLabel of `datasets`), else numerically if all are whole numbers, else by Unicode code point; a name
//! is the string itself (`1.0` counts as `1` where all labels are whole numbers, `True` as `true`). Lists of one length of
//! whole numbers may mean either and need a [`Problem`]. A number is the label of a class with another name only where the
//! order of the names means something ([`crate::LabelNumbers`]).

mod cells;
mod encoder;
mod infer;
mod lists;
mod numbers;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

pub(crate) use encoder::EncodedLabel;
pub(crate) use encoder::LabelEncoder;

use crate::error::shortened;
use crate::{DataError, LabelRows};

/// The kinds of problem; an explicit one wins over inference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Problem {
    /// One class per row.
    SingleLabel,
    /// Any number of classes per row.
    MultiLabel,
    /// One or more numbers per row.
    Regression,
}

impl FromStr for Problem {
    type Err = DataError;

    /// `single-label`, `multi-label`, `regression`, or Hugging Face's `problem_type` names.
    fn from_str(text: &str) -> Result<Self, DataError> {
        match text {
            "single-label" | "single_label_classification" => Ok(Self::SingleLabel),
            "multi-label" | "multi_label_classification" => Ok(Self::MultiLabel),
            "regression" => Ok(Self::Regression),
            _ => Err(DataError::Columns {
                message: format!("unknown problem `{text}`; use single-label, multi-label or regression"),
            }),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::SingleLabel => "single-label",
            Self::MultiLabel => "multi-label",
            Self::Regression => "regression",
        })
    }
}

/// What there is to learn, with the class names in the order of the model's outputs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "problem", rename_all = "kebab-case")]
pub enum LabelSchema {
    /// One class per row.
    SingleLabel {
        /// Class names by output.
        names: Vec<String>,
    },
    /// Any number of classes per row.
    MultiLabel {
        /// Class names by output.
        names: Vec<String>,
    },
    /// Numbers.
    Regression {
        /// How many per row.
        outputs: usize,
    },
}

impl LabelSchema {
    /// Infers the schema from a training file; see the module's table.
    ///
    /// # Errors
    /// Labels that contradict each other or `problem`, a single class, not-finite numbers, a
    /// label column of almost only different values; rows are named by line.
    pub fn infer(rows: &dyn LabelRows, problem: Option<Problem>) -> Result<Self, DataError> {
        infer::infer(rows, problem, None)
    }

    /// As [`LabelSchema::infer`], with the names that a model has for its outputs: lists of as many 0 and 1 take them
    /// over. Without them the names are `0`, `1`, ….
    ///
    /// # Errors
    /// As [`LabelSchema::infer`].
    pub fn infer_with_names(
        rows: &dyn LabelRows,
        problem: Option<Problem>,
        names: &[String],
    ) -> Result<Self, DataError> {
        infer::infer(rows, problem, Some(names))
    }

    /// The kind of problem.
    pub fn problem(&self) -> Problem {
        match self {
            Self::SingleLabel { .. } => Problem::SingleLabel,
            Self::MultiLabel { .. } => Problem::MultiLabel,
            Self::Regression { .. } => Problem::Regression,
        }
    }

    /// Class names, empty for regression.
    pub fn names(&self) -> &[String] {
        match self {
            Self::SingleLabel { names } | Self::MultiLabel { names } => names,
            Self::Regression { .. } => &[],
        }
    }

    /// What labels were taken for, in one line for people.
    pub fn describe(&self) -> String {
        const MOST: usize = 8;
        let listed = |names: &[String]| {
            let shown: Vec<String> = names.iter().take(MOST).map(|name| shortened(name)).collect();
            shown.join(", ") + if names.len() > MOST { ", …" } else { "" }
        };
        match self {
            Self::SingleLabel { names } => format!("labels: one of {} classes ({})", names.len(), listed(names)),
            Self::MultiLabel { names } => format!("labels: any number of {} ({})", names.len(), listed(names)),
            Self::Regression { outputs: 1 } => "labels: a number (regression)".to_owned(),
            Self::Regression { outputs } => format!("labels: {outputs} numbers (regression)"),
        }
    }

    /// Number of outputs a model needs.
    pub fn outputs(&self) -> usize {
        match self {
            Self::SingleLabel { names } | Self::MultiLabel { names } => names.len(),
            Self::Regression { outputs } => *outputs,
        }
    }
}

#[cfg(all(test, feature = "text"))]
mod tests;
