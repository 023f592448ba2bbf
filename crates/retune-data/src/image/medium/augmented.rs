//! Images as a pass of training sees them: their sizes, what augmentation makes of them, mosaics, mixup of scenes.

use super::{ImageSeen, Images};
use crate::image::augment::{Partner, Tile, apply, blended, size_number};
use crate::image::encode::crop_source;
use crate::image::{Moves, Pixels, resize};
use crate::{DataError, Pass};

/// Sizes of images while training.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum TrainingSizes {
    /// Those of evaluation.
    #[default]
    Usual,
    /// One of these heights and widths.
    Sizes(Vec<(usize, usize)>),
    /// The usual ones, which follow the images' shapes, times one of these.
    Factors(Vec<f64>),
}

impl Images {
    /// Where the pixels of a row go before augmentation.
    fn moves_to_source(&self, row: usize, source: &Pixels) -> Result<Moves, DataError> {
        if self.augmentation.crop.is_none() {
            return self.moves(row);
        }
        let (width, height) = self.original_size(row);
        let mut moves = Moves::of(width, height);
        moves.resize(source.width(), source.height());
        Ok(moves)
    }

    /// What augmentation of a row starts from.
    fn training_source(&self, row: usize) -> Result<Pixels, DataError> {
        let Some(crop) = self.augmentation.crop else {
            return self.pixels(row);
        };
        match self.encoded.copies.get(row)? {
            Some(image) => Ok(image),
            None => Ok(crop_source(self.original(row)?, crop.resolution_factor(), self.seen_size(row)?)),
        }
    }

    /// Height and width that a row's image gets in a pass.
    fn training_size(&self, rows: &[usize], row: usize, pass: Pass) -> Result<(usize, usize), DataError> {
        let usual = self.seen_size(row)?;
        Ok(match &self.sizes {
            TrainingSizes::Usual => usual,
            TrainingSizes::Sizes(sizes) => sizes[size_number(sizes.len(), pass, rows)],
            TrainingSizes::Factors(factors) => {
                self.processor.scaled(usual, factors[size_number(factors.len(), pass, rows)])
            }
        })
    }

    /// The image of a row changed for a pass, brought to this height and width.
    fn changed(
        &self,
        row: usize,
        (height, width): (usize, usize),
        key: [u64; 3],
    ) -> Result<(Pixels, Moves), DataError> {
        let mut source = self.training_source(row)?;
        let target = (height, width, self.processor.resample());
        let mut moves = self.moves_to_source(row, &source)?;
        if self.augmentation.crop.is_none() && (source.height(), source.width()) != (height, width) {
            source = resize(&source, width, height, target.2);
            moves.resize(width, height);
        }
        let image = apply(&self.augmentation, source, target, &self.neutral, key, &mut moves);
        Ok((image, moves))
    }

    /// What a pass shows at a place of a batch: an image or a mosaic, maybe with another image laid over it.
    pub(super) fn augmented(&self, rows: &[usize], place: usize, pass: Pass) -> Result<(Pixels, ImageSeen), DataError> {
        let (image, mut seen) = self.scene(rows, place, pass)?;
        let Some(Partner { place, own, draw }) = self.augmentation.partner(rows, place, pass) else {
            return Ok((image, seen));
        };
        let row = rows[place];
        let (other, moves) = self.changed(row, self.training_size(rows, row, pass)?, [pass.seed, draw, row as u64])?;
        let whole = blended(&image, &other, own, &self.neutral);
        seen.others.push((place, moves));
        for moves in std::iter::once(&mut seen.moves).chain(seen.others.iter_mut().map(|(_, moves)| moves)) {
            moves.window(0, 0, whole.width(), whole.height());
        }
        Ok((whole, seen))
    }

    /// The image at a place of a batch in a pass, or the mosaic that stands there.
    fn scene(&self, rows: &[usize], place: usize, pass: Pass) -> Result<(Pixels, ImageSeen), DataError> {
        let size = self.training_size(rows, rows[place], pass)?;
        let Some(tiles) = self.augmentation.mosaic(rows, place, pass, size) else {
            let (image, moves) = self.changed(rows[place], size, [pass.seed, pass.epoch, rows[place] as u64])?;
            return Ok((image, ImageSeen { moves, ..ImageSeen::default() }));
        };
        let (height, width) = size;
        let mut whole = Pixels::filled(width, height, self.processor.channels(), &self.neutral);
        let mut others = Vec::with_capacity(tiles.len());
        for Tile { place, left, top, width: wide, height: tall, draw } in tiles {
            let row = rows[place];
            let (image, mut moves) = self.changed(row, (tall, wide), [pass.seed, draw, row as u64])?;
            whole.paste(&image, left, top);
            moves.window(-(left as isize), -(top as isize), width, height);
            others.push((place, moves));
        }
        let (_, moves) = others.remove(0);
        Ok((whole, ImageSeen { moves, others, mixed: None }))
    }
}

#[cfg(test)]
mod tests;
