//! Random resized crop ("Inception crop", Szegedy et al. 2015), with torchvision's sampling.

use super::between;
use crate::Random;
use crate::image::{Moves, Pixels, Resample, resize};

/// Tries to find a crop inside the image before the middle is taken.
const TRIES: usize = 10;

/// A part of the image of random area and shape, scaled to the model's size.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RandomResizedCrop {
    /// Least and greatest share of the image's area.
    pub scale: (f64, f64),
    /// Least and greatest width over height.
    pub ratio: (f64, f64),
}

impl RandomResizedCrop {
    /// How much finer than the result the source must be for the smallest crop to be as fine as it.
    pub(crate) fn resolution_factor(&self) -> f64 {
        1.0 / self.scale.0.sqrt()
    }

    pub(super) fn apply(
        &self,
        image: &Pixels,
        (height, width, filter): (usize, usize, Resample),
        random: &mut Random,
        moves: &mut Moves,
    ) -> Pixels {
        let (left, top, wide, tall) = self.place(image.width(), image.height(), random);
        moves.window(left as isize, top as isize, wide, tall);
        moves.resize(width, height);
        resize(&image.window(left as isize, top as isize, wide, tall), width, height, filter)
    }

    /// Left, top, width and height of the crop.
    fn place(&self, width: usize, height: usize, random: &mut Random) -> (usize, usize, usize, usize) {
        let area = (width * height) as f64;
        for _ in 0..TRIES {
            let target = area * between(random, self.scale.0, self.scale.1);
            // Uniform in the logarithm: twice as wide is as likely as twice as tall.
            let ratio = between(random, self.ratio.0.ln(), self.ratio.1.ln()).exp();
            let wide = (target * ratio).sqrt().round() as usize;
            let tall = (target / ratio).sqrt().round() as usize;
            if (1..=width).contains(&wide) && (1..=height).contains(&tall) {
                return (random.below(width - wide + 1), random.below(height - tall + 1), wide, tall);
            }
        }
        let shape = width as f64 / height as f64;
        let (wide, tall) = if shape < self.ratio.0 {
            (width, ((width as f64 / self.ratio.0).round() as usize).clamp(1, height))
        } else if shape > self.ratio.1 {
            (((height as f64 * self.ratio.1).round() as usize).clamp(1, width), height)
        } else {
            (width, height)
        };
        ((width - wide) / 2, (height - tall) / 2, wide, tall)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn crops_lie_inside_and_keep_to_their_ranges(width in 1usize..300, height in 1usize..300, seed: u64) {
            let crop = RandomResizedCrop { scale: (0.3, 0.9), ratio: (0.75, 4.0 / 3.0) };
            let (left, top, wide, tall) = crop.place(width, height, &mut Random::at(&[seed]));
            prop_assert!(wide >= 1 && tall >= 1 && left + wide <= width && top + tall <= height);
            if width.min(height) > 100 && width.max(height) < 130 {
                let share = (wide * tall) as f64 / (width * height) as f64;
                prop_assert!((0.28..0.92).contains(&share), "{share}");
                let ratio = wide as f64 / tall as f64;
                prop_assert!((0.73..1.37).contains(&ratio), "{ratio}");
            }
        }
    }
}
