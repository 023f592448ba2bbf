//! A table beside the files of a folder: `metadata.csv`, `.jsonl` or `.parquet`, whose `file_name` is relative to the
//! folder. As in `datasets`, its columns count, and folders are no classes then.

use std::collections::HashSet;
use std::path::{Component, Path, PathBuf};

use super::FileKind;
use crate::error::quoted;
use crate::rows::{Layout, Records, TableRows};
use crate::table::{self, Cell};
use crate::{DataError, OnBadExample};

/// Names of the table.
pub(super) const NAMES: [&str; 3] = ["metadata.csv", "metadata.jsonl", "metadata.parquet"];
/// Its column of paths.
const FILE_NAME: &str = "file_name";

/// The table of a folder whose files of other kinds are `others`.
///
/// # Errors
/// Several tables; labels are needed and tables lie deeper, where they would not be read.
pub(super) fn table(folder: &Path, others: &[PathBuf], labels_required: bool) -> Result<Option<PathBuf>, DataError> {
    let is_table = |path: &&PathBuf| path.file_name().is_some_and(|name| NAMES.iter().any(|it| name == *it));
    let tables: Vec<&PathBuf> = others.iter().filter(is_table).collect();
    let shown: Vec<String> = tables.iter().map(|path| path.display().to_string()).collect();
    let fail = |message: String| Err(DataError::Columns { message: format!("{}: {message}", folder.display()) });
    match tables.as_slice() {
        [] => Ok(None),
        [one] if one.components().count() == 1 => Ok(Some(folder.join(one))),
        _ if !labels_required => Ok(None),
        _ => fail(format!(
            "holds {}; join them into one metadata.csv in this folder, with a column `{FILE_NAME}` of paths relative to it, \
             or remove them if folders are the classes",
            quoted(&shown, 4)
        )),
    }
}

/// The rows of the table; `files` are those of its folder.
pub(super) fn read(
    kind: &FileKind,
    table: &Path,
    files: &[PathBuf],
    layout: &Layout,
    labels_required: bool,
    on_bad_example: OnBadExample,
) -> Result<TableRows, DataError> {
    let present = table::column_names(table)?;
    let has = |name: &str| present.iter().any(|column| column == name);
    let mut layout = layout.clone();
    for input in &mut layout.inputs {
        if has(FILE_NAME) || !has(&input.name) {
            input.name = FILE_NAME.to_owned();
        }
    }
    let rows = kind.beside(TableRows::read(table, &layout, labels_required, on_bad_example)?)?;
    let folder = table.parent().unwrap_or(Path::new(""));
    let mut named = HashSet::new();
    for row in 0..rows.len() {
        if let Some(Cell::Text(path)) = rows.inputs(row)?.pop() {
            let path = rows.path_of(&path);
            named.insert(plain(path.strip_prefix(folder).unwrap_or(&path)));
        }
    }
    let name = table.display();
    let mut remarks =
        vec![format!("{name}: {} and their labels are those of this table, folders are no classes", kind.plural)];
    // Files of rows that were not chosen are in the table, too.
    let unread = files.iter().filter(|path| layout.choice.is_none() && !named.contains(*path));
    let unnamed: Vec<&PathBuf> = unread.collect();
    if let Some(first) = unnamed.first() {
        let (count, first) = (unnamed.len(), first.display());
        let (what, are) = if count == 1 { (kind.noun, "is") } else { (kind.plural, "are") };
        remarks.push(format!("{name}: {count} {what} of the folder {are} not in it and not read (such as {first})"));
    }
    Ok(rows.with_remarks(remarks))
}

/// A relative path without `.` in it.
fn plain(path: &Path) -> PathBuf {
    path.components().filter(|part| *part != Component::CurDir).collect()
}
