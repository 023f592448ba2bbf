//! Names of files that answers are written to, no two alike.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// How many files of each name there are.
#[derive(Debug, Default)]
pub(super) struct Written(Mutex<HashMap<String, usize>>);

impl Written {
    /// The name of the PNG file of an image: that of the image, with a number where it is not the first of that name.
    pub(super) fn name(&self, image: &str, otherwise: &str) -> String {
        let stem = Path::new(image).file_stem().and_then(|stem| stem.to_str()).filter(|stem| !stem.is_empty());
        let stem = stem.unwrap_or(otherwise).to_owned();
        let mut written = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = written.entry(stem.clone()).or_default();
        *count += 1;
        if *count == 1 { format!("{stem}.png") } else { format!("{stem}-{count}.png") }
    }
}
