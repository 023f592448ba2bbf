//! Texts that all begin with the same words, as a model was trained to be told what to do (T5's `translate English to German: `).

use std::path::Path;
use std::sync::Arc;

use super::{TextInput, Texts};
use crate::{BadExample, DataError, Records, Source, TableRows};

/// Rows of a table with one column of texts, and what stands before each.
pub struct Prefixed {
    rows: Arc<TableRows>,
    prefix: String,
}

impl Prefixed {
    /// These rows, each text behind `prefix`.
    pub fn new(rows: Arc<TableRows>, prefix: &str) -> Self {
        Self { rows, prefix: prefix.to_owned() }
    }
}

impl Records for Prefixed {
    fn file(&self) -> &Path {
        self.rows.file()
    }

    fn len(&self) -> usize {
        self.rows.len()
    }

    fn line(&self, example: usize) -> u64 {
        self.rows.line(example)
    }

    fn source(&self, example: usize) -> Result<Source, DataError> {
        self.rows.source(example)
    }

    fn group(&self, example: usize) -> Option<u64> {
        self.rows.group(example)
    }

    fn left_out(&self) -> &[BadExample] {
        self.rows.left_out()
    }

    fn remarks(&self) -> Vec<String> {
        self.rows.remarks()
    }
}

impl Texts for Prefixed {
    fn input(&self, example: usize) -> Result<TextInput, DataError> {
        Ok(match self.rows.input(example)? {
            TextInput::Text(text) => TextInput::Text(format!("{}{text}", self.prefix)),
            other => other,
        })
    }

    fn pairs(&self) -> bool {
        false
    }

    fn words(&self) -> bool {
        false
    }

    fn column(&self) -> Option<&str> {
        self.rows.column()
    }

    fn streamed(&self) -> bool {
        self.rows.streamed()
    }
}
