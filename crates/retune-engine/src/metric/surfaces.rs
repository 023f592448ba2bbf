//! How far the borders of two masks of a class lie apart: boundary F1 (Csurka et al. 2013) and the 95th percentile of the Hausdorff
//! distance, in pixels.
//!
//! A pixel of a class is at its border if one of its four neighbours is of another class or outside of the picture, as what
//! `scipy.ndimage.binary_erosion` takes away. Distances are Euclidean and exact (Felzenszwalb & Huttenlocher 2012).

use rayon::prelude::*;

/// The share of the picture's diagonal that a border may be off by and still be right.
const TOLERANCE: f64 = 0.0075;
/// The share of border pixels whose distance counts.
const PERCENTILE: f64 = 0.95;
/// No border in a column.
const NOWHERE: i64 = i64::MAX / 4;

/// Two borders of a class in a picture.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Borders {
    /// F1 of border pixels that have one of the other border near; 0 where only one of both masks has the class, absent where neither.
    pub(super) f1: Option<f64>,
    /// The larger of both directions' 95th percentiles of distances; absent where a mask lacks the class.
    pub(super) distance: Option<f64>,
    /// Whether only one of both masks has the class.
    pub(super) alone: bool,
}

/// Of each class, in masks of so many pixels a row. A pixel that has no class in either mask is of none in both.
pub(super) fn borders(truth: &[u8], predicted: &[u8], width: usize, classes: usize) -> Vec<Borders> {
    let height = truth.len().checked_div(width).unwrap_or(0);
    let tolerance = TOLERANCE * ((width * width + height * height) as f64).sqrt();
    let known = |place: usize| usize::from(truth[place]) < classes && usize::from(predicted[place]) < classes;
    let border = |mask: &[u8], class: usize| {
        let of = |place: usize| usize::from(mask[place]) == class && known(place);
        let at_border = |place: usize| {
            let (x, y) = (place % width, place / width);
            x == 0
                || y == 0
                || x + 1 == width
                || y + 1 == height
                || !(of(place - 1) && of(place + 1) && of(place - width) && of(place + width))
        };
        (0..width * height)
            .filter(|&place| of(place) && at_border(place))
            .map(|p| (p % width, p / width))
            .collect::<Vec<_>>()
    };
    let one = |class: usize| {
        let (truth, predicted) = (border(truth, class), border(predicted, class));
        if truth.is_empty() || predicted.is_empty() {
            let alone = truth.is_empty() != predicted.is_empty();
            return Borders { f1: alone.then_some(0.0), distance: None, alone };
        }
        let (mut missed, mut invented) = (distances(&truth, &predicted), distances(&predicted, &truth));
        let near = |distances: &[f64]| {
            distances.iter().filter(|distance| **distance <= tolerance).count() as f64 / distances.len() as f64
        };
        let (recall, precision) = (near(&missed), near(&invented));
        let f1 = if recall + precision > 0.0 { 2.0 * recall * precision / (recall + precision) } else { 0.0 };
        let distance = percentile(&mut missed).max(percentile(&mut invented));
        Borders { f1: Some(f1), distance: Some(distance), alone: false }
    };
    (0..classes).into_par_iter().map(one).collect()
}

/// Linear between neighbours, as NumPy's.
fn percentile(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let place = PERCENTILE * (values.len() - 1) as f64;
    let (below, above) = (values[place.floor() as usize], values[place.ceil() as usize]);
    below + (above - below) * place.fract()
}

/// From each of these points (x, y) to the nearest of `to`; neither is empty.
fn distances(from: &[(usize, usize)], to: &[(usize, usize)]) -> Vec<f64> {
    let of_both = || from.iter().chain(to);
    let left = of_both().map(|p| p.0).min().unwrap_or(0);
    let right = of_both().map(|p| p.0).max().unwrap_or(0);
    let top = of_both().map(|p| p.1).min().unwrap_or(0);
    let bottom = of_both().map(|p| p.1).max().unwrap_or(0);
    let (width, height) = (right - left + 1, bottom - top + 1);
    // The distance within a column, down and then up.
    let mut columns = vec![NOWHERE; width * height];
    for &(x, y) in to {
        columns[(y - top) * width + x - left] = 0;
    }
    for place in width..columns.len() {
        columns[place] = columns[place].min(columns[place - width] + 1);
    }
    for place in (0..columns.len() - width).rev() {
        columns[place] = columns[place].min(columns[place + width] + 1);
    }
    // Points come row by row, so that each row's envelope is made once.
    let mut row = usize::MAX;
    let mut squares = Vec::new();
    let squared = |&(x, y): &(usize, usize)| {
        if y != row {
            row = y;
            squares = envelope(&columns[(y - top) * width..][..width]);
        }
        squares[x - left].sqrt()
    };
    from.iter().map(squared).collect()
}

/// min over q of (p − q)² + column[q]², for each p: the lower envelope of parabolas.
fn envelope(column: &[i64]) -> Vec<f64> {
    // (place, height, where it begins to be the lowest)
    let mut lowest: Vec<(f64, f64, f64)> = Vec::new();
    for (place, &distance) in column.iter().enumerate().filter(|(_, distance)| **distance < NOWHERE) {
        let (q, height) = (place as f64, (distance * distance) as f64);
        let begins = loop {
            let Some(&(r, other, from)) = lowest.last() else { break f64::NEG_INFINITY };
            let meet = ((height + q * q) - (other + r * r)) / (2.0 * (q - r));
            if meet > from {
                break meet;
            }
            lowest.pop();
        };
        lowest.push((q, height, begins));
    }
    let mut at = 0;
    let value = |p: usize| {
        let p = p as f64;
        while lowest.get(at + 1).is_some_and(|next| next.2 < p) {
            at += 1;
        }
        let (q, height, _) = lowest[at];
        (p - q) * (p - q) + height
    };
    (0..column.len()).map(value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    /// What SciPy says of two masks, by class.
    #[derive(Deserialize)]
    struct Case {
        width: usize,
        classes: usize,
        truth: Vec<u8>,
        predicted: Vec<u8>,
        f1: Vec<Option<f64>>,
        distance: Vec<Option<f64>>,
    }

    #[test]
    fn borders_are_as_far_apart_as_scipy_says() {
        let text = include_str!("../../../../fixtures/metrics/surfaces.json");
        let cases: Vec<Case> = serde_json::from_str(text).unwrap();
        assert!(cases.len() >= 5);
        for (index, case) in cases.iter().enumerate() {
            let found = borders(&case.truth, &case.predicted, case.width, case.classes);
            for (class, found) in found.iter().enumerate() {
                let equal = |a: Option<f64>, b: Option<f64>| match (a, b) {
                    (Some(a), Some(b)) => (a - b).abs() < 1e-9,
                    (a, b) => a == b,
                };
                assert!(equal(found.f1, case.f1[class]), "case {index}, class {class}: {found:?} {:?}", case.f1[class]);
                assert!(equal(found.distance, case.distance[class]), "case {index}, class {class}: {found:?}");
            }
        }
    }

    #[test]
    fn one_pixel_and_none() {
        assert!(borders(&[], &[], 0, 2).iter().all(|it| *it == Borders::default()));
        let found = borders(&[1, 0, 255], &[1, 0, 1], 3, 2);
        assert_eq!((found[1].f1, found[1].distance), (Some(1.0), Some(0.0)));
        assert!(borders(&[0, 0, 0], &[0, 0, 1], 3, 2)[1].alone);
    }
}
