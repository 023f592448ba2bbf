//! Colour jitter: random changes of brightness, contrast, saturation and hue in random order.

use super::{between, tone};
use crate::Random;
use crate::image::Pixels;

/// Greatest changes. A value `x` means a factor in `[1 - x, 1 + x]`; for the hue a turn by up to
/// `x` of the colour circle to either side. Saturation and hue do nothing to grey images.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ColorJitter {
    /// Of the brightness, 0 to 1.
    pub brightness: f64,
    /// Of the contrast, 0 to 1.
    pub contrast: f64,
    /// Of the saturation, 0 to 1.
    pub saturation: f64,
    /// Of the hue, 0 to 0.5.
    pub hue: f64,
}

impl ColorJitter {
    pub(super) fn apply(&self, mut image: Pixels, random: &mut Random) -> Pixels {
        let mut order = [0, 1, 2, 3];
        random.shuffle(&mut order);
        for change in order {
            let most = [self.brightness, self.contrast, self.saturation, self.hue][change];
            let amount = between(random, -most, most);
            if most == 0.0 {
                continue;
            }
            image = match change {
                0 => tone::brightness(image, 1.0 + amount),
                1 => tone::contrast(image, 1.0 + amount),
                2 => tone::saturation(image, 1.0 + amount),
                _ => shift_hue(image, amount),
            };
        }
        image
    }
}

/// Turns hues by `turns` of the colour circle; grey stays grey.
fn shift_hue(mut image: Pixels, turns: f64) -> Pixels {
    if image.channels() != 3 {
        return image;
    }
    for pixel in image.data_mut().as_chunks_mut::<3>().0 {
        let [red, green, blue] = pixel.map(f64::from);
        let high = red.max(green).max(blue);
        let range = high - red.min(green).min(blue);
        if range == 0.0 {
            continue;
        }
        let sixth = if high == red {
            (green - blue) / range
        } else if high == green {
            (blue - red) / range + 2.0
        } else {
            (red - green) / range + 4.0
        };
        let sixth = (sixth + turns * 6.0).rem_euclid(6.0);
        // Each channel is a trapezoid over the circle, shifted by a third.
        let channel = |offset: f64| {
            let place = (offset + sixth).rem_euclid(6.0);
            (high - range * place.min(4.0 - place).clamp(0.0, 1.0)).round() as u8
        };
        *pixel = [channel(5.0), channel(3.0), channel(1.0)];
    }
    image
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hues_turn_about_the_circle() {
        let image = Pixels::new(2, 1, 3, vec![200, 40, 40, 90, 90, 90]);
        assert_eq!(shift_hue(image.clone(), 0.0), image);
        assert_eq!(shift_hue(image.clone(), 1.0 / 3.0).data(), [40, 200, 40, 90, 90, 90]);
        assert_eq!(shift_hue(image.clone(), -1.0 / 3.0).data(), [40, 40, 200, 90, 90, 90]);
        assert_eq!(shift_hue(image, 1.0 / 6.0).data(), [200, 200, 40, 90, 90, 90]);
    }

    #[test]
    fn jitter_stays_in_its_range() {
        let jitter = ColorJitter { brightness: 0.1, contrast: 0.0, saturation: 0.0, hue: 0.0 };
        let mut seen = [255, 0];
        for seed in 0..200 {
            let sample = jitter.apply(Pixels::filled(1, 1, 3, &[100; 3]), &mut Random::at(&[seed])).data()[0];
            seen = [seen[0].min(sample), seen[1].max(sample)];
        }
        assert!(seen[0] >= 90 && seen[0] < 93 && seen[1] <= 110 && seen[1] > 107, "{seen:?}");
    }
}
