//! The rows of a text table: texts, or pairs of them, and their labels.

mod lines;

use std::path::Path;

use serde_json::{Map, Value};

use crate::rows::{Builder, Input, LabelRows, Layout, TableRows};
use crate::table::Cell;
use crate::{BadExample, DataError, LabelNumbers, OnBadExample};

pub use lines::TextLines;

/// Which columns of the table mean what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextColumns {
    /// The text.
    pub text: String,
    /// The second text of a pair.
    pub text_pair: Option<String>,
    /// One label column; or several, of 0/1 (several labels) or of numbers (several outputs). One with commas in its name
    /// is several, unless a file has a column of the whole name. Names match exactly, else apart from surrounding space.
    pub label: Vec<String>,
    /// Separates the labels inside one cell; then an empty cell means `no label`.
    pub label_separator: Option<char>,
    /// Whether labels may be numbers where a model's labels have names.
    pub label_numbers: LabelNumbers,
    /// Rows with the same value here (an author, a patient) belong together in a split.
    pub group: Option<String>,
}

impl TextColumns {
    /// Single texts with one label column.
    pub fn new(text: impl Into<String>, label: impl Into<String>) -> Self {
        Self { text: text.into(), text_pair: None, label: vec![label.into()], label_separator: None, label_numbers: LabelNumbers::ByOrder, group: None }
    }

    fn layout(&self) -> Layout {
        let text = Input { name: self.text.clone(), flag: "--text-column" };
        let pair = self.text_pair.iter().map(|name| Input { name: name.clone(), flag: "--text-pair-column" });
        Layout {
            inputs: std::iter::once(text).chain(pair).collect(),
            labels: self.label.clone(),
            separator: self.label_separator,
            label_numbers: self.label_numbers,
            group: self.group.clone(),
            noun: "text",
            bytes: false,
            blank_inputs: true,
            accept: text_cell,
        }
    }
}

/// A text cell, made of what spells one; a text may be empty, but not absent.
fn text_cell(cell: Cell) -> Result<Cell, String> {
    let text = match cell {
        Cell::Text(text) => text,
        Cell::Null => return Err("has no text; fill it in or remove the row".to_owned()),
        Cell::List(_) => return Err("is a list, not a text".to_owned()),
        Cell::File { .. } => return Err("is a file, not a text".to_owned()),
        Cell::Other(what) => return Err(format!("is {what}, not a text")),
        other => other.name().unwrap_or_default(),
    };
    Ok(Cell::Text(text))
}

/// The usable rows of one file. Memory holds 16 bytes a row; texts beyond 64 MiB are on disk.
pub struct TextRows {
    rows: TableRows,
    columns: TextColumns,
    streamed: bool,
}

impl TextRows {
    /// Reads a table (csv, tsv, jsonl, ndjson, json or parquet by its extension).
    ///
    /// With `labels_required` false the label and group columns may be absent or empty; rows then
    /// have no label, and [`TextRows::has_labels`] is true only if all have one.
    ///
    /// # Errors
    /// An unreadable file, missing columns, or rows that cannot be used, up to ten together.
    pub fn read(path: impl AsRef<Path>, columns: &TextColumns, labels_required: bool) -> Result<Self, DataError> {
        Self::read_usable(path, columns, labels_required, OnBadExample::Fail)
    }

    /// As [`TextRows::read`], but rows that cannot be used may be left out; [`crate::Dataset::remarks`] lists them.
    ///
    /// # Errors
    /// As [`TextRows::read`], also if no row can be used.
    pub fn read_usable(
        path: impl AsRef<Path>,
        columns: &TextColumns,
        labels_required: bool,
        on_bad_example: OnBadExample,
    ) -> Result<Self, DataError> {
        let builder = Builder::new(columns.layout(), labels_required)?.on_bad_example(on_bad_example);
        Ok(Self { rows: builder.read_table(path.as_ref())?, columns: columns.clone(), streamed: false })
    }

    /// Rows that are not among these because they cannot be used.
    pub(super) fn left_out(&self) -> &[BadExample] {
        self.rows.left_out()
    }

    /// What a person should know about how the file was read.
    pub(super) fn table_remarks(&self) -> &[String] {
        self.rows.remarks()
    }

    /// Whether the rows are lines of a stream.
    pub(super) fn streamed(&self) -> bool {
        self.streamed
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// True when there are no rows (never after a successful read).
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The file the rows came from.
    pub fn file(&self) -> &Path {
        self.rows.file()
    }

    /// The columns the rows were read by.
    pub fn columns(&self) -> &TextColumns {
        &self.columns
    }

    /// True when every row has a value in every label column.
    pub fn has_labels(&self) -> bool {
        self.rows.has_labels()
    }

    /// The line where row `row` starts, from 1; for Parquet its row number. Panics beyond the end.
    pub fn line(&self, row: usize) -> u64 {
        self.rows.line(row)
    }

    /// Hash of the row's group, when there is a group column and every row has a value in it.
    /// Panics beyond the end.
    pub fn group(&self, row: usize) -> Option<u64> {
        self.rows.group(row)
    }

    /// The text of a row.
    ///
    /// # Errors
    /// No such row, or the temporary store cannot be read.
    pub fn text(&self, row: usize) -> Result<String, DataError> {
        Ok(self.texts(row)?.0)
    }

    /// The second text of a row; `None` when the columns have no pair.
    ///
    /// # Errors
    /// As [`TextRows::text`].
    pub fn pair(&self, row: usize) -> Result<Option<String>, DataError> {
        Ok(self.texts(row)?.1)
    }

    /// The label cells of a row, one per label column; `None` when any is absent.
    ///
    /// # Errors
    /// As [`TextRows::text`].
    pub fn label(&self, row: usize) -> Result<Option<Vec<Cell>>, DataError> {
        self.rows.label(row)
    }

    /// The input columns of a row by the user's names, and the label as the file has it.
    ///
    /// # Errors
    /// As [`TextRows::text`].
    pub fn fields(&self, row: usize) -> Result<(Map<String, Value>, Option<Value>), DataError> {
        Ok((self.rows.fields(row)?, self.rows.label_json(row)?))
    }

    /// Text and pair of a row in one read.
    pub(crate) fn texts(&self, row: usize) -> Result<(String, Option<String>), DataError> {
        let mut texts = self.rows.inputs(row)?.into_iter().filter_map(|cell| match cell {
            Cell::Text(text) => Some(text),
            _ => None,
        });
        Ok((texts.next().unwrap_or_default(), texts.next()))
    }
}

impl AsRef<TableRows> for TextRows {
    fn as_ref(&self) -> &TableRows {
        &self.rows
    }
}

#[cfg(test)]
mod tests;
