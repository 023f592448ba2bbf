//! The usable rows of a table, whatever the modality: input, label and group cells in a store
//! that spills to disk.

mod builder;
mod layout;
mod lines;

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::arena::Arena;
use crate::table::Cell;
use crate::{BadExample, DataError, LabelNumbers};

pub(crate) use builder::Builder;
pub(crate) use layout::{Input, Layout};
pub(crate) use lines::TableLines;

/// Rows with labels: what a [`crate::LabelSchema`] is inferred from and encodes.
pub trait LabelRows {
    /// The file (or folder) the rows came from.
    fn file(&self) -> &Path;

    /// Number of rows.
    fn len(&self) -> usize;

    /// True when there are no rows.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The line where row `row` starts, from 1; the row number for Parquet, 0 where a row is a
    /// file of its own. Panics beyond the end.
    fn line(&self, row: usize) -> u64;

    /// The label columns.
    fn label_columns(&self) -> &[String];

    /// What separates the labels inside one cell.
    fn label_separator(&self) -> Option<char>;

    /// Whether labels may be numbers where a model's labels have names.
    fn label_numbers(&self) -> LabelNumbers {
        LabelNumbers::ByOrder
    }

    /// The names of the labels in the order of their numbers, where the file knows them (a ClassLabel of `datasets`). Cells
    /// then hold names.
    fn label_names(&self) -> Option<&[String]> {
        None
    }

    /// True when every row has a value in every label column.
    fn has_labels(&self) -> bool;

    /// The label cells of a row, one per label column; `None` when any is absent.
    ///
    /// # Errors
    /// No such row, or the temporary store cannot be read.
    fn label(&self, row: usize) -> Result<Option<Vec<Cell>>, DataError>;
}

/// The usable rows of one file. Memory holds 16 bytes a row (24 with groups); cells beyond 64 MiB
/// are on disk.
pub(crate) struct TableRows {
    file: PathBuf,
    layout: Layout,
    lines: Vec<u64>,
    /// Start of each row's record in the store, and its end after the last.
    offsets: Vec<u64>,
    store: Arena,
    labelled: bool,
    /// Hash of each row's group, when all rows have one.
    groups: Option<Vec<u64>>,
    left_out: Vec<BadExample>,
    /// Names of the labels, where the file knows them.
    label_names: Option<Vec<String>>,
    /// What a person should know about how the file was read.
    remarks: Vec<String>,
}

impl TableRows {
    /// Reads a table (csv, tsv, jsonl, ndjson, json or parquet by its extension). Labels and
    /// groups may be absent or empty unless `required`.
    ///
    /// # Errors
    /// An unreadable file, missing columns, or rows that cannot be used, up to ten together.
    pub(crate) fn read(path: &Path, layout: Layout, required: bool) -> Result<Self, DataError> {
        Builder::new(layout, required)?.read_table(path)
    }

    /// What a person should know about how the file was read.
    pub(crate) fn remarks(&self) -> &[String] {
        &self.remarks
    }

    /// Rows that are not among these because they cannot be used.
    pub(crate) fn left_out(&self) -> &[BadExample] {
        &self.left_out
    }

    /// Hash of the row's group, when every row has one. Panics beyond the end.
    pub(crate) fn group(&self, row: usize) -> Option<u64> {
        self.groups.as_ref().map(|groups| groups[row])
    }

    /// The label as the file has it; an array when several label columns are used.
    pub(crate) fn label_json(&self, row: usize) -> Result<Option<Value>, DataError> {
        Ok(self.label(row)?.map(|cells| match cells.as_slice() {
            [cell] => cell.to_json(),
            cells => Value::Array(cells.iter().map(Cell::to_json).collect()),
        }))
    }

    /// The input cells of a row.
    pub(crate) fn inputs(&self, row: usize) -> Result<Vec<Cell>, DataError> {
        let mut cells = self.cells(row)?;
        cells.truncate(self.layout.inputs.len());
        Ok(cells)
    }

    /// The input columns of a row by the user's names.
    pub(crate) fn fields(&self, row: usize) -> Result<Map<String, Value>, DataError> {
        let names = self.layout.inputs.iter().map(|input| input.name.clone());
        Ok(names.zip(self.inputs(row)?.iter().map(Cell::to_json)).collect())
    }

    fn cells(&self, row: usize) -> Result<Vec<Cell>, DataError> {
        let missing = DataError::NoSuchRow { row, rows: self.len() };
        let (Some(&start), Some(&end)) = (self.offsets.get(row), self.offsets.get(row + 1)) else {
            return Err(missing);
        };
        let mut bytes = Vec::new();
        self.store.read(start, (end - start) as usize, &mut bytes)?;
        let mut rest = bytes.as_slice();
        (0..self.layout.width()).map(|_| Cell::decode(&mut rest)).collect::<Option<_>>().ok_or(missing)
    }
}

impl AsRef<TableRows> for TableRows {
    fn as_ref(&self) -> &TableRows {
        self
    }
}

/// A table's rows, of whatever modality.
impl<T: AsRef<TableRows>> LabelRows for T {
    fn file(&self) -> &Path {
        &self.as_ref().file
    }

    fn len(&self) -> usize {
        self.as_ref().lines.len()
    }

    fn line(&self, row: usize) -> u64 {
        self.as_ref().lines[row]
    }

    fn label_columns(&self) -> &[String] {
        &self.as_ref().layout.labels
    }

    fn label_separator(&self) -> Option<char> {
        self.as_ref().layout.separator
    }

    fn label_numbers(&self) -> LabelNumbers {
        self.as_ref().layout.label_numbers
    }

    fn label_names(&self) -> Option<&[String]> {
        self.as_ref().label_names.as_deref()
    }

    fn has_labels(&self) -> bool {
        self.as_ref().labelled
    }

    fn label(&self, row: usize) -> Result<Option<Vec<Cell>>, DataError> {
        let rows = self.as_ref();
        let start = rows.layout.inputs.len();
        let labels = rows.cells(row)?[start..start + rows.layout.labels.len()].to_vec();
        Ok((!labels.is_empty() && !labels.contains(&Cell::Null)).then_some(labels))
    }
}
