//! Examples that cannot be used.

use std::fmt;

use serde_json::{Map, Value};

/// An example that cannot be used, such as an image that cannot be decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadExample {
    /// Its path, or the file and line that hold it.
    pub place: String,
    /// What is wrong and what to do; a phrase that follows the place.
    pub reason: String,
    /// Which row of those that were read, from 0, bad ones included.
    pub row: usize,
    /// Line where its record starts, from 1; the row number for Parquet, 0 in a folder.
    pub line: u64,
    /// Its input columns, as [`crate::Source`] has them.
    pub fields: Map<String, Value>,
}

impl fmt::Display for BadExample {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.place, self.reason)
    }
}
