//! Losses of dense predictions: a class for each pixel.
//!
//! PyTorch's `CrossEntropyLoss` and `BCEWithLogitsLoss` over maps, focal loss (Lin et al. 2017) of a softmax, and the soft Dice loss
//! (Milletari et al. 2016). B batch, C classes, h and w map of the logits, H and W map of the labels.

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
    let sum = logits.cross_entropy_loss(labels, class_weights, Reduction::Sum, IGNORE_INDEX, label_smoothing);
    SummedLoss { sum, weight: weight_of_each(labels, class_weights).sum(Kind::Double) }
}

/// Focal loss of `logits` [B, C, H, W] against `labels` [B, H, W]: cross-entropy in which the logarithm of each share p counts
/// (1 − p)^`gamma` times, so that pixels of which the model is sure count little. Pixels of [`IGNORE_INDEX`] do not count; with a
/// `gamma` of 0 it is [`pixel_cross_entropy`], class weights (the paper's α) and label smoothing included.
pub fn pixel_focal(
    logits: &Tensor,
    labels: &Tensor,
    class_weights: Option<&Tensor>,
    label_smoothing: f64,
    gamma: f64,
) -> SummedLoss {
    let logarithms = logits.log_softmax(1, Kind::Float);
    let (classes, each) = (logits.size()[1], weight_of_each(labels, class_weights));
    let focal = |logarithms: &Tensor| {
        // A share of exactly 1 would make the power's slope infinite where γ is below 1.
        let rest = logarithms.expm1().neg().clamp_min(f64::from(f32::MIN_POSITIVE));
        (rest.pow_tensor_scalar(gamma) * logarithms).neg()
    };
    let of_truth = focal(&logarithms.gather(1, &without_ignored(labels).unsqueeze(1), false).squeeze_dim(1));
    let mut sum = (of_truth * &each).sum(Kind::Float);
    if label_smoothing > 0.0 {
        let all = focal(&logarithms);
        let all = match class_weights {
            None => all,
            Some(weights) => all * weights.view([1, -1, 1, 1]),
        };
        let counted = labels.ne(IGNORE_INDEX).unsqueeze(1).to_kind(Kind::Float);
        sum = sum * (1.0 - label_smoothing) + (all * counted).sum(Kind::Float) * (label_smoothing / classes as f64);
    }
    SummedLoss { sum, weight: each.sum(Kind::Double) }
}

/// Labels with any class where none counts.
fn without_ignored(labels: &Tensor) -> Tensor {
    labels.where_self(&labels.ne(IGNORE_INDEX), &labels.zeros_like())
}

/// The class weight of each pixel, [B, H, W] in fp32: 1 where there are no weights, 0 where a pixel does not count.
fn weight_of_each(labels: &Tensor, class_weights: Option<&Tensor>) -> Tensor {
    let counted = labels.ne(IGNORE_INDEX).to_kind(Kind::Float);
    match class_weights {
        None => counted,
        Some(weights) => weights.index_select(0, &without_ignored(labels).reshape([-1])).view_as(labels) * counted,
    }
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
    weight_of_each(labels, class_weights).sum_dim_intlist([1i64, 2].as_slice(), false, Kind::Float)
}

/// Soft Dice loss of `logits` [B, C, H, W] against `labels` [B, H, W] for each image, \[B\]: 1 less the mean, over the classes
/// that the image has, of 2·Σ p·y / (Σ p + Σ y). 0 for an image without a pixel that counts.
pub fn pixel_dice(logits: &Tensor, labels: &Tensor) -> Tensor {
    let classes = logits.size()[1];
    let counted = labels.ne(IGNORE_INDEX).unsqueeze(1).to_kind(Kind::Float);
    let truth = without_ignored(labels).one_hot(classes).permute([0, 3, 1, 2]).to_kind(Kind::Float) * &counted;
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

    /// By `scripts/fixtures_pixel_losses.py`.
    #[test]
    fn losses_and_their_gradients_equal_pytorch() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/pixel_losses/case.safetensors");
        let case: std::collections::BTreeMap<String, Tensor> = Tensor::read_safetensors(file)
            .unwrap()
            .into_iter()
            .map(|(name, it)| (name, it.to_device(test_device())))
            .collect();
        let labels = with_ignored(&case["labels"], 255);
        let mut compared = 0;
        for (name, expected) in case.iter().filter(|(name, _)| name.ends_with(".loss")) {
            let name = name.trim_end_matches(".loss");
            let setting = |key: &str| case[&format!("{name}.{key}")].double_value(&[]);
            let (gamma, smoothing) = (setting("gamma"), setting("smoothing"));
            let weights = case.get(&format!("{name}.weights"));
            let logits = case["logits"].detach().copy().set_requires_grad(true);
            let focal = pixel_focal(&logits, &labels, weights, smoothing, gamma);
            let loss = focal.sum / focal.weight;
            let difference = |a: &Tensor, b: &Tensor| (a - b).abs().max().double_value(&[]);
            assert!(difference(&loss, expected) < 1e-6, "{name}: {loss:?} {expected:?}");
            loss.backward();
            assert!(difference(&logits.grad(), &case[&format!("{name}.gradient")]) < 1e-6, "{name}");
            if gamma == 0.0 {
                let plain = pixel_cross_entropy(&logits, &labels, weights, smoothing);
                assert!(difference(&(plain.sum / plain.weight), expected) < 1e-6, "{name}");
            }
            compared += 1;
        }
        assert_eq!(compared, 12);
    }

    #[test]
    fn pixels_that_are_certain_have_a_finite_slope() {
        for (gamma, smoothing) in [(0.0, 0.0), (0.5, 0.0), (0.5, 0.1), (2.0, 0.1)] {
            let logits =
                (Tensor::eye(3, (Kind::Float, test_device())) * 500.0).view([1, 3, 1, 3]).set_requires_grad(true);
            let labels = Tensor::from_slice(&[0i64, 1, 0]).view([1, 1, 3]).to_device(test_device());
            let loss = pixel_focal(&logits, &labels, None, smoothing, gamma);
            loss.sum.backward();
            assert!(loss.sum.isfinite().all().int64_value(&[]) == 1, "{gamma}");
            assert!(logits.grad().isfinite().all().int64_value(&[]) == 1, "{gamma} {smoothing}");
            assert!(logits.grad().get(0).get(2).get(0).get(2).double_value(&[]) > 0.5, "what is wrong is learnt");
        }
    }

    #[test]
    fn an_image_without_a_pixel_that_counts_adds_nothing() {
        let logits = leaf_on(test_device(), 3, &[1, 3, 2, 3], Kind::Float);
        let labels = Tensor::full([1, 2, 3], IGNORE_INDEX, (Kind::Int64, test_device()));
        let loss = pixel_focal(&logits, &labels, None, 0.1, 2.0);
        assert_eq!((loss.sum.double_value(&[]), loss.weight.double_value(&[])), (0.0, 0.0));
        loss.sum.backward();
        assert_eq!(logits.grad().abs().max().double_value(&[]), 0.0);
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
