//! Files that are whole or absent.

use anyhow::{Context, Result};
use std::fs;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// How files begin that were not finished.
pub(crate) const WRITING: &str = ".writing-";

/// A file that is written piece by piece, and is there once it is published.
pub(crate) struct Draft {
    file: BufWriter<NamedTempFile>,
    path: PathBuf,
}

impl Draft {
    /// Begins it, beside where it will be.
    pub(crate) fn new(path: &Path) -> Result<Self> {
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut builder = tempfile::Builder::new();
        // Temporary files are private; this one becomes a result that others may read, as the umask allows.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let file = builder.prefix(WRITING).tempfile_in(folder);
        let file = file.with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self { file: BufWriter::new(file), path: path.to_owned() })
    }

    /// Puts it in its place.
    pub(crate) fn publish(self) -> Result<()> {
        let Self { file, path } = self;
        let persist = || -> std::io::Result<()> {
            let file = file.into_inner().map_err(std::io::IntoInnerError::into_error)?;
            file.as_file().sync_all()?;
            file.persist(&path)?;
            Ok(())
        };
        persist().with_context(|| format!("cannot write {}", path.display()))
    }
}

impl Write for Draft {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

/// Writes a file so that it is either whole or absent.
pub(crate) fn write_text(path: &Path, text: &str) -> Result<()> {
    let mut draft = Draft::new(path)?;
    draft.write_all(text.as_bytes()).with_context(|| format!("cannot write {}", path.display()))?;
    draft.publish()
}

/// Copies all that a folder holds into another, which is there.
pub(crate) fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    for entry in fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
        let path = entry?.path();
        let to = to.join(path.file_name().unwrap_or_default());
        if path.is_dir() {
            fs::create_dir(&to).with_context(|| format!("cannot create {}", to.display()))?;
            copy_folder(&path, &to)?;
        } else {
            fs::copy(&path, &to).with_context(|| format!("cannot copy {}", path.display()))?;
        }
    }
    Ok(())
}

/// The folder for the files of predictions that are written to `output`: `predictions` beside `predictions.jsonl`.
pub fn files_beside(output: &Path) -> PathBuf {
    let folder = output.with_extension("");
    if folder == output { PathBuf::from(format!("{}-files", output.display())) } else { folder }
}
