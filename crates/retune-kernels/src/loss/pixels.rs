//! Losses of dense predictions: a class for each pixel.
//!
//! PyTorch's `CrossEntropyLoss` and `BCEWithLogitsLoss` over maps, and the soft Dice loss (Milletari et al. 2016). B batch,
//! C classes, h and w map of the logits, H and W map of the labels.

use super::{IGNORE_INDEX, SummedLoss};
use tch::{Kind, Reduction, Tensor};

/// `logits` [B, C, h, w] brought to H × W in fp32, bilinearly, as Hugging Face's classes do before their loss.
pub fn resized(logits: &Tensor, (height, width): (i64, i64)) -> Tensor {
    logits.to_kind(Kind::Float).upsample_bilinear2d([height, width], false, None, None)
}

/// Integer labels of any dtype with `ignored` as [`IGNORE_INDEX`].
pub fn with_ignored(labels: &Tensor, ignored: i64) -> Tensor {
    let labels = labels.to_kind(Kind::Int64);
    let out = labels.eq(ignored);
    labels.masked_fill(&out, IGNORE_INDEX)
}

/// Cross-entropy of `logits` [B, C, H, W] in fp32 against `labels` [B, H, W]; pixels of [`IGNORE_INDEX`] do not count. Class
/// weights and label smoothing as in [`super::cross_entropy`].
pub fn pixel_cross_entropy(
    logits: &Tensor,
    labels: &Tensor,
    class_weights: Option<&Tensor>,
    label_smoothing: f64,
) -> SummedLoss {
    let counted = labels.ne(IGNORE_INDEX);
    let sum = logits.cross_entropy_loss(labels, class_weights, Reduction::Sum, IGNORE_INDEX, label_smoothing);
    let weight = match class_weights {
        None => counted.sum(Kind::Double),
        Some(weights) => {
            let safe = labels.where_self(&counted, &labels.zeros_like()).reshape([-1]);
            (weights.index_select(0, &safe) * counted.reshape([-1]).to_kind(Kind::Float)).sum(Kind::Double)
        }
    };
    SummedLoss { sum, weight }
}

/// Binary cross-entropy of one output, `logits` [B, 1, H, W], against `labels` [B, H, W] of 0 and 1. As in Hugging Face's
/// classes, pixels that do not count add nothing to the sum and are divided by all the same.
pub fn pixel_binary_cross_entropy(logits: &Tensor, labels: &Tensor) -> SummedLoss {
    let counted = labels.ge(0).to_kind(Kind::Float);
    let labels = labels.clamp(0, 1).to_kind(Kind::Float);
    let each = logits.squeeze_dim(1).binary_cross_entropy_with_logits(
        &labels,
        None::<&Tensor>,
        None::<&Tensor>,
        Reduction::None,
    );
    SummedLoss::of((each * counted).sum(Kind::Float), labels.numel())
}

/// Sums of the class weights of each image's pixels, \[B\] in fp32: their number where there are no weights.
pub fn pixel_weights(labels: &Tensor, class_weights: Option<&Tensor>) -> Tensor {
    let counted = labels.ne(IGNORE_INDEX);
    let each = match class_weights {
        None => counted.to_kind(Kind::Float),
        Some(weights) => {
            let safe = labels.where_self(&counted, &labels.zeros_like());
            weights.index_select(0, &safe.reshape([-1])).view_as(labels) * counted.to_kind(Kind::Float)
        }
    };
    each.sum_dim_intlist([1i64, 2].as_slice(), false, Kind::Float)
}

