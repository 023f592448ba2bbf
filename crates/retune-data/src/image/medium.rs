//! Images as a medium: scaled pixels in a store that spills to disk. B images, C channels, H × W pixels.

mod augmented;

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use super::augment::{Augmentation, MixedBatch};
use super::boxes::{DrawnBox, draw_boxes};
use super::encode::{Encoded, encode, original};
use super::mask::overlay;
use super::thumbnail::thumbnail;
use super::{ImageOptions, ImageProcessor, Mask, Moves, Pixels};
use crate::{Array, BadExample, Batch, DataError, HeatMap, Medium, Mixed, Pass, Random, Seen, TableRows, Units};
pub use augmented::TrainingSizes;

/// Names the random numbers of the mask, apart from those of augmentation.
const NOISE: u64 = 0x6d61_736b;
/// Threads that prepare batches, at most; each holds one.
const MOST_LOADERS: usize = 8;

/// Decoded and scaled images; rows are those of the table or folder.
pub struct Images {
    rows: Arc<TableRows>,
    processor: ImageProcessor,
    augmentation: Augmentation,
    /// What sample values become, by channel of the model, and the sample of a pixel that each is made of.
    values: Vec<(usize, [f32; 256])>,
    /// What fills empty corners.
    neutral: Vec<u8>,
    encoded: Encoded,
    /// Random numbers per image, for masked image modelling.
    noise: Option<usize>,
    /// Units of work per image.
    patches: usize,
    /// Height and width of a patch, where images are of several sizes.
    patch: Option<(usize, usize)>,
    /// Of which each batch of a pass takes one.
    sizes: TrainingSizes,
}

/// What a pass did to an image.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ImageSeen {
    /// Where its pixels went.
    pub moves: Moves,
    /// The image it was mixed with.
    pub mixed: Option<Mixed>,
    /// Other images that stand beside it or are laid over it, by their places in the batch, and where their pixels went.
    pub others: Vec<(usize, Moves)>,
}

impl Seen for ImageSeen {
    fn mixed(&self) -> Option<Mixed> {
        self.mixed
    }
}

impl Images {
    /// Decodes and scales all images, in parallel. `progress` is called with rows done and rows in all.
    ///
    /// # Errors
    /// Images that cannot be used (all of them are counted, 300 are listed) unless they are to be left out; an augmentation
    /// with values out of range; a temporary folder without space.
    pub fn encode(
        rows: &Arc<TableRows>,
        processor: &ImageProcessor,
        options: &ImageOptions,
        progress: &dyn Fn(usize, usize),
    ) -> Result<Self, DataError> {
        options.augmentation.check()?;
        Ok(Self {
            encoded: encode(rows, processor, options, progress)?,
            rows: Arc::clone(rows),
            processor: processor.clone(),
            augmentation: options.augmentation.clone(),
            values: processor.order().into_iter().zip(processor.values()).collect(),
            neutral: processor.neutral(),
            noise: None,
            patches: 1,
            patch: None,
            sizes: TrainingSizes::Usual,
        })
    }

    /// Adds `noise` to batches: `per_image` numbers in [0, 1) for each image, as Hugging Face's
    /// `ViTMAEModel` takes them to choose the patches it hides.
    pub fn with_noise(mut self, per_image: usize) -> Self {
        self.noise = Some(per_image);
        self
    }

    /// Says how many patches a model makes of an image: what lengths and the batches' units of work count.
    pub fn with_patches(mut self, per_image: usize) -> Self {
        self.patches = per_image;
        self
    }

    /// Says how large a patch is, for images that keep their shapes: each has its own number of patches.
    pub fn with_patch(mut self, patch: (usize, usize)) -> Self {
        self.patch = Some(patch).filter(|_| self.processor.pads());
        self
    }

    /// Says which sizes training takes.
    pub fn with_sizes(mut self, sizes: TrainingSizes) -> Self {
        self.sizes = sizes;
        self
    }

