//! The usable rows of a table, whatever the medium: input, label and group cells in a store
//! that spills to disk.

mod builder;
mod label_numbers;
mod layout;
mod lines;
mod parallel;
mod records;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::arena::Arena;
use crate::table::{Cell, TextsOf};
use crate::{BadExample, DataError, OnBadExample, Source};

pub(crate) use builder::Builder;
pub use label_numbers::LabelNumbers;
#[cfg(feature = "image")]
pub(crate) use layout::LabelKind;
#[cfg(any(feature = "text", feature = "image", feature = "audio"))]
pub(crate) use layout::{Input, Kind};
pub use layout::{Layout, column_list};
pub use lines::TableLines;
pub use parallel::ParallelFiles;
pub use records::Records;

/// Rows with labels: what a [`crate::LabelSchema`] is inferred from and encodes.
pub trait LabelRows: Records {
    /// The label columns.
    fn label_columns(&self) -> &[String];

    /// What separates the labels inside one cell.
    fn label_separator(&self) -> Option<char>;

    /// What numbers in label cells are where a model's labels have names.
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

/// Where an input is in its file, in seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Part {
    /// Where it begins.
    pub start: f64,
    /// Where it ends, if that is not the end of the file.
    pub end: Option<f64>,
}

/// The usable rows of one file, or the files of one folder. Memory holds 16 bytes a row (24 with groups); cells beyond
/// 64 MiB are on disk.
pub struct TableRows {
    file: PathBuf,
    layout: Layout,
    lines: Vec<u64>,
    /// Start of each row's record in the store, and its end after the last.
    offsets: Vec<u64>,
    store: Arena,
    labelled: bool,
    /// Hash of each row's group, when all rows have one.
    groups: Option<Vec<u64>>,
    /// Of the first groups, by their hashes.
    group_names: HashMap<u64, String>,
    left_out: Vec<BadExample>,
    /// Names of the labels, where the file knows them.
    label_names: Option<Vec<String>>,
    remarks: Vec<String>,
    /// Folder that paths in cells start from.
    base: PathBuf,
    origin: Origin,
}

/// What the rows are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Records of a table.
    Table,
    /// Lines of a stream.
    Stream,
    /// Files of a folder; whether its folders are classes that must be there.
    Folder {
        /// Labels are needed.
        classes: bool,
    },
}

impl TableRows {
    /// Reads a table (csv, tsv, jsonl, ndjson, json or parquet by its extension).
    ///
    /// With `labels_required` false the label and group columns may be absent or empty; rows then have no label, and
    /// [`LabelRows::has_labels`] is true only if all have one. Rows that cannot be used may be left out;
    /// [`Records::left_out`] lists them.
    ///
    /// # Errors
    /// An unreadable file, missing columns, rows that cannot be used, up to ten together, or none that can.
    pub fn read(
        path: impl AsRef<Path>,
        layout: &Layout,
        labels_required: bool,
        on_bad_example: OnBadExample,
    ) -> Result<Self, DataError> {
        Builder::new(layout.clone(), labels_required)?.on_bad_example(on_bad_example).read_table(path.as_ref())
    }

    /// Reads a plain text file, whose one column is the layout's first; it has no labels and no groups.
    ///
    /// # Errors
    /// An unreadable file, one without any text, texts that are not UTF-8, up to ten together.
    pub fn read_plain(
        path: impl AsRef<Path>,
        layout: &Layout,
        texts: TextsOf,
        on_bad_example: OnBadExample,
    ) -> Result<Self, DataError> {
        Builder::new(layout.clone(), false)?.on_bad_example(on_bad_example).read_plain(path.as_ref(), texts)
    }

    /// The columns the rows were read by.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Whether the rows are lines of a stream.
    pub fn streamed(&self) -> bool {
        self.origin == Origin::Stream
    }

    /// The input cells of a row.
    ///
    /// # Errors
    /// No such row, or the temporary store cannot be read.
    pub fn inputs(&self, row: usize) -> Result<Vec<Cell>, DataError> {
        let mut cells = self.cells(row)?;
        cells.truncate(self.layout.inputs.len());
        Ok(cells)
    }

    /// Where a row is, for people: its path where it names a file, else the table and the line.
    ///
    /// # Errors
    /// As [`TableRows::inputs`].
    pub fn place(&self, row: usize) -> Result<String, DataError> {
        Ok(match self.inputs(row)?.pop() {
            Some(Cell::Text(path)) if self.layout.kind.files => self.path_of(&path).display().to_string(),
            _ => format!("{}:{}", self.file.display(), self.line(row)),
        })
    }

    /// The file that a cell names.
    pub(crate) fn path_of(&self, cell: &str) -> PathBuf {
        self.base.join(cell)
    }

    /// With paths in cells that start from another folder.
    pub(crate) fn with_base(self, base: PathBuf) -> Self {
        Self { base, ..self }
    }

