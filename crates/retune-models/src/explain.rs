//! Heat maps: which places of an image an answer rests on.
//!
//! Gradient: activation × gradient of a score over the last feature map, summed over channels, where it speaks for the
//! score. Grad-CAM (Selvaraju et al. 2017), place by place as in HiResCAM (Draelos & Carin 2020), so that it also holds
//! for tokens that are not averaged. Rollout: attention multiplied through all layers (Abnar & Zuidema 2020).
//!
//! B batch, T tokens, h and w grid of places, D channels.

use crate::{Head, ModelError, State, Tensors};
use retune_kernels::tch::{Kind, Tensor, with_grad};
use std::str::FromStr;

/// What is explained: makes one number per example \[B\] of a model's outputs.
pub type Score<'a> = &'a dyn Fn(&Tensors) -> Result<Tensor, ModelError>;

/// How a heat map is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Explanation {
    /// Activation × gradient.
    Gradient,
    /// Attention rollout, where every token may attend to every other.
    Rollout,
}

impl Explanation {
    /// As in `--heat-maps`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gradient => "gradient",
            Self::Rollout => "rollout",
        }
    }
}

impl FromStr for Explanation {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let all = [Self::Gradient, Self::Rollout];
        all.into_iter().find(|it| it.name() == name).ok_or_else(|| format!("`{name}` is not gradient or rollout"))
    }
}

/// A body that can draw heat maps.
pub trait Explains {
    /// Those that it can draw.
    fn explanations(&self) -> &'static [Explanation];
    /// Which places of the inputs `score` of the outputs of `head` rests on, [B, h, w]; larger is more. Parameters may be
    /// frozen, and keep their gradients.
    ///
    /// # Errors
    /// Inputs that do not fit.
    fn explain(
        &self,
        inputs: &Tensors,
        how: Explanation,
        head: &dyn Head,
        score: Score<'_>,
    ) -> Result<Tensor, ModelError>;
}

pub(crate) fn refused(known: &[Explanation], how: Explanation) -> ModelError {
    let known = known.iter().map(|it| it.name()).collect::<Vec<_>>().join(", ");
    ModelError::HeatMap { how: how.name().to_owned(), known }
}

/// The same values as the start of a graph.
pub(crate) fn watched(x: &Tensor) -> Tensor {
    x.detach().set_requires_grad(true)
}

/// Activation × gradient of `score` [B], summed over channels and the `watched` [B, .. + h·w, D], whose last tokens are
/// the patches of `grid`; 0 where the sum speaks against the score. Returns [B, h, w].
pub(crate) fn contributions(score: &Tensor, watched: &[Tensor], (h, w): (i64, i64)) -> Result<Tensor, ModelError> {
    let gradients = Tensor::f_run_backward(&[score.sum(Kind::Float)], watched, false, false)?;
    let batch = watched[0].size()[0];
    let mut sum = Tensor::zeros([batch, h * w], (Kind::Float, score.device()));
    for (x, gradient) in watched.iter().zip(gradients) {
        // The score may not depend on all of them.
        if gradient.defined() {
            let product = x.detach().to_kind(Kind::Float) * gradient.to_kind(Kind::Float);
            let of_tokens = product.sum_dim_intlist([-1i64].as_slice(), false, Kind::Float);
            sum += of_tokens.narrow(1, of_tokens.size()[1] - h * w, h * w);
        }
    }
    Ok(sum.relu().view([batch, h, w]))
}

/// The heat map of a head over a feature map `x` [B, h, w, D].
pub(crate) fn of_feature_map(x: &Tensor, head: &dyn Head, score: Score<'_>) -> Result<Tensor, ModelError> {
    let [_, h, w, _] = x.size()[..] else { panic!("feature maps have four dimensions") };
    let tokens = watched(&x.flatten(1, 2));
    with_grad(|| {
        let outputs = head.forward(&State::new(tokens.view_as(x)), false)?;
        contributions(&score(&outputs)?, &[tokens.shallow_clone()], (h, w))
    })
}

/// How much of each token all layers together carry into each, [B, T, T]; rows sum to 1. `attentions` are those of each
/// layer from the first on, [B, T, T]; residuals carry a token to its own place, as much as attention does.
pub(crate) fn rollout(attentions: &[Tensor]) -> Tensor {
    let tokens = attentions[0].size()[1];
    let own = Tensor::eye(tokens, (Kind::Float, attentions[0].device()));
    attentions.iter().fold(own.shallow_clone(), |joint, attention| {
        let layer: Tensor = (attention.to_kind(Kind::Float) + &own) / 2.0;
        layer.matmul(&joint)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rollout_of_two_layers_by_hand() {
        // The first layer copies token 1 to token 0, the second leaves all as it is.
        let copy = Tensor::from_slice(&[0.0f32, 1.0, 0.0, 1.0]).view([1, 2, 2]);
        let stay = Tensor::from_slice(&[1.0f32, 0.0, 0.0, 1.0]).view([1, 2, 2]);
        let expected = Tensor::from_slice(&[0.5f32, 0.5, 0.0, 1.0]).view([1, 2, 2]);
        assert_eq!(rollout(&[copy.shallow_clone(), stay]), expected);
        let twice = rollout(&[copy.shallow_clone(), copy]);
        assert_eq!(twice, Tensor::from_slice(&[0.25f32, 0.75, 0.0, 1.0]).view([1, 2, 2]));
    }

    #[test]
    fn rows_of_a_rollout_sum_to_one() {
        let attention = |seed| {
            let values = retune_kernels::random::normal(seed, 2 * 5 * 5);
            Tensor::from_slice(&values).view([2, 5, 5]).softmax(-1, Kind::Float)
        };
        let rows = rollout(&[attention(1), attention(2), attention(3)]).sum_dim_intlist(
            [-1i64].as_slice(),
            false,
            Kind::Float,
        );
        assert!((rows - 1.0).abs().max().double_value(&[]) < 1e-6);
    }

    #[test]
    fn names_are_those_of_the_flag() {
        for how in [Explanation::Gradient, Explanation::Rollout] {
            assert_eq!(how.name().parse(), Ok(how));
        }
        assert!("vision".parse::<Explanation>().unwrap_err().contains("gradient or rollout"));
    }
}
