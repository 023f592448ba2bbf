//! Decoded and scaled images in a store that spills to disk.
//!
//! Each image has up to two entries: the processed image, which evaluation and augmentations that
//! keep the frame start from, and, only where training crops at random, a copy that is just large
//! enough for the smallest crop to have the model's resolution.

use super::Pixels;
use crate::DataError;
use crate::arena::ArenaBuilder;
use crate::kept_rows::{KeptRows, KeptRowsBuilder};

/// Width and height, as a row keeps them.
type Size = (u32, u32);

/// Images by row.
pub(super) struct PixelCache {
    rows: KeptRows<Size>,
    channels: usize,
}

impl PixelCache {
    /// The image of a row; `None` when it was not kept.
    pub(super) fn get(&self, row: usize) -> Result<Option<Pixels>, DataError> {
        let Some((offset, (width, height))) = self.rows.find(row) else { return Ok(None) };
        let (width, height) = (width as usize, height as usize);
        let data = self.rows.read(offset, width * height * self.channels)?;
        Ok(Some(Pixels::new(width, height, self.channels, data)))
    }

    /// Why nothing was kept, if the store could not be written.
    pub(super) fn failed(&self) -> Option<&str> {
        self.rows.failed()
    }

    /// Whether the image of a row was kept.
    pub(super) fn holds(&self, row: usize) -> bool {
        self.rows.holds(row)
    }
}

/// A cache being filled, row by row.
pub(super) struct PixelCacheBuilder {
    rows: KeptRowsBuilder<Size>,
    channels: usize,
}

impl PixelCacheBuilder {
    pub(super) fn new(channels: usize, store: ArenaBuilder) -> Self {
        Self { rows: KeptRowsBuilder::new(store), channels }
    }

    /// Bytes so far.
    pub(super) fn len(&self) -> u64 {
        self.rows.len()
    }

    /// Adds the image of the next row if it needs at most `room` bytes, or nothing for it.
    pub(super) fn push(&mut self, image: Option<&Pixels>, room: u64) {
        let row = image.map(|image| (image.data(), (image.width() as u32, image.height() as u32)));
        self.rows.push(row, room);
    }

    pub(super) fn finish(self) -> PixelCache {
        PixelCache { rows: self.rows.finish(), channels: self.channels }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_had_room_is_the_same_image() {
        let mut cache = PixelCacheBuilder::new(1, ArenaBuilder::new());
        let image = Pixels::new(2, 4, 1, vec![7; 8]);
        [(Some(&image), 8), (Some(&image), 7), (None, 8)].into_iter().for_each(|(image, room)| cache.push(image, room));
        let cache = cache.finish();
        assert_eq!(([0, 1, 2].map(|row| cache.holds(row)), cache.failed()), ([true, false, false], None));
        assert_eq!(cache.get(0).unwrap(), Some(image));
    }
}