/// Soft Dice loss of `logits` [B, C, H, W] against `labels` [B, H, W] for each image, \[B\]: 1 less the mean, over the classes
/// that the image has, of 2·Σ p·y / (Σ p + Σ y). 0 for an image without a pixel that counts.
pub fn pixel_dice(logits: &Tensor, labels: &Tensor) -> Tensor {
    let classes = logits.size()[1];
    let counted = labels.ne(IGNORE_INDEX);
    let safe = labels.where_self(&counted, &labels.zeros_like());
    let counted = counted.unsqueeze(1).to_kind(Kind::Float);
    let truth = safe.one_hot(classes).permute([0, 3, 1, 2]).to_kind(Kind::Float) * &counted;
    let shares = logits.softmax(1, Kind::Float) * &counted;
    let places = [2i64, 3].as_slice();
    let sum = |x: &Tensor| x.sum_dim_intlist(places, false, Kind::Float); // [B, C]
    let (both, of_truth, of_shares) = (sum(&(&shares * &truth)), sum(&truth), sum(&shares));
    let present = of_truth.gt(0).to_kind(Kind::Float);
    let dice = (both * 2.0) / (of_truth + of_shares).clamp_min(1e-6);
    let of_image = |x: &Tensor| x.sum_dim_intlist([1i64].as_slice(), false, Kind::Float);
    let number = of_image(&present);
    let mean = of_image(&(dice * &present)) / number.clamp_min(1.0);
    (1.0 - mean) * number.gt(0).to_kind(Kind::Float)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fused::testing::{leaf_on, test_device};

    fn labels() -> Tensor {
        let values = [0i64, 1, 2, 255, 2, 2, 255, 255, 255, 255, 255, 255];
        with_ignored(&Tensor::from_slice(&values).view([2, 2, 3]).to_device(test_device()), 255)
    }

    #[test]
    fn pixels_that_are_ignored_count_in_no_loss() {
        let logits = leaf_on(test_device(), 1, &[2, 3, 2, 3], Kind::Float);
        let loss = pixel_cross_entropy(&logits, &labels(), None, 0.0);
        let rows = logits.permute([0, 2, 3, 1]).reshape([-1, 3]);
        let flat = super::super::cross_entropy(&rows, &labels().reshape([-1]), None, 0.0);
        assert_eq!(loss.weight.double_value(&[]), 5.0);
        assert!((&loss.sum - &flat.sum).abs().double_value(&[]) < 1e-5);
        let weights = Tensor::from_slice(&[1.0f32, 2.0, 0.5]).to_device(test_device());
        let weighted = pixel_cross_entropy(&logits, &labels(), Some(&weights), 0.0);
        assert_eq!(weighted.weight.double_value(&[]), 1.0 + 2.0 + 3.0 * 0.5);
        loss.sum.backward();
        assert_eq!(logits.grad().get(1).abs().max().double_value(&[]), 0.0, "an image without a pixel that counts");
    }

    #[test]
    fn dice_is_one_less_the_overlap_of_the_classes_that_are_there() {
        let sure = |class: &[i64]| {
            let hot = Tensor::from_slice(class).view([1, 2, 2]).one_hot(3).permute([0, 3, 1, 2]);
            (hot.to_kind(Kind::Float) * 100.0).to_device(test_device())
        };
        let labels = Tensor::from_slice(&[0i64, 0, 1, IGNORE_INDEX]).view([1, 2, 2]).to_device(test_device());
        let of = |predicted: &[i64]| pixel_dice(&sure(predicted), &labels).double_value(&[0]);
        // The pixel that does not count may be anything.
        assert!(of(&[0, 0, 1, 2]).abs() < 1e-5 && of(&[0, 0, 1, 0]).abs() < 1e-5);
        // Class 0: 2·1/(2+1); class 1: 2·1/(1+2).
        assert!((of(&[0, 1, 1, 0]) - (1.0 - (2.0 / 3.0 + 2.0 / 3.0) / 2.0)).abs() < 1e-5);
        let nothing = labels.full_like(IGNORE_INDEX);
        assert_eq!(pixel_dice(&sure(&[0, 0, 0, 0]), &nothing).double_value(&[0]), 0.0);
        let weights = Tensor::from_slice(&[1.0f32, 4.0, 9.0]).to_device(test_device());
        let of = |labels: &Tensor, weights| pixel_weights(labels, weights).double_value(&[0]);
        assert_eq!((of(&labels, None), of(&labels, Some(&weights)), of(&nothing, None)), (3.0, 6.0, 0.0));
    }
}
