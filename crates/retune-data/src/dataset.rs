//! What loop and loader know of data: random access over encoded rows.

use std::path::PathBuf;

use serde_json::{Map, Value};

use crate::{BadExample, Batch, DataError};

/// Names one pass over the training data; augmentation is a function of `(seed, epoch, row)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pass {
    /// Seed of the run.
    pub seed: u64,
    /// Which pass, from 0.
    pub epoch: u64,
}

/// Random access over encoded rows. A row is an example, or one of several windows of it. Everything random is a pure function of (seed, epoch, row).
pub trait Dataset: Send + Sync {
    /// Number of rows.
    fn len(&self) -> usize;

    /// True when there are no rows.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Units of work of a row (tokens, special ones included), for bucketing.
    fn length(&self, row: usize) -> usize;

    /// Encodes rows into one padded batch. `pass` is given when training (augmentation may use
    /// it) and is `None` when evaluating.
    fn batch(&self, rows: &[usize], pass: Option<Pass>) -> Result<Batch, DataError>;

    /// Whether a row is another one in each pass (augmentation, random masks).
    fn varies(&self) -> bool {
        false
    }

    /// Whether a model reads one input for each row, so that what its blocks make of it can be kept row by row.
    fn one_input_a_row(&self) -> bool {
        true
    }

    /// The example that a row is of: rows that are windows of one example share it, and are adjacent.
    fn example(&self, row: usize) -> usize {
        row
    }

    /// Number of examples.
    fn examples(&self) -> usize {
        self.len()
    }

    /// The example as the user knows it, for predictions and the table of worst errors.
    ///
    /// # Errors
    /// No such example, or what it is made from cannot be read again.
    fn source(&self, example: usize) -> Result<Source, DataError>;

    /// What a person should know about how the data was read, such as rows left out; of a subset, what is known of the whole.
    fn remarks(&self) -> Vec<String> {
        Vec::new()
    }

    /// Threads that prepare batches, when `free` cores have nothing better to do: at least one.
    fn loader_threads(&self, _free: usize) -> usize {
        1
    }

    /// Examples of the whole file or folder that were left out, in the order of their rows.
    fn bad_examples(&self) -> &[BadExample] {
        &[]
    }

    /// Every id that a batch may hold in `input_ids`, padding included, ascending; `None` for data without tokens.
    ///
    /// # Errors
    /// The token store cannot be read.
    fn tokens_in_use(&self) -> Result<Option<Vec<i64>>, DataError> {
        Ok(None)
    }
}

/// Where an example came from and what it said there.
#[derive(Debug, Clone, PartialEq)]
pub struct Source {
    /// The file.
    pub file: PathBuf,
    /// Line where the record starts, from 1; for Parquet and JSON arrays see [`crate::Records::line`].
    pub line: u64,
    /// Input columns by the user's column names.
    pub fields: Map<String, Value>,
    /// The gold label as the file has it; an array when several label columns are used.
    pub label: Option<Value>,
}
