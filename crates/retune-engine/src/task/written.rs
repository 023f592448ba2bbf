//! Names of files that answers are written to, no two alike.

use std::collections::HashSet;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// Names that are taken.
#[derive(Debug, Default)]
pub(super) struct Written(Mutex<HashSet<String>>);

impl Written {
    /// The name of the PNG file of an image: that of the image, with a number where another one has it.
    pub(super) fn name(&self, image: &str, otherwise: &str) -> String {
        let stem = Path::new(image).file_stem().and_then(|stem| stem.to_str()).filter(|stem| !stem.is_empty());
        let stem = stem.unwrap_or(otherwise);
        let mut written = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let name = |count: usize| if count == 1 { format!("{stem}.png") } else { format!("{stem}-{count}.png") };
        let free = (1..).map(name).find(|name| !written.contains(name)).unwrap_or_default();
        written.insert(free.clone());
        free
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_names_are_alike() {
        let written = Written::default();
        let names = ["a/1.jpg", "b/1.png", "1-2.png", "c/1.gif", ""].map(|image| written.name(image, "image"));
        assert_eq!(names, ["1.png", "1-2.png", "1-2-2.png", "1-3.png", "image.png"]);
    }
}
