//! The rows of an image data set: paths or bytes, and their labels.

mod masks;
mod object_masks;

use std::path::Path;

use super::decode::content;
use super::image_sets::ImageSet;
use crate::error::quoted;
use crate::files::FileKind;
use crate::rows::{Input, Kind, LabelKind, LabelRows, Layout, TableRows};
use crate::table::{self, Cell};
use crate::{DataError, OnBadExample};

/// Files of images.
pub(super) const IMAGES: FileKind = FileKind {
    noun: "image",
    plural: "images",
    endings: &["png", "jpg", "jpeg", "jpe", "jfif", "webp", "gif", "bmp", "dib", "tif", "tiff"],
    usual: "PNG or JPEG",
    smaller: "scale it down",
    folders: &["images", "imgs"],
    head: content::HEAD,
    is_readable: content::is_readable,
};

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
        let label_kind = LabelKind { noun: "mask", flag: "--mask-column", files: true, folders: false, find: None };
        Self { labels: vec![column.into()], label_kind, ..self }
    }

    /// With masks where nobody says which column holds them: `mask`, else the one column of images of a Parquet file beside that
    /// of the images.
    pub fn usual_masks(self) -> Self {
        let masks = self.masks("mask");
        Self { label_kind: LabelKind { find: Some(masks_of_table), ..masks.label_kind }, ..masks }
    }
}

/// The column of masks in a table that has none of their usual name.
fn masks_of_table(file: &Path, layout: &Layout) -> Result<Option<String>, DataError> {
    let images = table::image_columns(file)?;
    let is_one_of = |name: &String, mut of: std::slice::Iter<'_, String>| of.any(|other| other.trim() == name.trim());
    let inputs: Vec<String> = layout.input_columns().map(str::to_owned).collect();
    let (inputs, others): (Vec<&String>, Vec<&String>) = images.iter().partition(|name| is_one_of(name, inputs.iter()));
    // Of a table without its images that is said.
    if inputs.is_empty() || table::column_names(file)?.iter().any(|name| is_one_of(name, layout.labels.iter())) {
        return Ok(None);
    }
    match others.as_slice() {
        [] => Ok(None),
        [one] => Ok(Some((*one).clone())),
        several => {
            let several: Vec<String> = several.iter().map(|name| (*name).clone()).collect();
            let (file, columns) = (file.display(), quoted(&several, 8));
            let message = format!(
                "{file}: has no column `mask`, and several of images beside `{}`: {columns}; name that of the masks with --mask-column",
                inputs[0]
            );
            Err(DataError::Columns { message })
        }
    }
}

/// A path or the content of a file.
fn image_cell(cell: Cell) -> Result<Cell, String> {
    IMAGES.cell(cell)
}

/// The rows of a table or folder, as `reading` says, or of a list of Pascal VOC.
///
/// # Errors
/// As [`TableRows::read`]; an unreadable folder.
pub(super) fn read_images(
    path: impl AsRef<Path>,
    layout: &Layout,
    labels_required: bool,
    on_bad_example: OnBadExample,
) -> Result<TableRows, DataError> {
    let path = path.as_ref();
    if layout.label_kind.files {
        if let Some(list) = ImageSet::at(path)? {
            return masks::of_list(&list, layout, labels_required, on_bad_example);
        }
        if path.is_dir() {
            return masks::read(path, layout, labels_required, on_bad_example);
        }
    }
    IMAGES.read(path, layout, labels_required, on_bad_example)
}

/// Whether a folder holds masks as files.
pub(super) fn has_masks(path: &Path) -> bool {
    masks::are_in(path)
}

/// The bytes of a mask, or of those of all objects in a folder, by their names.
type Files = Vec<(Option<String>, Vec<u8>)>;
/// A mask's name and its files.
type Mask = (String, Result<Files, String>);

/// The name of a row's mask and its files, or why they cannot be read; `None` where it has none.
pub(super) fn mask_files(rows: &TableRows, row: usize) -> Result<Option<Mask>, DataError> {
    let cell = rows.label(row)?.and_then(|mut cells| cells.pop());
    let one = |bytes: Vec<u8>| vec![(None, bytes)];
    Ok(match cell {
        Some(Cell::Text(path)) => {
            let folder = rows.path_of(path.trim());
            if folder.is_dir() {
                return Ok(Some((folder.display().to_string(), files_of(&folder))));
            }
            let (path, bytes) = IMAGES.named(rows, &path);
            Some((path.display().to_string(), bytes.map(one)))
        }
        Some(Cell::File { name, bytes }) => Some((name.unwrap_or_default(), Ok(one(bytes)))),
        Some(_) => Some((String::new(), Err("is neither a path nor the bytes of an image".to_owned()))),
        None => None,
    })
}

/// The images directly in a folder.
fn files_of(folder: &Path) -> Result<Files, String> {
    let failed = |error: std::io::Error| format!("cannot be read: {error}");
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if IMAGES.has_ending(&path) {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
            files.push((name, IMAGES.read_file(&path)?));
        }
    }
    files.sort();
    Ok(files)
}

/// The bytes of a row's image file, or why they cannot be read.
pub(super) fn bytes(rows: &TableRows, row: usize) -> Result<Result<Vec<u8>, String>, DataError> {
    IMAGES.bytes(rows, row)
}

/// Refuses class folders none of whose images can be used.
///
/// # Errors
/// The folders; a store that cannot be read.
pub(super) fn check_classes(rows: &TableRows, usable: &[bool]) -> Result<(), DataError> {
    IMAGES.check_classes(rows, usable)
}

#[cfg(test)]
mod tests;
