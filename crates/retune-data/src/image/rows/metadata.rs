//! A table beside the images of a folder: `metadata.csv`, `.jsonl` or `.parquet`, whose `file_name` is relative to the
//! folder. As in `datasets`, its columns count, and folders are no classes then.

use std::collections::HashSet;
use std::path::{Component, Path, PathBuf};

use super::{ImageColumns, ImageRows};
use crate::DataError;
use crate::error::quoted;
use crate::rows::TableRows;
use crate::table::{self, Cell};

/// Names of the table.
const NAMES: [&str; 3] = ["metadata.csv", "metadata.jsonl", "metadata.parquet"];
/// Its column of paths.
const FILE_NAME: &str = "file_name";

/// The table of a folder whose files that are no images are `others`.
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

/// The rows of the table; `images` are those of the folder.
pub(super) fn read(
    folder: &Path,
    table: &Path,
    images: &[PathBuf],
    columns: &ImageColumns,
    labels_required: bool,
) -> Result<ImageRows, DataError> {
    let present = table::column_names(table)?;
    let has = |name: &str| present.iter().any(|column| column == name);
    let image = if !has(FILE_NAME) && has(&columns.image) { &columns.image } else { FILE_NAME };
    let columns = ImageColumns { image: image.to_owned(), ..columns.clone() };
    let rows = TableRows::read(table, columns.layout(), labels_required)?;
    let mut named = HashSet::new();
    for row in 0..crate::rows::LabelRows::len(&rows) {
        if let Some(Cell::Text(path)) = rows.inputs(row)?.pop() {
            named.insert(plain(Path::new(&path)));
        }
    }
    let name = table.display();
    let mut remarks = vec![format!("{name}: images and their labels are those of this table, folders are no classes")];
    let unnamed: Vec<&PathBuf> = images.iter().filter(|path| !named.contains(*path)).collect();
    if let Some(first) = unnamed.first() {
        let count = unnamed.len();
        remarks.push(format!("{name}: {count} images of the folder are not in it and are not read (such as {})", first.display()));
    }
    Ok(ImageRows { rows, columns, base: folder.to_owned(), is_folder: false, ignored: Vec::new(), remarks })
}

/// A relative path without `.` in it.
fn plain(path: &Path) -> PathBuf {
    path.components().filter(|part| *part != Component::CurDir).collect()
}
