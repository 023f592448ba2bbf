//! What a model says of hidden tokens. M hidden tokens of a batch, V vocabulary.

use crate::metric::TokenSums;
use anyhow::{Context, Result, bail};
use retune_kernels::tch::{Kind, Tensor};

/// Hidden tokens whose scores are turned into probabilities at once: those of a batch would be many times the model.
const TOGETHER: i64 = 256;

/// What is said of one block or text.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Answer {
    /// Negative log-likelihood of the right tokens, summed, in nats.
    pub(super) loss: f64,
    /// The hidden tokens, in their order.
    pub(super) places: Vec<Place>,
}

/// One hidden token.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Place {
    /// What stood there, where that is known.
    pub(super) right: Option<u32>,
    /// The likeliest tokens, the likeliest first, with their probabilities.
    pub(super) best: Vec<(u32, f32)>,
}

impl Answer {
    /// One that says these tokens and is sure of them.
    pub(super) fn ideal(tokens: impl Iterator<Item = u32>) -> Self {
        Self { loss: 0.0, places: tokens.map(|id| Place { right: Some(id), best: vec![(id, 1.0)] }).collect() }
    }

    /// As metrics count it.
    pub(super) fn sums(&self) -> TokenSums {
        let right = |place: &&Place| place.right.is_some() && place.best.first().map(|best| best.0) == place.right;
        let known = self.places.iter().filter(|place| place.right.is_some()).count();
        TokenSums {
            loss: self.loss,
            tokens: known as u32,
            right: self.places.iter().filter(right).count() as u32,
            ..TokenSums::default()
        }
    }
}

/// The answers of rows with so many hidden tokens each, from their `logits` [M, V] and, where they are known, the right
/// tokens \[M\].
pub(super) fn answers(logits: &Tensor, labels: Option<&Tensor>, counts: &[i64], most: usize) -> Result<Vec<Answer>> {
    let [all, vocabulary] = logits.size()[..] else { bail!("logits are those of hidden tokens, [M, V]") };
    let most = (most as i64).min(vocabulary);
    let (mut places, mut losses) = (Vec::with_capacity(all as usize), Vec::with_capacity(all as usize));
    for start in (0..all).step_by(TOGETHER as usize) {
        let count = TOGETHER.min(all - start);
        let scores = logits.narrow(0, start, count).f_log_softmax(-1, Kind::Float)?;
        let (best, ids) = scores.f_topk(most, -1, true, true)?;
        let best = Vec::<f32>::try_from(best.f_exp()?.f_reshape([-1])?)?;
        let ids = Vec::<i64>::try_from(ids.f_reshape([-1])?)?;
        let right = match labels {
            None => vec![None; count as usize],
            Some(labels) => {
                let labels = labels.narrow(0, start, count);
                let loss = scores.f_gather(1, &labels.unsqueeze(1), false)?.f_neg()?.f_reshape([-1])?;
                losses.extend(Vec::<f32>::try_from(loss)?);
                Vec::<i64>::try_from(labels)?.into_iter().map(|id| Some(id as u32)).collect()
            }
        };
        let best: Vec<(u32, f32)> = ids.into_iter().map(|id| id as u32).zip(best).collect();
        let each = right.into_iter().zip(best.chunks(most as usize));
        places.extend(each.map(|(right, best)| Place { right, best: best.to_vec() }));
    }
    let (mut places, mut losses) = (places.into_iter(), losses.into_iter());
    let of = |&count: &i64| {
        let count = count as usize;
        let places: Vec<Place> = places.by_ref().take(count).collect();
        if places.len() != count {
            return None;
        }
        Some(Answer { loss: losses.by_ref().take(count).map(f64::from).sum(), places })
    };
    counts.iter().map(of).collect::<Option<Vec<Answer>>>().context("there are scores for every hidden token")
}

/// A text with its masks replaced, one after the other, and how many are left.
pub(super) fn filled(text: &str, mask: &str, words: &[String]) -> (String, usize) {
    let mut pieces = text.split(mask);
    let mut filled = pieces.next().unwrap_or_default().to_owned();
    let (mut words, mut left) = (words.iter(), 0);
    for piece in pieces {
        match words.next() {
            Some(word) => filled.push_str(word),
            None => {
                filled.push_str(mask);
                left += 1;
            }
        }
        filled.push_str(piece);
    }
    (filled, left)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_those_of_their_rows() {
        let ln = |x: f32| x.ln();
        let logits = Tensor::from_slice2(&[
            [ln(0.5), ln(0.3), ln(0.2)],
            [ln(0.1), ln(0.2), ln(0.7)],
            [ln(0.25), ln(0.25), ln(0.5)],
        ]);
        let labels = Tensor::from_slice(&[0i64, 1, 2]);
        let all = answers(&logits, Some(&labels), &[2, 0, 1], 2).unwrap();
        assert_eq!(all.len(), 3);
        let first = all[0].sums();
        assert_eq!((first.tokens, first.right), (2, 1));
        assert!((first.loss + f64::from(ln(0.5) + ln(0.2))).abs() < 1e-5);
        assert_eq!(all[0].places[1].best.iter().map(|it| it.0).collect::<Vec<_>>(), [2, 1]);
        assert!((all[0].places[1].best[0].1 - 0.7).abs() < 1e-6);
        assert_eq!((all[1].sums().tokens, all[2].sums().right), (0, 1));
        let unknown = answers(&logits, None, &[3], 9).unwrap();
        assert_eq!((unknown[0].places[0].best.len(), unknown[0].sums().tokens), (3, 0));
        assert!(answers(&logits, None, &[4], 1).is_err());
    }

    #[test]
    fn masks_are_filled_in_their_order() {
        let words = ["a".to_owned(), "b".to_owned()];
        assert_eq!(filled("[MASK] x [MASK].", "[MASK]", &words), ("a x b.".to_owned(), 0));
        assert_eq!(filled("[MASK][MASK][MASK]", "[MASK]", &words), ("ab[MASK]".to_owned(), 1));
        assert_eq!(filled("nothing", "[MASK]", &[]), ("nothing".to_owned(), 0));
    }
}
