//! The rows of an image data set: paths or bytes, and their labels.

mod folder;
mod masks;
mod metadata;

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use crate::rows::{Input, Kind, LabelKind, LabelRows, Layout, TableRows};
use crate::table::Cell;
use crate::{DataError, OnBadExample};

/// The largest image file that is read.
const MOST_FILE_BYTES: u64 = 1 << 30;

/// Layouts of images.
impl Layout {
    /// A column of images: paths relative to the table's folder (for a stream, to the current one), bytes (Parquet), or
    /// Hugging Face's `{bytes, path}`. In a folder of images, the name that paths are reported by.
    pub fn image(column: impl Into<String>) -> Self {
        let inputs = vec![Input { name: column.into(), flag: "--image-column" }];
        Self::new(inputs, Kind { noun: "image", files: true, blank: false, accept: image_cell })
    }
}

/// Layouts of images with masks.
impl Layout {
    /// With a column of masks, files as the images are. In a folder, `masks/` holds them beside `images/`, under the same
    /// names but for their endings.
    pub fn masks(self, column: impl Into<String>) -> Self {
        let label_kind = LabelKind { noun: "mask", flag: "--mask-column", files: true };
        Self { labels: vec![column.into()], label_kind, ..self }
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

/// Reads the rows of a table as [`TableRows::read`] does, or of a folder: `FOLDER/class/…/image` gives labelled rows in the
/// order of their paths, images directly in the folder give rows without labels, `FOLDER/metadata.csv` (`.jsonl`,
/// `.parquet`) gives the rows of that table. The images themselves are read later.
///
/// # Errors
/// As [`TableRows::read`]; an unreadable folder. Whether the images can be decoded is found out later.
pub fn read_images(
    path: impl AsRef<Path>,
    layout: &Layout,
    labels_required: bool,
    on_bad_example: OnBadExample,
) -> Result<TableRows, DataError> {
    let path = path.as_ref();
    if path.is_dir() && layout.label_kind.files {
        return masks::read(path, layout, labels_required, on_bad_example);
    }
    if path.is_dir() {
        return folder::read(path, layout, labels_required, on_bad_example);
    }
    TableRows::read(path, layout, labels_required, on_bad_example)
}

/// A mask's name and its bytes.
type Mask = (String, Result<Vec<u8>, String>);

/// The bytes of a row's image file, or why they cannot be read.
pub(super) fn bytes(rows: &TableRows, row: usize) -> Result<Result<Vec<u8>, String>, DataError> {
    Ok(match rows.inputs(row)?.pop() {
        Some(Cell::Text(path)) => read_file(&with_ending(rows.path_of(&path))),
        Some(Cell::File { bytes, .. }) => Ok(bytes),
        _ => Err("is empty; fill it in or remove the row".to_owned()),
    })
}

/// The name of a row's mask and its bytes, or why they cannot be read; `None` where it has none.
pub(super) fn mask_bytes(rows: &TableRows, row: usize) -> Result<Option<Mask>, DataError> {
    let cell = rows.label(row)?.and_then(|mut cells| cells.pop());
    Ok(match cell {
        Some(Cell::Text(path)) => {
            let path = with_ending(rows.path_of(path.trim()));
            Some((path.display().to_string(), read_file(&path)))
        }
        Some(Cell::File { name, bytes }) => Some((name.unwrap_or_default(), Ok(bytes))),
        Some(_) => Some((String::new(), Err("is neither a path nor the bytes of an image".to_owned()))),
        None => None,
    })
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
    let same = |other: &PathBuf| other.as_os_str().eq_ignore_ascii_case(found[0].as_os_str());
    if !found.is_empty() && found.iter().all(same) { found.swap_remove(0) } else { path }
}

/// Refuses class folders none of whose images can be used; see `folder`.
///
/// # Errors
/// The folders; a store that cannot be read.
pub(super) fn check_classes(rows: &TableRows, usable: &[bool]) -> Result<(), DataError> {
    folder::check_classes(rows, usable)
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

#[cfg(test)]
mod tests;
