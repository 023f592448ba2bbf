//! Reads, decodes and scales all images of a data set once, in parallel.

use rayon::prelude::*;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::augment::Augmentation;
use super::cache::{PixelCache, PixelCacheBuilder};
use super::decode::{Decoded, decode};
use super::rows::{bytes, check_classes};
use super::{ImageProcessor, Pixels, resize};
use crate::arena::ArenaBuilder;
use crate::{BadExample, DataError, OnBadExample, Records, TableRows};

/// Images decoded in parallel before they are stored.
const CHUNK: usize = 64;
/// Bad images that an error lists; beyond it a list in a terminal helps nobody.
const MOST_BAD: usize = 300;

/// How images are read.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageOptions {
    /// Whether images that cannot be used end the run.
    pub on_bad_example: OnBadExample,
    /// What training passes do to images.
    pub augmentation: Augmentation,
    /// Bytes of scaled images to keep, in memory up to 64 MiB and then on disk; the rest is
    /// decoded again at each use.
    pub cache_bytes: u64,
}

impl Default for ImageOptions {
    /// Fails on bad images, no augmentation, 8 GiB.
    fn default() -> Self {
        Self { on_bad_example: OnBadExample::Fail, augmentation: Augmentation::default(), cache_bytes: 8 << 30 }
    }
}

/// What reading gave, by row; rows that were left out have empty places.
pub(super) struct Encoded {
    pub(super) fitted: PixelCache,
    pub(super) copies: PixelCache,
    /// Width and height of the decoded image.
    pub(super) sizes: Vec<(u32, u32)>,
    pub(super) hashes: Vec<u64>,
    /// Whether each row can be used.
    pub(super) usable: Vec<bool>,
    pub(super) bad: Vec<BadExample>,
    /// The greatest sample of all 16-bit grey files.
    pub(super) deepest: Option<u16>,
    /// Images that their EXIF orientation turned or mirrored.
    pub(super) turned: usize,
    /// Height and width of every processed image.
    pub(super) output: (usize, usize),
}

/// One image, ready for the cache.
struct Prepared {
    size: (u32, u32),
    hash: u64,
    deepest: Option<u16>,
    turned: bool,
    fitted: Pixels,
    copy: Option<Pixels>,
}

pub(super) fn encode(
    rows: &TableRows,
    processor: &ImageProcessor,
    options: &ImageOptions,
    progress: &dyn Fn(usize, usize),
) -> Result<Encoded, DataError> {
    let total = rows.len();
    let channels = processor.channels();
    let mut fitted = PixelCacheBuilder::new(channels, ArenaBuilder::new());
    let mut copies = PixelCacheBuilder::new(channels, ArenaBuilder::new());
    let (mut sizes, mut hashes) = (Vec::with_capacity(total), Vec::with_capacity(total));
    let (mut usable, mut bad) = (Vec::with_capacity(total), Vec::new());
    let (mut deepest, mut turned) = (None, 0);
    let mut output = processor.output_size();
    progress(0, total);
    for start in (0..total).step_by(CHUNK) {
        let end = total.min(start + CHUNK);
        // `collect` keeps the order, so the result does not depend on the threads.
        let prepared: Vec<Result<Result<Prepared, String>, DataError>> =
            (start..end).into_par_iter().map(|row| prepare(rows, row, processor, &options.augmentation)).collect();
        for (row, image) in (start..).zip(prepared) {
            let checked = image?.and_then(|image| {
                let (height, width) = *output.get_or_insert((image.fitted.height(), image.fitted.width()));
                if processor.pads() || (height, width) == (image.fitted.height(), image.fitted.width()) {
                    return Ok(image);
                }
                Err(format!(
                    "is {} × {} pixels after preprocessing where the first image is {width} × {height}; \
                     set do_center_crop or a size with height and width in preprocessor_config.json",
                    image.fitted.width(),
                    image.fitted.height()
                ))
            });
            match checked {
                Ok(image) => {
                    // The copies for cropping are what training reads; they have the first call on the space.
                    let room = |used: u64| options.cache_bytes.saturating_sub(used);
                    copies.push(image.copy.as_ref(), room(copies.len() + fitted.len()));
                    fitted.push(Some(&image.fitted), room(copies.len() + fitted.len()));
                    deepest = deepest.max(image.deepest);
                    turned += usize::from(image.turned);
                    sizes.push(image.size);
                    hashes.push(image.hash);
                    usable.push(true);
                }
                Err(reason) => {
                    usable.push(false);
                    fitted.push(None, 0);
                    copies.push(None, 0);
                    sizes.push((0, 0));
                    hashes.push(0);
                    bad.push(rows.bad(row, reason)?);
                }
            }
        }
        progress(end, total);
    }
    if !bad.is_empty() && options.on_bad_example == OnBadExample::Fail {
        let count = bad.len();
        bad.truncate(MOST_BAD);
        return Err(DataError::BadExamples { bad, count, of: total });
    }
    check_classes(rows, &usable)?;
    let output = output.unwrap_or_default();
    Ok(Encoded {
        fitted: fitted.finish(),
        copies: copies.finish(),
        sizes,
        hashes,
        usable,
        bad,
        deepest,
        turned,
        output,
    })
}

/// A decoded image, or why there is none.
pub(super) fn original(
    rows: &TableRows,
    row: usize,
    processor: &ImageProcessor,
) -> Result<Result<Decoded, String>, DataError> {
    Ok(bytes(rows, row)?.and_then(|bytes| decode(&bytes, processor.channels(), processor.grey_range())))
}

fn prepare(
    rows: &TableRows,
    row: usize,
    processor: &ImageProcessor,
    augmentation: &Augmentation,
) -> Result<Result<Prepared, String>, DataError> {
    Ok(original(rows, row, processor)?.and_then(|Decoded { pixels: image, deepest, turned }| {
        let fitted = processor.fit(&image)?;
        let size = (image.width() as u32, image.height() as u32);
        let seed = u64::from(size.0) << 32 | u64::from(size.1);
        let hash = xxh3_64_with_seed(image.data(), seed);
        let copy = augmentation
            .crop
            .map(|crop| crop_source(image, crop.resolution_factor(), (fitted.height(), fitted.width())));
        Ok(Prepared { size, hash, deepest, turned, fitted, copy })
    }))
}

/// The image that random crops are cut from: scaled down so that the smallest crop still has
/// about the size of the processed image, never scaled up.
pub(super) fn crop_source(image: Pixels, factor: f64, (height, width): (usize, usize)) -> Pixels {
    let needed = (height.max(width) as f64 * factor).ceil();
    let shorter = image.width().min(image.height()) as f64;
    if shorter <= needed {
        return image;
    }
    let scaled = |side: usize| ((side as f64 * needed / shorter).round() as usize).max(1);
    resize(&image, scaled(image.width()), scaled(image.height()), super::Resample::Bicubic)
}
