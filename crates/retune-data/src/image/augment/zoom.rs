//! Zooming out: the other half of scale jitter, of which a random crop is the first. The image shrinks, its surroundings
//! take the neutral colour.

use super::between;
use crate::Random;
use crate::image::{Moves, Pixels, Resample, resize};

/// A smaller image somewhere in the frame, now and then.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ZoomOut {
    /// Probability that an image shrinks.
    pub probability: f64,
    /// The least share of its sides that is left.
    pub least: f64,
}

impl ZoomOut {
    pub(super) fn apply(
        &self,
        image: Pixels,
        filter: Resample,
        fill: &[u8],
        random: &mut Random,
        moves: &mut Moves,
    ) -> Pixels {
        if random.unit() >= self.probability {
            return image;
        }
        let factor = between(random, self.least, 1.0);
        let (width, height) = (image.width(), image.height());
        let scaled = |side: usize| ((side as f64 * factor).round() as usize).clamp(1, side);
        let small = resize(&image, scaled(width), scaled(height), filter);
        let (left, top) = (random.below(width - small.width() + 1), random.below(height - small.height() + 1));
        let mut out = Pixels::filled(width, height, image.channels(), fill);
        out.paste(&small, left, top);
        moves.resize(small.width(), small.height());
        moves.window(-(left as isize), -(top as isize), width, height);
        out
    }
}
