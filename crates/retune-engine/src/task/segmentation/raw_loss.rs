//! The loss of raw outputs, as transformers' classes compute it. B images, L classes, H and W size of the labels.

use crate::task::LossOf;
use anyhow::{Result, ensure};
use retune_kernels::loss::{self, SummedLoss};
use retune_kernels::tch::Tensor;
use retune_models::heads::AUXILIARY_LOGITS;
use retune_models::{ModelConfig, SegmenterLoss, Tensors};

/// The loss of a saved model, for raw outputs, as transformers' class computes it.
pub(super) fn saved_loss(config: &ModelConfig) -> Result<LossOf> {
    let SegmenterLoss { ignored, auxiliary_weight } = SegmenterLoss::of(config)?;
    let field = SegmenterLoss::ignore_field(config);
    Ok(Box::new(move |outputs, batch| {
        let labels = batch.targets.get("labels")?;
        ensure!(labels.dim() == 3, "labels: shape {:?}, not [images, height, width]", labels.size());
        let logits = outputs.get("logits")?;
        let (classes, labels) = (logits.size()[1], loss::with_ignored(labels, ignored));
        // PyTorch would read memory that is not there.
        let outside = labels.ge(classes.max(2)).logical_or(&labels.lt(0).logical_and(&labels.ne(loss::IGNORE_INDEX)));
        ensure!(
            !outside.any().f_int64_value(&[]).map(|any| any != 0)?,
            "labels: a class outside 0..{classes}, and not {ignored} (`{field}`)"
        );
        let of = |logits: &Tensor| {
            let logits = loss::resized(logits, height_and_width(&labels));
            match classes {
                1 => loss::pixel_binary_cross_entropy(&logits, &labels),
                _ => loss::pixel_cross_entropy(&logits, &labels, None, 0.0),
            }
        };
        Ok(with_auxiliary(outputs, auxiliary_weight, of(logits), of))
    }))
}

/// A loss beside that of the auxiliary head, where there is one, which has the same weight.
pub(super) fn with_auxiliary(
    outputs: &Tensors,
    weight: f64,
    loss: SummedLoss,
    of: impl FnOnce(&Tensor) -> SummedLoss,
) -> SummedLoss {
    let Some(logits) = outputs.optional(AUXILIARY_LOGITS) else { return loss };
    SummedLoss { sum: &loss.sum + of(logits).sum * weight, ..loss }
}

/// H and W of labels [B, H, W].
pub(super) fn height_and_width(labels: &Tensor) -> (i64, i64) {
    let size = labels.size();
    (size[1], size[2])
}
