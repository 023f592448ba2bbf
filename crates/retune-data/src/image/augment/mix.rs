//! Mixup (Zhang et al. 2018) and cutmix (Yun et al. 2019): each image of a batch takes a share of
//! its neighbour, and its label the same share. One draw per batch, a function of the pass and of
//! the rows in the batch.

use super::{Augmentation, stream};
use crate::{Pass, Random};

/// The values of a batch, to be mixed in place.
pub(crate) struct MixedBatch<'a> {
    /// Normalised values, image by image, channels first.
    pub(crate) values: &'a mut [f32],
    /// Channels, height and width of an image.
    pub(crate) shape: (usize, usize, usize),
    /// The rows in the batch.
    pub(crate) rows: &'a [usize],
}

impl MixedBatch<'_> {
    /// Mixes each image with the one after it, the last with the first; the share that each keeps of itself.
    pub(crate) fn mix(&mut self, augmentation: &Augmentation, pass: Pass) -> f64 {
        let rows = self.rows.iter().map(|&row| row as u64);
        let key: Vec<u64> = [pass.seed, pass.epoch, stream::MIX].into_iter().chain(rows).collect();
        let mut random = Random::at(&key);
        let cut = augmentation.cutmix > 0.0 && (augmentation.mixup == 0.0 || random.unit() < 0.5);
        let own = beta(&mut random, if cut { augmentation.cutmix } else { augmentation.mixup });
        if cut { self.paste(own, &mut random) } else { self.blend(own) }
    }

    fn size(&self) -> usize {
        self.shape.0 * self.shape.1 * self.shape.2
    }

    fn blend(&mut self, own: f64) -> f64 {
        let (size, own_share) = (self.size(), own as f32);
        let first: Vec<f32> = self.values.iter().take(size).copied().collect();
        for start in (0..self.values.len()).step_by(size.max(1)) {
            let (image, after) = self.values[start..].split_at_mut(size);
            let neighbour = if after.is_empty() { first.as_slice() } else { &after[..size] };
            for (value, other) in image.iter_mut().zip(neighbour) {
                *value = own_share * *value + (1.0 - own_share) * other;
            }
        }
        own
    }

    /// Pastes a rectangle of the neighbour; what stays of the image is returned.
    fn paste(&mut self, own: f64, random: &mut Random) -> f64 {
        let (channels, height, width) = self.shape;
        let side = (1.0 - own).sqrt();
        let (center_x, center_y) = (random.below(width), random.below(height));
        let range = |center: usize, length: usize| {
            let half = (side * length as f64 / 2.0) as usize;
            (center.saturating_sub(half), (center + half).min(length))
        };
        let ((left, right), (top, bottom)) = (range(center_x, width), range(center_y, height));
        let size = self.size();
        let first: Vec<f32> = self.values.iter().take(size).copied().collect();
        for start in (0..self.values.len()).step_by(size.max(1)) {
            let (image, after) = self.values[start..].split_at_mut(size);
            let neighbour = if after.is_empty() { first.as_slice() } else { &after[..size] };
            for line in (0..channels).flat_map(|channel| (top..bottom).map(move |y| channel * height + y)) {
                let span = line * width + left..line * width + right;
                image[span.clone()].copy_from_slice(&neighbour[span]);
            }
        }
        1.0 - ((right - left) * (bottom - top)) as f64 / (height * width).max(1) as f64
    }
}

/// Beta(α, α), as the ratio of two gamma variables.
pub(super) fn beta(random: &mut Random, alpha: f64) -> f64 {
    let (a, b) = (gamma(random, alpha), gamma(random, alpha));
    // Both may underflow for tiny α, where the distribution is all 0 and 1.
    if a + b > 0.0 { a / (a + b) } else { f64::from(u8::from(random.unit() < 0.5)) }
}

