//! ROUGE-1, ROUGE-2 and ROUGE-L (Lin 2004): F-scores of words, pairs of words and the longest common subsequence, as the package
//! `rouge_score` counts them, without a stemmer; from 0 to 1, the mean over texts.
//!
//! Words are runs of `a` to `z` and digits after lowering case: other letters cut words and count nothing, as there.

use std::collections::HashMap;

use super::metric::Metric;

/// Of words.
pub const ROUGE_1: Metric = Metric::share("rouge1", "ROUGE-1");
/// Of pairs of words.
pub const ROUGE_2: Metric = Metric::share("rouge2", "ROUGE-2");
/// Of the longest common subsequence.
pub const ROUGE_L: Metric = Metric::share("rougeL", "ROUGE-L");

/// F-scores of a text: each beside the reference that it is best for.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Rouge {
    /// Of words.
    pub(super) one: f64,
    /// Of pairs of words.
    pub(super) two: f64,
    /// Of the longest common subsequence.
    pub(super) longest: f64,
}

impl Rouge {
    /// Of a text with one reference or several.
    pub(super) fn of(references: &[impl AsRef<str>], written: &str) -> Self {
        let written = words(written);
        let mut best = Self::default();
        for reference in references {
            let reference = words(reference.as_ref());
            best.one = best.one.max(of_runs(&reference, &written, 1));
            best.two = best.two.max(of_runs(&reference, &written, 2));
            let common = common_subsequence(&reference, &written);
            best.longest = best.longest.max(f_score(common, written.len(), reference.len()));
        }
        best
    }
}

/// The words of a text.
pub(super) fn words(text: &str) -> Vec<String> {
    let lower = text.to_lowercase();
    let parts = lower.split(|it: char| !(it.is_ascii_lowercase() || it.is_ascii_digit()));
    parts.filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

fn f_score(common: usize, written: usize, reference: usize) -> f64 {
    if common == 0 {
        return 0.0;
    }
    let (precision, recall) = (common as f64 / written as f64, common as f64 / reference as f64);
    2.0 * precision * recall / (precision + recall)
}

fn of_runs(reference: &[String], written: &[String], order: usize) -> f64 {
    let mut left: HashMap<&[String], usize> = HashMap::new();
    reference.windows(order).for_each(|run| *left.entry(run).or_default() += 1);
    let mut common = 0;
    for run in written.windows(order) {
        if let Some(count) = left.get_mut(run).filter(|count| **count > 0) {
            *count -= 1;
            common += 1;
        }
    }
    let number = |words: &[String]| (words.len() + 1).saturating_sub(order);
    f_score(common, number(written), number(reference))
}

/// The length of the longest sequence of words that both have in this order.
fn common_subsequence(a: &[String], b: &[String]) -> usize {
    let mut before = vec![0usize; b.len() + 1];
    for word in a {
        let mut diagonal = 0;
        for (j, other) in b.iter().enumerate() {
            let above = before[j + 1];
            before[j + 1] = if word == other { diagonal + 1 } else { above.max(before[j]) };
            diagonal = above;
        }
    }
    before[b.len()]
}
