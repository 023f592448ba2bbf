//! chrF2 (Popović 2015): an F-score of runs of one to six characters, recall counting twice; as sacreBLEU has it, from 0 to 100.

use std::collections::HashMap;

use super::bleu_words::is_space;
use super::metric::{Direction, Metric};

/// chrF2 of a corpus, from 0 to 100.
pub const CHRF: Metric = Metric { key: "chrf", name: "chrF", direction: Direction::Higher, range: (0.0, 100.0) };

/// Longest run of characters that is compared.
const ORDERS: usize = 6;
/// How much more recall counts than precision, squared.
const FACTOR: f64 = 4.0;

/// What a text and the best of its references say about chrF; sums of them are of a corpus.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ChrfCounts {
    /// Runs that were written, where the reference has any of that length.
    written: [u64; ORDERS],
    /// Runs of the reference.
    reference: [u64; ORDERS],
    /// Runs of both.
    common: [u64; ORDERS],
}

type Runs<'a> = HashMap<&'a [char], u64>;

fn letters(text: &str) -> Vec<char> {
    text.chars().filter(|letter| !is_space(*letter)).collect()
}

fn runs(letters: &[char]) -> [Runs<'_>; ORDERS] {
    std::array::from_fn(|order| {
        let mut runs = HashMap::new();
        letters.windows(order + 1).for_each(|run| *runs.entry(run).or_default() += 1);
        runs
    })
}

impl ChrfCounts {
    /// Of a text and the reference that it has most in common with.
    pub(super) fn of(references: &[impl AsRef<str>], written: &str) -> Self {
        let written = letters(written);
        let written = runs(&written);
        let mut best: Option<(f64, Self)> = None;
        for reference in references {
            let reference = letters(reference.as_ref());
            let counts = Self::between(&written, &runs(&reference));
            let score = counts.score();
            if best.is_none_or(|(most, _)| score > most) {
                best = Some((score, counts));
            }
        }
        best.map_or_else(Self::default, |(_, counts)| counts)
    }

    fn between(written: &[Runs<'_>; ORDERS], reference: &[Runs<'_>; ORDERS]) -> Self {
        let mut counts = Self::default();
        for order in 0..ORDERS {
            let (written, reference) = (&written[order], &reference[order]);
            counts.reference[order] = reference.values().sum();
            if !reference.is_empty() {
                counts.written[order] = written.values().sum();
            }
            let common = |(run, count): (&&[char], &u64)| reference.get(run).map_or(0, |other| *count.min(other));
            counts.common[order] = written.iter().map(common).sum();
        }
        counts
    }

    /// Adds those of another text, `times` over.
    pub(super) fn add(&mut self, other: &Self, times: u64) {
        for order in 0..ORDERS {
            self.written[order] += other.written[order] * times;
            self.reference[order] += other.reference[order] * times;
            self.common[order] += other.common[order] * times;
        }
    }

    /// chrF2, of the lengths that both texts have.
    pub(super) fn score(&self) -> f64 {
        let (mut precision, mut recall, mut orders) = (0.0, 0.0, 0.0);
        for order in 0..ORDERS {
            let (written, reference) = (self.written[order] as f64, self.reference[order] as f64);
            if written > 0.0 && reference > 0.0 {
                precision += self.common[order] as f64 / written;
                recall += self.common[order] as f64 / reference;
                orders += 1.0;
            }
        }
        if orders == 0.0 || precision + recall == 0.0 {
            return 0.0;
        }
        let (precision, recall) = (precision / orders, recall / orders);
        100.0 * (1.0 + FACTOR) * precision * recall / (FACTOR * precision + recall)
    }
}
