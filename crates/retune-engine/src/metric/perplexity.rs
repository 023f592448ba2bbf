//! Metrics of language models: `perplexity`, the exponential of the mean loss of a token, and the share of tokens whose
//! likeliest guess is right.
//!
//! Tokens of one block depend on each other, so that intervals draw whole blocks.

use super::bootstrap::{draw_counts, draws_for, percentile_intervals};
use super::evaluation::Evaluation;
use super::metric::{LOSS, Metric};
use super::tags::TOKEN_ACCURACY;

/// The exponential of the mean negative log-likelihood of a token, in nats: 1 is certainty.
pub const PERPLEXITY: Metric = Metric {
    key: "perplexity",
    name: "Perplexity",
    direction: super::Direction::Lower,
    range: (1.0, f64::INFINITY),
};

/// What was said of the tokens of one example.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TokenSums {
    /// Negative log-likelihood of the right tokens, summed, in nats.
    pub loss: f64,
    /// Tokens that count.
    pub tokens: u32,
    /// How many of them were guessed.
    pub right: u32,
}

impl TokenSums {
    /// Adds those of another example, `times` over.
    fn add(&mut self, other: &Self, times: u32) {
        self.loss += other.loss * f64::from(times);
        self.tokens += other.tokens * times;
        self.right += other.right * times;
    }

    /// Loss of a token, perplexity, share of right guesses; nothing without tokens.
    fn scores(&self) -> [Option<f64>; 3] {
        let mean = |sum: f64| (self.tokens > 0).then(|| sum / f64::from(self.tokens));
        let loss = mean(self.loss);
        [loss, loss.map(f64::exp), mean(f64::from(self.right))]
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
        let all = self.examples.iter().fold((0.0, 0u64, 0u64), |sum, it| {
            (sum.0 + it.loss, sum.1 + u64::from(it.tokens), sum.2 + u64::from(it.right))
        });
        if all.1 == 0 {
            evaluation.notes.push("no token counts: no metric is defined".into());
            return evaluation;
        }
        let (loss, right) = (all.0 / all.1 as f64, all.2 as f64 / all.1 as f64);
        let points = [(&LOSS, Some(loss)), (&PERPLEXITY, Some(loss.exp())), (&TOKEN_ACCURACY, Some(right))];
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
        metric.add(TokenSums { loss: 6.0, tokens: 3, right: 1 });
        metric.add(TokenSums { loss: 2.0, tokens: 1, right: 1 });
        metric.add(TokenSums::default());
        let evaluation = metric.compute();
        assert_eq!(evaluation.metrics["loss"], 2.0);
        assert_eq!(evaluation.metrics["perplexity"], 2f64.exp());
        assert_eq!(evaluation.metrics["accuracy"], 0.5);
    }

    #[test]
    fn intervals_hold_their_points() {
        let mut metric = PerplexityMetric::new();
        for i in 0..300u32 {
            metric.add(TokenSums { loss: f64::from(i % 7) * 4.0, tokens: 10, right: i % 11 });
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
        metric.add(TokenSums { loss: f64::NAN, tokens: 3, right: 0 });
        assert!(metric.compute().metrics.is_empty() && metric.compute().notes[0].contains("not finite"));
    }
}