    /// With further remarks about how they were read.
    pub(crate) fn with_remarks(mut self, remarks: impl IntoIterator<Item = String>) -> Self {
        self.remarks.extend(remarks);
        self
    }

    /// Whether the rows are files of class folders, each of which must have one.
    pub(crate) fn in_class_folders(&self) -> bool {
        self.origin == Origin::Folder { classes: true }
    }

    /// With the names of labels that are numbers.
    #[cfg(feature = "image")]
    pub(crate) fn with_label_names(self, names: Vec<String>) -> Self {
        Self { label_names: Some(names), ..self }
    }

    /// The row as one that cannot be used.
    pub(crate) fn bad(&self, row: usize, reason: String) -> Result<BadExample, DataError> {
        let Source { line, fields, .. } = self.source(row)?;
        Ok(BadExample { place: self.place(row)?, reason, row, line, fields })
    }

    /// The label cells of a row, one per label column, those included that are empty.
    ///
    /// # Errors
    /// No such row, or the temporary store cannot be read.
    pub fn label_cells(&self, row: usize) -> Result<Vec<Cell>, DataError> {
        let start = self.layout.inputs.len();
        Ok(self.cells(row)?[start..start + self.layout.labels.len()].to_vec())
    }

    /// Where the input of a row begins and ends in its file.
    ///
    /// # Errors
    /// No such row, or the temporary store cannot be read.
    pub fn part(&self, row: usize) -> Result<Part, DataError> {
        if self.layout.part.iter().all(Option::is_none) {
            return Ok(Part { start: 0.0, end: None });
        }
        let first = self.layout.inputs.len() + self.layout.labels.len();
        let part = builder::part_of(&self.layout, &self.cells(row)?[first..]);
        Ok(part.expect("times were checked when the row was read"))
    }

    /// The label as the file has it; an array when several label columns are used.
    fn label_json(&self, row: usize) -> Result<Option<Value>, DataError> {
        let label = match self.layout.gaps {
            true => Some(self.label_cells(row)?).filter(|cells| cells.iter().any(|cell| *cell != Cell::Null)),
            false => self.label(row)?,
        };
        Ok(label.map(|cells| match cells.as_slice() {
            [cell] => cell.to_json(),
            cells => Value::Array(cells.iter().map(Cell::to_json).collect()),
        }))
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

impl Records for TableRows {
    fn file(&self) -> &Path {
        &self.file
    }

    fn len(&self) -> usize {
        self.lines.len()
    }

    fn line(&self, row: usize) -> u64 {
        self.lines[row]
    }

    fn source(&self, row: usize) -> Result<Source, DataError> {
        let place = self.place(row)?;
        let names = self.layout.inputs.iter().map(|input| input.name.clone());
        let mut fields: Map<String, Value> = names.zip(self.inputs(row)?.iter().map(Cell::to_json)).collect();
        let is_folder = matches!(self.origin, Origin::Folder { .. });
        if self.layout.kind.files {
            // Bytes have no name of their own, and paths of a folder are relative to it.
            for field in fields.values_mut().filter(|field| is_folder || field.is_null()) {
                *field = Value::from(place.as_str());
            }
        }
        let times = &self.cells(row)?[self.layout.inputs.len() + self.layout.labels.len()..];
        let times = self.layout.part.iter().flatten().zip(times).filter(|(_, time)| **time != Cell::Null);
        fields.extend(times.map(|(name, time)| (name.clone(), time.to_json())));
        let file = if is_folder { PathBuf::from(place) } else { self.file.clone() };
        Ok(Source { file, line: self.line(row), fields, label: self.label_json(row)? })
    }

    fn group(&self, row: usize) -> Option<u64> {
        self.groups.as_ref().map(|groups| groups[row])
    }

    fn group_name(&self, row: usize) -> Option<&str> {
        self.group_names.get(&self.group(row)?).map(String::as_str)
    }

    fn left_out(&self) -> &[BadExample] {
        &self.left_out
    }

    fn remarks(&self) -> Vec<String> {
        self.remarks.clone()
    }
}

impl LabelRows for TableRows {
    fn label_columns(&self) -> &[String] {
        &self.layout.labels
    }

    fn label_separator(&self) -> Option<char> {
        self.layout.separator
    }

    fn label_numbers(&self) -> LabelNumbers {
        self.layout.label_numbers
    }

    fn label_names(&self) -> Option<&[String]> {
        self.label_names.as_deref()
    }

    fn has_labels(&self) -> bool {
        self.labelled
    }

    fn label(&self, row: usize) -> Result<Option<Vec<Cell>>, DataError> {
        let labels = self.label_cells(row)?;
        Ok((!labels.is_empty() && !labels.contains(&Cell::Null)).then_some(labels))
    }
}
