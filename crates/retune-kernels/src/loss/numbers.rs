//! Losses of numbers, PyTorch's `MSELoss`.

use super::SummedLoss;
use tch::{Kind, Reduction, Tensor};

/// Squared error of `predictions` against `targets` of the same number of elements.
pub fn squared_error(predictions: &Tensor, targets: &Tensor) -> SummedLoss {
    let targets = targets.to_kind(Kind::Float).view([-1]);
    let sum = predictions.to_kind(Kind::Float).view([-1]).mse_loss(&targets, Reduction::Sum);
    SummedLoss::of(sum, targets.numel())
}
