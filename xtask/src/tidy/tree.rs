//! The files tidy looks at.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// One text file.
pub(super) struct Source {
    /// From the top of the checkout, with `/`.
    pub(super) path: String,
    pub(super) text: String,
}

/// All of them, in the order of their paths.
pub(super) struct Tree {
    pub(super) files: Vec<Source>,
}

/// What is read, and nothing else: a checkout may hold runs, caches and virtual environments.
const FOLDERS: [&str; 5] = ["crates", "xtask", "benches", "scripts", "docs"];
const ENDINGS: [&str; 14] = ["rs", "md", "toml", "cpp", "cc", "cxx", "c", "h", "hpp", "hxx", "cu", "cuh", "C", "inl"];

impl Tree {
    /// Reads the files below `root`.
    pub(super) fn read(root: &Path) -> Result<Self> {
        let mut files = Vec::new();
        for folder in FOLDERS {
            walk(root, &root.join(folder), &mut files)?;
        }
        for entry in list(root)? {
            take(root, &entry, &mut files)?;
        }
        take(root, &root.join("Cargo.lock"), &mut files)?;
        files.sort_by(|a, b| a.path.cmp(&b.path));
        files.dedup_by(|a, b| a.path == b.path);
        Ok(Self { files })
    }

    pub(super) fn get(&self, path: &str) -> Option<&Source> {
        self.files.iter().find(|file| file.path == path)
    }
}

fn list(folder: &Path) -> Result<Vec<std::path::PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.with_context(|| format!("cannot list {}", folder.display()))?,
    };
    entries
        .map(|entry| Ok(entry?.path()))
        .collect::<std::io::Result<_>>()
        .with_context(|| format!("cannot list {}", folder.display()))
}

fn walk(root: &Path, folder: &Path, files: &mut Vec<Source>) -> Result<()> {
    for path in list(folder)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() && !path.is_symlink() && !name.starts_with('.') && name != "target" {
            walk(root, &path, files)?;
        } else {
            take(root, &path, files)?;
        }
    }
    Ok(())
}

fn take(root: &Path, path: &Path, files: &mut Vec<Source>) -> Result<()> {
    let ending = path.extension().unwrap_or_default().to_string_lossy();
    let wanted = ENDINGS.contains(&&*ending) || path.ends_with("Cargo.lock");
    if !wanted || !path.is_file() {
        return Ok(());
    }
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let relative = path.strip_prefix(root).unwrap_or(path);
    files.push(Source {
        path: relative.to_string_lossy().replace('\\', "/"),
        text: String::from_utf8_lossy(&bytes).into_owned(),
    });
    Ok(())
}
