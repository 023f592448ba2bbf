//! Folders of images: `FOLDER/class/…/image`, or images without labels.

use std::path::{Path, PathBuf};

use crate::DataError;
use crate::error::quoted;
use crate::rows::{Builder, Layout, Origin, TableRows};

/// Endings of files that are images.
const ENDINGS: [&str; 11] = ["png", "jpg", "jpeg", "jpe", "jfif", "webp", "gif", "bmp", "dib", "tif", "tiff"];
/// Names of folders that hold splits rather than a class.
const SPLITS: [&str; 8] = ["train", "training", "val", "valid", "validation", "dev", "test", "testing"];
/// Folders inside folders, at most: a link to a parent would never end.
const MOST_DEPTH: usize = 16;

/// What a folder holds, in the order of the paths.
#[derive(Default)]
struct Found {
    /// Images, relative to the folder.
    images: Vec<PathBuf>,
}

pub(super) fn read(folder: &Path, layout: &Layout, labels_required: bool) -> Result<TableRows, DataError> {
    let fail = |message: String| Err(DataError::Columns { message: format!("{}: {message}", folder.display()) });
    if let Some(group) = &layout.group {
        return fail(format!("a folder has no column `{group}`; write a table with the paths, and name it instead"));
    }
    let mut found = Found::default();
    walk(folder, Path::new(""), 0, &mut found)?;
    if found.images.is_empty() {
        return fail(format!("holds no images; files that end in {} are images", ENDINGS.join(", ")));
    }
    let direct = found.images.iter().find(|path| class(path).is_none());
    let mut classes: Vec<String> = found.images.iter().filter_map(|path| class(path)).map(str::to_owned).collect();
    classes.dedup();
    let is_split = |name: &String| SPLITS.contains(&name.to_lowercase().as_str());
    if labels_required {
        if let Some(direct) = direct {
            let path = direct.display();
            return fail(format!("{path} lies in no class folder; put each class into a folder of its own"));
        }
        if classes.iter().all(is_split) && classes.iter().any(|name| name.to_lowercase().starts_with("train")) {
            let names = quoted(&classes, 8);
            return fail(format!("holds the splits {names}, not classes; name them with --train and --validation"));
        }
    }
    let labelled = direct.is_none();
    let layout = layout.clone().labels(layout.labels.iter().take(1));
    let mut builder = Builder::new(layout, labels_required)?;
    for path in &found.images {
        let Some(text) = path.to_str() else {
            return fail(format!("{} has a name that is not UTF-8; rename it", path.display()));
        };
        builder.push_file(text.to_owned(), class(path).filter(|_| labelled).map(str::to_owned))?;
    }
    builder.finish(folder, folder.to_owned(), Origin::Folder, Vec::new())
}

/// The first folder of a relative path, if the image lies in one.
fn class(path: &Path) -> Option<&str> {
    let parent = path.parent()?.components().next()?;
    parent.as_os_str().to_str()
}

fn walk(root: &Path, inside: &Path, depth: usize, found: &mut Found) -> Result<(), DataError> {
    let folder = root.join(inside);
    let failed = |source| DataError::Read { file: folder.clone(), source };
    if depth > MOST_DEPTH {
        return Err(DataError::Columns {
            message: format!(
                "{}: more than {MOST_DEPTH} folders inside each other; is it a loop of links?",
                folder.display()
            ),
        });
    }
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&folder).map_err(failed)? {
        names.push(entry.map_err(failed)?.file_name());
    }
    names.sort();
    for name in names {
        let path = inside.join(&name);
        if name.as_encoded_bytes().starts_with(b".") || name == "__MACOSX" {
            continue;
        }
        if root.join(&path).is_dir() {
            walk(root, &path, depth + 1, found)?;
            continue;
        }
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or("").to_ascii_lowercase();
        if ENDINGS.contains(&ending.as_str()) {
            found.images.push(path);
        }
    }
    Ok(())
}
