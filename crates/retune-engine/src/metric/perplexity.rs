//! Metrics of language models: `perplexity`, the exponential of the mean loss of a token, and the share of tokens whose
//! likeliest guess is right.
//!
//! Tokens of one block depend on each other, so that intervals draw whole blocks.

use super::bootstrap::{draw_counts, draws_for, percentile_intervals};
use super::evaluation::Evaluation;
use super::metric::{LOSS, Metric};
use super::tags::TOKEN_ACCURACY;

/// The exponential of the mean negative log-likelihood of a token, in nats: 1 is certainty.
pub const PERPLEXITY: Metric =
    Metric { key: "perplexity", name: "Perplexity", direction: super::Direction::Lower, range: (1.0, f64::INFINITY) };

/// The same of a word (between white space): models with other tokens compare.
pub const WORD_PERPLEXITY: Metric = Metric { key: "word_perplexity", name: "Perplexity of a word", ..PERPLEXITY };

/// The same of a byte.
pub const BYTE_PERPLEXITY: Metric = Metric { key: "byte_perplexity", name: "Perplexity of a byte", ..PERPLEXITY };

/// What was said of the tokens of one example.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TokenSums {
    /// Negative log-likelihood of the right tokens, summed, in nats.
    pub loss: f64,
    /// Tokens that count.
    pub tokens: u32,
    /// How many of them were guessed.
    pub right: u32,
    /// Words of the text that they are, where that is known.
    pub words: u32,
    /// Its bytes.
    pub bytes: u32,
}

impl TokenSums {
    /// Adds those of another example, `times` over.
    fn add(&mut self, other: &Self, times: u32) {
        self.loss += other.loss * f64::from(times);
        self.tokens += other.tokens * times;
        self.right += other.right * times;
        self.words += other.words * times;
        self.bytes += other.bytes * times;
    }

    /// Loss of a token, perplexity, share of right guesses, perplexity of a word and of a byte; nothing without tokens.
    fn scores(&self) -> [Option<f64>; 5] {
        let mean = |sum: f64, of: u32| (of > 0).then(|| sum / f64::from(of));
        let loss = mean(self.loss, self.tokens);
        let of = |count: u32| mean(self.loss, count).map(f64::exp);
        [loss, loss.map(f64::exp), mean(f64::from(self.right), self.tokens), of(self.words), of(self.bytes)]
    }
}

/// The tokens of each example.
#[derive(Default)]
pub struct PerplexityMetric {
    examples: Vec<TokenSums>,
}

impl PerplexityMetric {
    /// Nothing seen yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// What [`compute`](Self::compute) gives beside the loss, the usual one first.
    pub fn metrics(&self) -> Vec<&'static Metric> {
        vec![&PERPLEXITY, &TOKEN_ACCURACY]
    }

    /// Adds an example.
    pub fn add(&mut self, sums: TokenSums) {
        self.examples.push(sums);
    }

    /// Everything that can be said about the examples seen so far; the loss with its interval, too.
    pub fn compute(&self) -> Evaluation {
        let examples = self.examples.len();
        let mut evaluation = Evaluation { examples, ..Evaluation::default() };
        let odd = self.examples.iter().filter(|sums| !sums.loss.is_finite()).count();
        if odd > 0 {
            evaluation.notes.push(format!(
                "the loss of {odd} of {examples} examples is not finite: no metric is defined; lower the learning rate or use \
                 fp32"
            ));
            return evaluation;
        }
        // Counts of a large split do not fit what a resample needs.
        let all = self.examples.iter().fold((0.0, 0u64, 0u64, 0u64, 0u64), |sum, it| {
            let [tokens, right, words, bytes] = [it.tokens, it.right, it.words, it.bytes].map(u64::from);
            (sum.0 + it.loss, sum.1 + tokens, sum.2 + right, sum.3 + words, sum.4 + bytes)
        });
        if all.1 == 0 {
            evaluation.notes.push("no token counts: no metric is defined".into());
            return evaluation;
        }
        let (loss, right) = (all.0 / all.1 as f64, all.2 as f64 / all.1 as f64);
        let of = |count: u64| (count > 0).then(|| (all.0 / count as f64).exp());
        let points = [
            (&LOSS, Some(loss)),
            (&PERPLEXITY, Some(loss.exp())),
            (&TOKEN_ACCURACY, Some(right)),
            (&WORD_PERPLEXITY, of(all.3)),
            (&BYTE_PERPLEXITY, of(all.4)),
        ];
        evaluation.metrics = points.iter().filter_map(|(it, value)| Some((it.key.to_owned(), (*value)?))).collect();
        let drawn = draws_for(examples, 1);
        let sample: Vec<&TokenSums> = (0..drawn).map(|i| &self.examples[i * examples / drawn]).collect();
        let mut counts = vec![0; drawn];
        evaluation.intervals = percentile_intervals(&points, (drawn, examples), |random| {
            draw_counts(random, &mut counts);
            let mut sums = TokenSums::default();
            sample.iter().zip(&counts).for_each(|(it, &times)| sums.add(it, times));
            sums.scores().to_vec()
        });
        evaluation
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_count_the_same_wherever_they_stand() {
        let mut metric = PerplexityMetric::new();
        metric.add(TokenSums { loss: 6.0, tokens: 3, right: 1, words: 1, bytes: 6 });
        metric.add(TokenSums { loss: 2.0, tokens: 1, right: 1, words: 1, bytes: 2 });
        metric.add(TokenSums::default());
        let evaluation = metric.compute();
        assert_eq!(evaluation.metrics["loss"], 2.0);
        assert_eq!(evaluation.metrics["perplexity"], 2f64.exp());
        assert_eq!(evaluation.metrics["accuracy"], 0.5);
        assert_eq!(evaluation.metrics["word_perplexity"], 4f64.exp());
        assert_eq!(evaluation.metrics["byte_perplexity"], 1f64.exp());
    }

    #[test]
    fn intervals_hold_their_points() {
        let mut metric = PerplexityMetric::new();
        for i in 0..300u32 {
            metric.add(TokenSums { loss: f64::from(i % 7) * 4.0, tokens: 10, right: i % 11, ..TokenSums::default() });
        }
        let evaluation = metric.compute();
        for key in ["loss", "perplexity", "accuracy"] {
            let (value, interval) = evaluation.value(key).unwrap();
            let (low, high) = interval.unwrap();
            assert!(low < value && value < high && (high - low) < 0.3 * value, "{key}: {low} {value} {high}");
        }
    }

    #[test]
    fn nothing_or_no_number_leaves_everything_undefined() {
        let mut metric = PerplexityMetric::new();
        assert!(metric.compute().metrics.is_empty() && metric.compute().notes.len() == 1);
        metric.add(TokenSums { loss: f64::NAN, tokens: 3, ..TokenSums::default() });
        assert!(metric.compute().metrics.is_empty() && metric.compute().notes[0].contains("not finite"));
    }
}
