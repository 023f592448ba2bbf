//! From outputs to boxes in pixels of the original, as Hugging Face's `post_process_object_detection`: the best class of each query,
//! or the surest pairs of query and class where each class is judged by itself; and non-maximum suppression.

use crate::metric::FoundBox;
use retune_data::Moves;
use retune_kernels::loss::ClassLoss;

/// Answers to an image, at most, where focal loss was learnt by; with varifocal loss as many as there are queries.
const MOST_FOCAL: usize = 100;

/// Outputs for one image.
pub(super) struct Raw {
    /// [Q, C].
    pub(super) logits: Vec<f32>,
    /// [Q, 4]: middle, width and height as shares of the frame.
    pub(super) boxes: Vec<f32>,
    /// Height and width that the model saw.
    pub(super) frame: (usize, usize),
}

/// The boxes of an image of this width and height, whose pixels went where `moves` says, the surest first.
pub(super) fn found(
    raw: &Raw,
    (classes, learnt): (usize, ClassLoss),
    moves: &Moves,
    (width, height): (usize, usize),
) -> Vec<FoundBox> {
    let frame = [raw.frame.1, raw.frame.0, raw.frame.1, raw.frame.0].map(|side| side as f64);
    let limits = [width, height, width, height].map(|side| side as f64);
    let of_pair = |(query, class, score): (usize, usize, f64)| {
        let boxes = &raw.boxes[4 * query..4 * query + 4];
        let [x, y, w, h] = [0, 1, 2, 3].map(|i| f64::from(boxes[i]) * frame[i]);
        let mut corners = moves.back([x - w / 2.0, y - h / 2.0, x + w / 2.0, y + h / 2.0]);
        corners.iter_mut().zip(limits).for_each(|(side, most)| *side = side.clamp(0.0, most));
        let there = corners[2] > corners[0] && corners[3] > corners[1] && score.is_finite();
        there.then_some(FoundBox { class, score, corners })
    };
    let outputs = learnt.outputs(classes as i64) as usize;
    let queries = raw.logits.chunks_exact(outputs).enumerate();
    let mut pairs: Vec<(usize, usize, f64)> = match learnt {
        ClassLoss::Softmax { .. } => queries.filter_map(|(query, logits)| best(query, logits, classes)).collect(),
        ClassLoss::Focal { .. } | ClassLoss::Varifocal { .. } => {
            let score = |logit: &f32| 1.0 / (1.0 + (-f64::from(*logit)).exp());
            let of_query = |(query, logits): (usize, &[f32])| {
                logits.iter().enumerate().map(|(class, logit)| (query, class, score(logit))).collect::<Vec<_>>()
            };
            queries.flat_map(of_query).collect()
        }
    };
    pairs.sort_by(|a, b| b.2.total_cmp(&a.2));
    pairs.truncate(match learnt {
        ClassLoss::Focal { .. } => MOST_FOCAL,
        ClassLoss::Softmax { .. } | ClassLoss::Varifocal { .. } => raw.boxes.len() / 4,
    });
    pairs.into_iter().filter_map(of_pair).collect()
}

/// The best of a query's classes, though it be surer of nothing.
fn best(query: usize, logits: &[f32], classes: usize) -> Option<(usize, usize, f64)> {
    let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f32 = logits.iter().map(|logit| (logit - most).exp()).sum();
    // Of equals the first one.
    let class = (0..classes).rev().max_by(|&a, &b| logits[a].total_cmp(&logits[b]))?;
    Some((query, class, f64::from((logits[class] - most).exp() / sum)))
}

/// Boxes without those that overlap a surer one of their class by more than `most`; they come the surest first.
pub(super) fn suppressed(boxes: Vec<FoundBox>, most: f64) -> Vec<FoundBox> {
    let mut kept: Vec<FoundBox> = Vec::with_capacity(boxes.len());
    for one in boxes {
        if kept.iter().all(|other| other.class != one.class || overlap(&other.corners, &one.corners) <= most) {
            kept.push(one);
        }
    }
    kept
}

/// Intersection over union.
fn overlap(a: &[f64; 4], b: &[f64; 4]) -> f64 {
    let side = |from: usize, to: usize| (a[to].min(b[to]) - a[from].max(b[from])).max(0.0);
    let area = |it: &[f64; 4]| (it[2] - it[0]) * (it[3] - it[1]);
    let inside = side(0, 2) * side(1, 3);
    inside / (area(a) + area(b) - inside)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_class_that_is_one_in_pixels_of_the_original() {
        // Two classes; the second query is surest of nothing, and still says which class it would be.
        let logits = vec![0.0, 2.0, 0.0, 1.0, 0.0, 3.0];
        let boxes = vec![0.5, 0.5, 0.5, 0.5, 0.9, 0.5, 0.4, 1.0];
        let raw = Raw { logits, boxes, frame: (20, 40) };
        // The model saw 40 × 20 of an image of 80 × 20.
        let all = found(&raw, (2, ClassLoss::Softmax { nothing: 0.1 }), &Moves::scaling((80, 20), (40, 20)), (80, 20));
        assert_eq!((all.len(), all[0].class, all[1].class), (2, 1, 0));
        assert_eq!(all[0].corners, [20.0, 5.0, 60.0, 15.0]);
        let exp = |x: f64| x.exp();
        assert!((all[0].score - exp(2.0) / (exp(2.0) + 2.0)).abs() < 1e-6);
        assert!((all[1].corners[0] - 56.0).abs() < 1e-4 && all[1].corners[2] == 80.0, "{:?}", all[1]);
    }

    #[test]
    fn a_query_may_be_of_several_classes() {
        let raw = Raw { logits: vec![2.0, 1.0, -3.0, -1.0], boxes: [0.5, 0.5, 0.2, 0.2].repeat(2), frame: (10, 10) };
        let moves = Moves::scaling((10, 10), (10, 10));
        let all = found(&raw, (2, ClassLoss::Varifocal { alpha: 0.75, gamma: 2.0 }), &moves, (10, 10));
        // As many as there are queries: both are the first one's.
        let told: Vec<(usize, f64)> = all.iter().map(|it| (it.class, it.score)).collect();
        let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
        assert_eq!(told, [(0, sigmoid(2.0)), (1, sigmoid(1.0))]);
        let all = found(&raw, (2, ClassLoss::Focal { alpha: 0.25, gamma: 2.0 }), &moves, (10, 10));
        assert_eq!(all.iter().map(|it| it.class).collect::<Vec<_>>(), [0, 1, 1, 0]);
    }

    #[test]
    fn only_the_surest_of_a_class_stays() {
        let of = |class, score, left: f64| FoundBox { class, score, corners: [left, 0.0, left + 10.0, 10.0] };
        let all = vec![of(0, 0.9, 0.0), of(0, 0.8, 2.0), of(1, 0.7, 0.0), of(0, 0.6, 8.0)];
        let left: Vec<f64> = suppressed(all, 0.5).iter().map(|it| it.score).collect();
        assert_eq!(left, [0.9, 0.7, 0.6]);
    }
}
