//! Names of splits, in folders and lists, and what to name where a data set holds several.

use std::path::{Path, PathBuf};

use crate::DataError;

/// The flags of splits, and the names of what belongs to each.
pub(crate) const SPLITS: [(&str, &[&str]); 3] = [
    ("--train", &["train", "training"]),
    ("--validation", &["valid", "val", "validation", "dev"]),
    ("--test", &["test", "testing"]),
];

/// What to name with which flag.
pub(crate) type Named = Vec<(&'static str, PathBuf)>;

/// Whether a folder of this name holds a split rather than a class.
pub(crate) fn is_split(name: &str) -> bool {
    SPLITS.iter().any(|(_, names)| names.iter().any(|split| split.eq_ignore_ascii_case(name)))
}

/// That splits must be named one by one.
pub(crate) fn refusal(place: &Path, what: &str, named: &Named) -> DataError {
    let each: Vec<String> = named.iter().map(|(flag, path)| format!("{flag} {}", path.display())).collect();
    let (place, each) = (place.display(), each.join(" "));
    DataError::Columns { message: format!("{place}: {what}; name them in its place: {each}") }
}
