//! Metrics of regression: `rmse`, `mse`, `mae`, `r2`, `pearson` and `spearman`.
//!
//! Several outputs are scored one by one and averaged evenly, as scikit-learn's `uniform_average` does: pooled, outputs of
//! different sizes would explain each other. Ranks need every value, so numbers are kept as float32; sums run in float64.

use super::bootstrap::{draw_counts, draws_for, percentile_intervals};
use super::error::{MetricError, expect_length};
use super::evaluation::Evaluation;
use super::metric::{Direction, Metric};
use super::outputs::{self, OutputRow};

/// The root of the mean squared error.
pub const RMSE: Metric = Metric::error("rmse", "RMSE");
/// The mean squared error.
pub const MSE: Metric = Metric::error("mse", "MSE");
/// The mean absolute error.
pub const MAE: Metric = Metric::error("mae", "MAE");
/// The coefficient of determination.
pub const R2: Metric = Metric { key: "r2", name: "R²", direction: Direction::Higher, range: (f64::NEG_INFINITY, 1.0) };
/// Pearson's correlation.
pub const PEARSON: Metric = Metric::correlation("pearson", "Pearson");
/// Spearman's rank correlation.
pub const SPEARMAN: Metric = Metric::correlation("spearman", "Spearman");

/// Points that a scatter plot gets at most.
const MAX_SCATTER: usize = 2000;
const METRICS: [&Metric; 6] = [&RMSE, &MSE, &MAE, &R2, &PEARSON, &SPEARMAN];

/// Gold and predicted numbers.
pub struct RegressionMetric {
    names: Vec<String>,
    /// Per output, one number per row.
    gold: Vec<Vec<f32>>,
    predicted: Vec<Vec<f32>>,
    not_finite: usize,
}

impl RegressionMetric {
    /// For the outputs `names`, in order.
    pub fn new(names: Vec<String>) -> Self {
        let columns = vec![Vec::new(); names.len()];
        Self { names, gold: columns.clone(), predicted: columns, not_finite: 0 }
    }

    /// What [`compute`](Self::compute) gives where the rows allow it, the usual one first.
    pub fn metrics(&self) -> Vec<&'static Metric> {
        vec![&RMSE, &PEARSON, &SPEARMAN, &R2, &MAE, &MSE]
    }

    /// Adds a batch of predictions and their gold numbers, both `[N, outputs]` row-major; rows with a gold number that is
    /// NaN are ignored.
    ///
    /// # Errors
    /// The lengths disagree.
    pub fn update(&mut self, predictions: &[f32], labels: &[f32]) -> Result<(), MetricError> {
        let columns = self.names.len().max(1);
        let rows = labels.len() / columns;
        expect_length("labels", labels.len(), rows, columns)?;
        expect_length("predictions", predictions.len(), rows, columns)?;
        for (predicted, gold) in predictions.chunks(columns).zip(labels.chunks(columns)) {
            if gold.iter().any(|number| number.is_nan()) {
                continue;
            }
            self.not_finite += usize::from(predicted.iter().chain(gold).any(|number| !number.is_finite()));
            for (column, (predicted, gold)) in predicted.iter().zip(gold).enumerate() {
                self.gold[column].push(*gold);
                self.predicted[column].push(*predicted);
            }
        }
        Ok(())
    }

    fn examples(&self) -> usize {
        self.gold.first().map_or(0, Vec::len)
    }

    /// `rows` of the rows, evenly spread, output by output.
    fn spread(&self, rows: usize) -> Vec<Pairs> {
        self.gold.iter().zip(&self.predicted).map(|(gold, predicted)| Pairs::spread(gold, predicted, rows)).collect()
    }

    /// Everything that can be said about the rows seen so far.
    pub fn compute(&self) -> Evaluation {
        let examples = self.examples();
        let mut evaluation = Evaluation { examples, ..Evaluation::default() };
        if examples == 0 {
            evaluation.notes.push("no labelled rows: no metric is defined".into());
            return evaluation;
        }
        if self.not_finite > 0 {
            evaluation.notes.push(format!(
                "{} of {examples} rows are not finite: no metric is defined; lower the learning rate or use fp32",
                self.not_finite
            ));
            return evaluation;
        }
        let outputs = self.names.len();
        let once = vec![1; examples];
        let columns: Vec<[Option<f64>; 6]> = self.spread(examples).iter().map(|pairs| pairs.scores(&once)).collect();
        let points: Vec<_> = METRICS.into_iter().zip(average(&columns)).collect();
        for (index, (metric, value)) in points.iter().enumerate() {
            let key = metric.key;
            evaluation.metrics.extend(value.map(|value| (key.to_owned(), value)));
            let defined = columns.iter().filter(|scores| scores[index].is_some()).count();
            let same = "the gold or the predicted numbers are all the same";
            evaluation.notes.extend(match defined {
                all if all == outputs => None,
                _ if examples < 2 => Some(format!("{key} is undefined: it needs two rows")),
                0 => Some(format!("{key} is undefined: {same}")),
                _ => Some(format!("{key} averages {defined} of {outputs} outputs: of the others {same}")),
            });
        }
        if outputs > 1 {
            let row = |(name, scores): (&String, &[Option<f64>; 6])| {
                let values = METRICS.into_iter().zip(scores);
                let defined = values.filter_map(|(metric, value)| Some((metric.key.to_owned(), (*value)?)));
                OutputRow { name: name.clone(), metrics: defined.collect() }
            };
            let rows: Vec<OutputRow> = self.names.iter().zip(&columns).map(row).collect();
            evaluation.details.push(outputs::per_output(&METRICS, &rows));
        }
        let drawn = draws_for(examples, 4 * outputs);
        let sample = self.spread(drawn);
        let mut counts = vec![0; drawn];
        evaluation.intervals = percentile_intervals(&points, (drawn, examples), |random| {
            draw_counts(random, &mut counts);
            average(&sample.iter().map(|pairs| pairs.scores(&counts)).collect::<Vec<_>>()).to_vec()
        });
        // Row by row, all outputs of each.
        let shown = (examples * outputs).min(MAX_SCATTER);
        let points: Vec<(f32, f32)> = (0..shown)
            .map(|point| point * examples * outputs / shown)
            .map(|cell| (self.gold[cell % outputs][cell / outputs], self.predicted[cell % outputs][cell / outputs]))
            .collect();
        evaluation.details.push(outputs::scatter(&points));
        evaluation
    }
}

