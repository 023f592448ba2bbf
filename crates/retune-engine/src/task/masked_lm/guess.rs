//! What can be said of hidden words without a model: how frequent each is.

use super::answer::{Answer, Place};
use crate::task::frequencies::Frequencies;

/// What frequencies say of these tokens.
pub(super) fn answer(frequencies: &Frequencies, tokens: impl Iterator<Item = u32>) -> Answer {
    let mut answer = Answer::default();
    let best = (frequencies.best, frequencies.probability(frequencies.best) as f32);
    for id in tokens {
        answer.loss -= frequencies.probability(id).ln();
        answer.places.push(Place { right: Some(id), best: vec![best] });
    }
    answer
}
