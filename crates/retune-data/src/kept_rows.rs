//! What was decoded of each row, in a store that spills to disk. What does not fit, or everything when the disk is full, is decoded
//! again whenever it is used; it is the same.

use crate::DataError;
use crate::arena::{Arena, ArenaBuilder};

/// Bytes by row, and what says how to read them.
pub(crate) struct KeptRows<S> {
    store: Arena,
    /// Where the bytes of each row begin.
    entries: Vec<Option<(u64, S)>>,
    failed: Option<String>,
}

impl<S: Copy> KeptRows<S> {
    /// Where a row begins and what was said of it; `None` when it was not kept.
    pub(crate) fn find(&self, row: usize) -> Option<(u64, S)> {
        self.entries.get(row).copied().flatten()
    }

    /// So many bytes from there on.
    ///
    /// # Errors
    /// The store cannot be read.
    pub(crate) fn read(&self, offset: u64, length: usize) -> Result<Vec<u8>, DataError> {
        let mut bytes = Vec::new();
        self.store.read(offset, length, &mut bytes)?;
        Ok(bytes)
    }

    /// Why nothing was kept, if the store could not be written.
    pub(crate) fn failed(&self) -> Option<&str> {
        self.failed.as_deref()
    }

    /// Whether a row was kept.
    pub(crate) fn holds(&self, row: usize) -> bool {
        self.find(row).is_some()
    }
}

/// Rows being kept, one by one.
pub(crate) struct KeptRowsBuilder<S> {
    store: ArenaBuilder,
    entries: Vec<Option<(u64, S)>>,
    failed: Option<String>,
}

impl<S: Copy> KeptRowsBuilder<S> {
    pub(crate) fn new(store: ArenaBuilder) -> Self {
        Self { store, entries: Vec::new(), failed: None }
    }

    /// Bytes so far.
    pub(crate) fn len(&self) -> u64 {
        self.store.len()
    }

    /// Adds the next row if it needs at most `room` bytes, or nothing for it.
    pub(crate) fn push(&mut self, row: Option<(&[u8], S)>, room: u64) {
        let fits = |(bytes, _): &(&[u8], S)| self.failed.is_none() && bytes.len() as u64 <= room;
        let entry = row.filter(fits).and_then(|(bytes, shape)| {
            let offset = self.store.len();
            let written = self.store.append(bytes);
            written.inspect_err(|error| self.give_up(error)).ok().map(|()| (offset, shape))
        });
        self.entries.push(entry);
    }

    pub(crate) fn finish(mut self) -> KeptRows<S> {
        let store = std::mem::replace(&mut self.store, ArenaBuilder::new()).finish().unwrap_or_else(|error| {
            self.give_up(&error);
            Arena::empty()
        });
        KeptRows { store, entries: self.entries, failed: self.failed }
    }

    /// A full disk is no reason to end a run; what the store held goes, so that the disk is free again.
    fn give_up(&mut self, error: &DataError) {
        let source = std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string);
        self.failed = Some(source);
        self.store = ArenaBuilder::new();
        self.entries.iter_mut().for_each(|entry| *entry = None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_that_cannot_be_written_keeps_nothing_and_says_why() {
        let mut rows = KeptRowsBuilder::new(ArenaBuilder::with_limit(10, "/nonexistent-folder".into()));
        // The first fits the memory, the second would need the folder.
        (0..3).for_each(|_| rows.push(Some((&[7; 8], ())), 100));
        let rows = rows.finish();
        assert!((0..3).all(|row| !rows.holds(row)));
        assert!(rows.failed().is_some_and(|reason| reason.contains("o such file")), "{:?}", rows.failed());
    }

    #[test]
    fn what_has_no_room_is_not_kept() {
        let mut rows = KeptRowsBuilder::new(ArenaBuilder::new());
        for (row, room) in [(Some((&[1, 2][..], 'a')), 2), (Some((&[3, 4], 'b')), 1), (None, 9), (Some((&[5], 'c')), 1)]
        {
            rows.push(row, room);
        }
        let rows = rows.finish();
        assert_eq!(
            ([0, 1, 2, 3, 4].map(|row| rows.holds(row)), rows.failed()),
            ([true, false, false, true, false], None)
        );
        let (offset, shape) = rows.find(3).unwrap();
        assert_eq!((rows.read(offset, 1).unwrap(), shape), (vec![5], 'c'));
    }
}
