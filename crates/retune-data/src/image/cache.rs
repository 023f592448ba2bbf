//! Decoded and scaled images in a store that spills to disk.
//!
//! Each image has up to two entries: the processed image, which evaluation and augmentations that
//! keep the frame start from, and, only where training crops at random, a copy that is just large
//! enough for the smallest crop to have the model's resolution. What does not fit the limit, or
//! everything when the disk is full, is decoded again whenever it is used; the pixels are the same.

use super::Pixels;
use crate::DataError;
use crate::arena::{Arena, ArenaBuilder};

/// Where an image is in the store, and its size.
#[derive(Clone, Copy)]
struct Entry {
    offset: u64,
    width: u32,
    height: u32,
}

/// Images by row.
pub(super) struct PixelCache {
    store: Arena,
    entries: Vec<Option<Entry>>,
    channels: usize,
    failed: Option<String>,
}

impl PixelCache {
    /// The image of a row; `None` when it was not kept.
    pub(super) fn get(&self, row: usize) -> Result<Option<Pixels>, DataError> {
        let Some(entry) = self.entries.get(row).copied().flatten() else {
            return Ok(None);
        };
        let (width, height) = (entry.width as usize, entry.height as usize);
        let mut data = Vec::new();
        self.store.read(entry.offset, width * height * self.channels, &mut data)?;
        Ok(Some(Pixels::new(width, height, self.channels, data)))
    }

    /// Why nothing was kept, if the store could not be written.
    pub(super) fn failed(&self) -> Option<&str> {
        self.failed.as_deref()
    }

    /// Whether the image of a row was kept.
    pub(super) fn holds(&self, row: usize) -> bool {
        self.entries[row].is_some()
    }
}

/// A cache being filled, row by row.
pub(super) struct PixelCacheBuilder {
    store: ArenaBuilder,
    entries: Vec<Option<Entry>>,
    channels: usize,
    failed: Option<String>,
}

impl PixelCacheBuilder {
    pub(super) fn new(channels: usize, store: ArenaBuilder) -> Self {
        Self { store, entries: Vec::new(), channels, failed: None }
    }

    /// Bytes so far.
    pub(super) fn len(&self) -> u64 {
        self.store.len()
    }

    /// Adds the image of the next row if it needs at most `room` bytes, or nothing for it.
    pub(super) fn push(&mut self, image: Option<&Pixels>, room: u64) {
        let fits = |image: &&Pixels| self.failed.is_none() && image.data().len() as u64 <= room;
        let entry = image.filter(fits).and_then(|image| {
            let offset = self.store.len();
            match self.store.append(image.data()) {
                Ok(()) => Some(Entry { offset, width: image.width() as u32, height: image.height() as u32 }),
                Err(error) => {
                    self.give_up(&error);
                    None
                }
            }
        });
        self.entries.push(entry);
    }

    pub(super) fn finish(mut self) -> PixelCache {
        let store = std::mem::replace(&mut self.store, ArenaBuilder::new()).finish().unwrap_or_else(|error| {
            self.give_up(&error);
            Arena::empty()
        });
        PixelCache { store, entries: self.entries, channels: self.channels, failed: self.failed }
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
        let mut cache = PixelCacheBuilder::new(1, store);
        let image = Pixels::new(2, 4, 1, vec![7; 8]);
        // The first fits the memory, the second would need the folder.
        (0..3).for_each(|_| cache.push(Some(&image), 100));
        let cache = cache.finish();
        assert!((0..3).all(|row| !cache.holds(row)));
        assert!((0..3).all(|row| cache.get(row).unwrap().is_none()));
        assert!(cache.failed().is_some_and(|reason| reason.contains("o such file")), "{:?}", cache.failed());
    }

    #[test]
    fn what_has_no_room_is_not_kept() {
        let mut cache = PixelCacheBuilder::new(1, ArenaBuilder::new());
        let image = Pixels::new(2, 4, 1, vec![7; 8]);
        [(Some(&image), 8), (Some(&image), 7), (None, 8)].into_iter().for_each(|(image, room)| cache.push(image, room));
        let cache = cache.finish();
        assert_eq!(([0, 1, 2].map(|row| cache.holds(row)), cache.failed()), ([true, false, false], None));
        assert_eq!(cache.get(0).unwrap(), Some(image));
    }
}