/// The even average of each score over the outputs that have it.
fn average(columns: &[[Option<f64>; 6]]) -> [Option<f64>; 6] {
    std::array::from_fn(|index| {
        let defined: Vec<f64> = columns.iter().filter_map(|scores| scores[index]).collect();
        (!defined.is_empty()).then(|| defined.iter().sum::<f64>() / defined.len() as f64)
    })
}

/// Pairs sorted both ways once, to be weighted many times.
struct Pairs {
    gold: Vec<f64>,
    predicted: Vec<f64>,
    gold_order: Vec<u32>,
    predicted_order: Vec<u32>,
}

impl Pairs {
    /// `rows` of the pairs, evenly spread.
    fn spread(gold: &[f32], predicted: &[f32], rows: usize) -> Self {
        let total = gold.len();
        let pick = |values: &[f32]| -> Vec<f64> { (0..rows).map(|i| f64::from(values[i * total / rows])).collect() };
        let order = |values: &[f64]| {
            let mut order: Vec<u32> = (0..values.len() as u32).collect();
            order.sort_by(|a, b| values[*a as usize].total_cmp(&values[*b as usize]));
            order
        };
        let (gold, predicted) = (pick(gold), pick(predicted));
        Self { gold_order: order(&gold), predicted_order: order(&predicted), gold, predicted }
    }

    /// The values of [`METRICS`] when pair `i` counts `weights[i]` times.
    fn scores(&self, weights: &[u32]) -> [Option<f64>; 6] {
        let n: f64 = weights.iter().map(|w| f64::from(*w)).sum();
        let (mut squares, mut absolutes) = (0.0, 0.0);
        for ((gold, predicted), weight) in self.gold.iter().zip(&self.predicted).zip(weights) {
            let error = gold - predicted;
            squares += f64::from(*weight) * error * error;
            absolutes += f64::from(*weight) * error.abs();
        }
        let mse = squares / n;
        let moments = Moments::of(&self.gold, &self.predicted, weights);
        // A constant target: scikit-learn says 1 for a perfect prediction and 0 otherwise.
        let r2 = match (n < 2.0, moments.gold > 0.0) {
            (true, _) => None,
            (false, true) => Some(1.0 - squares / moments.gold),
            (false, false) => Some(if squares == 0.0 { 1.0 } else { 0.0 }),
        };
        let ranks = Moments::of(
            &ranks(&self.gold, &self.gold_order, weights),
            &ranks(&self.predicted, &self.predicted_order, weights),
            weights,
        );
        [Some(mse.sqrt()), Some(mse), Some(absolutes / n), r2, moments.correlation(), ranks.correlation()]
    }
}

