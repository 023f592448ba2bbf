//! Precision at 101 recalls and the recall reached, as `COCOeval.accumulate`.

use super::matching::{AREAS, Counted, THRESHOLDS};

/// Recalls at which precision is read: 0, 0.01, …, 1.
pub(super) const RECALLS: usize = 101;
/// Keeps a quotient of nothing defined, as there.
const EPSILON: f64 = f64::EPSILON;

/// What a class has to say of all pictures.
#[derive(Debug, Clone, Default)]
pub(super) struct ClassBoxes {
    /// By falling score; of equals that of the first picture.
    pub(super) found: Vec<Counted>,
    /// Pictures with true boxes that count, and how many of each range.
    pub(super) there: Vec<(u32, [u32; AREAS.len()])>,
}

/// Precision and recall of one class in one range of areas.
pub(super) struct Curves {
    /// At each overlap, by recall.
    pub(super) precision: Vec<[f64; RECALLS]>,
    /// At each overlap, that of all boxes.
    pub(super) recall: [f64; THRESHOLDS],
}

impl Curves {
    /// The mean precision over recalls at one overlap.
    pub(super) fn at(&self, threshold: usize) -> f64 {
        self.precision[threshold].iter().sum::<f64>() / RECALLS as f64
    }

    /// The mean over all overlaps.
    pub(super) fn mean(&self) -> f64 {
        (0..THRESHOLDS).map(|number| self.at(number)).sum::<f64>() / THRESHOLDS as f64
    }

    /// The mean recall over all overlaps.
    pub(super) fn mean_recall(&self) -> f64 {
        self.recall.iter().sum::<f64>() / THRESHOLDS as f64
    }
}

impl ClassBoxes {
    /// Boxes in the order in which they count.
    pub(super) fn sort(&mut self) {
        self.found.sort_by(|a, b| b.score.total_cmp(&a.score));
    }

    /// How many true boxes count in a range, each picture as often as `times` says.
    pub(super) fn true_ones(&self, range: usize, times: impl Fn(u32) -> u32) -> u64 {
        self.there.iter().map(|(picture, there)| u64::from(there[range]) * u64::from(times(*picture))).sum()
    }

    /// Curves of a range with at most `most` boxes of a picture, each picture as often as `times` says; `None` where no true box
    /// counts. Precision is that of the best later place, and 0 beyond the recall that is reached.
    pub(super) fn curves(&self, range: usize, most: usize, times: impl Fn(u32) -> u32) -> Option<Curves> {
        let all = self.true_ones(range, &times) as f64;
        if all == 0.0 {
            return None;
        }
        let mut curves = Curves { precision: vec![[0.0; RECALLS]; THRESHOLDS], recall: [0.0; THRESHOLDS] };
        let mut points: Vec<(f64, f64)> = Vec::new();
        for number in 0..THRESHOLDS {
            let bit = 1u16 << number;
            points.clear();
            let (mut right, mut wrong) = (0u64, 0u64);
            for found in self.found.iter().filter(|found| usize::from(found.rank) < most) {
                let times = u64::from(times(found.picture));
                if found.ignored[range] & bit != 0 || times == 0 {
                    continue;
                }
                // Precision rises only where a box is right: nothing between such places is ever read.
                if found.matched[range] & bit != 0 {
                    right += times;
                    points.push((right as f64 / all, right as f64 / (wrong as f64 + right as f64 + EPSILON)));
                } else {
                    wrong += times;
                }
            }
            for i in (1..points.len()).rev() {
                points[i - 1].1 = points[i - 1].1.max(points[i].1);
            }
            curves.recall[number] = points.last().map_or(0.0, |point| point.0);
            let mut place = 0;
            for (i, precision) in curves.precision[number].iter_mut().enumerate() {
                let wanted = i as f64 * 0.01;
                while points.get(place).is_some_and(|point| point.0 < wanted) {
                    place += 1;
                }
                *precision = points.get(place).map_or(0.0, |point| point.1);
            }
        }
        Some(curves)
    }
}
