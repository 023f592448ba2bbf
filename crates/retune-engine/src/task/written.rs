//! Files that answers are written to: no two have one name, and what is there already stays.

use anyhow::{Context, Result, ensure};
use std::collections::HashSet;
use std::fs::{File, create_dir_all};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Names that are taken.
#[derive(Debug, Default)]
pub(super) struct Written(Mutex<HashSet<String>>);

impl Written {
    /// Writes the PNG file of an image into a folder; gives its path.
    ///
    /// # Errors
    /// A file of that name: it may be the image itself, or what people drew.
    pub(super) fn write(&self, folder: &Path, (image, otherwise): (&str, &str), png: &[u8]) -> Result<PathBuf> {
        let path = folder.join(self.name(image, otherwise));
        create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let file = File::create_new(&path);
        let taken = file.as_ref().is_err_and(|error| error.kind() == ErrorKind::AlreadyExists);
        ensure!(!taken, "{}: is there already and would be lost; name another folder, or remove it", path.display());
        file.and_then(|mut file| file.write_all(png)).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }

    /// The name of the PNG file of an image: that of the image, with a number where another one has it.
    fn name(&self, image: &str, otherwise: &str) -> String {
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
    fn what_is_there_stays() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("1.png"), "drawn by hand").unwrap();
        let error = Written::default().write(folder.path(), ("a/1.png", "mask"), b"new").unwrap_err().to_string();
        assert!(error.contains("1.png: is there already"), "{error}");
        assert_eq!(std::fs::read(folder.path().join("1.png")).unwrap(), b"drawn by hand");
        let new = folder.path().join("new");
        let path = Written::default().write(&new, ("a/1.png", "mask"), b"new").unwrap();
        assert_eq!((path.clone(), std::fs::read(path).unwrap()), (new.join("1.png"), b"new".to_vec()));
    }

    #[test]
    fn no_two_names_are_alike() {
        let written = Written::default();
        let names = ["a/1.jpg", "b/1.png", "1-2.png", "c/1.gif", ""].map(|image| written.name(image, "image"));
        assert_eq!(names, ["1.png", "1-2.png", "1-2-2.png", "1-3.png", "image.png"]);
    }
}
