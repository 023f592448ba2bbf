//! The rows of an audio data set: paths or bytes, and their labels or transcripts.

mod transcripts;

use std::collections::BTreeSet;
use std::path::Path;

use super::content;
use crate::files::{FileKind, table_of};
use crate::rows::{Input, Kind, Layout, TableRows};
use crate::table::{self, Cell, Wanted};
use crate::{DataError, OnBadExample};

/// Files of sounds.
pub(super) const SOUNDS: FileKind = FileKind {
    noun: "audio file",
    plural: "audio files",
    endings: &["wav", "wave", "flac", "mp3", "ogg", "oga", "opus", "aif", "aiff", "aifc"],
    usual: "WAV or FLAC",
    smaller: "cut it into pieces",
    folders: &["clips", "audio", "wavs", "wav"],
    head: content::HEAD,
    is_readable: content::is_readable,
};

/// Layouts of sounds.
impl Layout {
    /// A column of sounds: paths relative to the table's folder (for a stream, to the current one), bytes (Parquet), or
    /// Hugging Face's `{bytes, path}`. In a folder of audio files, the name that paths are reported by.
    pub fn audio(column: impl Into<String>) -> Self {
        let inputs = vec![Input { name: column.into(), flag: "--audio-column" }];
        Self::new(inputs, Kind { noun: "audio file", files: true, blank: false, accept: |cell| SOUNDS.cell(cell) })
    }
}

/// Other names that a column of sounds has where nobody says how it is called.
const USUAL_COLUMNS: [&str; 4] = ["audio", "file_name", "path", "file"];

/// Reads the rows of a table as [`TableRows::read`] does, or of a folder: `FOLDER/class/…/sound` gives labelled rows in the
/// order of their paths, sounds directly in the folder give rows without labels, `FOLDER/metadata.csv` (`.jsonl`,
/// `.parquet`) gives the rows of that table. Transcriptions of a folder stand in its table or in `.trans.txt` files; names of
/// folders are none. A table that lacks the column `audio` may call it `file_name`, `path` or `file`.
/// The sounds themselves are read later.
///
/// # Errors
/// As [`TableRows::read`]; an unreadable folder. Whether the sounds can be decoded is found out later.
pub fn read_audio(
    path: impl AsRef<Path>,
    layout: &Layout,
    labels_required: bool,
    on_bad_example: OnBadExample,
) -> Result<TableRows, DataError> {
    let path = path.as_ref();
    let mut layout = layout.clone();
    let usual = layout.inputs.iter().all(|input| input.name == USUAL_COLUMNS[0]);
    if path.is_dir() && !layout.labels.is_empty() && !layout.label_kind.folders {
        return transcripts::read(path, &layout, labels_required, on_bad_example);
    }
    if usual && path.is_file() && !SOUNDS.has_ending(path) {
        let present = table::column_names(path)?;
        let found = USUAL_COLUMNS.iter().find(|name| present.iter().any(|column| column == *name));
        if let (Some(found), [input]) = (found, layout.inputs.as_mut_slice()) {
            input.name = (*found).to_owned();
        }
    }
    SOUNDS.read(path, &layout, labels_required, on_bad_example)
}

/// The different values of a column of a table, or of the table of a folder.
///
/// # Errors
/// There is no table, or it lacks the column.
pub fn split_values(path: &Path, column: &str) -> Result<BTreeSet<String>, DataError> {
    let Some(table) = table_of(path) else {
        let message = format!(
            "{}: holds no metadata.csv, so that there is no column `{column}`; leave out --split-column",
            path.display()
        );
        return Err(DataError::Columns { message });
    };
    let wanted = Wanted { name: column.to_owned(), flag: "--split-column", required: true, bytes: false };
    let mut reader = table::open(&table, &[wanted])?;
    let mut values = BTreeSet::new();
    while let Some(record) = reader.next_record() {
        // A row that cannot be read is told of when the rows are.
        if let Ok(mut record) = record? {
            values.extend(record.cells.pop().as_ref().and_then(Cell::name));
        }
    }
    Ok(values)
}

/// The bytes of a row's file, or why they cannot be read.
pub(super) fn bytes(rows: &TableRows, row: usize) -> Result<Result<Vec<u8>, String>, DataError> {
    SOUNDS.bytes(rows, row)
}

#[cfg(test)]
mod tests;
