//! What a file says of images and their objects, whatever its format.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::BoxConvention;
use crate::DataError;

/// An object as a file has it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct RawObject {
    /// The name of its class.
    pub(super) class: String,
    pub(super) numbers: [f64; 4],
    pub(super) crowd: bool,
    pub(super) area: Option<f64>,
    /// How it is called in messages: `annotation 17`, `line 3`.
    pub(super) name: String,
}

/// An image as a file has it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct RawImage {
    /// Its path, relative to the base of the set.
    pub(super) path: String,
    /// Width and height, where the file says so.
    pub(super) size: Option<(f64, f64)>,
    /// The file that says so, where it is not that of the whole set.
    pub(super) said_in: Option<PathBuf>,
    pub(super) objects: Vec<RawObject>,
    /// Why it cannot be used.
    pub(super) problems: Vec<String>,
}

/// All of a data set.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct RawSet {
    /// The file or folder with the annotations.
    pub(super) file: PathBuf,
    /// What paths of images are relative to.
    pub(super) base: PathBuf,
    pub(super) images: Vec<RawImage>,
    /// Names of all classes in their order, where the file lists them.
    pub(super) classes: Vec<String>,
    /// What boxes are, in this format.
    pub(super) convention: BoxConvention,
    /// What is wrong that belongs to no image, each naming file and id.
    pub(super) problems: Vec<String>,
    /// What a person should know.
    pub(super) remarks: Vec<String>,
}

impl RawSet {
    pub(super) fn new(file: &Path, base: &Path, convention: BoxConvention) -> Self {
        Self {
            file: file.to_owned(),
            base: base.to_owned(),
            images: Vec::new(),
            classes: Vec::new(),
            convention,
            problems: Vec::new(),
            remarks: Vec::new(),
        }
    }

    /// Records a problem.
    pub(super) fn problem(&mut self, what: impl AsRef<str>) {
        self.problems.push(format!("{}: {}", self.file.display(), what.as_ref()));
    }
}

/// Names in alphabetical order, those that are numbers by their size.
pub(super) fn in_order(names: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut names: Vec<String> = names.into_iter().collect();
    let number = |name: &String| name.parse::<u64>().unwrap_or(u64::MAX);
    names.sort_by(|a, b| number(a).cmp(&number(b)).then_with(|| a.cmp(b)));
    names.dedup();
    names
}

/// Four numbers of JSON.
pub(super) fn four(value: Option<&Value>) -> Option<[f64; 4]> {
    let numbers: Vec<f64> = value?.as_array()?.iter().map(Value::as_f64).collect::<Option<_>>()?;
    numbers.try_into().ok()
}

/// The text of a file.
pub(super) fn text(file: &Path) -> Result<String, DataError> {
    std::fs::read_to_string(file).map_err(|source| DataError::Read { file: file.to_owned(), source })
}

/// A file as JSON.
pub(super) fn json(file: &Path) -> Result<Value, DataError> {
    let text = text(file)?;
    serde_json::from_str(text.trim_start_matches('\u{feff}')).map_err(|error| DataError::Malformed {
        file: file.to_owned(),
        line: error.line() as u64,
        message: format!("is not JSON: {error}"),
    })
}
