//! Mosaic (Bochkovskiy et al. 2020, §3.4): four images of a batch in the place of one, each a random part of its own, around a
//! place near the middle. A function of the pass and of the rows in the batch.

use super::{Augmentation, between, random, stream};
use crate::Pass;

/// Where the four meet, as shares of the sides.
const MIDDLE: (f64, f64) = (0.4, 0.6);

/// A part of a mosaic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tile {
    /// Of its image in the batch.
    pub(crate) place: usize,
    /// Its corner.
    pub(crate) left: usize,
    /// Likewise.
    pub(crate) top: usize,
    /// Its sides.
    pub(crate) width: usize,
    /// Likewise.
    pub(crate) height: usize,
    /// Stands for the epoch, so that an image looks another way than by itself.
    pub(crate) draw: u64,
}

impl Augmentation {
    /// The mosaic in the place of an image of a batch, that image's own part first; `None` where it stays alone.
    pub(crate) fn mosaic(
        &self,
        rows: &[usize],
        place: usize,
        pass: Pass,
        (height, width): (usize, usize),
    ) -> Option<[Tile; 4]> {
        let mut random = random([pass.seed, pass.epoch, rows[place] as u64], stream::MOSAIC);
        if random.unit() >= self.mosaic || rows.len() < 2 || height < 4 || width < 4 {
            return None;
        }
        let mut cut =
            |side: usize| ((between(&mut random, MIDDLE.0, MIDDLE.1) * side as f64) as usize).clamp(1, side - 1);
        let (x, y) = (cut(width), cut(height));
        let first = random.below(4);
        Some(std::array::from_fn(|number| {
            let (right, below) = ((first + number) % 2, (first + number) / 2 % 2);
            let other = if number == 0 { 0 } else { 1 + random.below(rows.len() - 1) };
            Tile {
                place: (place + other) % rows.len(),
                left: right * x,
                top: below * y,
                width: if right == 0 { x } else { width - x },
                height: if below == 0 { y } else { height - y },
                draw: random.next_u64(),
            }
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_tiles_fill_the_frame_and_depend_on_the_rows_alone() {
        let all = Augmentation { mosaic: 1.0, ..Augmentation::default() };
        let pass = |epoch| Pass { seed: 7, epoch };
        let mut firsts = [0; 2];
        for row in 0..40 {
            let rows = [row, 50, 60, 70];
            let tiles = all.mosaic(&rows, 0, pass(1), (31, 40)).unwrap();
            assert_eq!(tiles, all.mosaic(&rows, 0, pass(1), (31, 40)).unwrap());
            assert_ne!(tiles, all.mosaic(&rows, 0, pass(2), (31, 40)).unwrap());
            assert!(tiles[0].place == 0 && tiles[1..].iter().all(|tile| (1..4).contains(&tile.place)));
            let mut covered = vec![0; 31 * 40];
            for tile in &tiles {
                for y in tile.top..tile.top + tile.height {
                    covered[y * 40 + tile.left..y * 40 + tile.left + tile.width].iter_mut().for_each(|it| *it += 1);
                }
            }
            assert!(covered.iter().all(|&count| count == 1));
            firsts[usize::from(tiles[0].left > 0)] += 1;
        }
        assert!(firsts.iter().all(|&count| count > 8), "{firsts:?}");
        assert_eq!(all.mosaic(&[3], 0, pass(1), (31, 40)), None);
        let half = Augmentation { mosaic: 0.5, ..all };
        let count = (0..400).filter(|&row| half.mosaic(&[row, 1000], 0, pass(1), (31, 40)).is_some()).count();
        assert!((150..250).contains(&count), "{count}");
    }
}
