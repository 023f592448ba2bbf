//! Images as a data set: scaled pixels in a store that spills to disk, labels in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::augment::{Augmentation, MixedBatch, apply};
use super::encode::{Encoded, crop_source, encode, original};
use super::thumbnail::thumbnail;
use super::{ImageOptions, ImageProcessor, ImageRows, Pixels};
use crate::labels::Labels;
use crate::schema::{EncodedLabel, LabelSchema};
use crate::{Array, BadExample, Batch, DataError, Dataset, Described, HeatMap, Pass, Random, Source};

/// Names the random numbers of the mask, apart from those of augmentation.
const NOISE: u64 = 0x6d61_736b;
/// Threads that prepare batches, at most; each holds one.
const MOST_LOADERS: usize = 8;

/// Images with their labels; an [`ImageDataset::subset`] shares everything with its parent.
#[derive(Clone)]
pub struct ImageDataset {
    shared: Arc<Shared>,
    /// Rows of the shared store that this data set shows.
    view: Arc<[u32]>,
    /// Random numbers per image, for masked image modelling.
    noise: Option<usize>,
    /// Units of work per image.
    patches: usize,
}

struct Shared {
    rows: ImageRows,
    schema: Option<LabelSchema>,
    labels: Option<Labels>,
    /// What a person should know about how labels were understood.
    note: Option<String>,
    processor: ImageProcessor,
    augmentation: Augmentation,
    /// What sample values become, by channel.
    values: Vec<[f32; 256]>,
    /// What fills empty corners.
    neutral: Vec<u8>,
    encoded: Encoded,
}

impl ImageDataset {
    /// Decodes and scales all images, in parallel, and encodes their labels by `schema`; without
    /// one the data set has no labels. `progress` is called with rows done and rows in all.
    ///
    /// # Errors
    /// Images that cannot be used (all of them are counted, 300 are listed) unless they are to be
    /// left out, in which case none may be left; labels that the schema does not know, up to ten rows together; an augmentation
    /// that does not fit the labels; a temporary folder without space.
    pub fn encode(
        rows: ImageRows,
        processor: &ImageProcessor,
        schema: Option<&LabelSchema>,
        options: &ImageOptions,
        progress: &dyn Fn(usize, usize),
    ) -> Result<Self, DataError> {
        options.augmentation.check(schema)?;
        let labels = schema.map(|schema| Labels::encode(&rows, schema)).transpose()?.flatten();
        let (labels, note) = labels.unzip();
        let encoded = encode(&rows, processor, options, progress)?;
        if labels.is_some() {
            rows.check_classes(&encoded.usable)?;
        }
        let view = encoded.usable.clone().into();
        let shared = Shared {
            schema: schema.cloned(),
            labels,
            note: note.flatten(),
            processor: processor.clone(),
            augmentation: options.augmentation.clone(),
            values: processor.values(),
            neutral: processor.neutral(),
            encoded,
            rows,
        };
        Ok(Self { shared: Arc::new(shared), view, noise: None, patches: 1 })
    }

    /// Adds `noise` to batches: `per_image` numbers in [0, 1) for each image, as Hugging Face's
    /// `ViTMAEModel` takes them to choose the patches it hides.
    pub fn with_noise(mut self, per_image: usize) -> Self {
        self.noise = Some(per_image);
        self
    }

    /// Says how many patches a model makes of an image: what [`Dataset::length`] and the batches' units of work count.
    pub fn with_patches(mut self, per_image: usize) -> Self {
        self.patches = per_image;
        self
    }

    /// What the labels mean.
    pub fn schema(&self) -> Option<&LabelSchema> {
        self.shared.schema.as_ref()
    }

    /// How images are prepared.
    pub fn processor(&self) -> &ImageProcessor {
        &self.shared.processor
    }

    /// Height and width of every image of a batch.
    pub fn image_size(&self) -> (usize, usize) {
        self.shared.encoded.output
    }

    /// Images whose pixels did not fit the cache and are decoded at each use, of the whole file
    /// or folder.
    pub fn uncached(&self) -> usize {
        self.shared.encoded.usable.len() - self.shared.encoded.fitted.kept()
    }

    /// Why no image is in the cache, if it could not be written.
    pub fn cache_failure(&self) -> Option<&str> {
        let encoded = &self.shared.encoded;
        encoded.copies.failed().or(encoded.fitted.failed())
    }

    /// The greatest sample of the 16-bit grey files of the whole file or folder, if it has any.
    pub fn deepest_grey(&self) -> Option<u16> {
        self.shared.encoded.deepest
    }

