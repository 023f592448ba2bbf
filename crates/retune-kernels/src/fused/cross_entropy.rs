//! Cross-entropy of scores over a vocabulary with its gradient, in the memory of the scores: each row is read and written once. On a CPU.
//!
//! N places, V vocabulary.

use super::takes;
use crate::shim;
use tch::{Kind, Tensor, no_grad};

/// What becomes of scores.
#[derive(Debug)]
pub struct Scored {
    /// Cross-entropy with label smoothing, fp32 \[N\]; 0 where there is no target.
    pub smoothed: Tensor,
    /// Without it.
    pub plain: Tensor,
    /// Whether the highest score is the target's, bool \[N\]; false where there is no target.
    pub correct: Tensor,
    /// Gradient of the sum of `smoothed`, [N, V] in the dtype of the scores, where it was wanted.
    pub gradient: Option<Tensor>,
}

/// The plain composition.
pub mod reference {
    use super::*;
    use crate::loss::IGNORE_INDEX;
    use tch::Reduction;

    /// As [`super::cross_entropy`], in fp32 at least; scores lie between -c and c where there is a `softcap`.
    pub fn cross_entropy(
        scores: &Tensor,
        bias: Option<&Tensor>,
        softcap: Option<f64>,
        targets: &Tensor,
        smoothing: f64,
        gradient: bool,
    ) -> Scored {
        let exact = |x: &Tensor| if x.kind() == Kind::Double { x.shallow_clone() } else { x.to_kind(Kind::Float) };
        let raw = no_grad(|| {
            let raw = exact(&scores.detach());
            bias.map_or_else(|| raw.shallow_clone(), |bias| &raw + bias)
        });
        let raw = raw.set_requires_grad(gradient);
        let capped = softcap.map_or_else(|| raw.shallow_clone(), |cap| (&raw / cap).tanh() * cap);
        let none = || None::<Tensor>;
        let of = |smoothing| capped.cross_entropy_loss(targets, none(), Reduction::None, IGNORE_INDEX, smoothing);
        let loss = of(smoothing);
        let slope = gradient.then(|| {
            let slope = Tensor::run_backward(&[loss.sum(loss.kind())], &[&raw], false, false).remove(0);
            slope.to_kind(scores.kind())
        });
        let plain = if smoothing == 0.0 { loss.detach() } else { no_grad(|| of(0.0)).detach() };
        let correct = capped.detach().argmax(-1, false).eq_tensor(targets);
        Scored { smoothed: loss.detach(), plain, correct, gradient: slope }
    }
}

/// Of `scores` [N, V], to which `bias` \[V\] in fp32 is added, against `targets` int64 \[N\], where numbers below 0 stand for none. The
/// scores are used up: with `gradient`, it may stand in their memory afterwards.
pub fn cross_entropy(
    scores: Tensor,
    bias: Option<&Tensor>,
    softcap: Option<f64>,
    targets: &Tensor,
    smoothing: f64,
    gradient: bool,
) -> Scored {
    let fits = softcap.is_none()
        && takes(&[&scores])
        && scores.dim() == 2
        && scores.is_contiguous()
        && bias.is_none_or(|bias| takes(&[bias]) && bias.kind() == Kind::Float);
    if !fits {
        return reference::cross_entropy(&scores, bias, softcap, targets, smoothing, gradient);
    }
    let bias = bias.map(Tensor::contiguous);
    let [smoothed, plain, correct] =
        shim::decoders::cross_entropy(&scores, bias.as_ref(), &targets.contiguous(), smoothing, gradient)
            .unwrap_or_else(|error| panic!("{error}"));
    Scored { smoothed, plain, correct, gradient: gradient.then_some(scores) }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use crate::loss::IGNORE_INDEX;

    #[test]
    fn equals_the_composition_in_fp64() {
        for kind in [Kind::Float, Kind::BFloat16] {
            for (rows, words) in [(7i64, 37i64), (40, 64), (3, 1001), (1, 3), (0, 8)] {
                let scores = (leaf(1, &[rows, words], kind).detach() * 3.0).to_kind(kind);
                let bias = leaf(2, &[words], Kind::Float).detach();
                let targets: Vec<i64> =
                    (0..rows).map(|i| if i % 5 == 2 { IGNORE_INDEX } else { i * 11 % words }).collect();
                let targets = Tensor::from_slice(&targets);
                for (bias, smoothing) in [(None, 0.0), (Some(&bias), 0.0), (None, 0.1), (Some(&bias), 0.1)] {
                    let exact = bias.map(|bias| bias.to_kind(Kind::Double));
                    let double = scores.to_kind(Kind::Double);
                    let expected = reference::cross_entropy(&double, exact.as_ref(), None, &targets, smoothing, true);
                    let found = cross_entropy(scores.copy(), bias, None, &targets, smoothing, true);
                    let quiet = cross_entropy(scores.copy(), bias, None, &targets, smoothing, false);
                    assert_eq!((&found.plain, &found.smoothed), (&quiet.plain, &quiet.smoothed));
                    assert!(quiet.gradient.is_none());
                    assert_eq!(found.correct, expected.correct);
                    let gradients = (found.gradient.unwrap(), expected.gradient.unwrap());
                    assert_eq!(gradients.0.kind(), kind);
                    let pairs = [(found.plain, expected.plain, 2e-6), (found.smoothed, expected.smoothed, 2e-6)];
                    let rounding = if kind == Kind::Float { 2e-6 } else { 0.005 };
                    for (a, b, tolerance) in pairs.into_iter().chain([(gradients.0, gradients.1, rounding)]) {
                        let apart = ((a - &b).abs() / (b.abs() + 1.0)).to_kind(Kind::Double);
                        assert!(rows == 0 || apart.max().double_value(&[]) < tolerance, "{kind:?} {rows} {words}");
                    }
                }
            }
        }
    }

    #[test]
    fn the_first_of_equal_scores_is_the_guess() {
        let scores = Tensor::from_slice2(&[[1f32, 5.0, 5.0], [1.0, 5.0, 5.0], [f32::NAN, 1.0, 2.0]]);
        let found = cross_entropy(scores, None, None, &Tensor::from_slice(&[1i64, 2, 2]), 0.0, false);
        assert_eq!(Vec::<bool>::try_from(&found.correct).unwrap()[..2], [true, false]);
        assert!(found.plain.double_value(&[2]).is_nan());
    }

    #[test]
    #[should_panic = "target 3 of a vocabulary of 3"]
    fn a_target_outside_the_vocabulary_is_refused() {
        let scores = leaf(1, &[1, 3], Kind::Float).detach();
        cross_entropy(scores, None, None, &Tensor::from_slice(&[3i64]), 0.0, true);
    }

    #[test]
    fn does_not_depend_on_threads() {
        let scores = leaf(1, &[70, 90], Kind::BFloat16).detach();
        let targets = Tensor::arange(70, (Kind::Int64, tch::Device::Cpu));
        on_threads(|| {
            let found = cross_entropy(scores.copy(), None, None, &targets, 0.1, true);
            vec![found.smoothed, found.gradient.unwrap()]
        });
    }
}
