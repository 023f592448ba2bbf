//! An append-only byte store that moves to an unlinked temporary file when it grows.
//!
//! Memory stays flat whatever the size of a dataset; the system's page cache keeps reads fast.

use std::fs::File;
use std::io::{Error, ErrorKind, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::DataError;

/// Bytes held in memory before a file is made.
const MEMORY_LIMIT: usize = 64 << 20;
/// Bytes gathered before a write, once there is a file.
const WRITE_SIZE: usize = 4 << 20;

/// Where the bytes of a finished [`Arena`] are.
enum Store {
    Memory(Vec<u8>),
    /// With the place of its first byte.
    File(File, u64),
}

/// A finished store: random access by offset, shared between threads.
pub(crate) struct Arena {
    store: Store,
    folder: PathBuf,
}

impl Arena {
    /// The bytes of a file from `start`.
    pub(crate) fn of_file(file: File, start: u64, folder: &Path) -> Self {
        Self { store: Store::File(file, start), folder: folder.to_owned() }
    }

    /// A store of nothing.
    pub(crate) fn empty() -> Self {
        Self { store: Store::Memory(Vec::new()), folder: PathBuf::new() }
    }

    /// Copies `length` bytes from `offset` into `into`, which is cleared first.
    pub(crate) fn read(&self, offset: u64, length: usize, into: &mut Vec<u8>) -> Result<(), DataError> {
        into.clear();
        match &self.store {
            Store::Memory(bytes) => {
                let start = usize::try_from(offset).unwrap_or(usize::MAX);
                let slice = start.checked_add(length).and_then(|end| bytes.get(start..end));
                into.extend_from_slice(slice.ok_or_else(|| self.failed(ErrorKind::UnexpectedEof.into()))?);
                Ok(())
            }
            Store::File(file, start) => {
                into.resize(length, 0);
                file.read_exact_at(into, start + offset).map_err(|source| self.failed(source))
            }
        }
    }

    fn failed(&self, source: Error) -> DataError {
        DataError::Store { folder: self.folder.clone(), source }
    }
}

/// A store being filled.
pub(crate) struct ArenaBuilder {
    pending: Vec<u8>,
    file: Option<File>,
    written: u64,
    memory_limit: usize,
    folder: PathBuf,
}

impl ArenaBuilder {
    /// Spills into the system's temporary folder beyond 64 MiB.
    pub(crate) fn new() -> Self {
        Self::with_limit(MEMORY_LIMIT, std::env::temp_dir())
    }

    pub(crate) fn with_limit(memory_limit: usize, folder: PathBuf) -> Self {
        Self { pending: Vec::new(), file: None, written: 0, memory_limit, folder }
    }

    /// Bytes so far: the offset the next append will have.
    pub(crate) fn len(&self) -> u64 {
        self.written + self.pending.len() as u64
    }

    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<(), DataError> {
        self.pending.extend_from_slice(bytes);
        let limit = if self.file.is_some() { WRITE_SIZE.min(self.memory_limit) } else { self.memory_limit };
        if self.pending.len() > limit { self.spill() } else { Ok(()) }
    }

    fn spill(&mut self) -> Result<(), DataError> {
        let failed = |source| DataError::Store { folder: self.folder.clone(), source };
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(tempfile::tempfile_in(&self.folder).map_err(failed)?),
        };
        file.write_all(&self.pending).map_err(failed)?;
        self.written += self.pending.len() as u64;
        self.pending.clear();
        self.pending.shrink_to(WRITE_SIZE);
        Ok(())
    }

    pub(crate) fn finish(mut self) -> Result<Arena, DataError> {
        if self.file.is_some() {
            self.spill()?;
        }
        let store = match self.file {
            Some(file) => Store::File(file, 0),
            None => {
                self.pending.shrink_to_fit();
                Store::Memory(self.pending)
            }
        };
        Ok(Arena { store, folder: self.folder })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn file_and_memory_hold_the_same(
            pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..40), limit in 0usize..400,
        ) {
            let folder = tempfile::tempdir().unwrap();
            let mut builder = ArenaBuilder::with_limit(limit, folder.path().to_owned());
            let mut offsets = Vec::new();
            for piece in &pieces {
                offsets.push(builder.len());
                builder.append(piece).unwrap();
            }
            let total = builder.len();
            let arena = builder.finish().unwrap();
            let mut read = Vec::new();
            for (piece, &offset) in pieces.iter().zip(&offsets) {
                arena.read(offset, piece.len(), &mut read).unwrap();
                prop_assert_eq!(&read, piece);
            }
            prop_assert!(arena.read(total, 1, &mut read).is_err());
            prop_assert_eq!(matches!(arena.store, Store::File(..)), total > limit as u64);
            // Unlinked: nothing is left behind, even if the program is killed.
            prop_assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        }
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_named() {
        let mut builder = ArenaBuilder::with_limit(0, PathBuf::from("/nonexistent-folder"));
        let error = builder.append(b"x").unwrap_err().to_string();
        assert!(error.contains("/nonexistent-folder") && error.contains("TMPDIR"), "{error}");
    }
}