    /// How images are prepared.
    pub fn processor(&self) -> &ImageProcessor {
        &self.processor
    }

    /// Height and width of every image of a batch; of the first one, where they keep their shapes.
    pub fn image_size(&self) -> (usize, usize) {
        self.encoded.output
    }

    /// Images whose pixels did not fit the cache and are decoded at each use.
    pub fn uncached(&self) -> usize {
        let Encoded { usable, fitted, .. } = &self.encoded;
        (0..usable.len()).filter(|&row| usable[row] && !fitted.holds(row)).count()
    }

    /// Why no image is in the cache, if it could not be written.
    pub fn cache_failure(&self) -> Option<&str> {
        self.encoded.copies.failed().or(self.encoded.fitted.failed())
    }

    /// The greatest sample of the 16-bit grey files, if there are any.
    pub fn deepest_grey(&self) -> Option<u16> {
        self.encoded.deepest
    }

    /// Images that their EXIF orientation turned or mirrored.
    pub fn turned(&self) -> usize {
        self.encoded.turned
    }

    /// Width and height of a row's image before it is scaled. Panics beyond the end.
    pub fn original_size(&self, row: usize) -> (usize, usize) {
        let (width, height) = self.encoded.sizes[row];
        (width as usize, height as usize)
    }

    /// The image of a row as the model sees it in evaluation, before it is normalised.
    ///
    /// # Errors
    /// Its file has changed since it was first read.
    pub fn pixels(&self, row: usize) -> Result<Pixels, DataError> {
        match self.encoded.fitted.get(row)? {
            Some(image) => Ok(image),
            None => self.processor.fit(&self.original(row)?).or_else(|reason| self.bad(row, reason)),
        }
    }

    /// Height and width of a row's image as the model sees it in evaluation, without padding.
    ///
    /// # Errors
    /// As [`Images::pixels`].
    pub fn seen_size(&self, row: usize) -> Result<(usize, usize), DataError> {
        let (width, height) = self.moves(row)?.size();
        Ok((height, width))
    }

    /// A PNG of an image with boxes over it, its longer side at most `most_side` pixels.
    ///
    /// # Errors
    /// Its file has changed since it was first read.
    pub fn with_boxes(&self, example: usize, boxes: &[DrawnBox], most_side: usize) -> Result<Vec<u8>, DataError> {
        draw_boxes(&self.original(example)?, boxes, most_side).or_else(|reason| self.bad(example, reason))
    }

    /// Leaves out images whose targets cannot be used.
    pub fn leave_out(&mut self, bad: Vec<BadExample>) {
        for example in &bad {
            self.encoded.usable[example.row] = false;
        }
        self.encoded.bad.extend(bad);
        self.encoded.bad.sort_by_key(|bad| bad.row);
    }

    /// A PNG of an image with a mask over it, its longer side at most `most_side` pixels; below it a legend of the classes that
    /// are given with their names, if there are any.
    ///
    /// # Errors
    /// Its file has changed since it was first read.
    pub fn overlay(
        &self,
        example: usize,
        mask: &Mask,
        legend: &[(u8, &str)],
        most_side: usize,
    ) -> Result<Vec<u8>, DataError> {
        overlay(&self.original(example)?, mask, legend, most_side).or_else(|reason| self.bad(example, reason))
    }

    /// Where the pixels of a row go in evaluation.
    fn moves(&self, row: usize) -> Result<Moves, DataError> {
        let (width, height) = self.original_size(row);
        self.processor.moves(width, height).or_else(|reason| self.bad(row, reason))
    }

    fn bad<T>(&self, row: usize, reason: String) -> Result<T, DataError> {
        Err(DataError::BadExamples { bad: vec![self.rows.bad(row, reason)?], count: 1, of: 1 })
    }

    fn original(&self, row: usize) -> Result<Pixels, DataError> {
        let decoded = original(&self.rows, row, &self.processor)?.or_else(|reason| self.bad(row, reason))?;
        Ok(decoded.pixels)
    }

