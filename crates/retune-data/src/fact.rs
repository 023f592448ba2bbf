//! One thing to know about a split, as medium and targets say it.

use serde::{Deserialize, Serialize};

/// A named value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fact {
    /// What it says, for instance `unknown tokens`.
    pub name: String,
    /// How much.
    pub value: FactValue,
    /// Whether a person should look at it.
    pub flagged: bool,
}

/// The value of a [`Fact`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FactValue {
    /// So many.
    Count(u64),
    /// So many of a whole.
    Part {
        /// How many.
        count: u64,
        /// Of how many.
        of: u64,
    },
    /// A share, from 0 to 1.
    Share(f64),
    /// A number.
    Number(f64),
}

impl Fact {
    /// Makes a fact that is not flagged.
    pub fn new(name: &str, value: FactValue) -> Self {
        Self { name: name.to_owned(), value, flagged: false }
    }

    /// Makes `count` of `of` examples a fact.
    pub fn part(name: &str, count: usize, of: usize) -> Self {
        Self::new(name, FactValue::Part { count: count as u64, of: of as u64 })
    }

    /// The same fact, flagged if `flagged`.
    pub fn flagged(self, flagged: bool) -> Self {
        Self { flagged, ..self }
    }
}
