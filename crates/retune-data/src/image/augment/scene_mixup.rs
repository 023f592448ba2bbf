//! Mixup of scenes (Zhang et al. 2019, "Bag of freebies for training object detection neural networks", §3.1): another image of
//! the batch is laid over one, both with the same left top corner and shining through, and what is in either is to be found. A
//! function of the pass and of the rows in the batch.
//!
//! The paper draws the shares from Beta(1.5, 1.5) and weighs the loss of an object by that of its image. Here each object counts as
//! one, since a loss of sets has no weights of its own, so that the shares come from Beta(8, 8): neither image vanishes.

use super::mix::beta;
use super::{Augmentation, random, stream};
use crate::Pass;
use crate::image::Pixels;

/// Of the distribution of the shares.
const ALPHA: f64 = 8.0;

/// What is laid over an image.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Partner {
    /// Of the other image in the batch.
    pub(crate) place: usize,
    /// The share that the first image keeps.
    pub(crate) own: f64,
    /// Stands for the epoch, so that an image looks another way than by itself.
    pub(crate) draw: u64,
}

impl Augmentation {
    /// What is laid over the image at a place of a batch; `None` where it stays alone.
    pub(crate) fn partner(&self, rows: &[usize], place: usize, pass: Pass) -> Option<Partner> {
        let mut random = random([pass.seed, pass.epoch, rows[place] as u64], stream::SCENE_MIXUP);
        if random.unit() >= self.scene_mixup || rows.len() < 2 {
            return None;
        }
        let other = 1 + random.below(rows.len() - 1);
        let own = beta(&mut random, ALPHA);
        Some(Partner { place: (place + other) % rows.len(), own, draw: random.next_u64() })
    }
}

/// Two images in a frame that has room for both; where one of them is not, `fill` shines through the other.
pub(crate) fn blended(first: &Pixels, second: &Pixels, own: f64, fill: &[u8]) -> Pixels {
    let (width, height) = (first.width().max(second.width()), first.height().max(second.height()));
    let framed = |image: &Pixels| {
        let mut whole = Pixels::filled(width, height, image.channels(), fill);
        whole.paste(image, 0, 0);
        whole
    };
    let (mut whole, other) = (framed(first), framed(second));
    for (sample, other) in whole.data_mut().iter_mut().zip(other.data()) {
        *sample = (own * f64::from(*sample) + (1.0 - own) * f64::from(*other)).round() as u8;
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partners_depend_on_the_rows_alone_and_both_can_be_seen() {
        let all = Augmentation { scene_mixup: 1.0, ..Augmentation::default() };
        let pass = |epoch| Pass { seed: 7, epoch };
        let mut shares = Vec::new();
        for row in 0..200 {
            let rows = [500, row, 600, 700];
            let partner = all.partner(&rows, 1, pass(1)).unwrap();
            assert_eq!(Some(partner), all.partner(&rows, 1, pass(1)));
            assert_ne!(Some(partner), all.partner(&rows, 1, pass(2)));
            assert!([0, 2, 3].contains(&partner.place), "{partner:?}");
            shares.push(partner.own);
        }
        let mean = shares.iter().sum::<f64>() / 200.0;
        assert!((mean - 0.5).abs() < 0.03 && shares.iter().all(|own| (0.1..0.9).contains(own)), "{mean} {shares:?}");
        assert_eq!(all.partner(&[3], 0, pass(1)), None);
        let half = Augmentation { scene_mixup: 0.5, ..all };
        let count = (0..400).filter(|&row| half.partner(&[row, 1000], 0, pass(1)).is_some()).count();
        assert!((150..250).contains(&count), "{count}");
    }

    #[test]
    fn both_begin_at_the_same_corner() {
        let first = Pixels::new(2, 1, 1, vec![100, 200]);
        let second = Pixels::new(1, 2, 1, vec![0, 40]);
        let whole = blended(&first, &second, 0.75, &[80]);
        assert_eq!((whole.width(), whole.height(), whole.data()), (2, 2, &[75, 170, 70, 80][..]));
    }
}
