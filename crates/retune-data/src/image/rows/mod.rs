//! The rows of an image data set: paths or bytes, and their labels.

mod folder;
mod lines;
mod metadata;

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::rows::{Input, LabelRows, Layout, TableRows};
use crate::table::Cell;
use crate::{BadExample, DataError, LabelNumbers, Source};

pub use lines::ImageLines;

/// The largest image file that is read.
const MOST_FILE_BYTES: u64 = 1 << 30;

/// Which columns of the table mean what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageColumns {
    /// The image: a path relative to the table's folder, bytes (Parquet), or Hugging Face's
    /// `{bytes, path}`. In a folder of images, the name that paths are reported by.
    pub image: String,
    /// One label column; or several, of 0/1 (several labels) or of numbers (several outputs). In
    /// a folder of images the label is the class folder's name.
    pub label: Vec<String>,
    /// Separates the labels inside one cell; then an empty cell means `no label`.
    pub label_separator: Option<char>,
    /// Whether labels may be numbers where a model's labels have names.
    pub label_numbers: LabelNumbers,
    /// Rows with the same value here (a patient) belong together in a split.
    pub group: Option<String>,
}

impl ImageColumns {
    /// Images with one label column.
    pub fn new(image: impl Into<String>, label: impl Into<String>) -> Self {
        Self { image: image.into(), label: vec![label.into()], label_separator: None, label_numbers: LabelNumbers::ByOrder, group: None }
    }

    fn layout(&self) -> Layout {
        Layout {
            inputs: vec![Input { name: self.image.clone(), flag: "--image-column" }],
            labels: self.label.clone(),
            separator: self.label_separator,
            label_numbers: self.label_numbers,
            group: self.group.clone(),
            noun: "image",
            bytes: true,
            blank_inputs: false,
            accept: image_cell,
        }
    }
}

/// A path or the content of a file.
fn image_cell(cell: Cell) -> Result<Cell, String> {
    match cell {
        Cell::Text(path) if path.trim().is_empty() => Err("is empty; fill it in or remove the row".to_owned()),
        Cell::Text(path) if path.contains("://") => Err("is an address; fetch the image and give its path".to_owned()),
        Cell::Text(path) => Ok(Cell::Text(path.trim().to_owned())),
        Cell::File { bytes, .. } if bytes.is_empty() => Err("is empty; fill it in or remove the row".to_owned()),
        Cell::File { name, bytes } => Ok(Cell::File { name, bytes }),
        Cell::Null => Err("is empty; fill it in or remove the row".to_owned()),
        Cell::List(_) => Err("is a list, not a path or the bytes of an image".to_owned()),
        Cell::Other(what) => Err(format!("is {what}, not a path or the bytes of an image")),
        _ => Err("is a number, not a path or the bytes of an image".to_owned()),
    }
}

/// The rows of a table or folder of images; images themselves are read later. Memory holds 16
/// bytes a row; bytes beyond 64 MiB are on disk.
pub struct ImageRows {
    rows: TableRows,
    columns: ImageColumns,
    /// Folder that relative paths start from.
    base: PathBuf,
    /// Rows are files of a folder, not records of a table.
    is_folder: bool,
    ignored: Vec<PathBuf>,
    remarks: Vec<String>,
}

