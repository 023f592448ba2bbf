//! The metric of models that restore what was hidden from them: `reconstruction_loss`, the mean of the examples' errors.

use super::bootstrap::{draw_counts, draws_for, percentile_intervals};
use super::evaluation::Evaluation;
use super::metric::Metric;

/// The mean squared error of what was hidden.
pub const RECONSTRUCTION_LOSS: Metric = Metric::error("reconstruction_loss", "Reconstruction loss");

/// The error of each example.
#[derive(Default)]
pub struct ReconstructionMetric {
    errors: Vec<f32>,
}

impl ReconstructionMetric {
    /// Nothing seen yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// What [`compute`](Self::compute) gives.
    pub fn metrics(&self) -> Vec<&'static Metric> {
        vec![&RECONSTRUCTION_LOSS]
    }

    /// Adds the errors of some examples.
    pub fn update(&mut self, errors: impl IntoIterator<Item = f32>) {
        self.errors.extend(errors);
    }

    /// The mean with its interval.
    pub fn compute(&self) -> Evaluation {
        let examples = self.errors.len();
        let mut evaluation = Evaluation { examples, ..Evaluation::default() };
        if examples == 0 {
            evaluation.notes.push("no rows: no metric is defined".into());
            return evaluation;
        }
        let odd = self.errors.iter().filter(|error| !error.is_finite()).count();
        if odd > 0 {
            evaluation.notes.push(format!(
                "{odd} of {examples} errors are not finite: no metric is defined; lower the learning rate or use fp32"
            ));
            return evaluation;
        }
        let mean = self.errors.iter().map(|&error| f64::from(error)).sum::<f64>() / examples as f64;
        evaluation.metrics.insert(RECONSTRUCTION_LOSS.key.to_owned(), mean);
        let drawn = draws_for(examples, 1);
        let sample: Vec<f64> = (0..drawn).map(|i| f64::from(self.errors[i * examples / drawn])).collect();
        let mut counts = vec![0; drawn];
        evaluation.intervals =
            percentile_intervals(&[(&RECONSTRUCTION_LOSS, Some(mean))], (drawn, examples), |random| {
                draw_counts(random, &mut counts);
                let sum: f64 = sample.iter().zip(&counts).map(|(error, &count)| error * f64::from(count)).sum();
                vec![Some(sum / drawn as f64)]
            });
        evaluation
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn computed(errors: &[f32]) -> Evaluation {
        let mut metric = ReconstructionMetric::new();
        metric.update(errors.iter().copied());
        metric.compute()
    }

    #[test]
    fn the_mean_stands_inside_its_interval() {
        let errors: Vec<f32> = (0..400).map(|i| (i % 20) as f32 / 10.0).collect();
        let evaluation = computed(&errors);
        let (mean, interval) = evaluation.value(RECONSTRUCTION_LOSS.key).unwrap();
        let (low, high) = interval.unwrap();
        assert!((mean - 0.95).abs() < 1e-6 && evaluation.examples == 400, "{evaluation:?}");
        // Standard deviation 0.5766 over the root of 400, 1.96 of them on each side.
        assert!(low < mean && mean < high && ((high - low) - 0.113).abs() < 0.02, "{low} {high}");
    }

    #[test]
    fn an_error_that_is_no_number_leaves_the_metric_undefined() {
        for errors in [&[0.5, f32::NAN][..], &[]] {
            let evaluation = computed(errors);
            assert!(evaluation.metrics.is_empty() && evaluation.notes.len() == 1, "{evaluation:?}");
        }
    }
}
