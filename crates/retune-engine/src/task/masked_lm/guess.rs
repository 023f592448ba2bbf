//! What can be said of hidden words without a model: how frequent each is.

use super::MaskedLm;
use super::answer::{Answer, Place};
use crate::task::Data;
use anyhow::Result;

/// Probabilities of tokens, whatever stands around them; each counts once more than it was seen (Laplace), so that none is
/// impossible.
pub(super) struct Frequencies {
    counts: Vec<u64>,
    all: u64,
    /// The most frequent token.
    best: u32,
}

impl Frequencies {
    /// Of the training text.
    pub(super) fn of(train: &Data<MaskedLm>, vocabulary: usize) -> Result<Self> {
        let mut counts = vec![1u64; vocabulary.max(1)];
        for block in train.inner_examples() {
            train.medium().for_each(block, |id| {
                if let Some(count) = counts.get_mut(id as usize) {
                    *count += 1;
                }
            })?;
        }
        Ok(Self::new(counts))
    }

    fn new(counts: Vec<u64>) -> Self {
        let best = (0..counts.len()).rev().max_by_key(|&id| counts[id]).unwrap_or(0) as u32;
        Self { all: counts.iter().sum(), counts, best }
    }

    fn probability(&self, id: u32) -> f64 {
        self.counts.get(id as usize).map_or(f64::MIN_POSITIVE, |&count| count as f64 / self.all as f64)
    }

    /// What they say of these tokens.
    pub(super) fn answer(&self, tokens: impl Iterator<Item = u32>) -> Answer {
        let mut answer = Answer::default();
        let best = (self.best, self.probability(self.best) as f32);
        for id in tokens {
            answer.loss -= self.probability(id).ln();
            answer.places.push(Place { right: Some(id), best: vec![best] });
        }
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frequent_words_are_likelier() {
        let answer = Frequencies::new(vec![1, 3, 4]).answer([2, 0].into_iter());
        assert!((answer.loss - (2f64.ln() + 8f64.ln())).abs() < 1e-12);
        assert_eq!((answer.sums().right, answer.sums().tokens), (1, 2));
    }
}
