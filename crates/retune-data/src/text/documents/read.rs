//! Documents from files: plain text, or a column of a table.

use std::path::Path;

use crate::table::{PlainText, TextsOf};
use crate::{DataError, Layout, OnBadExample, TableRows};

/// Reads texts: of a file named `.txt` (or `.text`; packed or not) what `texts` says, of a table the layout's column.
///
/// # Errors
/// As [`TableRows::read`] and [`TableRows::read_plain`]; a group column of a text file, which has no columns.
pub fn read_documents(
    path: &Path,
    layout: &Layout,
    texts: TextsOf,
    on_bad_example: OnBadExample,
) -> Result<TableRows, DataError> {
    if !PlainText::is_named(path) {
        return match TableRows::read(path, layout, false, on_bad_example) {
            Err(DataError::UnsupportedExtension { file, .. }) => {
                Err(DataError::UnsupportedExtension { file, known: ".txt, .csv, .tsv, .jsonl, .json or .parquet" })
            }
            other => other,
        };
    }
    if let Some(group) = &layout.group {
        let message = format!(
            "{}: a text file has no column `{group}`; leave --group-column out, or give a table",
            path.display()
        );
        return Err(DataError::Columns { message });
    }
    TableRows::read_plain(path, layout, texts, on_bad_example)
}
