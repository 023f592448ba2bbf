//! Connectionist temporal classification (Graves et al. 2006): the probability of a text, summed over all its alignments.
//!
//! B rows, T frames, V pieces of the vocabulary, S places for labels.

use super::{IGNORE_INDEX, SummedLoss};
use crate::KernelError;
use tch::{Device, Kind, Reduction, Tensor};

/// What the losses of the rows of a batch are worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CtcReduction {
    /// Their sum, whatever the number of rows.
    Sum,
    /// Each is divided by the length of its text; then their mean.
    Mean,
}

/// The loss of `labels` [B, S] under `logits` [B, T, V], of which each row has `lengths` \[B\] frames. Labels that are `blank` or
/// [`IGNORE_INDEX`] stand for nothing. A text that is longer than its frames has an infinite loss, or none with
/// `zero_infinity`. As Hugging Face's classes compute it.
///
/// # Errors
/// Shapes that do not fit each other; labels outside the vocabulary; lengths beyond the frames.
pub fn ctc(
    logits: &Tensor,
    lengths: &Tensor,
    labels: &Tensor,
    blank: i64,
    reduction: CtcReduction,
    zero_infinity: bool,
) -> Result<SummedLoss, KernelError> {
    let (rows, frames, vocabulary) = logits.size3()?;
    let labels = labels.f_to_device(Device::Cpu)?.f_to_kind(Kind::Int64)?;
    let unfit = |problem: String| Err(KernelError::Ctc { problem });
    if labels.dim() != 2 || labels.size()[0] != rows || lengths.size() != [rows] {
        return unfit(format!(
            "logits {:?} with labels {:?} and lengths {:?}",
            logits.size(),
            labels.size(),
            lengths.size()
        ));
    }
    let lengths = Vec::<i64>::try_from(lengths.f_to_device(Device::Cpu)?.f_to_kind(Kind::Int64)?)?;
    if let Some(length) = lengths.iter().find(|&&length| !(0..=frames).contains(&length)) {
        return unfit(format!("a row of {length} frames, of {frames}"));
    }
    if !(0..vocabulary).contains(&blank) {
        return unfit(format!("the blank is {blank}, but there are {vocabulary} pieces"));
    }
    let counts = labels.f_ne(blank)?.f_logical_and(&labels.f_ne(IGNORE_INDEX)?)?;
    let targets = labels.f_masked_select(&counts)?;
    let outside = Vec::<i64>::try_from(&targets)?.into_iter().find(|label| !(0..vocabulary).contains(label));
    if let Some(label) = outside {
        return unfit(format!("the label {label}, but there are {vocabulary} pieces"));
    }
    let texts = Vec::<i64>::try_from(counts.f_sum_dim_intlist([1i64].as_slice(), false, Kind::Int64)?)?;
    let log_probabilities = logits.f_log_softmax(-1, Kind::Float)?.f_transpose(0, 1)?;
    let targets = targets.f_to_device(logits.device())?;
    let each = Tensor::f_ctc_loss(
        &log_probabilities,
        &targets,
        lengths.as_slice(),
        texts.as_slice(),
        blank,
        Reduction::None,
        zero_infinity,
    )?;
    match reduction {
        CtcReduction::Sum => Ok(SummedLoss::of(each.f_sum(Kind::Float)?, 1)),
        CtcReduction::Mean => {
            let texts: Vec<f32> = texts.iter().map(|&length| length.max(1) as f32).collect();
            let texts = Tensor::from_slice(&texts).f_to_device(each.device())?;
            Ok(SummedLoss::of(each.f_div(&texts)?.f_sum(Kind::Float)?, rows as usize))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two frames of three pieces whose probabilities are known.
    fn logits() -> Tensor {
        Tensor::from_slice(&[0.5f32, 0.3, 0.2, 0.1, 0.7, 0.2]).log().view([1, 2, 3])
    }

    fn loss(labels: &[i64], zero_infinity: bool) -> f64 {
        let (lengths, labels) = (Tensor::from_slice(&[2i64]), Tensor::from_slice(labels).unsqueeze(0));
        ctc(&logits(), &lengths, &labels, 0, CtcReduction::Sum, zero_infinity).unwrap().sum.double_value(&[])
    }

    #[test]
    fn all_alignments_are_summed() {
        // Of `1`: blank 1, 1 blank, 1 1. Of `1 2`: that alone. Of nothing: blanks alone.
        let of = |probability: f64, labels: &[i64]| assert!((loss(labels, false) + probability.ln()).abs() < 1e-6);
        of(0.5 * 0.7 + 0.3 * 0.1 + 0.3 * 0.7, &[1, IGNORE_INDEX]);
        of(0.3 * 0.2, &[1, 2]);
        of(0.5 * 0.1, &[IGNORE_INDEX, 0]);
        // Two equal labels need a blank between them.
        assert!(loss(&[1, 1], false).is_infinite());
        assert_eq!(loss(&[1, 1], true), 0.0);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let refused = |lengths: &[i64], labels: &[i64], blank| {
            let labels = Tensor::from_slice(labels).unsqueeze(0);
            ctc(&logits(), &Tensor::from_slice(lengths), &labels, blank, CtcReduction::Mean, false)
                .err()
                .unwrap()
                .to_string()
        };
        assert!(refused(&[3], &[1], 0).contains("3 frames, of 2"));
        assert!(refused(&[2], &[3], 0).contains("the label 3"));
        assert!(refused(&[2], &[1], 9).contains("the blank is 9"));
        assert!(refused(&[2, 2], &[1], 0).contains("lengths [2]"));
    }
}
