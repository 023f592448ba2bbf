//! The rows of a data set of images, whatever its layout.

use std::path::Path;

use super::{coco_masks, rows};
use crate::rows::{Layout, TableRows};
use crate::{DataError, OnBadExample};

/// Reads the rows of a table as [`TableRows::read`] does, or of a folder: `FOLDER/class/…/image` gives labelled rows in the
/// order of their paths, images directly in the folder give rows without labels, `FOLDER/metadata.csv` (`.jsonl`,
/// `.parquet`) gives the rows of that table. Of images with masks a list of Pascal VOC (`ImageSets/Segmentation/train.txt`) gives
/// those that it names, and a file of COCO's masks that are painted of its polygons and run lengths. The images themselves are read
/// later.
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
    let reads_masks = layout.label_kind.files && !rows::has_masks(path);
    if reads_masks && let Some(rows) = coco_masks::read(path, layout, (labels_required, on_bad_example))? {
        return Ok(rows);
    }
    rows::read_images(path, layout, labels_required, on_bad_example)
}