/// Gamma(α, 1) by Marsaglia and Tsang 2000; α below 1 through α + 1.
fn gamma(random: &mut Random, alpha: f64) -> f64 {
    if alpha < 1.0 {
        let power = (1.0 - random.unit()).powf(1.0 / alpha);
        return gamma(random, alpha + 1.0) * power;
    }
    let d = alpha - 1.0 / 3.0;
    let c = 1.0 / (9.0 * d).sqrt();
    loop {
        // Box and Muller 1958; 1 - u is never 0.
        let radius = (-2.0 * (1.0 - random.unit()).ln()).sqrt();
        let normal = radius * (std::f64::consts::TAU * random.unit()).cos();
        let v = (1.0 + c * normal).powi(3);
        if v > 0.0 && (1.0 - random.unit()).ln() < 0.5 * normal * normal + d - d * v + d * v.ln() {
            return d * v;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASS: Pass = Pass { seed: 4, epoch: 1 };

    fn moments(alpha: f64) -> (f64, f64) {
        let mut random = Random::at(&[9]);
        let draws: Vec<f64> = (0..40_000).map(|_| beta(&mut random, alpha)).collect();
        assert!(draws.iter().all(|draw| (0.0..=1.0).contains(draw)));
        let mean = draws.iter().sum::<f64>() / draws.len() as f64;
        (mean, draws.iter().map(|draw| (draw - mean).powi(2)).sum::<f64>() / draws.len() as f64)
    }

    #[test]
    fn beta_has_its_mean_and_variance() {
        for alpha in [0.2, 0.8, 1.0, 5.0] {
            let (mean, variance) = moments(alpha);
            let expected = 1.0 / (4.0 * (2.0 * alpha + 1.0));
            assert!(
                (mean - 0.5).abs() < 0.01 && (variance / expected - 1.0).abs() < 0.05,
                "{alpha}: {mean} {variance}"
            );
        }
    }

    fn mixed(augmentation: &Augmentation, rows: &[usize]) -> (Vec<f32>, f64) {
        // Image `i` is all `i`, so that a value says how much of which image it is.
        let mut values: Vec<f32> = (0..rows.len()).flat_map(|image| vec![image as f32; 3 * 8 * 10]).collect();
        let mut batch = MixedBatch { values: &mut values, shape: (3, 8, 10), rows };
        let own = batch.mix(augmentation, PASS);
        (values, own)
    }

    #[test]
    fn mixup_blends_neighbours() {
        let augmentation = Augmentation { mixup: 1.0, ..Augmentation::default() };
        let (values, own) = mixed(&augmentation, &[5, 6, 7]);
        let image = |index: usize| values[index * 240];
        assert!((f64::from(image(0)) - (1.0 - own)).abs() < 1e-6);
        assert!((f64::from(image(2)) - 2.0 * own).abs() < 1e-6, "the last is mixed with the first as it was");
    }

    #[test]
    fn cutmix_pastes_the_share_it_reports() {
        let augmentation = Augmentation { cutmix: 1.0, ..Augmentation::default() };
        let mut pasted = 0;
        for first in 0..20 {
            let (values, own) = mixed(&augmentation, &[first, 40]);
            let kept = values[..240].iter().filter(|&&value| value == 0.0).count() as f64 / 240.0;
            assert!((kept - own).abs() < 1e-9, "{kept} {own}");
            assert!(values[..240].iter().all(|&value| value == 0.0 || value == 1.0));
            pasted += usize::from(kept < 1.0);
        }
        assert!(pasted > 10);
    }

    #[test]
    fn a_batch_of_one_stays_itself_and_draws_depend_on_the_rows() {
        let both = Augmentation { mixup: 0.8, cutmix: 1.0, ..Augmentation::default() };
        assert!(mixed(&both, &[3]).0.iter().all(|&value| value == 0.0));
        assert_eq!(mixed(&both, &[3, 4]), mixed(&both, &[3, 4]));
        assert_ne!(mixed(&both, &[3, 4]).1, mixed(&both, &[3, 5]).1);
    }
}
