//! What a threshold on the scores does: right, missed and invented boxes at an overlap of one half.

use super::matching::{Counted, overlap};
use super::precision::ClassBoxes;
use super::{FoundBox, TrueBox};

/// The overlap at which boxes are the same.
pub(super) const SAME: f64 = 0.5;

/// Counts of boxes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) right: u64,
    pub(super) found: u64,
    pub(super) truth: u64,
}

impl Counts {
    pub(super) fn precision(self) -> Option<f64> {
        (self.found > 0).then(|| self.right as f64 / self.found as f64)
    }

    pub(super) fn recall(self) -> Option<f64> {
        (self.truth > 0).then(|| self.right as f64 / self.truth as f64)
    }

    pub(super) fn f1(self) -> Option<f64> {
        let all = self.found + self.truth;
        (all > 0).then(|| 2.0 * self.right as f64 / all as f64)
    }
}

/// Boxes of these classes with at least this score.
pub(super) fn counts(classes: &[ClassBoxes], threshold: f64) -> Counts {
    let mut counts = Counts::default();
    for class in classes {
        counts.truth += class.true_ones(0, |_| 1);
        for found in class.found.iter().filter(|found| found.score >= threshold && found.ignored[0] & 1 == 0) {
            counts.found += 1;
            counts.right += u64::from(found.matched[0] & 1);
        }
    }
    counts
}

/// F1 of all classes together by threshold, the highest threshold first; of many thresholds every so manieth.
pub(super) fn f1_by_threshold(classes: &[ClassBoxes]) -> Vec<(f64, f64)> {
    let mut all: Vec<&Counted> = classes.iter().flat_map(|class| &class.found).collect();
    all.retain(|found| found.ignored[0] & 1 == 0);
    all.sort_by(|a, b| b.score.total_cmp(&a.score));
    let truth: u64 = classes.iter().map(|class| class.true_ones(0, |_| 1)).sum();
    let mut counts = Counts { truth, ..Counts::default() };
    let mut points = Vec::new();
    for (i, found) in all.iter().enumerate() {
        counts.found += 1;
        counts.right += u64::from(found.matched[0] & 1);
        // Equal scores stand on one side of every threshold.
        if all.get(i + 1).is_none_or(|next| next.score < found.score) {
            points.extend(counts.f1().map(|f1| (found.score, f1)));
        }
    }
    points
}

/// The threshold with the best F1; between it and the next lower score, so that rounding does not matter. `None` where nothing
/// right is found at any.
pub(super) fn best_threshold(classes: &[ClassBoxes]) -> Option<f64> {
    let points = f1_by_threshold(classes);
    // Of equals the highest threshold.
    let best = (0..points.len()).rev().max_by(|&a, &b| points[a].1.total_cmp(&points[b].1))?;
    let (score, f1) = points[best];
    let below = points.get(best + 1).map_or(score * 0.5, |next| next.0);
    (f1 > 0.0).then_some((score + below) / 2.0)
}

/// Pairs of boxes of a picture whatever their classes, the surest first: `(true, found)`, and those that have no partner. True
/// boxes that are crowds are no partners, and what is found in them is left out.
pub(super) fn pairs(truth: &[TrueBox], found: &[FoundBox], threshold: f64) -> Vec<(Option<usize>, Option<usize>)> {
    let mut order: Vec<usize> = (0..found.len()).filter(|&i| found[i].score >= threshold).collect();
    order.sort_by(|&a, &b| found[b].score.total_cmp(&found[a].score));
    let mut taken = vec![false; truth.len()];
    let mut pairs = Vec::new();
    for i in order {
        let free = (0..truth.len()).filter(|&t| !taken[t] && !truth[t].crowd);
        let reaching =
            free.map(|t| (t, overlap(&found[i].corners, &truth[t].corners, false))).filter(|it| it.1 >= SAME);
        // Of the same class before another, then the nearest.
        let best = reaching.max_by(|a, b| {
            let same = |t: usize| truth[t].class == found[i].class;
            same(a.0).cmp(&same(b.0)).then(a.1.total_cmp(&b.1))
        });
        match best {
            Some((t, _)) => {
                taken[t] = true;
                pairs.push((Some(t), Some(i)));
            }
            None => {
                let crowd = truth.iter().any(|it| it.crowd && overlap(&found[i].corners, &it.corners, true) >= SAME);
                if !crowd {
                    pairs.push((None, Some(i)));
                }
            }
        }
    }
    pairs.extend((0..truth.len()).filter(|&t| !taken[t] && !truth[t].crowd).map(|t| (Some(t), None)));
    pairs
}

/// How wrong a picture is, from 0 to 1: what is missing of the overlaps of pairs of one class, over all boxes (panoptic quality,
/// Kirillov et al. 2019, §4.1).
pub(super) fn severity(truth: &[TrueBox], found: &[FoundBox], threshold: f64) -> f32 {
    let (mut reached, mut all) = (0.0, 0.0);
    for pair in pairs(truth, found, threshold) {
        match pair {
            (Some(t), Some(i)) if truth[t].class == found[i].class => {
                reached += overlap(&found[i].corners, &truth[t].corners, false);
                all += 1.0;
            }
            (Some(_), Some(_)) => all += 1.0,
            _ => all += 0.5,
        }
    }
    if all > 0.0 { (1.0 - reached / all) as f32 } else { 0.0 }
}
