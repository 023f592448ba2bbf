//! Images to predict, named line by line: bare paths or JSON objects, a part at a time.

use std::io::BufRead;
use std::path::{Path, PathBuf};

use super::{ImageColumns, ImageRows};
use crate::DataError;
use crate::rows::TableLines;

/// Reads lines for prediction: a line that starts with `{` is a JSON object with the columns'
/// names, any other line is the path of an image, relative to the current folder. Labels are
/// optional, blank lines are skipped.
pub struct ImageLines<R> {
    lines: TableLines<R>,
    columns: ImageColumns,
}

impl<R: BufRead> ImageLines<R> {
    /// `name` stands for the file in messages.
    ///
    /// # Errors
    /// Columns that contradict each other.
    pub fn new(input: R, name: &Path, columns: &ImageColumns) -> Result<Self, DataError> {
        Ok(Self { lines: TableLines::new(input, name, columns.layout())?, columns: columns.clone() })
    }

    /// The next rows, `most` of them unless the input ends; `None` at its end.
    ///
    /// # Errors
    /// Rows that cannot be used, up to ten together; an input without any row.
    pub fn next_rows(&mut self, most: usize) -> Result<Option<ImageRows>, DataError> {
        let rows = self.lines.next_rows(most)?;
        let columns = self.columns.clone();
        let of = |rows| ImageRows {
            rows,
            columns,
            base: PathBuf::new(),
            is_folder: false,
            ignored: Vec::new(),
            remarks: Vec::new(),
        };
        Ok(rows.map(of))
    }
}
