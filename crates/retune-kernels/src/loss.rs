//! Losses as sums with their weight, so that a whole accumulation window is divided once.
//!
//! A mean of per-batch means is wrong as soon as batches hold different numbers of targets.

use tch::{Kind, Reduction, Tensor};

/// Target index that does not count, as in PyTorch and Hugging Face.
pub const IGNORE_INDEX: i64 = -100;

/// A summed loss and what to divide it by.
#[derive(Debug)]
pub struct SummedLoss {
    /// Scalar fp32 with a graph behind it.
    pub sum: Tensor,
    /// Targets (or the sum of their class weights) behind `sum`; scalar fp64 on its device, which the host need not wait for.
    pub weight: Tensor,
}

impl SummedLoss {
    /// With a weight that the host knows.
    fn of(sum: Tensor, weight: usize) -> Self {
        let weight = Tensor::full([0i64; 0], weight as f64, (Kind::Double, sum.device()));
        Self { sum, weight }
    }
}

/// Cross-entropy over `logits` [.., C] and integer `labels` [..], in fp32.
///
/// Class weights and label smoothing follow `torch.nn.CrossEntropyLoss`: `weight` is the sum of the class weights
/// of the targets, so that `sum / weight` is its `mean` reduction.
pub fn cross_entropy(
    logits: &Tensor,
    labels: &Tensor,
    class_weights: Option<&Tensor>,
    label_smoothing: f64,
) -> SummedLoss {
    let classes = *logits.size().last().expect("logits have a class dimension");
    let logits = logits.to_kind(Kind::Float).view([-1, classes]);
    let labels = labels.view([-1]);
    let sum = logits.cross_entropy_loss(&labels, class_weights, Reduction::Sum, IGNORE_INDEX, label_smoothing);
    let counted = labels.ne(IGNORE_INDEX);
    let weight = match class_weights {
        None => counted.sum(Kind::Double),
        Some(weights) => {
            let safe = labels.where_self(&counted, &labels.zeros_like());
            (weights.index_select(0, &safe) * counted.to_kind(Kind::Float)).sum(Kind::Double)
        }
    };
    SummedLoss { sum, weight }
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

/// Squared error of `predictions` against `targets` of the same number of elements.
pub fn squared_error(predictions: &Tensor, targets: &Tensor) -> SummedLoss {
    let targets = targets.to_kind(Kind::Float).view([-1]);
    let sum = predictions.to_kind(Kind::Float).view([-1]).mse_loss(&targets, Reduction::Sum);
    SummedLoss::of(sum, targets.numel())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fused::testing::test_device;

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
