//! Cross-entropy: classes, shares of classes, several labels at once, places in a sequence.
//!
//! PyTorch's `CrossEntropyLoss` and `BCEWithLogitsLoss`. B batch, T places, C classes.

use super::{IGNORE_INDEX, SummedLoss};
use tch::{Device, Kind, Reduction, Tensor};

/// Cross-entropy over `logits` [.., C] and integer `labels` [..], in fp32; targets of [`IGNORE_INDEX`] do not count.
///
/// Class weights and label smoothing follow `torch.nn.CrossEntropyLoss`: `weight` is the sum of the class weights
/// of the targets, so that `sum / weight` is its `mean` reduction. Of logits [B, T, C], such as those of token
/// classification and language models, only places with targets are computed on a CPU; a GPU, which would have to be
/// waited for, computes all.
pub fn cross_entropy(
    logits: &Tensor,
    labels: &Tensor,
    class_weights: Option<&Tensor>,
    label_smoothing: f64,
) -> SummedLoss {
    let classes = *logits.size().last().expect("logits have a class dimension");
    let sparse = labels.dim() > 1 && logits.device() == Device::Cpu;
    let (mut logits, mut labels) = (logits.reshape([-1, classes]), labels.reshape([-1]));
    let mut counted = labels.ne(IGNORE_INDEX);
    if sparse {
        let places = counted.nonzero().squeeze_dim(1);
        if places.size() != labels.size() {
            (logits, labels) = (logits.index_select(0, &places), labels.index_select(0, &places));
            counted = labels.ne(IGNORE_INDEX);
        }
    }
    let logits = logits.to_kind(Kind::Float);
    let sum = logits.cross_entropy_loss(&labels, class_weights, Reduction::Sum, IGNORE_INDEX, label_smoothing);
    let weight = match class_weights {
        None => counted.sum(Kind::Double),
        Some(weights) => {
            let safe = labels.where_self(&counted, &labels.zeros_like());
            (weights.index_select(0, &safe) * counted.to_kind(Kind::Float)).sum(Kind::Double)
        }
    };
    SummedLoss { sum, weight }
}

/// Cross-entropy of one place among T, in fp32: `logits` [B, T] and `positions` \[B\] or [B, 1], as question answering has them.
///
/// As in Hugging Face's classes a position beyond the last place has no target, and one below 0 counts as 0.
pub fn position_cross_entropy(logits: &Tensor, positions: &Tensor) -> SummedLoss {
    let places = logits.size()[1];
    let positions = positions.reshape([-1]).clamp(0, places);
    let labels = positions.masked_fill(&positions.eq(places), IGNORE_INDEX);
    cross_entropy(logits, &labels, None, 0.0)
}

/// Cross-entropy over `logits` [B, C] and target shares of the classes [B, C] (each row sums to 1), in fp32; one target
/// per row.
///
/// As `torch.nn.CrossEntropyLoss` with class probabilities: its `mean` divides by the rows, whatever the class weights.
pub fn soft_cross_entropy(
    logits: &Tensor,
    targets: &Tensor,
    class_weights: Option<&Tensor>,
    label_smoothing: f64,
) -> SummedLoss {
    let logits = logits.to_kind(Kind::Float);
    let targets = targets.to_kind(Kind::Float);
    // Shares are told from class ids by their shape: [B, C] like the logits.
    let sum = logits.cross_entropy_loss(&targets, class_weights, Reduction::Sum, IGNORE_INDEX, label_smoothing);
    SummedLoss::of(sum, targets.size()[0] as usize)
}

