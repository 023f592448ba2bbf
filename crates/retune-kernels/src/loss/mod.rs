//! Losses as sums with their weight, so that a whole accumulation window is divided once.
//!
//! A mean of per-batch means is wrong as soon as batches hold different numbers of targets.

mod assignment;
mod classes;
mod ctc;
mod detection;
mod gaps;
mod next_tokens;
mod numbers;
mod pixels;
mod ranking;
mod similarity;

pub use classes::{binary_cross_entropy, cross_entropy, position_cross_entropy, soft_cross_entropy};
pub use ctc::{CtcReduction, ctc};
pub use detection::{
    ClassCost, ClassLoss, DetectionOutputs, DetectionTerms, DetectionWeights, Objects, StepObjects, detection_loss,
    detection_terms, matched,
};
pub use gaps::{known_binary_cross_entropy, known_squared_error};
pub use next_tokens::{NextTokens, Scoring, next_token_cross_entropy};
pub use numbers::squared_error;
pub use pixels::{
    pixel_binary_cross_entropy, pixel_cross_entropy, pixel_dice, pixel_focal, pixel_weights, resized, with_ignored,
};
pub use ranking::{DrawnLoss, drawn_items};
pub use similarity::{contrastive, cosines, in_batch_negatives, unit_vectors};

use tch::{Kind, Tensor};

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
    /// The same tensors.
    #[must_use]
    pub fn shallow_clone(&self) -> Self {
        Self { sum: self.sum.shallow_clone(), weight: self.weight.shallow_clone() }
    }

    /// Makes one with a weight that the host knows.
    fn of(sum: Tensor, weight: usize) -> Self {
        let weight = Tensor::full([0i64; 0], weight as f64, (Kind::Double, sum.device()));
        Self { sum, weight }
    }

    /// The mean of several losses over the same examples, such as those of the first and the last position of an answer, with
    /// the mean weight. Divided by it, it is the mean of their means, which is what Hugging Face returns, also where they have
    /// unequal numbers of targets; one without any adds nothing.
    ///
    /// # Panics
    /// Without any loss.
    pub fn mean_of(losses: impl IntoIterator<Item = Self>) -> Self {
        let (sums, weights): (Vec<_>, Vec<_>) = losses.into_iter().map(|loss| (loss.sum, loss.weight)).unzip();
        let (sums, weights) = (Tensor::stack(&sums, 0), Tensor::stack(&weights, 0));
        let weight = weights.mean(Kind::Double);
        let share = (&weight / weights.clamp_min(f64::MIN_POSITIVE)).masked_fill(&weights.eq(0.0), 0.0);
        Self { sum: (sums * share.to_kind(Kind::Float)).mean(Kind::Float), weight }
    }
}
