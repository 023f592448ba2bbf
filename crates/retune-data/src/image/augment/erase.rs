//! Random erasing (Zhong et al. 2020): a rectangle of the normalised image set to 0.

use super::{Key, between, random, stream};

/// Share of the area and width over height of the rectangle, as in torchvision.
const SCALE: (f64, f64) = (0.02, 0.33);
const RATIO: (f64, f64) = (0.3, 3.3);
const TRIES: usize = 10;

/// Erases a rectangle now and then.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RandomErasing {
    /// Probability that an image loses a rectangle.
    pub probability: f64,
}

impl RandomErasing {
    /// `values` are one image, channels first; `shape` is channels, height, width.
    pub(crate) fn apply(&self, values: &mut [f32], (channels, height, width): (usize, usize, usize), key: Key) {
        let mut random = random(key, stream::ERASING);
        if random.unit() >= self.probability {
            return;
        }
        for _ in 0..TRIES {
            let area = (height * width) as f64 * between(&mut random, SCALE.0, SCALE.1);
            let ratio = between(&mut random, RATIO.0.ln(), RATIO.1.ln()).exp();
            let (wide, tall) = ((area * ratio).sqrt().round() as usize, (area / ratio).sqrt().round() as usize);
            if wide < 1 || tall < 1 || wide >= width || tall >= height {
                continue;
            }
            let (left, top) = (random.below(width - wide + 1), random.below(height - tall + 1));
            for channel in 0..channels {
                for y in top..top + tall {
                    values[(channel * height + y) * width + left..][..wide].fill(0.0);
                }
            }
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_rectangle_goes_in_all_channels() {
        let erase = |probability, row| {
            let mut values = vec![1.0; 3 * 20 * 30];
            RandomErasing { probability }.apply(&mut values, (3, 20, 30), [1, 2, row]);
            values
        };
        let mut erased = 0;
        for row in 0..100 {
            let values = erase(0.5, row);
            let planes: Vec<&[f32]> = values.chunks(600).collect();
            assert!(planes[0] == planes[1] && planes[1] == planes[2]);
            let zeros = planes[0].iter().filter(|&&value| value == 0.0).count();
            assert!(zeros == 0 || (8..220).contains(&zeros), "{zeros}");
            erased += usize::from(zeros > 0);
        }
        assert!((30..70).contains(&erased), "{erased}");
        assert!(erase(0.0, 1).iter().all(|&value| value == 1.0));
    }
}