    /// Writes the values of an image, channel by channel, onto the end of `into`.
    fn normalise(&self, image: &Pixels, into: &mut Vec<f32>) {
        for (channel, values) in &self.values {
            let samples = image.data().iter().skip(*channel).step_by(image.channels());
            into.extend(samples.map(|&sample| values[usize::from(sample)]));
        }
    }

    fn noise(&self, rows: &[usize], per_image: usize, pass: Option<Pass>) -> Array {
        let mut noise = Vec::with_capacity(rows.len() * per_image);
        for &row in rows {
            let mut random = match pass {
                Some(pass) => Random::at(&[pass.seed, pass.epoch, row as u64, NOISE]),
                // The same wherever the image stands: an answer does not depend on what came before it.
                None => Random::at(&[self.encoded.hashes[row], NOISE]),
            };
            // 24 bits, so that rounding to a float never gives 1.
            noise.extend((0..per_image).map(|_| (random.next_u64() >> 40) as f32 / (1u32 << 24) as f32));
        }
        Array::floats(&[rows.len(), per_image], noise)
    }
}

impl Medium for Images {
    type Seen = ImageSeen;

    fn examples(&self) -> usize {
        self.encoded.usable.len()
    }

    fn rows(&self, example: usize) -> Range<usize> {
        example..example + usize::from(self.encoded.usable[example])
    }

    fn bad_examples(&self) -> &[BadExample] {
        &self.encoded.bad
    }

    /// Patches: the same for all that are brought to one size.
    fn length(&self, row: usize) -> usize {
        let Some((tall, wide)) = self.patch else { return self.patches };
        // A row that cannot be measured cannot be used.
        self.seen_size(row).map_or(self.patches, |(height, width)| ((height / tall) * (width / wide)).max(1))
    }

    /// `pixel_values` `[B, C, H, W]` f32; `noise` `[B, N]` f32 if asked for. With a pass, images are augmented. Images that keep
    /// their shapes are filled up with 0 on the right and below, and `pixel_mask` `[B, H, W]` says with 1 where they are.
    fn fill(&self, rows: &[usize], pass: Option<Pass>, into: &mut Batch) -> Result<Vec<ImageSeen>, DataError> {
        let channels = self.processor.channels();
        let augmentation = &self.augmentation;
        let mut images = Vec::with_capacity(rows.len());
        let mut seen = Vec::with_capacity(rows.len());
        for (place, &row) in rows.iter().enumerate() {
            let mut values = Vec::new();
            let size = match pass {
                None => {
                    let image = self.pixels(row)?;
                    self.normalise(&image, &mut values);
                    seen.push(self.seen(row)?);
                    (image.height(), image.width())
                }
                Some(pass) => {
                    let (image, where_to) = self.augmented(rows, place, pass)?;
                    self.normalise(&image, &mut values);
                    seen.push(where_to);
                    let size = (image.height(), image.width());
                    if let Some(erasing) = augmentation.erasing {
                        erasing.apply(&mut values, (channels, size.0, size.1), [pass.seed, pass.epoch, row as u64]);
                    }
                    size
                }
            };
            images.push((values, size));
        }
        let (height, width) =
            images.iter().fold((0, 0), |(tall, wide), (_, size)| (size.0.max(tall), size.1.max(wide)));
        let mut values = joined(&images, channels, (height, width));
        if let (Some(pass), true) = (pass, augmentation.mixes()) {
            let own =
                MixedBatch { values: &mut values, shape: (channels, height, width), rows }.mix(augmentation, pass);
            for (place, seen) in seen.iter_mut().enumerate() {
                seen.mixed = Some(Mixed { own, other: (place + 1) % rows.len() });
            }
        }
        let pixels = Array::floats(&[rows.len(), channels, height, width], values);
        into.inputs.insert("pixel_values".to_owned(), pixels);
        if let Some(per_image) = self.noise {
            into.inputs.insert("noise".to_owned(), self.noise(rows, per_image, pass));
        }
        if self.processor.pads() {
            let sizes: Vec<(usize, usize)> = images.iter().map(|(_, size)| *size).collect();
            let mask = Array::integers(&[rows.len(), height, width], pixel_mask(&sizes, (height, width)));
            into.inputs.insert("pixel_mask".to_owned(), mask);
        }
        let work = rows.iter().map(|&row| self.length(row)).sum();
        let padded = match self.patch {
            Some((tall, wide)) => rows.len() * ((height / tall) * (width / wide)).max(1),
            None => work,
        };
        into.extent.input = Units { real: work, padded };
        Ok(seen)
    }

