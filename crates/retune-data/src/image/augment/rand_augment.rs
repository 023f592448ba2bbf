//! RandAugment (Cubuk et al. 2020), with the operations and magnitudes of torchvision.

use super::{affine, tone};
use crate::Random;
use crate::image::{Moves, Pixels};

/// The greatest magnitude; ranges are linear in it.
pub(super) const MOST_MAGNITUDE: u32 = 30;

/// Random operations in sequence, drawn with replacement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RandAugment {
    /// How many.
    pub operations: usize,
    /// How strong, 0 to 30.
    pub magnitude: u32,
}

/// Operations to draw from; geometry and tone go to either side with equal probability.
const OPERATIONS: usize = 14;

impl RandAugment {
    pub(super) fn apply(&self, mut image: Pixels, fill: &[u8], random: &mut Random, moves: &mut Moves) -> Pixels {
        for _ in 0..self.operations {
            let operation = random.below(OPERATIONS);
            let sign = if random.unit() < 0.5 { -1.0 } else { 1.0 };
            image = self.operate(image, operation, sign, fill, moves);
        }
        image
    }

    pub(super) fn operate(&self, image: Pixels, operation: usize, sign: f64, fill: &[u8], moves: &mut Moves) -> Pixels {
        let strength = f64::from(self.magnitude.min(MOST_MAGNITUDE)) / f64::from(MOST_MAGNITUDE);
        let shift = |side: usize| (sign * strength * 150.0 / 331.0 * side as f64) as isize;
        let factor = 1.0 + sign * strength * 0.9;
        let mut moved = |matrix| affine::transform(&image, matrix, fill, moves);
        match operation {
            0 => image,
            1 => moved(affine::shear_x(sign * strength * 0.3)),
            2 => moved(affine::shear_y(sign * strength * 0.3)),
            3 => moved(affine::translation(shift(image.width()), 0)),
            4 => moved(affine::translation(0, shift(image.height()))),
            5 => moved(affine::rotation(sign * strength * 30.0)),
            6 => tone::brightness(image, factor),
            7 => tone::saturation(image, factor),
            8 => tone::contrast(image, factor),
            9 => tone::sharpness(&image, factor),
            10 => tone::posterize(image, 8 - (strength * 4.0).round_ties_even() as u32),
            11 => tone::solarize(image, 255.0 * (1.0 - strength)),
            12 => tone::auto_contrast(image),
            _ => tone::equalize(image),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_keeps_the_size_and_magnitude_zero_is_mild() {
        let image = Pixels::new(9, 7, 3, (0..189u32).map(|i| (i * i % 251) as u8).collect());
        for operation in 0..OPERATIONS {
            for sign in [-1.0, 1.0] {
                for magnitude in [0, 9, 30] {
                    let rand_augment = RandAugment { operations: 1, magnitude };
                    let out = rand_augment.operate(image.clone(), operation, sign, &[1, 2, 3], &mut Moves::of(9, 7));
                    assert_eq!((out.width(), out.height(), out.channels()), (9, 7, 3));
                    if magnitude == 0 && operation < 12 {
                        assert_eq!(out, image, "operation {operation}");
                    } else if magnitude == 30 && operation > 0 && operation < 12 {
                        assert_ne!(out, image, "operation {operation}");
                    }
                }
            }
        }
    }

    #[test]
    fn draws_are_reproducible_and_vary() {
        let image = Pixels::new(8, 8, 3, (0..192).collect());
        let rand_augment = RandAugment { operations: 2, magnitude: 9 };
        let of = |seed| rand_augment.apply(image.clone(), &[0], &mut Random::at(&[seed]), &mut Moves::of(8, 8));
        assert_eq!(of(1), of(1));
        let different = (0..50).map(of).filter(|out| *out != of(0)).count();
        assert!(different > 40, "{different}");
    }
}
