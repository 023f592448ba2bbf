//! BLEU (Papineni et al. 2002) of a whole corpus, as sacreBLEU counts it (Post 2018), from 0 to 100.

use std::collections::HashMap;

use super::bleu_words::BleuWords;
use super::metric::{Direction, Metric};

/// Corpus BLEU, from 0 to 100.
pub const BLEU: Metric = Metric { key: "bleu", name: "BLEU", direction: Direction::Higher, range: (0.0, 100.0) };

/// The release of sacreBLEU whose numbers these are.
const VERSION: &str = "2.6.0";
/// Longest run of words that is compared.
const ORDERS: usize = 4;

/// What a text and its references say about BLEU; sums of them are of a corpus.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct BleuCounts {
    /// Words that were written.
    pub(super) written: u64,
    /// Words of the reference whose length is nearest.
    pub(super) reference: u64,
    /// Runs of one to four words that are in a reference.
    pub(super) right: [u64; ORDERS],
    /// Runs of one to four words that were written.
    pub(super) all: [u64; ORDERS],
}

/// Runs of one to four words, by length, and how often each occurs.
fn runs(words: &[String]) -> HashMap<&[String], u64> {
    let mut runs = HashMap::new();
    for order in 1..=ORDERS {
        words.windows(order).for_each(|run| *runs.entry(run).or_default() += 1);
    }
    runs
}

impl BleuCounts {
    /// Of a text with one reference or several.
    pub(super) fn of(references: &[impl AsRef<str>], written: &str, by: BleuWords) -> Self {
        let written = by.words(written);
        let references: Vec<Vec<String>> = references.iter().map(|reference| by.words(reference.as_ref())).collect();
        let mut allowed: HashMap<&[String], u64> = HashMap::new();
        for reference in &references {
            for (run, count) in runs(reference) {
                let most = allowed.entry(run).or_default();
                *most = (*most).max(count);
            }
        }
        let distance = |length: usize| (length.abs_diff(written.len()), length);
        let nearest = references.iter().map(Vec::len).min_by_key(|&length| distance(length)).unwrap_or(0);
        let mut counts = Self { written: written.len() as u64, reference: nearest as u64, ..Self::default() };
        for (run, count) in runs(&written) {
            counts.all[run.len() - 1] += count;
            counts.right[run.len() - 1] += count.min(allowed.get(run).copied().unwrap_or(0));
        }
        counts
    }

    /// Adds those of another text, `times` over.
    pub(super) fn add(&mut self, other: &Self, times: u64) {
        self.written += other.written * times;
        self.reference += other.reference * times;
        for order in 0..ORDERS {
            self.right[order] += other.right[order] * times;
            self.all[order] += other.all[order] * times;
        }
    }

    /// What a text that is too short is multiplied with.
    pub(super) fn brevity_penalty(&self) -> f64 {
        match (self.written, self.reference) {
            (written, reference) if written >= reference => 1.0,
            (0, _) => 0.0,
            (written, reference) => (1.0 - reference as f64 / written as f64).exp(),
        }
    }

    /// Shares of right runs from 0 to 100; where none is right, half of what one would be, a quarter for the next such
    /// length, and so on (`smooth:exp`).
    pub(super) fn precisions(&self) -> [f64; ORDERS] {
        let (mut precisions, mut smooth) = ([0.0; ORDERS], 1.0);
        for (order, precision) in precisions.iter_mut().enumerate() {
            let (right, all) = (self.right[order], self.all[order]);
            if all == 0 {
                break;
            }
            *precision = if right == 0 {
                smooth *= 2.0;
                100.0 / (smooth * all as f64)
            } else {
                100.0 * right as f64 / all as f64
            };
        }
        precisions
    }

    /// BLEU. With `effective` only lengths count of which a run was written: for single sentences, which may be short.
    pub(super) fn score(&self, effective: bool) -> f64 {
        if self.right.iter().all(|&right| right == 0) {
            return 0.0;
        }
        let there = self.all.iter().take_while(|&&all| all > 0).count();
        let order = if effective { there } else { ORDERS };
        if there < order {
            return 0.0;
        }
        let logs: f64 = self.precisions()[..order].iter().map(|precision| precision.ln()).sum();
        self.brevity_penalty() * (logs / order as f64).exp()
    }
}

/// sacreBLEU's signature of a corpus whose texts have that many references, `None` where the number varies.
pub(super) fn signature(references: Option<usize>, by: BleuWords) -> String {
    let references = references.map_or_else(|| "var".to_owned(), |number| number.to_string());
    format!("nrefs:{references}|case:mixed|eff:no|tok:{}|smooth:exp|version:{VERSION}", by.name())
}