    fn seen(&self, row: usize) -> Result<ImageSeen, DataError> {
        Ok(ImageSeen { moves: self.moves(row)?, ..ImageSeen::default() })
    }

    /// Of decoded pixels: equal for equal images, whatever their file format.
    fn hash(&self, example: usize) -> u64 {
        self.encoded.hashes[example]
    }

    fn size(&self, example: usize) -> usize {
        let (width, height) = self.original_size(example);
        width.min(height)
    }

    fn unit(&self) -> &'static str {
        "pixels of the shorter side"
    }

    /// Of the whole image; with `heat`, of what the model sees of it in evaluation, coloured.
    fn picture(&self, example: usize, most_side: usize, heat: Option<&HeatMap>) -> Result<Option<Vec<u8>>, DataError> {
        let image = if heat.is_some() { self.pixels(example)? } else { self.original(example)? };
        thumbnail(&image, most_side, heat).map(Some).or_else(|reason| self.bad(example, reason))
    }

    fn mixes(&self) -> bool {
        self.augmentation.mixes()
    }

    fn overlays(&self) -> bool {
        self.augmentation.scene_mixup > 0.0
    }

    /// What images of several sizes leave in a model is of several sizes, too, and depends on what else is in the batch.
    fn varies(&self) -> bool {
        let plain = self.augmentation == Augmentation::default() && self.sizes == TrainingSizes::Usual;
        self.noise.is_some() || self.processor.pads() || !plain
    }

    /// Augmenting, and decoding what is not cached, is work worth sharing.
    fn loader_threads(&self, free: usize) -> usize {
        free.clamp(1, MOST_LOADERS)
    }

    fn remarks(&self, file: &Path) -> Vec<String> {
        let why = self.cache_failure().map(|reason| format!(" ({reason})")).unwrap_or_default();
        let file = file.display();
        let note = |count| format!("{file}: {count} images do not fit the cache and are decoded at each use{why}");
        Some(self.uncached()).filter(|&count| count > 0).map(note).into_iter().collect()
    }
}

/// Values of images, one after the other, each filled up with 0 to one height and width.
fn joined(images: &[(Vec<f32>, (usize, usize))], channels: usize, (height, width): (usize, usize)) -> Vec<f32> {
    if images.iter().all(|(_, size)| *size == (height, width)) {
        return images.iter().flat_map(|(values, _)| values).copied().collect();
    }
    let mut all = vec![0f32; images.len() * channels * height * width];
    for ((values, (tall, wide)), place) in images.iter().zip(all.chunks_exact_mut(channels * height * width)) {
        for (line, row) in values.chunks_exact(*wide).enumerate() {
            let start = (line / tall * height + line % tall) * width;
            place[start..start + wide].copy_from_slice(row);
        }
    }
    all
}

/// 1 where images of these heights and widths are.
fn pixel_mask(sizes: &[(usize, usize)], (height, width): (usize, usize)) -> Vec<i64> {
    let mut mask = vec![0; sizes.len() * height * width];
    for ((tall, wide), place) in sizes.iter().zip(mask.chunks_exact_mut(height * width)) {
        place.chunks_exact_mut(width).take(*tall).for_each(|row| row[..*wide].fill(1));
    }
    mask
}

#[cfg(test)]
mod tests;
