//! An append-only byte store that moves to an unlinked temporary file when it grows.
//!
//! Memory stays flat whatever the size of a dataset; the system's page cache keeps reads fast. A thread that reads one piece
//! after the other reads ahead: a call for each row of a million costs more than what is done with the row.

use std::cell::RefCell;
use std::fs::File;
use std::io::{Error, ErrorKind, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::DataError;

/// Bytes held in memory before a file is made.
const MEMORY_LIMIT: usize = 64 << 20;
/// Bytes gathered before a write, once there is a file.
const WRITE_SIZE: usize = 4 << 20;

/// Bytes that are read ahead.
const READ_SIZE: usize = 64 << 10;
/// Stores that a thread reads ahead in at once.
const AHEAD: usize = 4;

/// Where the bytes of a finished [`Arena`] are.
enum Store {
    Memory(Vec<u8>),
    File(Stored),
}

/// Bytes of a file that no longer changes.
struct Stored {
    file: File,
    /// Place of the first byte.
    start: u64,
    /// Tells stores apart.
    number: u64,
}

/// What a thread has read of a store.
struct Ahead {
    number: u64,
    /// Where the last piece ended.
    end: u64,
    /// Place of `bytes` in the file.
    start: u64,
    bytes: Vec<u8>,
}

thread_local! {
    /// The one used last comes first.
    static READ: RefCell<Vec<Ahead>> = const { RefCell::new(Vec::new()) };
}

impl Stored {
    fn new(file: File, start: u64) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        Self { file, start, number: COUNT.fetch_add(1, Ordering::Relaxed) }
    }

    fn read(&self, offset: u64, into: &mut [u8]) -> Result<(), Error> {
        let offset = self.start.checked_add(offset).ok_or(ErrorKind::UnexpectedEof)?;
        READ.with_borrow_mut(|stores| {
            match stores.iter().position(|it| it.number == self.number) {
                Some(place) => stores[..=place].rotate_right(1),
                None => {
                    stores.truncate(AHEAD - 1);
                    stores.insert(0, Ahead { number: self.number, end: u64::MAX, start: 0, bytes: Vec::new() });
                }
            }
            stores[0].read(&self.file, offset, into)
        })
    }
}

impl Ahead {
    fn read(&mut self, file: &File, offset: u64, into: &mut [u8]) -> Result<(), Error> {
        let follows = offset == self.end;
        self.end = offset.wrapping_add(into.len() as u64);
        let known = |it: &Self| {
            let from = usize::try_from(offset.checked_sub(it.start)?).ok()?;
            it.bytes.get(from..from.checked_add(into.len())?).is_some().then_some(from)
        };
        let mut from = known(self);
        if from.is_none() && follows && into.len() < READ_SIZE {
            self.start = offset;
            self.bytes.resize(READ_SIZE, 0);
            // Less at the end of the file, nothing where it fails: the read below says why.
            let count = file.read_at(&mut self.bytes, offset).unwrap_or(0);
            self.bytes.truncate(count);
            from = known(self);
        }
        match from {
            Some(from) => into.copy_from_slice(&self.bytes[from..from + into.len()]),
            None => file.read_exact_at(into, offset)?,
        }
        Ok(())
    }
}

/// A finished store: random access by offset, shared between threads.
pub(crate) struct Arena {
    store: Store,
    folder: PathBuf,
}

impl Arena {
    /// The bytes of a file from `start`.
    pub(crate) fn of_file(file: File, start: u64, folder: &Path) -> Self {
        Self { store: Store::File(Stored::new(file, start)), folder: folder.to_owned() }
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
            Store::File(stored) => {
                into.resize(length, 0);
                stored.read(offset, into).map_err(|source| self.failed(source))
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
            Some(file) => Store::File(Stored::new(file, 0)),
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

    /// In every order, in two stores at once, across what is read ahead.
    #[test]
    fn reading_ahead_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let piece = |store: u64, index: u64| -> Vec<u8> {
            let long = if index.is_multiple_of(997) { READ_SIZE } else { 0 };
            let length = long + (index * 7919 % 211) as usize;
            (0..length).map(|i| (i as u64 * 31 + index * 17 + store) as u8).collect()
        };
        let stores = [0, 1].map(|store| {
            let mut builder = ArenaBuilder::with_limit(0, folder.path().to_owned());
            let mut offsets = Vec::new();
            for index in 0..3000 {
                offsets.push(builder.len());
                builder.append(&piece(store, index)).unwrap();
            }
            (builder.finish().unwrap(), offsets)
        });
        let orders: [fn(u64) -> u64; 4] = [|i| i, |i| 2999 - i, |i| i * 1301 % 3000, |i| i / 2];
        for order in orders {
            for index in (0..3000).map(order) {
                for (store, (arena, offsets)) in (0..).zip(&stores) {
                    let (expected, mut read) = (piece(store, index), Vec::new());
                    arena.read(offsets[index as usize], expected.len(), &mut read).unwrap();
                    assert!(read == expected, "piece {index} of store {store}");
                }
            }
        }
        assert!(stores[0].0.read(u64::MAX, 1, &mut Vec::new()).is_err());
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_named() {
        let mut builder = ArenaBuilder::with_limit(0, PathBuf::from("/nonexistent-folder"));
        let error = builder.append(b"x").unwrap_err().to_string();
        assert!(error.contains("/nonexistent-folder") && error.contains("TMPDIR"), "{error}");
    }
}
