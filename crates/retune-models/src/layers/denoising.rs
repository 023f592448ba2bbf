//! Noised objects among the queries while training (Li et al. 2022; contrastive as Zhang et al. 2022, §3.3), transformers'
//! `get_contrastive_denoising_training_group`.
//!
//! B batch, M most objects of an image, G groups, N = 2·M·G noised queries: in each group the objects, somewhat moved, which are
//! to be found again, and the same moved further, which are to be found nothing. Q other queries, L classes.

use retune_kernels::boxes::{centres, corners, inverse_sigmoid};
use retune_kernels::loss::IGNORE_INDEX;
use retune_kernels::tch::{Device, Kind, Tensor, no_grad};
use retune_kernels::{dropout, random};

/// Random numbers for each noised query: whether its class changes, to which, signs and lengths of four moves.
const DRAWS: i64 = 10;
/// What hides a query from another; finite in bf16, too.
const HIDDEN: f64 = -3.0e38;

/// How it is done, from config.json.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Denoising {
    /// Noised queries of a kind, about.
    pub queries: i64,
    /// L.
    pub classes: i64,
    /// Twice the share of classes that change.
    pub label_noise: f64,
    /// How far corners move, in halves of a box.
    pub box_noise: f64,
}

/// Noised queries.
#[derive(Debug)]
pub struct Noised {
    /// Classes, int64 [B, N]; L where there is no object.
    pub classes: Tensor,
    /// Boxes before a sigmoid, [B, N, 4].
    pub boxes: Tensor,
    /// What is added to the scores of attention among all queries, [1, 1, N + Q, N + Q].
    pub bias: Tensor,
}

impl Denoising {
    /// Of `labels` int64 [B, ≥ M], [`IGNORE_INDEX`] behind an image's objects, and `boxes` [B, ≥ M, 4]; nothing where no image
    /// has any. `draws` [B, N, 10] in [0, 1) stand in the place of those of the stream of dropout.
    pub fn noised(&self, labels: &Tensor, boxes: &Tensor, draws: Option<&Tensor>, others: i64) -> Option<Noised> {
        no_grad(|| {
            let there = labels.ne(IGNORE_INDEX);
            let most = there.sum_dim_intlist([1i64].as_slice(), false, Kind::Int64).max().int64_value(&[]);
            if most == 0 {
                return None;
            }
            let (batch, groups) = (labels.size()[0], (self.queries / most).max(1));
            let (count, device) = (2 * most * groups, labels.device());
            let draws = match draws {
                Some(draws) => draws.to_kind(Kind::Float),
                None => {
                    let numbers = random::uniform(dropout::next_seed(), (batch * count * DRAWS) as usize);
                    let numbers: Vec<f32> = numbers.into_iter().map(|number| number as f32).collect();
                    Tensor::from_slice(&numbers).view([batch, count, DRAWS]).to_device(device)
                }
            };
            let draw = |from: i64, count: i64| draws.narrow(2, from, count);
            let there = there.narrow(1, 0, most).repeat([1, 2 * groups]);
            let classes =
                labels.narrow(1, 0, most).repeat([1, 2 * groups]).masked_fill(&there.logical_not(), self.classes);
            let changed = draw(0, 1).squeeze_dim(2).lt(self.label_noise * 0.5).logical_and(&there);
            let other =
                (draw(1, 1).squeeze_dim(2) * self.classes as f64).to_kind(Kind::Int64).clamp_max(self.classes - 1);
            let classes = other.where_self(&changed, &classes);
            let boxes = boxes.narrow(1, 0, most).to_kind(Kind::Float).repeat([1, 2 * groups, 1]);
            let boxes = boxes.masked_fill(&there.logical_not().unsqueeze(-1), 0.0);
            // Without noise boxes stay as they are, as if they were logits: so transformers has it.
            let boxes = if self.box_noise > 0.0 { self.moved(&boxes, most, groups, &draw) } else { boxes };
            Some(Noised { classes, boxes, bias: bias(most, groups, others, device) })
        })
    }

    fn moved(&self, boxes: &Tensor, most: i64, groups: i64, draw: &dyn Fn(i64, i64) -> Tensor) -> Tensor {
        let halves = boxes.narrow(2, 2, 2).repeat([1, 1, 2]) * (0.5 * self.box_noise);
        let sign = (draw(2, 4) * 2.0).floor().clamp_max(1.0) * 2.0 - 1.0;
        let further = Tensor::arange(2 * most, (Kind::Int64, boxes.device())).ge(most).repeat([groups]);
        let part = draw(6, 4) + further.to_kind(Kind::Float).view([1, -1, 1]);
        inverse_sigmoid(&centres(&(corners(boxes) + part * sign * halves).clamp(0.0, 1.0)))
    }
}

/// No other query knows the objects, and no group another.
fn bias(most: i64, groups: i64, others: i64, device: Device) -> Tensor {
    let noised = 2 * most * groups;
    // Of each query its group; the others have the last number.
    let of =
        Tensor::arange(noised + others, (Kind::Int64, device)).clamp_max(noised).divide_scalar_mode(2 * most, "floor");
    let (query, key) = (of.unsqueeze(1), of.unsqueeze(0));
    let hidden = query.ne_tensor(&key).logical_and(&key.ne(groups));
    let zeros = Tensor::zeros(hidden.size(), (Kind::Float, device));
    zeros.masked_fill(&hidden, HIDDEN).unsqueeze(0).unsqueeze(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_do_not_know_each_other_and_draws_repeat() {
        let how = Denoising { queries: 4, classes: 3, label_noise: 0.5, box_noise: 1.0 };
        let labels = Tensor::from_slice(&[1i64, 2, IGNORE_INDEX, 0, IGNORE_INDEX, IGNORE_INDEX]).view([2, 3]);
        let boxes = Tensor::full([2, 3, 4], 0.4, (Kind::Float, Device::Cpu));
        let noised = |stream: u64| {
            dropout::set_stream(stream);
            how.noised(&labels, &boxes, None, 3).unwrap()
        };
        let (one, same, other) = (noised(1), noised(1), noised(2));
        // Two objects at most, so two groups of four.
        assert_eq!(
            (one.classes.size(), one.boxes.size(), one.bias.size()),
            (vec![2, 8], vec![2, 8, 4], vec![1, 1, 11, 11])
        );
        assert_eq!(one.boxes, same.boxes);
        assert_ne!(one.boxes, other.boxes);
        assert_eq!(Vec::<i64>::try_from(one.classes.get(1).narrow(0, 1, 1)).unwrap(), [3], "there is no second object");
        let open = |row: i64| Vec::<bool>::try_from(one.bias.get(0).get(0).get(row).eq(0.0)).unwrap();
        let at = |places: std::ops::Range<usize>| (0..11).map(|i| places.contains(&i) || i >= 8).collect::<Vec<bool>>();
        assert_eq!((open(0), open(5), open(9)), (at(0..4), at(4..8), at(8..11)));
        // What is to be found again moved by half of the box at most, the others further.
        let moved =
            (corners(&one.boxes.sigmoid()) - corners(&Tensor::full([4], 0.4, (Kind::Float, Device::Cpu)))).abs();
        let most = |from: i64| moved.get(0).narrow(0, from, 2).max().double_value(&[]);
        assert!(most(0) < 0.2 && most(4) < 0.2 && most(2) > 0.19 && most(6) > 0.19);
        assert!(how.noised(&Tensor::full([1, 2], IGNORE_INDEX, (Kind::Int64, Device::Cpu)), &boxes, None, 3).is_none());
    }
}
