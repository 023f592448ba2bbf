//! Decoded sounds in a store that spills to disk. What does not fit the limit, or everything when the disk is full, is decoded
//! again whenever it is used; the samples are the same.

use std::ops::Range;

use crate::DataError;
use crate::arena::{Arena, ArenaBuilder};

/// Samples by row.
pub(super) struct SampleCache {
    store: Arena,
    /// Where the samples of each row begin, and their number.
    entries: Vec<Option<(u64, usize)>>,
    failed: Option<String>,
}

impl SampleCache {
    /// Some of the samples of a row; `None` when they were not kept.
    pub(super) fn get(&self, row: usize, part: Range<usize>) -> Result<Option<Vec<f32>>, DataError> {
        let Some((offset, count)) = self.entries.get(row).copied().flatten() else { return Ok(None) };
        let part = part.start.min(count)..part.end.min(count);
        let mut bytes = Vec::new();
        let begin = offset + (part.start * size_of::<f32>()) as u64;
        self.store.read(begin, part.len() * size_of::<f32>(), &mut bytes)?;
        Ok(Some(bytes.as_chunks().0.iter().map(|four| f32::from_le_bytes(*four)).collect()))
    }

    /// Why nothing was kept, if the store could not be written.
    pub(super) fn failed(&self) -> Option<&str> {
        self.failed.as_deref()
    }

    /// Whether the samples of a row were kept.
    pub(super) fn holds(&self, row: usize) -> bool {
        self.entries.get(row).is_some_and(Option::is_some)
    }
}

/// A cache being filled, row by row.
pub(super) struct SampleCacheBuilder {
    store: ArenaBuilder,
    entries: Vec<Option<(u64, usize)>>,
    limit: u64,
    failed: Option<String>,
}

impl SampleCacheBuilder {
    /// Of so many bytes at most.
    pub(super) fn new(limit: u64, store: ArenaBuilder) -> Self {
        Self { store, entries: Vec::new(), limit, failed: None }
    }

    /// Adds the samples of the next row if there is room for them, or nothing for it.
    pub(super) fn push(&mut self, samples: Option<&[f32]>) {
        let room = self.limit.saturating_sub(self.store.len());
        let fits = |samples: &&[f32]| self.failed.is_none() && size_of_val(*samples) as u64 <= room;
        let entry = samples.filter(fits).and_then(|samples| {
            let offset = self.store.len();
            let bytes: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
            match self.store.append(&bytes) {
                Ok(()) => Some((offset, samples.len())),
                Err(error) => {
                    self.give_up(&error);
                    None
                }
            }
        });
        self.entries.push(entry);
    }

    pub(super) fn finish(mut self) -> SampleCache {
        let store = std::mem::replace(&mut self.store, ArenaBuilder::new()).finish().unwrap_or_else(|error| {
            self.give_up(&error);
            Arena::empty()
        });
        SampleCache { store, entries: self.entries, failed: self.failed }
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
        let store = ArenaBuilder::with_limit(10, "/nonexistent-folder".into());
        let mut cache = SampleCacheBuilder::new(1000, store);
        (0..3).for_each(|_| cache.push(Some(&[0.5, 0.25])));
        let cache = cache.finish();
        assert!((0..3).all(|row| !cache.holds(row)));
        assert!(cache.failed().is_some_and(|reason| reason.contains("o such file")), "{:?}", cache.failed());
    }

    #[test]
    fn what_has_no_room_is_not_kept() {
        let mut cache = SampleCacheBuilder::new(12, ArenaBuilder::new());
        [Some(&[0.5, 0.25][..]), Some(&[1.0, 2.0]), None, Some(&[3.0])].into_iter().for_each(|it| cache.push(it));
        let cache = cache.finish();
        assert!(cache.holds(0) && cache.holds(3) && cache.failed().is_none());
        assert_eq!(cache.get(0, 0..9).unwrap().unwrap(), [0.5, 0.25]);
        assert_eq!(cache.get(0, 1..2).unwrap().unwrap(), [0.25]);
        assert_eq!(cache.get(3, 0..1).unwrap().unwrap(), [3.0]);
        assert!(cache.get(1, 0..1).unwrap().is_none() && cache.get(9, 0..1).unwrap().is_none());
    }
}
