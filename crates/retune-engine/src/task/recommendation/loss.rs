//! What is learnt: of all items the one that came next, of those of a batch, or of some that are drawn.
//!
//! M places that are asked for, N items, U distinct items of a batch, K drawn ones, D width.

use super::settings::ItemSettings;
use crate::task::{BatchTensors, Phase};
use anyhow::{Result, bail};
use retune_data::ItemTokens;
use retune_kernels::loss::{self, DrawnLoss, Scoring, SummedLoss};
use retune_kernels::tch::{Kind, Tensor};
use retune_models::Tensors;
use retune_models::heads::{SCORE_WEIGHT, SCORED};
use retune_models::item_texts::{ITEM_NUMBERS, rows_of};
use std::sync::Arc;

/// Among the targets, when they are learnt from.
const LABELS: &str = "labels";
/// No item of a batch is less likely than that to be in one.
const LEAST_LIKELY: f64 = 1e-12;

/// The loss in training.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum ItemLoss {
    /// Softmax over all items.
    All,
    /// Softmax over the items of a batch, each by how likely it is to be in one.
    InBatch,
    /// Beside items that are drawn.
    Drawn(DrawnLoss),
}

impl ItemLoss {
    /// As a recipe says it.
    pub(super) fn of(settings: &ItemSettings) -> Self {
        let calibration = settings.gbce_calibration;
        match settings.item_loss() {
            "in-batch" => Self::InBatch,
            "sampled" => Self::Drawn(DrawnLoss::Softmax),
            "bpr" => Self::Drawn(DrawnLoss::Pairwise),
            "gbce" => Self::Drawn(DrawnLoss::Calibrated { calibration, items: 0 }),
            _ => Self::All,
        }
    }

    /// The same for vectors that need no texts: all items can be scored.
    pub(super) fn without_texts(self) -> Self {
        if self == Self::InBatch { Self::All } else { self }
    }
}

/// What learning vectors of texts needs.
#[derive(Clone)]
pub(super) struct Learnt {
    /// The texts as tokens.
    pub(super) tokens: Arc<ItemTokens>,
    /// The share of each item among all that were met in training, from number 0 on.
    pub(super) shares: Arc<Vec<f32>>,
}

impl Learnt {
    /// Of counts, item 1 first.
    pub(super) fn new(tokens: ItemTokens, counts: &[u64]) -> Self {
        let all = counts.iter().sum::<u64>().max(1) as f64;
        let shares = std::iter::once(0.0).chain(counts.iter().map(|&count| (count as f64 / all) as f32)).collect();
        Self { tokens: Arc::new(tokens), shares: Arc::new(shares) }
    }

    /// The logarithm of how likely each of `numbers` \[U\] is to be among so many that are `met` \[1\], \[U\].
    fn likely(&self, numbers: &Tensor, met: &Tensor) -> Result<Tensor> {
        let shares = Tensor::from_slice(&self.shares).to_device(numbers.device()).f_index_select(0, numbers)?;
        let missed = (-shares.to_kind(Kind::Double)).f_log1p()? * met.to_kind(Kind::Double);
        Ok((-missed.f_expm1()?).clamp_min(LEAST_LIKELY).f_log()?.to_kind(Kind::Float))
    }
}

