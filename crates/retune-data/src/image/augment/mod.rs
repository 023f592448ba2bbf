//! Augmentation: random changes of training images, each a pure function of
//! `(seed, epoch, row)` and of its own name, so that switching one on changes no other.
//!
//! In this order: the batch's size is drawn; random resized crop, zooming out, flips, rotation, colour jitter, RandAugment (on 8-bit
//! pixels), all of it for each part of a mosaic and for what is laid over it (mixup of scenes); random erasing (on normalised
//! values), then mixup or cutmix of the batch. Corners that a rotation or shear leaves empty take the colour that normalises to
//! about 0.
//!
//! What moves pixels says where they went ([`Moves`]), so that masks go along; erasing leaves masks as they are.
//!
//! | preset | crop scale | flip | rotation | jitter b/c/s/h | RandAugment | erasing | mix |
//! |---|---|---|---|---|---|---|---|
//! | `none` | – | – | – | – | – | – | – |
//! | `light` | 0.75–1 | left-right | – | 0.1/0.1/0.1/0 | – | – | – |
//! | `medium` | 0.5–1 | left-right | 10° | 0.2/0.2/0.2/0.05 | – | 0.1 | – |
//! | `strong` | 0.25–1 | left-right | – | – | 2 of magnitude 9 | 0.25 | mixup 0.8 or cutmix 1 |
//! | `scale` | 0.25–1, or zoomed out to 0.5 | left-right | – | 0.3/0.3/0.3/0.05 | – | – | – |
//! | `medical-light` | 0.9–1 | never | 5° | 0.1/0.1/0/0 | – | – | – |
//! | `medical` | 0.8–1 | never | 10° | 0.15/0.15/0/0 | – | – | – |
//! | `medical-strong` | 0.7–1 | never | 15° | 0.25/0.25/0/0 | – | 0.1 | mixup 0.2 |
//!
//! The medical presets keep sides (the heart is on the left), hues (stains mean something) and
//! most of the frame.

mod affine;
mod color;
mod crop;
mod erase;
mod mix;
mod mosaic;
mod preset;
mod rand_augment;
mod scene_mixup;
mod tone;
mod zoom;

use super::{Moves, Pixels, Resample};
use crate::{DataError, Pass, Random};

pub use color::ColorJitter;
pub use crop::RandomResizedCrop;
pub use erase::RandomErasing;
pub(super) use mix::MixedBatch;
pub(super) use mosaic::Tile;
pub use rand_augment::RandAugment;
pub(super) use scene_mixup::{Partner, blended};
pub use zoom::ZoomOut;

/// What training does to images; the default does nothing.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Augmentation {
    /// A random part of the image instead of the processor's frame.
    pub crop: Option<RandomResizedCrop>,
    /// Now and then the whole frame made smaller.
    pub zoom_out: Option<ZoomOut>,
    /// Probability that four images of a batch stand in the place of one (mosaic).
    pub mosaic: f64,
    /// Probability that another image of a batch is laid over one, and objects of both are learnt (Zhang et al. 2019).
    pub scene_mixup: f64,
    /// Probability of mirroring left and right.
    pub horizontal_flip: f64,
    /// Probability of mirroring top and bottom.
    pub vertical_flip: f64,
    /// Rotation by up to so many degrees to either side.
    pub rotation: f64,
    /// Changes of brightness, contrast, saturation and hue.
    pub color: Option<ColorJitter>,
    /// Random operations of RandAugment.
    pub rand_augment: Option<RandAugment>,
    /// A random rectangle set to 0 after normalising.
    pub erasing: Option<RandomErasing>,
    /// α of mixup of classes (Zhang et al. 2018); 0 is off. With cutmix too, each batch takes one of the two.
    pub mixup: f64,
    /// Cutmix's α (Yun et al. 2019); 0 is off.
    pub cutmix: f64,
}

/// Names of the random streams.
mod stream {
    pub(super) const CROP: u64 = 1;
    pub(super) const HORIZONTAL_FLIP: u64 = 2;
    pub(super) const VERTICAL_FLIP: u64 = 3;
    pub(super) const ROTATION: u64 = 4;
    pub(super) const COLOR: u64 = 5;
    pub(super) const RAND_AUGMENT: u64 = 6;
    pub(super) const ERASING: u64 = 7;
    pub(super) const MIX: u64 = 8;
    pub(super) const ZOOM_OUT: u64 = 9;
    pub(super) const MOSAIC: u64 = 10;
    pub(super) const SCALE: u64 = 11;
    pub(super) const SCENE_MIXUP: u64 = 12;
}

/// Seed, epoch and row of an image.
type Key = [u64; 3];

fn random([seed, epoch, row]: Key, stream: u64) -> Random {
    Random::at(&[seed, epoch, row, 0x696d_6167, stream])
}

