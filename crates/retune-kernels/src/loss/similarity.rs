//! Losses of vectors that should be alike or not, as sentence-transformers has them. B batch, M candidates, D width.

use super::SummedLoss;
use tch::{Kind, Tensor};

/// Lengths are at least that, as PyTorch's `normalize` has it.
const LEAST_LENGTH: f64 = 1e-12;

/// Vectors [.., D] of length 1, in fp32.
pub fn unit_vectors(x: &Tensor) -> Tensor {
    let x = x.to_kind(Kind::Float);
    &x / x.norm_scalaropt_dim(2.0, [-1i64].as_slice(), true).clamp_min(LEAST_LENGTH)
}

/// Cosines of the angles between vectors of one row, `[B]`.
pub fn cosines(one: &Tensor, other: &Tensor) -> Tensor {
    (unit_vectors(one) * unit_vectors(other)).sum_dim_intlist([-1i64].as_slice(), false, Kind::Float)
}

/// Hadsell et al. 2006 of `cosines` `[B]`, whose distance is 1 less the cosine: pairs with label 1 attract each other, those with
/// label 0 keep `margin` apart. `ContrastiveLoss`.
pub fn contrastive(cosines: &Tensor, labels: &Tensor, margin: f64) -> SummedLoss {
    let labels = labels.to_kind(Kind::Float);
    let distances: Tensor = 1.0 - cosines;
    let nearer: Tensor = margin - &distances;
    let others: Tensor = 1.0 - &labels;
    let apart = nearer.relu().square() * others;
    let sum = ((distances.square() * labels + apart) * 0.5).sum(Kind::Float);
    SummedLoss::of(sum, cosines.size()[0] as usize)
}

/// Cross-entropy of each query [B, D] choosing its own among all candidates [M, D], of which the first B are the queries' own,
/// by `scale` times the cosine. `hidden` [B, M], bool, are candidates that do not count for a query.
/// `MultipleNegativesRankingLoss` (Henderson et al. 2017).
pub fn in_batch_negatives(queries: &Tensor, candidates: &Tensor, hidden: &Tensor, scale: f64) -> SummedLoss {
    let scores = unit_vectors(queries).matmul(&unit_vectors(candidates).transpose(0, 1)) * scale;
    let scores = scores.masked_fill(&hidden.to_device(scores.device()), f64::NEG_INFINITY);
    let own = scores.diagonal(0, 0, 1);
    let sum = (scores.logsumexp([1i64].as_slice(), false) - own).sum(Kind::Float);
    SummedLoss::of(sum, queries.size()[0] as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;

    #[test]
    fn candidates_that_are_hidden_have_no_share() {
        let queries = Tensor::eye(3, (Kind::Float, Device::Cpu)).set_requires_grad(true);
        let two = queries.narrow(0, 0, 2);
        let hidden = Tensor::from_slice2(&[[false, false, true], [false, false, true]]);
        let with = in_batch_negatives(&two, &queries, &hidden, 20.0);
        let without = in_batch_negatives(&two, &two, &hidden.narrow(1, 0, 2), 20.0);
        assert!((&with.sum - &without.sum).abs().double_value(&[]) < 1e-6);
        with.sum.backward();
        assert_eq!(queries.grad().get(2).abs().max().double_value(&[]), 0.0);
        assert!(bool::try_from(queries.grad().isfinite().all()).unwrap());
    }

    #[test]
    fn pairs_that_are_far_enough_apart_cost_nothing() {
        let cosines = Tensor::from_slice(&[1.0f32, 0.0, 0.4, 0.8]);
        let loss = contrastive(&cosines, &Tensor::from_slice(&[1.0f32, 0.0, 0.0, 0.0]), 0.5);
        // Only the last pair is nearer than half: 0.5 (0.5 - 0.2)².
        assert!((loss.sum.double_value(&[]) - 0.045).abs() < 1e-6);
    }
}