    /// The encoded label of a row, if the data set has labels. Panics beyond the end.
    pub fn label(&self, row: usize) -> Option<EncodedLabel> {
        self.shared.labels.as_ref().map(|labels| labels.get(self.inner(row)))
    }

    /// Hash of a row's decoded pixels: equal for equal images, whatever their file format. Panics
    /// beyond the end.
    pub fn content_hash(&self, row: usize) -> u64 {
        self.shared.encoded.hashes[self.inner(row)]
    }

    /// Width and height of a row's image before it is scaled. Panics beyond the end.
    pub fn original_size(&self, row: usize) -> (usize, usize) {
        let (width, height) = self.shared.encoded.sizes[self.inner(row)];
        (width as usize, height as usize)
    }

    /// Hash of the row's value in the group column, when there is one and every row has a value.
    /// Panics beyond the end.
    pub fn group(&self, row: usize) -> Option<u64> {
        self.shared.rows.group(self.inner(row))
    }

    /// The image of a row as the model sees it in evaluation, before it is normalised.
    ///
    /// # Errors
    /// No such row, or its file has changed since it was first read.
    pub fn pixels(&self, row: usize) -> Result<Pixels, DataError> {
        self.shared.fitted(self.checked(row)?)
    }

    /// A PNG of a row's whole image, its longer side at most `most_side` pixels. With `heat`, of what the model sees of
    /// it in evaluation, coloured.
    ///
    /// # Errors
    /// No such row, or its file has changed since it was first read.
    pub fn thumbnail(&self, row: usize, most_side: usize, heat: Option<&HeatMap>) -> Result<Vec<u8>, DataError> {
        let row = self.checked(row)?;
        let image = if heat.is_some() { self.shared.fitted(row)? } else { self.shared.original(row)? };
        thumbnail(&image, most_side, heat).or_else(|reason| self.shared.bad(row, reason))
    }

    /// The row of the shared store behind `row`. Panics beyond the end.
    fn inner(&self, row: usize) -> usize {
        self.view[row] as usize
    }

    fn checked(&self, row: usize) -> Result<usize, DataError> {
        if row < self.len() { Ok(self.inner(row)) } else { Err(DataError::NoSuchRow { row, rows: self.len() }) }
    }

    fn noise(&self, rows: &[usize], per_image: usize, pass: Option<Pass>) -> Array {
        let mut noise = Vec::with_capacity(rows.len() * per_image);
        for &row in rows {
            let mut random = match pass {
                Some(pass) => Random::at(&[pass.seed, pass.epoch, row as u64, NOISE]),
                // The same wherever the image stands: an answer does not depend on what came before it.
                None => Random::at(&[self.shared.encoded.hashes[row], NOISE]),
            };
            // 24 bits, so that rounding to a float never gives 1.
            noise.extend((0..per_image).map(|_| (random.next_u64() >> 40) as f32 / (1u32 << 24) as f32));
        }
        Array::floats(&[rows.len(), per_image], noise)
    }
}

impl Shared {
    fn bad<T>(&self, row: usize, reason: String) -> Result<T, DataError> {
        Err(DataError::BadExamples { bad: vec![self.rows.bad(row, reason)?], count: 1, of: 1 })
    }

    fn original(&self, row: usize) -> Result<Pixels, DataError> {
        let decoded = original(&self.rows, row, &self.processor)?.or_else(|reason| self.bad(row, reason))?;
        Ok(decoded.pixels)
    }

    /// The processed image of a row.
    fn fitted(&self, row: usize) -> Result<Pixels, DataError> {
        match self.encoded.fitted.get(row)? {
            Some(image) => Ok(image),
            None => self.processor.fit(&self.original(row)?).or_else(|reason| self.bad(row, reason)),
        }
    }

    /// What augmentation of a row starts from.
    fn training_source(&self, row: usize) -> Result<Pixels, DataError> {
        let Some(crop) = self.augmentation.crop else {
            return self.fitted(row);
        };
        match self.encoded.copies.get(row)? {
            Some(image) => Ok(image),
            None => Ok(crop_source(self.original(row)?, crop.resolution_factor(), self.encoded.output)),
        }
    }

    /// Writes the values of an image, channel by channel, onto the end of `into`.
    fn normalise(&self, image: &Pixels, into: &mut Vec<f32>) {
        for (channel, values) in self.values.iter().enumerate() {
            let samples = image.data().iter().skip(channel).step_by(image.channels());
            into.extend(samples.map(|&sample| values[usize::from(sample)]));
        }
    }
}

impl Dataset for ImageDataset {
    fn len(&self) -> usize {
        self.view.len()
    }

    /// The same for all: every image is as much work as any other.
    fn length(&self, _row: usize) -> usize {
        self.patches
    }

