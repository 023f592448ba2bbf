//! Losses of several targets of which some are not known: those are NaN, and do not count.

use super::SummedLoss;
use tch::{Kind, Reduction, Tensor};

/// Binary cross-entropy of `logits` [B, C] against `labels` [B, C] of 0, 1 or NaN; one target per label that is known.
pub fn known_binary_cross_entropy(logits: &Tensor, labels: &Tensor) -> SummedLoss {
    let (labels, known) = known(labels);
    let logits = logits.to_kind(Kind::Float).view_as(&labels);
    let sum = logits.binary_cross_entropy_with_logits(&labels, Some(&known), None::<&Tensor>, Reduction::Sum);
    SummedLoss { sum, weight: known.sum(Kind::Double) }
}

/// Squared error of `predictions` [B, C] against `targets` [B, C], NaN where they are not known.
pub fn known_squared_error(predictions: &Tensor, targets: &Tensor) -> SummedLoss {
    let (targets, known) = known(targets);
    let difference = predictions.to_kind(Kind::Float).view_as(&targets) - targets;
    SummedLoss { sum: (difference.square() * &known).sum(Kind::Float), weight: known.sum(Kind::Double) }
}

/// Targets with 0 where they are not known, and 1 where they are.
fn known(targets: &Tensor) -> (Tensor, Tensor) {
    let targets = targets.to_kind(Kind::Float);
    let missing = targets.isnan();
    let known = missing.logical_not().to_kind(Kind::Float);
    (targets.masked_fill(&missing, 0.0), known)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::{binary_cross_entropy, squared_error};

    #[test]
    fn what_is_not_known_has_no_share() {
        let (a, n) = (1.0f32, f32::NAN);
        let logits = Tensor::from_slice(&[0.5f32, -1.0, 2.0, 0.25]).view([2, 2]).set_requires_grad(true);
        let gaps = Tensor::from_slice(&[a, n, 0.0, a]).view([2, 2]);
        let rest = Tensor::from_slice(&[0.5f32, 2.0, 0.25]).view([3, 1]);
        let whole = Tensor::from_slice(&[a, 0.0, a]).view([3, 1]);
        let close = |a: &SummedLoss, b: &SummedLoss| {
            assert_eq!((a.weight.double_value(&[]), b.weight.double_value(&[])), (3.0, 3.0));
            assert!((&a.sum - &b.sum).abs().double_value(&[]) < 1e-6);
        };
        close(&known_binary_cross_entropy(&logits, &gaps), &binary_cross_entropy(&rest, &whole, None));
        let error = known_squared_error(&logits, &gaps);
        close(&error, &squared_error(&rest, &whole));
        error.sum.backward();
        let gradient = Vec::<f32>::try_from(logits.grad().view([-1])).unwrap();
        assert!(gradient[1] == 0.0 && gradient[2] == 4.0, "{gradient:?}");
    }
}
