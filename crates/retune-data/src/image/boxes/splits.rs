//! Data sets that hold several splits and are named as a whole: which folders to name in their place.

use std::path::Path;

use super::raw::text;
use super::yolo::scalar;
use crate::DataError;
use crate::files::{Named, SPLITS, refusal};

/// Refuses a folder of folders of splits, as exports have them.
///
/// # Errors
/// The folder is one.
pub(super) fn check_folder(folder: &Path) -> Result<(), DataError> {
    let of = |(flag, names): &(&'static str, &[&str])| {
        let inside = |name: &&str| [folder.join(name), folder.join("images").join(name)];
        Some((*flag, names.iter().flat_map(inside).find(|path| path.is_dir())?))
    };
    let named: Named = SPLITS.iter().filter_map(of).collect();
    if named.is_empty() { Ok(()) } else { Err(refusal(folder, "holds a folder for each split", &named)) }
}

/// Refuses a `data.yaml`, which names several splits.
///
/// # Errors
/// The file is one.
pub(super) fn check_yaml(file: &Path) -> Result<(), DataError> {
    if !file.extension().is_some_and(|ending| ending == "yaml" || ending == "yml") || !file.is_file() {
        return Ok(());
    }
    let content = text(file)?;
    let entry = |key: &str| {
        let line = content.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
        line.map(scalar).filter(|value| !value.is_empty())
    };
    let own = file.parent().unwrap_or(Path::new(""));
    let root = own.join(entry("path").unwrap_or_default());
    let of = |(flag, names): &(&'static str, &[&str])| {
        let value = names.iter().find_map(|name| entry(name))?;
        // Exports write paths as they are from another folder.
        let near = value.trim_start_matches("../");
        let places = [root.join(&value), own.join(&value), own.join(near)];
        Some((*flag, places.into_iter().find(|path| path.exists()).unwrap_or_else(|| own.join(near))))
    };
    let named: Named = SPLITS.iter().filter_map(of).collect();
    if named.is_empty() {
        let message = "names no folder of a split (`train`, `val`, `test`); name a folder of images".to_owned();
        return Err(DataError::Schema { file: file.to_owned(), message });
    }
    Err(refusal(file, "names a folder for each split", &named))
}
