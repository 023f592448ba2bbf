//! Boxes as centre, width and height, or as corners; how much they have in common.

use tch::{Kind, Tensor};

/// Keeps logits of shares finite.
const EPSILON: f64 = 1e-5;

/// Corners [.., 4] of boxes [.., 4].
pub fn corners(boxes: &Tensor) -> Tensor {
    let (centre, size) = (boxes.narrow(-1, 0, 2), boxes.narrow(-1, 2, 2));
    Tensor::cat(&[&centre - &size * 0.5, &centre + &size * 0.5], -1)
}

/// Boxes [.., 4] of corners [.., 4].
pub fn centres(corners: &Tensor) -> Tensor {
    let (first, last) = (corners.narrow(-1, 0, 2), corners.narrow(-1, 2, 2));
    Tensor::cat(&[(&first + &last) / 2.0, &last - &first], -1)
}

/// What a sigmoid makes shares in [0, 1] of; ends are kept off infinity.
pub fn inverse_sigmoid(shares: &Tensor) -> Tensor {
    let x = shares.clamp(0.0, 1.0);
    (x.clamp_min(EPSILON) / (1.0f64 - &x).clamp_min(EPSILON)).log()
}

/// Intersection and union of corners that broadcast against each other, [.., 4].
fn shared(a: &Tensor, b: &Tensor) -> (Tensor, Tensor) {
    let area = |x: &Tensor| (x.narrow(-1, 2, 2) - x.narrow(-1, 0, 2)).prod_dim_int(-1, false, None::<Kind>);
    let inside =
        sides(a.narrow(-1, 0, 2).maximum(&b.narrow(-1, 0, 2)), a.narrow(-1, 2, 2).minimum(&b.narrow(-1, 2, 2)));
    let union = area(a) + area(b) - &inside;
    (inside, union)
}

/// The area from one corner to the other.
fn sides(from: Tensor, to: Tensor) -> Tensor {
    (to - from).clamp_min(0.0).prod_dim_int(-1, false, None::<Kind>)
}

/// Intersection over union of corners that broadcast against each other, [.., 4].
pub fn overlap(a: &Tensor, b: &Tensor) -> Tensor {
    let (inside, union) = shared(a, b);
    inside / union
}

/// Generalised intersection over union (Rezatofighi et al. 2019) of corners that broadcast against each other, [.., 4].
pub fn generalised_overlap(a: &Tensor, b: &Tensor) -> Tensor {
    let (inside, union) = shared(a, b);
    let hull = sides(a.narrow(-1, 0, 2).minimum(&b.narrow(-1, 0, 2)), a.narrow(-1, 2, 2).maximum(&b.narrow(-1, 2, 2)));
    inside / &union - (&hull - &union) / &hull
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlaps_by_hand() {
        let both = |a: [f32; 4], b: [f32; 4]| {
            let (a, b) = (Tensor::from_slice(&a), Tensor::from_slice(&b));
            (overlap(&a, &b).double_value(&[]), generalised_overlap(&a, &b).double_value(&[]))
        };
        let near = |(a, b): (f64, f64), (c, d): (f64, f64)| (a - c).abs() < 1e-6 && (b - d).abs() < 1e-6;
        assert!(near(both([0.0, 0.0, 2.0, 2.0], [0.0, 0.0, 2.0, 2.0]), (1.0, 1.0)));
        // Half of each: 2 of 6, and a hull of 6.
        assert!(near(both([0.0, 0.0, 2.0, 2.0], [1.0, 0.0, 3.0, 2.0]), (2.0 / 6.0, 2.0 / 6.0)));
        // Apart: a hull of 3 with 1 empty.
        assert!(near(both([0.0, 0.0, 1.0, 1.0], [2.0, 0.0, 3.0, 1.0]), (0.0, -1.0 / 3.0)));
    }

    #[test]
    fn corners_and_logits_there_and_back() {
        let boxes = Tensor::from_slice(&[0.5f32, 0.5, 0.2, 0.4]);
        let there = Vec::<f32>::try_from(corners(&boxes)).unwrap();
        assert!(there.iter().zip([0.4, 0.3, 0.6, 0.7]).all(|(a, b)| (a - b).abs() < 1e-6));
        let near = |x: Tensor| (x - &boxes).abs().max().double_value(&[]) < 1e-6;
        assert!(near(centres(&corners(&boxes))));
        assert!(near(inverse_sigmoid(&boxes).sigmoid()));
        let ends = Vec::<f32>::try_from(inverse_sigmoid(&Tensor::from_slice(&[0.0f32, 1.0]))).unwrap();
        assert!((ends[0] + 1e5f32.ln()).abs() < 1e-3 && (ends[1] - 1e5f32.ln()).abs() < 1e-3, "{ends:?}");
    }
}