/// Weighted ranks, from 1, the mean rank for ties.
fn ranks(values: &[f64], order: &[u32], weights: &[u32]) -> Vec<f64> {
    let mut ranks = vec![0.0; values.len()];
    let mut before = 0.0;
    for tie in order.chunk_by(|a, b| values[*a as usize] == values[*b as usize]) {
        let weight: f64 = tie.iter().map(|i| f64::from(weights[*i as usize])).sum();
        for index in tie {
            ranks[*index as usize] = before + (weight + 1.0) / 2.0;
        }
        before += weight;
    }
    ranks
}

/// Weighted sums of squared deviations.
struct Moments {
    gold: f64,
    predicted: f64,
    product: f64,
}

impl Moments {
    fn of(gold: &[f64], predicted: &[f64], weights: &[u32]) -> Self {
        let n: f64 = weights.iter().map(|w| f64::from(*w)).sum();
        let mean = |values: &[f64]| {
            let weighted = values.iter().zip(weights).map(|(v, w)| v * f64::from(*w));
            weighted.sum::<f64>() / n
        };
        let (gold_mean, predicted_mean) = (mean(gold), mean(predicted));
        let mut moments = Self { gold: 0.0, predicted: 0.0, product: 0.0 };
        for ((gold, predicted), weight) in gold.iter().zip(predicted).zip(weights) {
            let (x, y) = (gold - gold_mean, predicted - predicted_mean);
            let weight = f64::from(*weight);
            moments.gold += weight * x * x;
            moments.predicted += weight * y * y;
            moments.product += weight * x * y;
        }
        // The mean of equal numbers may be off by a rounding; their spread is nil all the same.
        if constant(gold, weights) {
            moments.gold = 0.0;
        }
        if constant(predicted, weights) {
            moments.predicted = 0.0;
        }
        moments
    }

    fn correlation(&self) -> Option<f64> {
        let scale = self.gold.sqrt() * self.predicted.sqrt();
        (scale > 0.0).then(|| (self.product / scale).clamp(-1.0, 1.0))
    }
}

