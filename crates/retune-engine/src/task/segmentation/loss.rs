//! What is learnt of masks: cross-entropy or focal loss of each pixel, and a Dice loss of each image beside it. B images, L classes,
//! H and W size of the labels.

use super::raw_loss::{height_and_width, with_auxiliary};
use crate::recipe::settings::{NOT_NEGATIVE, TRAINING, settings};
use crate::task::Phase;
use anyhow::{Result, ensure};
use retune_kernels::loss::{self, SummedLoss};
use retune_kernels::tch::{Kind, Tensor};
use retune_models::Tensors;

settings! {
    /// The loss of masks.
    pub(super) struct MaskLossSettings, under TRAINING, else "{task} has no masks" {
        /// Loss of each pixel: cross-entropy, or focal, in which pixels count little that the model is sure of (Lin et al. 2017)
        loss: String = "cross-entropy".to_owned(), one_of(&["cross-entropy", "focal"]);
        /// Power of focal loss: the larger, the less of what is sure; 0 is cross-entropy
        focal_gamma: f64 = 2.0, value("X"), range(NOT_NEGATIVE);
        /// Weight of a Dice loss beside that of each pixel
        dice_weight: f64 = 0.0, value("X"), range(NOT_NEGATIVE);
    }
}

/// The sum of the losses that were asked for.
pub(super) struct MaskLoss {
    /// Of focal loss, where it stands for cross-entropy.
    gamma: Option<f64>,
    dice: f64,
    training: Training,
}

/// What counts in training only.
#[derive(Default)]
pub(super) struct Training {
    /// Of classes.
    pub(super) weights: Option<Vec<f32>>,
    pub(super) smoothing: f64,
    /// Of the loss of an auxiliary head.
    pub(super) auxiliary_weight: f64,
}

impl MaskLossSettings {
    fn focal(&self) -> bool {
        self.loss == "focal"
    }

    /// Refuses what nothing would read.
    pub(super) fn check(&self) -> Result<()> {
        ensure!(
            self.focal() || self.focal_gamma == Self::default().focal_gamma,
            "focal-gamma: {} is a power of focal loss, and the loss is {}; give --loss focal, too",
            self.focal_gamma,
            self.loss
        );
        Ok(())
    }
}

impl MaskLoss {
    pub(super) fn new(settings: &MaskLossSettings, training: Training) -> Self {
        Self { gamma: settings.focal().then_some(settings.focal_gamma), dice: settings.dice_weight, training }
    }

    /// Of a batch with `labels` [B, H, W]. Each image counts as its pixels do, so that sums over batches divide by one weight.
    pub(super) fn of_batch(&self, outputs: &Tensors, labels: &Tensor, phase: Phase) -> Result<SummedLoss> {
        let (logits, size) = (outputs.get("logits")?, height_and_width(labels));
        if phase == Phase::Evaluation {
            // Image by image: resized logits of a large batch would fill the memory, and no graph needs them.
            let of_image = |i: i64| {
                let labels = labels.narrow(0, i, 1);
                let logits = loss::resized(&logits.narrow(0, i, 1), size);
                self.with_dice(self.of_pixels(&logits, &labels, None, 0.0), &logits, &labels, None)
            };
            let sums: Vec<SummedLoss> = (0..labels.size()[0]).map(of_image).collect();
            let total = |of: fn(&SummedLoss) -> &Tensor, kind| {
                Tensor::stack(&sums.iter().map(of).collect::<Vec<_>>(), 0).sum(kind)
            };
            return Ok(SummedLoss {
                sum: total(|it| &it.sum, Kind::Float),
                weight: total(|it| &it.weight, Kind::Double),
            });
        }
        let logits = loss::resized(logits, size);
        let Training { weights, smoothing, auxiliary_weight } = &self.training;
        let weights = weights.as_ref().map(|weights| Tensor::from_slice(weights).to_device(logits.device()));
        let of = |logits: &Tensor| self.of_pixels(logits, labels, weights.as_ref(), *smoothing);
        let sum =
            with_auxiliary(outputs, *auxiliary_weight, of(&logits), |auxiliary| of(&loss::resized(auxiliary, size)));
        Ok(self.with_dice(sum, &logits, labels, weights.as_ref()))
    }

    fn of_pixels(&self, logits: &Tensor, labels: &Tensor, weights: Option<&Tensor>, smoothing: f64) -> SummedLoss {
        match self.gamma {
            None => loss::pixel_cross_entropy(logits, labels, weights, smoothing),
            Some(gamma) => loss::pixel_focal(logits, labels, weights, smoothing, gamma),
        }
    }

    fn with_dice(&self, of: SummedLoss, logits: &Tensor, labels: &Tensor, weights: Option<&Tensor>) -> SummedLoss {
        if self.dice == 0.0 {
            return of;
        }
        let dice = loss::pixel_dice(logits, labels) * loss::pixel_weights(labels, weights);
        SummedLoss { sum: of.sum + dice.sum(Kind::Float) * self.dice, weight: of.weight }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use retune_kernels::random;

    fn settings(loss: &str, focal_gamma: f64, dice_weight: f64) -> MaskLossSettings {
        MaskLossSettings { loss: loss.to_owned(), focal_gamma, dice_weight }
    }

    fn mean(settings: &MaskLossSettings, phase: Phase, training: Training) -> f64 {
        let logits = Tensor::from_slice(&random::normal(5, 2 * 3 * 4 * 4)).view([2, 3, 4, 4]);
        let labels: Vec<i64> = (0..2 * 8 * 8).map(|i| if i % 5 == 0 { loss::IGNORE_INDEX } else { i % 3 }).collect();
        let labels = Tensor::from_slice(&labels).view([2, 8, 8]);
        let of = MaskLoss::new(settings, training);
        let sum = of.of_batch(&Tensors::from([("logits", logits)]), &labels, phase).unwrap();
        sum.sum.double_value(&[]) / sum.weight.double_value(&[])
    }

    #[test]
    fn evaluations_report_what_is_learnt() {
        let plain = settings("cross-entropy", 2.0, 0.0);
        let mut all = Vec::new();
        for it in [plain.clone(), settings("focal", 2.0, 0.0), settings("focal", 1.0, 0.0), settings("focal", 2.0, 0.7)]
        {
            let [learnt, told] =
                [Phase::Training, Phase::Evaluation].map(|phase| mean(&it, phase, Training::default()));
            assert!((learnt - told).abs() < 1e-5, "{it:?}: {learnt} {told}");
            all.push(told);
        }
        assert!(all[1] < all[2] && all[2] < all[0] && all[3] > all[1], "{all:?}");
        assert!((mean(&settings("focal", 0.0, 0.0), Phase::Training, Training::default()) - all[0]).abs() < 1e-5);
        // Smoothing and weights of classes shape what is learnt, and not what is told.
        let shaped = || Training { weights: Some(vec![1.0, 2.0, 0.5]), smoothing: 0.1, auxiliary_weight: 0.0 };
        let focal = settings("focal", 2.0, 0.0);
        assert!((mean(&focal, Phase::Training, shaped()) - all[1]).abs() > 1e-3);
        assert!((mean(&focal, Phase::Evaluation, shaped()) - all[1]).abs() < 1e-5);
    }

    #[test]
    fn a_power_that_nothing_reads_is_refused() {
        let refused = settings("cross-entropy", 1.0, 0.0).check().unwrap_err();
        assert!(settings("focal", 1.0, 0.0).check().is_ok() && settings("cross-entropy", 2.0, 0.0).check().is_ok());
        assert!(refused.to_string().starts_with("focal-gamma: 1 is a power of focal loss"), "{refused}");
    }
}