/// Binary cross-entropy of `logits` [B, C] against multi-hot `labels` [B, C]; one target per element.
pub fn binary_cross_entropy(logits: &Tensor, labels: &Tensor, class_weights: Option<&Tensor>) -> SummedLoss {
    let logits = logits.to_kind(Kind::Float);
    let labels = labels.to_kind(Kind::Float);
    let sum = logits.binary_cross_entropy_with_logits(&labels, None::<&Tensor>, class_weights, Reduction::Sum);
    SummedLoss::of(sum, labels.numel())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fused::testing::{leaf_on, test_device};

    #[test]
    fn shares_of_one_class_are_its_id() {
        let logits = Tensor::from_slice(&[2.0f32, -1.0, 0.5, 0.0, 3.0, -2.0]).view([2, 3]);
        let (ids, shares) = (Tensor::from_slice(&[0i64, 2]), [[1f32, 0.0, 0.0], [0.0, 0.0, 1.0]]);
        let shares = Tensor::from_slice(shares.as_flattened()).view([2, 3]);
        let weights = Tensor::from_slice(&[1.0f32, 2.0, 0.5]);
        for (weights, smoothing) in [(None, 0.0), (None, 0.2), (Some(&weights), 0.0), (Some(&weights), 0.2)] {
            let hard = cross_entropy(&logits, &ids, weights, smoothing);
            let soft = soft_cross_entropy(&logits, &shares, weights, smoothing);
            assert!((hard.sum - soft.sum).abs().double_value(&[]) < 1e-6, "{weights:?} {smoothing}");
            assert_eq!(soft.weight.double_value(&[]), 2.0);
        }
    }

    fn mean(loss: &SummedLoss) -> f64 {
        (&loss.sum / &loss.weight).double_value(&[])
    }

    #[test]
    fn only_places_with_targets_count() {
        for kind in [Kind::Float, Kind::BFloat16] {
            let logits = leaf_on(test_device(), 1, &[2, 5, 7], kind);
            let values = [-100i64, 3, -100, 6, 0, -100, -100, -100, 2, -100];
            let labels = Tensor::from_slice(&values).view([2, 5]).to_device(test_device());
            let weights = leaf_on(test_device(), 2, &[7], Kind::Float).detach().abs() + 0.1;
            for (weights, smoothing) in [(None, 0.0), (Some(&weights), 0.1)] {
                // As PyTorch: one row for each target, in fp64.
                let rows: Vec<Tensor> =
                    (0..10).filter(|&i| values[i] >= 0).map(|i| logits.view([10, 7]).get(i as i64)).collect();
                let targets: Vec<i64> = values.into_iter().filter(|&label| label >= 0).collect();
                let targets = Tensor::from_slice(&targets).to_device(test_device());
                let exact = weights.map(|weights: &Tensor| weights.to_kind(Kind::Double));
                let expected = Tensor::stack(&rows, 0).to_kind(Kind::Double);
                let expected = expected.cross_entropy_loss(&targets, exact, Reduction::Mean, -100, smoothing);
                let loss = cross_entropy(&logits, &labels, weights, smoothing);
                assert!((mean(&loss) - expected.double_value(&[])).abs() < 1e-5);
                let gradient = |loss: Tensor| Tensor::run_backward(&[loss], &[&logits], false, false).remove(0);
                let (ours, theirs) = (gradient(&loss.sum / &loss.weight), gradient(expected));
                let worst = (ours - theirs).abs().max().double_value(&[]);
                assert!(worst < if kind == Kind::Float { 1e-6 } else { 1e-3 }, "{worst}");
            }
        }
    }

    #[test]
    fn a_batch_without_targets_weighs_nothing() {
        let logits = leaf_on(test_device(), 1, &[2, 3, 4], Kind::Float);
        let labels = Tensor::full([2, 3], IGNORE_INDEX, (Kind::Int64, test_device()));
        let loss = cross_entropy(&logits, &labels, None, 0.0);
        assert_eq!((loss.sum.double_value(&[]), loss.weight.double_value(&[])), (0.0, 0.0));
        loss.sum.backward();
        assert_eq!(logits.grad().abs().max().double_value(&[]), 0.0);
    }

    #[test]
    fn positions_outside_the_window_have_no_target() {
        let logits = [1, 2].map(|seed| leaf_on(test_device(), seed, &[4, 6], Kind::Float));
        for (ends, counted) in [([4i64, 9, 5, 0], 3.0), ([4, 9, 6, 0], 2.0)] {
            let positions = [[0i64, 6, 5, -3], ends].map(|of| Tensor::from_slice(&of).to_device(test_device()));
            let [start, end] = [0, 1].map(|i| position_cross_entropy(&logits[i], &positions[i].unsqueeze(1)));
            assert_eq!((start.weight.double_value(&[]), end.weight.double_value(&[])), (3.0, counted));
            // What Hugging Face computes: clamped to T, which is ignored; the mean of the two means.
            let theirs = |i: usize| {
                let clamped = positions[i].clamp(0, 6);
                logits[i].cross_entropy_loss(&clamped, None::<&Tensor>, Reduction::Mean, 6, 0.0).double_value(&[])
            };
            let both = SummedLoss::mean_of([start, end]);
            assert!((mean(&both) - (theirs(0) + theirs(1)) / 2.0).abs() < 1e-6);
            assert_eq!(both.weight.double_value(&[]), (3.0 + counted) / 2.0);
        }
    }

    #[test]
    fn a_mixed_target_is_the_mixture_of_both_losses() {
        test_device();
        let row = [1.0f32, 0.0, -1.0];
        let logits = Tensor::from_slice(&row).view([1, 3]).set_requires_grad(true);
        let soft = soft_cross_entropy(&logits, &Tensor::from_slice(&[0.7f32, 0.3, 0.0]).view([1, 3]), None, 0.0);
        let normalizer = row.iter().map(|x| x.exp()).sum::<f32>().ln();
        let expected = 0.7 * (normalizer - 1.0) + 0.3 * normalizer;
        assert!((soft.sum.double_value(&[]) - f64::from(expected)).abs() < 1e-6);
        soft.sum.backward();
        // softmax − target
        let gradient = Vec::<f32>::try_from(logits.grad().view([-1])).unwrap();
        for ((x, target), g) in row.iter().zip([0.7f32, 0.3, 0.0]).zip(gradient) {
            assert!((g - ((x - normalizer).exp() - target)).abs() < 1e-6);
        }
    }
}
