//! Folders of images with masks: `FOLDER/images/NAME.jpg` and `FOLDER/masks/NAME.png`, or a `metadata` table beside
//! them, or a folder for each image (`object_masks`), or a list of Pascal VOC.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::super::image_sets::{self, ImageSet, PHOTOGRAPHS};
use super::{IMAGES as FILES, object_masks};
use crate::error::quoted;
use crate::rows::{Builder, Layout, Origin, TableRows};
use crate::table::Cell;
use crate::{DataError, OnBadExample};

/// Names of the folder of images, and of that of masks, in the order in which they are looked for.
const IMAGES: [&str; 5] = ["images", "image", "imgs", "img", "JPEGImages"];
const MASKS: [&str; 6] = ["masks", "mask", "labels", "annotations", "SegmentationClass", "gt"];
/// What some tools put behind the name of an image to name its mask.
const SUFFIXES: [&str; 8] = ["", "_mask", "_masks", "_label", "_labels", "_seg", "_gt", "_L"];

/// Whether a folder has one of masks.
pub(super) fn are_in(folder: &Path) -> bool {
    MASKS.iter().any(|name| *name != "annotations" && folder.join(name).is_dir())
}

pub(super) fn read(
    folder: &Path,
    layout: &Layout,
    masks_required: bool,
    on_bad_example: OnBadExample,
) -> Result<TableRows, DataError> {
    let fail = |message: String| Err(DataError::Columns { message: format!("{}: {message}", folder.display()) });
    let found = FILES.find(folder)?;
    if let Some(rows) = FILES.in_table(folder, &found, layout, masks_required, on_bad_example)? {
        return Ok(rows);
    }
    if let Some(group) = &layout.group {
        return Err(no_column(folder, group));
    }
    let inside = |names: &[&str]| {
        let named = |name: &&&str| found.folders.iter().any(|folder| folder == **name);
        names.iter().find(named).map(|name| PathBuf::from(*name))
    };
    let (images, masks) = (inside(&IMAGES), inside(&MASKS));
    if images.is_none()
        && masks.is_none()
        && let Some(rows) = object_masks::read(folder, &found, layout, masks_required)?
    {
        return Ok(rows);
    }
    if masks_required && (images.is_none() || masks.is_none()) {
        let what = match (&images, &masks) {
            (None, None) => "no folders `images` and `masks`",
            (None, _) => "no folder `images`",
            _ => "no folder `masks`",
        };
        return fail(format!(
            "holds {what} but {}; put images and masks of the same names into them, or name a table with their paths",
            quoted(&found.folders, 8)
        ));
    }
    // Without masks beside them, all images of the folder count.
    let base = images.unwrap_or_default();
    let of = |folder: &Path| -> Vec<PathBuf> {
        found.files.iter().filter(|path| path.starts_with(folder)).cloned().collect()
    };
    let pictures = of(&base);
    let of_masks = masks.map(|masks| (masks.clone(), of(&masks)));
    if pictures.is_empty() {
        return fail(format!("holds no images in `{}`", base.display()));
    }
    if masks_required {
        image_sets::check_whole(folder, image_sets::MASKS, &pictures)?;
    }
    let (rows, unused) = paired(folder, (&pictures, &base), &of_masks, layout, masks_required, on_bad_example)?;
    let alone = unused.first().map(|first| {
        let (count, first) = (unused.len(), first.display());
        let are = if count == 1 { "mask has no image and is" } else { "masks have no image and are" };
        format!("{}: {count} {are} not read (such as {first})", folder.display())
    });
    Ok(rows.with_remarks(alone))
}

/// Those images of Pascal VOC that a list names, with their masks.
pub(super) fn of_list(
    list: &ImageSet,
    layout: &Layout,
    masks_required: bool,
    on_bad_example: OnBadExample,
) -> Result<TableRows, DataError> {
    let root = list.root.as_path();
    let found = FILES.find(root)?;
    let of = |folder: &str| -> Vec<PathBuf> {
        found.files.iter().filter(|path| path.starts_with(folder)).cloned().collect()
    };
    let (pictures, problems) = list.choose(&of(PHOTOGRAPHS));
    if !problems.is_empty() {
        return Err(DataError::Columns { message: problems.join("\n") });
    }
    let masks = MASKS.iter().find(|name| found.folders.iter().any(|folder| folder == **name));
    let masks = masks.map(|name| (PathBuf::from(name), of(name)));
    if let Some(group) = &layout.group {
        return Err(no_column(root, group));
    }
    let base = Path::new(PHOTOGRAPHS);
    Ok(paired(root, (&pictures, base), &masks, layout, masks_required, on_bad_example)?.0)
}

/// Images, paths below `folder`, with those of the masks that are named as they are, and the masks that are not.
fn paired(
    folder: &Path,
    (pictures, base): (&[PathBuf], &Path),
    masks: &Option<(PathBuf, Vec<PathBuf>)>,
    layout: &Layout,
    masks_required: bool,
    on_bad_example: OnBadExample,
) -> Result<(TableRows, Vec<PathBuf>), DataError> {
    let masks = masks.iter().flat_map(|(base, masks)| masks.iter().map(|path| (stem(path, base), path)));
    let mut unused: BTreeMap<PathBuf, &PathBuf> = masks.collect();
    let mut builder = Builder::new(layout.clone(), masks_required)?.on_bad_example(on_bad_example);
    for path in pictures {
        let Some(text) = path.to_str() else {
            let message = format!("{}: {} has a name that is not UTF-8; rename it", folder.display(), path.display());
            return Err(DataError::Columns { message });
        };
        let stem = stem(path, base);
        let named = |suffix: &&str| {
            let mut name = stem.clone().into_os_string();
            name.push(suffix);
            PathBuf::from(name)
        };
        let mask = SUFFIXES.iter().find_map(|suffix| unused.remove(&named(suffix)));
        let mask = mask.and_then(|mask| mask.to_str()).map(|mask| Cell::Text(mask.to_owned()));
        builder.push_file(text.to_owned(), mask)?;
    }
    let rows = builder.finish(folder, folder.to_owned(), Origin::Folder { classes: false }, Vec::new())?;
    Ok((rows, unused.into_values().cloned().collect()))
}

fn no_column(folder: &Path, group: &str) -> DataError {
    let message = format!(
        "{}: a folder has no column `{group}`; write a table with the paths, and name it instead",
        folder.display()
    );
    DataError::Columns { message }
}

/// A path below `folder` without its ending.
fn stem(path: &Path, folder: &Path) -> PathBuf {
    path.strip_prefix(folder).unwrap_or(path).with_extension("")
}