impl Augmentation {
    /// True when batches are mixed, which makes shares of classes of their labels.
    pub fn mixes(&self) -> bool {
        self.mixup > 0.0 || self.cutmix > 0.0
    }

    /// The same without mixing, for images that have no classes to be mixed.
    pub fn without_mixing(self) -> Self {
        Self { mixup: 0.0, cutmix: 0.0, ..self }
    }

    /// Refuses values out of range.
    pub(super) fn check(&self) -> Result<(), DataError> {
        let fail = |message: String| Err(DataError::Augmentation { message });
        let shares = [
            ("horizontal flip", self.horizontal_flip),
            ("vertical flip", self.vertical_flip),
            ("mosaic", self.mosaic),
            ("mixup of scenes", self.scene_mixup),
            ("zooming out", self.zoom_out.map_or(0.0, |zoom| zoom.probability)),
            ("random erasing", self.erasing.map_or(0.0, |erasing| erasing.probability)),
        ];
        if let Some((name, value)) = shares.iter().find(|(_, value)| !(0.0..=1.0).contains(value)) {
            return fail(format!("the probability of {name} is {value}; give a number from 0 to 1"));
        }
        if !(0.0..=180.0).contains(&self.rotation) {
            return fail(format!("the rotation is {} degrees; give a number from 0 to 180", self.rotation));
        }
        for (name, value) in [("mixup", self.mixup), ("cutmix", self.cutmix)] {
            if !(0.0..=100.0).contains(&value) {
                return fail(format!("the alpha of {name} is {value}; give a number from 0 to 100"));
            }
        }
        if let Some(zoom) = self.zoom_out.filter(|zoom| !(zoom.least > 0.0 && zoom.least <= 1.0)) {
            return fail(format!("zooming out leaves {} of the sides; give a number above 0, at most 1", zoom.least));
        }
        if let Some(RandomResizedCrop { scale, ratio }) = self.crop
            && !(scale.0 > 0.0 && scale.0 <= scale.1 && scale.1 <= 1.0 && ratio.0 > 0.0 && ratio.0 <= ratio.1)
        {
            return fail(format!(
                "the crop's scale {scale:?} and ratio {ratio:?} must be rising, above 0, and the scale at most 1"
            ));
        }
        if let Some(ColorJitter { brightness, contrast, saturation, hue }) = self.color
            && !([brightness, contrast, saturation].iter().all(|x| (0.0..=1.0).contains(x))
                && (0.0..=0.5).contains(&hue))
        {
            return fail("colour jitter goes from 0 to 1, and from 0 to 0.5 for the hue".to_owned());
        }
        if self.rand_augment.is_some_and(|it| it.magnitude > rand_augment::MOST_MAGNITUDE) {
            return fail(format!("the magnitude of RandAugment goes from 0 to {}", rand_augment::MOST_MAGNITUDE));
        }
        Ok(())
    }
}

/// Augments one image. `target` is height, width and filter of what is cropped, `neutral` fills
/// corners; `moves` goes on with where pixels go.
pub(super) fn apply(
    augmentation: &Augmentation,
    mut image: Pixels,
    target: (usize, usize, Resample),
    neutral: &[u8],
    key: Key,
    moves: &mut Moves,
) -> Pixels {
    if let Some(crop) = augmentation.crop {
        image = crop.apply(&image, target, &mut random(key, stream::CROP), moves);
    }
    if let Some(zoom) = augmentation.zoom_out {
        image = zoom.apply(image, target.2, neutral, &mut random(key, stream::ZOOM_OUT), moves);
    }
    if random(key, stream::HORIZONTAL_FLIP).unit() < augmentation.horizontal_flip {
        image.flip_horizontally();
        moves.flip_horizontally();
    }
    if random(key, stream::VERTICAL_FLIP).unit() < augmentation.vertical_flip {
        image.flip_vertically();
        moves.flip_vertically();
    }
    if augmentation.rotation > 0.0 {
        let degrees = between(&mut random(key, stream::ROTATION), -augmentation.rotation, augmentation.rotation);
        image = affine::transform(&image, affine::rotation(degrees), neutral, moves);
    }
    if let Some(color) = augmentation.color {
        image = color.apply(image, &mut random(key, stream::COLOR));
    }
    if let Some(rand_augment) = augmentation.rand_augment {
        image = rand_augment.apply(image, neutral, &mut random(key, stream::RAND_AUGMENT), moves);
    }
    image
}

/// The number of a batch's size, of so many.
pub(super) fn size_number(count: usize, pass: Pass, rows: &[usize]) -> usize {
    let rows = rows.iter().map(|&row| row as u64);
    let key: Vec<u64> = [pass.seed, pass.epoch, stream::SCALE].into_iter().chain(rows).collect();
    Random::at(&key).below(count)
}

/// Uniform in `[low, high)`.
fn between(random: &mut Random, low: f64, high: f64) -> f64 {
    low + (high - low) * random.unit()
}

#[cfg(test)]
mod tests;