    /// `pixel_values` `[B, C, H, W]` f32; `labels` if there are any: `[B]` i64 (single label),
    /// `[B, C]` f32 of 0 and 1 (several labels), `[B]` or `[B, outputs]` f32 (regression);
    /// `noise` `[B, N]` f32 if asked for. With a pass, images are augmented; where images are
    /// mixed, `labels` are then `[B, C]` f32 shares of the classes.
    fn batch(&self, rows: &[usize], pass: Option<Pass>) -> Result<Batch, DataError> {
        let shared = &self.shared;
        let inner = rows.iter().map(|&row| self.checked(row)).collect::<Result<Vec<usize>, _>>()?;
        let (height, width) = shared.encoded.output;
        let channels = shared.processor.channels();
        let augmentation = &shared.augmentation;
        let mut values = Vec::with_capacity(rows.len() * channels * height * width);
        for &row in &inner {
            let start = values.len();
            match pass {
                None => shared.normalise(&shared.fitted(row)?, &mut values),
                Some(pass) => {
                    let source = shared.training_source(row)?;
                    let key = [pass.seed, pass.epoch, row as u64];
                    let target = (height, width, shared.processor.resample());
                    shared.normalise(&apply(augmentation, source, target, &shared.neutral, key), &mut values);
                    if let Some(erasing) = augmentation.erasing {
                        erasing.apply(&mut values[start..], (channels, height, width), key);
                    }
                }
            }
        }
        let mut labels = shared.labels.as_ref().map(|labels| labels.array(&inner));
        if let (Some(pass), true, Some(schema)) = (pass, augmentation.mixes(), &shared.schema) {
            let mut mixed = MixedBatch { values: &mut values, shape: (channels, height, width), rows: &inner };
            let shares = mixed.mix(augmentation, pass);
            labels = labels.map(|labels| shares.labels(&labels, schema.outputs()));
        }
        let mut arrays = BTreeMap::new();
        arrays.insert("pixel_values".to_owned(), Array::floats(&[rows.len(), channels, height, width], values));
        if let Some(labels) = labels {
            arrays.insert("labels".to_owned(), labels);
        }
        if let Some(per_image) = self.noise {
            arrays.insert("noise".to_owned(), self.noise(&inner, per_image, pass));
        }
        let work = rows.len() * self.patches;
        Ok(Batch { rows: rows.to_vec(), arrays, tokens: work, padded: work })
    }

    fn source(&self, row: usize) -> Result<Source, DataError> {
        self.shared.rows.source(self.checked(row)?)
    }

    fn has_labels(&self) -> bool {
        self.shared.labels.is_some()
    }

    fn remarks(&self) -> Vec<String> {
        let why = self.cache_failure().map(|reason| format!(" ({reason})")).unwrap_or_default();
        let file = self.shared.rows.file().display();
        let note = |count| format!("{file}: {count} images do not fit the cache and are decoded at each use{why}");
        let uncached = Some(self.uncached()).filter(|&count| count > 0).map(note);
        self.shared.rows.remarks().into_iter().chain(self.shared.note.clone()).chain(uncached).collect()
    }

    fn varies(&self) -> bool {
        self.noise.is_some() || self.shared.augmentation != Augmentation::default()
    }

    /// Augmenting, and decoding what is not cached, is work worth sharing.
    fn loader_threads(&self, free: usize) -> usize {
        free.clamp(1, MOST_LOADERS)
    }

    fn bad_examples(&self) -> &[BadExample] {
        &self.shared.encoded.bad
    }
}

impl Described for ImageDataset {
    fn subset(&self, rows: &[usize]) -> Result<Self, DataError> {
        let view = rows.iter().map(|&row| self.checked(row).map(|row| row as u32)).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { view: view.into(), ..self.clone() })
    }

    fn schema(&self) -> Option<&LabelSchema> {
        ImageDataset::schema(self)
    }

    fn label(&self, row: usize) -> Option<EncodedLabel> {
        ImageDataset::label(self, row)
    }

    fn content_hash(&self, row: usize) -> u64 {
        ImageDataset::content_hash(self, row)
    }

    fn group(&self, row: usize) -> Option<u64> {
        ImageDataset::group(self, row)
    }

    fn extent(&self, row: usize) -> usize {
        let (width, height) = self.original_size(row);
        width.min(height)
    }

    fn extent_unit(&self) -> &'static str {
        "pixels of the shorter side"
    }

    fn thumbnail(&self, row: usize, most_side: usize, heat: Option<&HeatMap>) -> Result<Option<Vec<u8>>, DataError> {
        ImageDataset::thumbnail(self, row, most_side, heat).map(Some)
    }
}

#[cfg(test)]
mod tests;
