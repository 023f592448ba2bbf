//! Where an image lies that a file of annotations names.

use std::path::Path;

/// Names of folders that images lie in beside annotations.
const FOLDERS: [&str; 5] = ["images", "JPEGImages", "image", "imgs", "data"];

/// The path of an image relative to `base`: as it is named, or inside one of the usual folders, or without its own folders.
pub(super) fn located(base: &Path, name: &str) -> String {
    let plain = Path::new(name).file_name().and_then(|name| name.to_str()).unwrap_or(name);
    let inside = |folder: &str, name: &str| format!("{folder}/{name}");
    let candidates = std::iter::once(name.to_owned())
        .chain(FOLDERS.iter().map(|folder| inside(folder, name)))
        .chain(std::iter::once(plain.to_owned()))
        .chain(FOLDERS.iter().map(|folder| inside(folder, plain)));
    candidates.into_iter().find(|path| base.join(path).is_file()).unwrap_or_else(|| name.to_owned())
}
