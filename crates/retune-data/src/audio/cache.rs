//! Decoded sounds in a store that spills to disk.

use std::ops::Range;

use crate::DataError;
use crate::arena::ArenaBuilder;
use crate::kept_rows::{KeptRows, KeptRowsBuilder};

/// Samples by row.
pub(super) struct SampleCache(KeptRows<usize>);

impl SampleCache {
    /// Some of the samples of a row; `None` when they were not kept.
    pub(super) fn get(&self, row: usize, part: Range<usize>) -> Result<Option<Vec<f32>>, DataError> {
        let Some((offset, count)) = self.0.find(row) else { return Ok(None) };
        let part = part.start.min(count)..part.end.min(count);
        let begin = offset + (part.start * size_of::<f32>()) as u64;
        let bytes = self.0.read(begin, part.len() * size_of::<f32>())?;
        Ok(Some(bytes.as_chunks().0.iter().map(|four| f32::from_le_bytes(*four)).collect()))
    }

    /// Why nothing was kept, if the store could not be written.
    pub(super) fn failed(&self) -> Option<&str> {
        self.0.failed()
    }

    /// Whether the samples of a row were kept.
    pub(super) fn holds(&self, row: usize) -> bool {
        self.0.holds(row)
    }
}

/// A cache being filled, row by row.
pub(super) struct SampleCacheBuilder {
    rows: KeptRowsBuilder<usize>,
    limit: u64,
}

impl SampleCacheBuilder {
    /// Of so many bytes at most.
    pub(super) fn new(limit: u64, store: ArenaBuilder) -> Self {
        Self { rows: KeptRowsBuilder::new(store), limit }
    }

    /// Adds the samples of the next row if there is room for them, or nothing for it.
    pub(super) fn push(&mut self, samples: Option<&[f32]>) {
        let room = self.limit.saturating_sub(self.rows.len());
        let bytes: Option<Vec<u8>> = samples.map(|it| it.iter().flat_map(|sample| sample.to_le_bytes()).collect());
        let count = samples.map_or(0, <[f32]>::len);
        self.rows.push(bytes.as_deref().map(|bytes| (bytes, count)), room);
    }

    pub(super) fn finish(self) -> SampleCache {
        SampleCache(self.rows.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_what_had_room_are_there() {
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