/// Whether all the numbers that count are the same.
fn constant(values: &[f64], weights: &[u32]) -> bool {
    let mut counted = values.iter().zip(weights).filter(|(_, w)| **w > 0);
    let first = counted.next().map(|(value, _)| *value);
    counted.all(|(value, _)| Some(*value) == first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn compute(predicted: &[f32], gold: &[f32]) -> Evaluation {
        outputs(1, predicted, gold)
    }

    fn outputs(count: usize, predicted: &[f32], gold: &[f32]) -> Evaluation {
        let mut metric = RegressionMetric::new((0..count).map(|output| format!("o{output}")).collect());
        metric.update(predicted, gold).unwrap();
        metric.compute()
    }

    #[test]
    fn outputs_are_scored_one_by_one() {
        // The first output is a constant guess around 0, the second around 100: pooled, they would look well predicted.
        let gold = [-1.0, 99.0, 1.0, 101.0, -1.0, 101.0, 1.0, 99.0];
        let predicted = [0.0, 100.0, 0.0, 100.0, 0.0, 100.0, 0.0, 101.0];
        let found = outputs(2, &predicted, &gold);
        assert_eq!(found.examples, 4);
        // Squared errors 1 1 1 1 and 1 1 1 4, each around a variance of 1.
        assert!((found.metrics["r2"] - (0.0 + (1.0 - 7.0 / 4.0)) / 2.0).abs() < 1e-12, "{:?}", found.metrics);
        assert!((found.metrics["rmse"] - (1.0 + (7.0f64 / 4.0).sqrt()) / 2.0).abs() < 1e-12);
        assert!((found.metrics["mse"] - (1.0 + 7.0 / 4.0) / 2.0).abs() < 1e-12);
        // Of a constant prediction there is no correlation: the second output's, (-1 1 1 -1) with (0 0 0 1), stands alone.
        assert!((found.metrics["pearson"] + 1.0 / 3f64.sqrt()).abs() < 1e-12, "{:?}", found.metrics);
        assert!(
            found.notes.iter().any(|note| note.starts_with("pearson averages 1 of 2 outputs")),
            "{:?}",
            found.notes
        );
        let per_output: Vec<OutputRow> = found.read("per_output").unwrap();
        let names: Vec<&str> = per_output.iter().map(|row| row.name.as_str()).collect();
        assert_eq!(names, ["o0", "o1"]);
        assert_eq!(per_output[0].metrics["r2"], 0.0);
        assert!((per_output[1].metrics["mae"] - 5.0 / 4.0).abs() < 1e-12);
        assert_eq!(found.read::<Vec<(f32, f32)>>("scatter").unwrap()[1], (99.0, 100.0));
        assert!(compute(&[1.0, 2.0], &[1.0, 3.0]).detail("per_output").is_none());
        assert!(RegressionMetric::new(vec!["a".into(), "b".into()]).update(&[1.0; 3], &[1.0; 3]).is_err());
    }

    #[test]
    fn hand_computed_scores() {
        let found = compute(&[2.0, 2.0, 5.0], &[1.0, 2.0, 3.0]).metrics;
        assert!((found["mse"] - 5.0 / 3.0).abs() < 1e-15);
        assert!((found["rmse"] - (5.0f64 / 3.0).sqrt()).abs() < 1e-15);
        assert_eq!(found["mae"], 1.0);
        assert!((found["r2"] + 1.5).abs() < 1e-15);
        // Deviations (-1, 0, 1) and (-1, -1, 2): 3 / √(2·6).
        assert!((found["pearson"] - 3.0 / 12f64.sqrt()).abs() < 1e-15);
        // Ranks (1, 2, 3) and (1.5, 1.5, 3): 1.5 / √(2·1.5).
        assert!((found["spearman"] - 1.5 / 3f64.sqrt()).abs() < 1e-15);
    }

    #[test]
    fn degenerate_targets() {
        let constant = compute(&[1.0, 2.0], &[0.1, 0.1]);
        assert_eq!(constant.metrics["r2"], 0.0);
        assert!(!constant.metrics.contains_key("pearson"));
        assert!(constant.notes.iter().any(|n| n.starts_with("spearman")));
        assert_eq!(compute(&[0.1, 0.1], &[0.1, 0.1]).metrics["r2"], 1.0);

        let single = compute(&[1.0], &[3.0]);
        assert_eq!(single.metrics["rmse"], 2.0);
        assert!(!single.metrics.contains_key("r2") && single.intervals.is_empty());

        assert!(compute(&[], &[]).metrics.is_empty());
        assert!(compute(&[f32::INFINITY], &[1.0]).metrics.is_empty());
        assert_eq!(compute(&[1.0, 9.0], &[1.0, f32::NAN]).examples, 1);
    }

    #[test]
    fn scatter_is_bounded_and_spread() {
        let values: Vec<f32> = (0..5001).map(|i| i as f32).collect();
        let scatter: Vec<(f32, f32)> = compute(&values, &values).read("scatter").unwrap();
        assert_eq!(scatter.len(), MAX_SCATTER);
        assert!(scatter[0].0 < 5.0 && scatter[MAX_SCATTER - 1].0 > 4990.0);
    }

    proptest! {
        #[test]
        fn correlations_ignore_scale_and_stay_in_range(
            pairs in prop::collection::vec((-50i8..50, -50i8..50), 3..40),
        ) {
            let gold: Vec<f32> = pairs.iter().map(|(g, _)| f32::from(*g)).collect();
            let predicted: Vec<f32> = pairs.iter().map(|(_, p)| f32::from(*p)).collect();
            let scaled: Vec<f32> = predicted.iter().map(|p| p * 4.0 + 8.0).collect();
            let (plain, scaled) = (compute(&predicted, &gold), compute(&scaled, &gold));
            for key in ["pearson", "spearman"] {
                let (a, b) = (plain.metrics.get(key), scaled.metrics.get(key));
                prop_assert_eq!(a.is_some(), b.is_some());
                if let (Some(a), Some(b)) = (a, b) {
                    prop_assert!((a - b).abs() < 1e-9 && a.abs() <= 1.0);
                }
            }
            prop_assert!(plain.metrics["mae"] <= plain.metrics["rmse"] + 1e-12);
        }
    }
}
