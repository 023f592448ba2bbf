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
    /// Targets (or the sum of their class weights) behind `sum`.
    pub weight: f64,
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
        None => counted.sum(Kind::Double).double_value(&[]),
        Some(weights) => {
            let safe = labels.where_self(&counted, &labels.zeros_like());
            (weights.index_select(0, &safe) * counted.to_kind(Kind::Float)).sum(Kind::Double).double_value(&[])
        }
    };
    SummedLoss { sum, weight }
}

/// Binary cross-entropy of `logits` [B, C] against multi-hot `labels` [B, C]; one target per element.
pub fn binary_cross_entropy(logits: &Tensor, labels: &Tensor, class_weights: Option<&Tensor>) -> SummedLoss {
    let logits = logits.to_kind(Kind::Float);
    let labels = labels.to_kind(Kind::Float);
    let sum = logits.binary_cross_entropy_with_logits(&labels, None::<&Tensor>, class_weights, Reduction::Sum);
    SummedLoss { sum, weight: labels.numel() as f64 }
}

/// Squared error of `predictions` against `targets` of the same number of elements.
pub fn squared_error(predictions: &Tensor, targets: &Tensor) -> SummedLoss {
    let targets = targets.to_kind(Kind::Float).view([-1]);
    let sum = predictions.to_kind(Kind::Float).view([-1]).mse_loss(&targets, Reduction::Sum);
    SummedLoss { sum, weight: targets.numel() as f64 }
}
