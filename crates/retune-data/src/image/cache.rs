//! Decoded and scaled images in a store that spills to disk.
//!
//! Each image has up to two entries: the processed image, which evaluation and augmentations that
//! keep the frame start from, and, only where training crops at random, a copy that is just large
//! enough for the smallest crop to have the model's resolution. What does not fit the limit is
//! decoded again whenever it is used; the pixels are the same.

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

    /// Images that were kept.
    pub(super) fn kept(&self) -> usize {
        self.entries.iter().flatten().count()
    }
}

/// A cache being filled, row by row.
pub(super) struct PixelCacheBuilder {
    store: ArenaBuilder,
    entries: Vec<Option<Entry>>,
    channels: usize,
    limit: u64,
}

impl PixelCacheBuilder {
    pub(super) fn new(channels: usize, limit: u64) -> Self {
        Self { store: ArenaBuilder::new(), entries: Vec::new(), channels, limit }
    }

    /// Adds the image of the next row, or nothing for it.
    pub(super) fn push(&mut self, image: Option<&Pixels>) -> Result<(), DataError> {
        let fits = |image: &&Pixels| self.store.len() + image.data().len() as u64 <= self.limit;
        let entry = match image.filter(fits) {
            Some(image) => {
                let offset = self.store.len();
                self.store.append(image.data())?;
                Some(Entry { offset, width: image.width() as u32, height: image.height() as u32 })
            }
            None => None,
        };
        self.entries.push(entry);
        Ok(())
    }

    pub(super) fn finish(self) -> Result<PixelCache, DataError> {
        Ok(PixelCache { store: self.store.finish()?, entries: self.entries, channels: self.channels })
    }
}
