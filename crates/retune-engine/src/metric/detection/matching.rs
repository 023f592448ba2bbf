//! Which found boxes are which true ones, as COCO's evaluation (`COCOeval.evaluateImg`) pairs them within a class of a picture.

use super::{FoundBox, TrueBox};

/// Overlaps at which a found box counts: 0.50 to 0.95.
pub(super) const THRESHOLDS: usize = 10;
/// Ranges of areas: all, small, medium, large.
pub(super) const AREAS: [(f64, f64); 4] = [(0.0, 1e10), (0.0, 1024.0), (1024.0, 9216.0), (9216.0, 1e10)];
/// Boxes of a class in a picture, at most.
pub(super) const MOST_FOUND: usize = 100;

/// An overlap.
pub(super) fn threshold(number: usize) -> f64 {
    if number + 1 == THRESHOLDS { 0.95 } else { number as f64 * ((0.95 - 0.5) / 9.0) + 0.5 }
}

/// A found box, in the order of the scores.
#[derive(Debug, Clone, Copy)]
pub(super) struct Counted {
    pub(super) picture: u32,
    /// Which of its picture, by score.
    pub(super) rank: u16,
    pub(super) score: f64,
    /// Of each range of areas, a bit for each overlap: whether it was matched, and whether it counts in neither way.
    pub(super) matched: [u16; AREAS.len()],
    pub(super) ignored: [u16; AREAS.len()],
}

/// Intersection over union; over the area of the found box where the other one is a crowd.
pub(super) fn overlap(found: &[f64; 4], truth: &[f64; 4], crowd: bool) -> f64 {
    let side = |a: usize, b: usize| (found[b].min(truth[b]) - found[a].max(truth[a])).max(0.0);
    let inside = side(0, 2) * side(1, 3);
    let (own, other) = (area(found), area(truth));
    let union = if crowd { own } else { own + other - inside };
    if union > 0.0 { inside / union } else { 0.0 }
}

pub(super) fn area(corners: &[f64; 4]) -> f64 {
    (corners[2] - corners[0]) * (corners[3] - corners[1])
}

/// Pairs the boxes of one class in a picture; returns them, and how many true ones count in each range.
pub(super) fn pair(picture: u32, truth: &[&TrueBox], found: &[&FoundBox]) -> (Vec<Counted>, [u32; AREAS.len()]) {
    let mut order: Vec<usize> = (0..found.len()).collect();
    order.sort_by(|&a, &b| found[b].score.total_cmp(&found[a].score));
    order.truncate(MOST_FOUND);
    let mut counted: Vec<Counted> = order
        .iter()
        .enumerate()
        .map(|(rank, &i)| Counted {
            picture,
            rank: rank as u16,
            score: found[i].score,
            matched: [0; AREAS.len()],
            ignored: [0; AREAS.len()],
        })
        .collect();
    let mut there = [0; AREAS.len()];
    let overlaps: Vec<Vec<f64>> = order
        .iter()
        .map(|&i| truth.iter().map(|it| overlap(&found[i].corners, &it.corners, it.crowd)).collect())
        .collect();
    for (range, &(low, high)) in AREAS.iter().enumerate() {
        let outside = |area: f64| area < low || area > high;
        let ignored = |it: &TrueBox| it.crowd || outside(it.area);
        // Those that count come first.
        let mut true_ones: Vec<usize> = (0..truth.len()).collect();
        true_ones.sort_by_key(|&i| ignored(truth[i]));
        there[range] = truth.iter().filter(|it| !ignored(it)).count() as u32;
        for number in 0..THRESHOLDS {
            let mut taken = vec![false; truth.len()];
            for (place, overlaps) in overlaps.iter().enumerate() {
                let mut best: Option<usize> = None;
                let mut reached = threshold(number).min(1.0 - 1e-10);
                for &i in &true_ones {
                    if taken[i] && !truth[i].crowd {
                        continue;
                    }
                    if best.is_some_and(|best| !ignored(truth[best])) && ignored(truth[i]) {
                        break;
                    }
                    if overlaps[i] >= reached {
                        (reached, best) = (overlaps[i], Some(i));
                    }
                }
                let counted = &mut counted[place];
                let outside = outside(area(&found[order[place]].corners));
                match best {
                    Some(i) => {
                        taken[i] = true;
                        counted.matched[range] |= 1 << number;
                        counted.ignored[range] |= u16::from(ignored(truth[i])) << number;
                    }
                    None => counted.ignored[range] |= u16::from(outside) << number,
                }
            }
        }
    }
    (counted, there)
}