/// The loss of a batch; `items` is N, `learnt` there where vectors of the batch's items alone are made of their texts.
pub(super) fn of_batch(
    how: ItemLoss,
    learnt: Option<&Learnt>,
    items: usize,
    outputs: &Tensors,
    batch: &BatchTensors,
    phase: Phase,
) -> Result<SummedLoss> {
    let (states, weight) = (outputs.get(SCORED)?, outputs.get(SCORE_WEIGHT)?);
    let training = phase == Phase::Training;
    let labels = batch.targets.get(LABELS)?;
    let counted = labels.ge(1);
    let labels = labels.masked_select(&counted);
    let texts = learnt.filter(|_| training).zip(batch.inputs.optional(ITEM_NUMBERS));
    let row = |items: &Tensor| texts.map_or_else(|| items - 1, |(_, numbers)| rows_of(items, numbers));
    let over = |bias: Option<&Tensor>| {
        let scoring = Scoring { weight, bias, softcap: None };
        loss::next_token_cross_entropy(states, scoring, &row(&labels), 0.0).loss
    };
    let (drawn, negatives) = match (how, texts, batch.targets.optional("negatives")) {
        (ItemLoss::InBatch, Some((learnt, numbers)), _) => {
            return Ok(over(Some(&-learnt.likely(numbers, batch.inputs.get("items_met")?)?)));
        }
        (ItemLoss::Drawn(drawn), _, Some(negatives)) if training => (drawn, negatives),
        _ => return Ok(over(None)),
    };
    let [_, _, count] = negatives.size()[..] else { bail!("negatives have three dimensions") };
    let asked = counted.f_reshape([-1])?.nonzero().squeeze_dim(1);
    let negatives = negatives.f_reshape([-1, count])?.f_index_select(0, &asked)?;
    let of = |items: &Tensor| weight.f_index_select(0, &row(items).f_reshape([-1])?);
    let right = (states * of(&labels)?).sum_dim_intlist([1i64].as_slice(), false, Kind::Float);
    let others = of(&negatives)?.f_reshape([-1, count, states.size()[1]])?;
    let others = others.f_bmm(&states.unsqueeze(2))?.squeeze_dim(2); // [M, K]
    let drawn = match drawn {
        DrawnLoss::Calibrated { calibration, .. } => DrawnLoss::Calibrated { calibration, items: items as i64 },
        other => other,
    };
    Ok(loss::drawn_items(&right, &others, drawn))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A softmax over items of a batch whose scores are made larger where an item is seldom in one.
    #[test]
    fn items_of_a_batch_count_by_how_likely_they_are_there() {
        let mut tokens = ItemTokens::new(0);
        (0..4).for_each(|_| tokens.push(&[1]));
        let learnt = Learnt::new(tokens, &[6, 1, 0, 3]);
        let numbers = Tensor::from_slice(&[1i64, 2, 4]);
        let met = Tensor::from_slice(&[5i64]);
        let likely = Vec::<f32>::try_from(learnt.likely(&numbers, &met).unwrap()).unwrap();
        let expected = [0.6f64, 0.1, 0.3].map(|share| (1.0 - (1.0 - share).powi(5)).ln());
        assert!(likely.iter().zip(expected).all(|(found, right)| (f64::from(*found) - right).abs() < 1e-6));
        let states = Tensor::from_slice2(&[[1.0f32, 0.5], [0.0, -1.0]]);
        let weight = Tensor::from_slice2(&[[0.5f32, 1.0], [2.0, 0.0], [-1.0, 1.0]]);
        let outputs = Tensors::from([(SCORED, states), (SCORE_WEIGHT, weight)]);
        let inputs = Tensors::from([(ITEM_NUMBERS, numbers), ("items_met", met)]);
        let targets = Tensors::from([(LABELS, Tensor::from_slice2(&[[4i64, -100], [2, -100]]))]);
        let batch = BatchTensors { inputs, targets };
        let scores = [[1.0f64, 2.0, -0.5], [-1.0, 0.0, -1.0]];
        let right: f64 = scores.iter().zip([2, 1]).fold(0.0, |sum, (scores, right)| {
            let all: Vec<f64> = scores.iter().zip(expected).map(|(score, likely)| score - likely).collect();
            sum + all.iter().map(|it| it.exp()).sum::<f64>().ln() - all[right]
        });
        let found = of_batch(ItemLoss::InBatch, Some(&learnt), 4, &outputs, &batch, Phase::Training).unwrap();
        assert!((found.sum.double_value(&[]) - right).abs() < 1e-5, "{found:?} {right}");
        assert_eq!(found.weight.double_value(&[]), 2.0);
    }
}