impl ImageRows {
    /// Reads a table (csv, tsv, jsonl, ndjson, json or parquet by its extension), or a folder:
    /// `FOLDER/class/…/image` gives labelled rows in the order of their paths, images directly in
    /// the folder give rows without labels, `FOLDER/metadata.csv` (jsonl, parquet) gives rows and labels itself.
    ///
    /// With `labels_required` false, labels and groups may be absent; rows then have none, and
    /// [`ImageRows::has_labels`] is true only if all have one.
    ///
    /// # Errors
    /// An unreadable file or folder, missing columns, or rows that cannot be used, up to ten
    /// together. Whether the images can be decoded is found out later.
    pub fn read(path: impl AsRef<Path>, columns: &ImageColumns, labels_required: bool) -> Result<Self, DataError> {
        let path = path.as_ref();
        if path.is_dir() {
            return folder::read(path, columns, labels_required);
        }
        let rows = TableRows::read(path, columns.layout(), labels_required)?;
        let base = path.parent().unwrap_or(Path::new("")).to_owned();
        Ok(Self { rows, columns: columns.clone(), base, is_folder: false, ignored: Vec::new(), remarks: Vec::new() })
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// True when there are no rows (never after a successful read).
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The table or folder the rows came from.
    pub fn file(&self) -> &Path {
        self.rows.file()
    }

    /// The columns the rows were read by.
    pub fn columns(&self) -> &ImageColumns {
        &self.columns
    }

    /// What a person should know about how the folder was read.
    pub(in crate::image) fn remarks(&self) -> Vec<String> {
        self.rows.remarks().iter().chain(&self.remarks).cloned().collect()
    }

    /// Files in the folder that are no images.
    pub fn ignored(&self) -> &[PathBuf] {
        &self.ignored
    }

    /// True when every row has a value in every label column.
    pub fn has_labels(&self) -> bool {
        self.rows.has_labels()
    }

    /// The line where row `row` starts, from 1; the row number for Parquet, 0 in a folder. Panics
    /// beyond the end.
    pub fn line(&self, row: usize) -> u64 {
        self.rows.line(row)
    }

    /// Hash of the row's group, when there is a group column and every row has a value in it.
    /// Panics beyond the end.
    pub fn group(&self, row: usize) -> Option<u64> {
        self.rows.group(row)
    }

    /// Where the image of a row is, for people: its path, or the name and line of its bytes.
    ///
    /// # Errors
    /// No such row, or the temporary store cannot be read.
    pub fn place(&self, row: usize) -> Result<String, DataError> {
        Ok(match self.rows.inputs(row)?.pop() {
            Some(Cell::Text(path)) => self.base.join(path).display().to_string(),
            _ => format!("{}:{}", self.file().display(), self.line(row)),
        })
    }

    /// The bytes of a row's image file, or why they cannot be read.
    pub(super) fn bytes(&self, row: usize) -> Result<Result<Vec<u8>, String>, DataError> {
        Ok(match self.rows.inputs(row)?.pop() {
            Some(Cell::Text(path)) => read_file(&with_ending(self.base.join(path))),
            Some(Cell::File { bytes, .. }) => Ok(bytes),
            _ => Err("is empty; fill it in or remove the row".to_owned()),
        })
    }

    /// Refuses a class whose images all cannot be used; see `folder`.
    pub(super) fn check_classes(&self, usable: &[u32]) -> Result<(), DataError> {
        folder::check_classes(self, usable)
    }

    /// The row as one that cannot be used.
    pub(super) fn bad(&self, row: usize, reason: String) -> Result<BadExample, DataError> {
        let Source { line, fields, .. } = self.source(row)?;
        Ok(BadExample { place: self.place(row)?, reason, row, line, fields })
    }

    /// The row as the user knows it.
    pub(super) fn source(&self, row: usize) -> Result<Source, DataError> {
        let place = self.place(row)?;
        let mut fields: Map<String, Value> = self.rows.fields(row)?;
        if let Some(field) = fields.get_mut(&self.columns.image)
            && (self.is_folder || field.is_null())
        {
            *field = Value::from(place.as_str());
        }
        let file = if self.is_folder { PathBuf::from(place) } else { self.file().to_owned() };
        Ok(Source { file, line: self.line(row), fields, label: self.rows.label_json(row)? })
    }
}

/// The path, or the one file of that name with an ending of images where tables name images without it.
fn with_ending(path: PathBuf) -> PathBuf {
    if path.exists() {
        return path;
    }
    let Some(name) = path.file_name() else { return path };
    let endings = folder::ENDINGS.iter().flat_map(|ending| [(*ending).to_owned(), ending.to_uppercase()]);
    let mut found: Vec<PathBuf> = Vec::new();
    for ending in endings {
        let mut whole = name.to_owned();
        whole.push(format!(".{ending}"));
        let whole = path.with_file_name(whole);
        if whole.is_file() {
            found.push(whole);
        }
    }
    // Of several nobody knows which; a file system that ignores case finds one twice.
    let same = |other: &PathBuf| other.as_os_str().to_ascii_lowercase() == found[0].as_os_str().to_ascii_lowercase();
    if !found.is_empty() && found.iter().all(same) { found.swap_remove(0) } else { path }
}

fn read_file(path: &Path) -> Result<Vec<u8>, String> {
    let failed = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound => "there is no such file; correct the path (it is relative to the table)".to_owned(),
        _ => format!("cannot be read: {error}"),
    };
    let file = File::open(path).map_err(failed)?;
    let length = file.metadata().map_err(failed)?.len();
    if length > MOST_FILE_BYTES {
        return Err(format!("is a file of {length} bytes, more than the {MOST_FILE_BYTES} allowed; scale it down"));
    }
    let mut bytes = Vec::with_capacity(length as usize);
    file.take(MOST_FILE_BYTES).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

impl AsRef<TableRows> for ImageRows {
    fn as_ref(&self) -> &TableRows {
        &self.rows
    }
}

#[cfg(test)]
mod tests;
