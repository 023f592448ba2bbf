//! From logits to a class for each pixel of the original: resized bilinearly, then the best one, as Hugging Face's
//! `post_process_semantic_segmentation` does it, a row of pixels at a time.
//!
//! L classes, h and w map of the logits, H and W pixels.

use retune_data::Mask;

/// What a place between cells is made of: the two cells, and the share of the second.
#[derive(Debug, Clone, Copy)]
struct Between {
    first: usize,
    second: usize,
    share: f32,
}

/// PyTorch's sampling without aligned corners.
fn between(from: usize, to: usize) -> Vec<Between> {
    let scale = from as f32 / to as f32;
    let of = |place: usize| {
        let exact = (scale * (place as f32 + 0.5) - 0.5).max(0.0);
        let first = (exact as usize).min(from - 1);
        Between { first, second: (first + 1).min(from - 1), share: exact - first as f32 }
    };
    (0..to).map(of).collect()
}

/// The best class of each of W × H pixels by `logits` [L, h, w].
pub(super) fn best_classes(
    logits: &[f32],
    (classes, height, width): (usize, usize, usize),
    (to_width, to_height): (usize, usize),
) -> Mask {
    let (columns, rows) = (between(width, to_width), between(height, to_height));
    let mut all = Vec::with_capacity(to_width * to_height);
    let mut row = vec![0f32; width];
    let mut best = vec![0f32; to_width];
    let mut ids = vec![0u8; to_width];
    for Between { first, second, share } in rows {
        for class in 0..classes {
            let plane = &logits[class * height * width..][..height * width];
            let (upper, lower) = (&plane[first * width..][..width], &plane[second * width..][..width]);
            for (cell, (upper, lower)) in row.iter_mut().zip(upper.iter().zip(lower)) {
                *cell = upper * (1.0 - share) + lower * share;
            }
            for ((best, id), at) in best.iter_mut().zip(&mut ids).zip(&columns) {
                let value = row[at.first] * (1.0 - at.share) + row[at.second] * at.share;
                // Of equals the first one, as argmax.
                if class == 0 || value > *best {
                    (*best, *id) = (value, class as u8);
                }
            }
        }
        all.extend_from_slice(&ids);
    }
    Mask { width: to_width, height: to_height, classes: all }
}

#[cfg(test)]
mod tests {
    use super::*;
    use retune_kernels::random;
    use retune_kernels::tch::{Kind, Tensor};

    #[test]
    fn classes_are_those_of_resized_logits() {
        for (size, to) in [((5, 7, 9), (31, 20)), ((3, 8, 8), (8, 8)), ((4, 6, 5), (3, 2)), ((2, 1, 1), (4, 3))] {
            let (classes, height, width) = size;
            let values = random::normal(3, classes * height * width);
            let shape = [1, classes as i64, height as i64, width as i64];
            let resized = Tensor::from_slice(&values).view(shape).upsample_bilinear2d(
                [to.1 as i64, to.0 as i64],
                false,
                None,
                None,
            );
            let expected = Vec::<i64>::try_from(resized.argmax(1, false).view([-1]).to_kind(Kind::Int64)).unwrap();
            let found = best_classes(&values, size, to);
            let wrong = found.classes.iter().zip(&expected).filter(|(a, b)| i64::from(**a) != **b).count();
            assert_eq!((wrong, found.classes.len()), (0, expected.len()), "{size:?} {to:?}");
        }
    }
}
