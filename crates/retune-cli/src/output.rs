//! Where results go: standard output, whose reader may leave, or a file that is whole or absent.

use crate::interrupt;
use anyhow::{Context, Result};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::Path;
use tempfile::NamedTempFile;

/// Standard output; notes when nobody reads any more.
pub(crate) struct Pipe<W> {
    inner: W,
    broken: bool,
}

impl Pipe<io::StdoutLock<'static>> {
    /// The process's own.
    pub(crate) fn stdout() -> Self {
        Self { inner: io::stdout().lock(), broken: false }
    }
}

impl<W: Write> Pipe<W> {
    /// Ends the writing: a reader that has left is no failure.
    pub(crate) fn finish<T, E>(mut self, result: Result<T, E>) -> Result<Option<T>, E> {
        let _ = self.flush();
        match result {
            Ok(value) => Ok(Some(value)),
            Err(_) if self.broken => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn note<T>(&mut self, result: io::Result<T>) -> io::Result<T> {
        self.broken |= result.as_ref().is_err_and(|error| error.kind() == ErrorKind::BrokenPipe);
        result
    }
}

impl<W: Write> Write for Pipe<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let result = self.inner.write(bytes);
        self.note(result)
    }

    fn flush(&mut self) -> io::Result<()> {
        let result = self.inner.flush();
        self.note(result)
    }
}

/// Prints a text on standard output.
pub(crate) fn print(text: &str) -> Result<()> {
    let mut pipe = Pipe::stdout();
    let written = pipe.write_all(text.as_bytes()).and_then(|()| pipe.flush());
    pipe.finish(written).context("cannot write to standard output").map(drop)
}

/// A file in the making, beside its later place.
pub(crate) struct Draft<'a> {
    path: &'a Path,
    writer: BufWriter<NamedTempFile>,
}

impl<'a> Draft<'a> {
    /// Opens a temporary file in the folder of `path`.
    pub(crate) fn new(path: &'a Path) -> Result<Self> {
        let folder = path.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut builder = tempfile::Builder::new();
        builder.prefix(".retune-");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            // The same as any new file gets; the umask still applies.
            builder.permissions(std::fs::Permissions::from_mode(0o666));
        }
        let file = builder.tempfile_in(folder).with_context(|| format!("cannot write into {}", folder.display()))?;
        interrupt::set_unfinished(Some(file.path()));
        Ok(Self { path, writer: BufWriter::new(file) })
    }

    /// Puts the file in its place.
    pub(crate) fn publish(self) -> Result<()> {
        let path = self.path;
        let write = || -> Result<()> {
            let file = self.writer.into_inner().map_err(io::IntoInnerError::into_error)?;
            file.as_file().sync_all()?;
            file.persist(path)?;
            Ok(())
        };
        let result = write().with_context(|| format!("cannot write {}", path.display()));
        interrupt::set_unfinished(None);
        result
    }
}

impl Write for Draft<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writer.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    struct Closed;
    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_left_is_no_failure_but_others_are() {
        let mut pipe = Pipe { inner: Closed, broken: false };
        let result = pipe.write_all(b"x");
        assert!(matches!(pipe.finish(result), Ok(None)));
        let pipe = Pipe { inner: Vec::new(), broken: false };
        assert!(pipe.finish(Err::<(), _>("bad row")).is_err());
    }

    #[test]
    fn a_draft_is_whole_or_absent() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.jsonl");
        let mut draft = Draft::new(&path).unwrap();
        draft.write_all(b"half").unwrap();
        drop(draft);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        let mut draft = Draft::new(&path).unwrap();
        draft.write_all(b"whole").unwrap();
        draft.publish().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"whole");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(Draft::new(&folder.path().join("missing/out")).is_err());
    }
}
