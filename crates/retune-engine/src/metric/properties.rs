//! Metrics of several properties of which some are not known: each property is scored over the examples that have it, and all
//! count the same (as MoleculeNet does, Wu et al. 2018).

use super::bootstrap::{Random, draw_counts, draws_for, percentile_intervals};
use super::detail::Detail;
use super::evaluation::Evaluation;
use super::metric::Metric;
use super::outputs::{self, OutputRow};
use super::ranking::{AUPRC, AUROC, Ranking};
use super::regression::{MAE, R2, RMSE};

/// Points that a scatter plot gets at most.
const MAX_SCATTER: usize = 2000;

/// What properties are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PropertyKind {
    /// Yes or no; predictions are probabilities.
    Binary,
    /// Numbers.
    Number,
}

/// Gold and predicted properties, row by row.
pub struct PropertyMetric {
    kind: PropertyKind,
    names: Vec<String>,
    /// Row-major; NaN where a property is not known.
    gold: Vec<f32>,
    predicted: Vec<f32>,
    not_finite: usize,
}

impl PropertyMetric {
    /// For properties of these names.
    pub fn new(kind: PropertyKind, names: Vec<String>) -> Self {
        Self { kind, names, gold: Vec::new(), predicted: Vec::new(), not_finite: 0 }
    }

    /// What [`compute`](Self::compute) gives where the rows allow it, the usual one first.
    pub fn metrics(&self) -> Vec<&'static Metric> {
        match self.kind {
            PropertyKind::Binary => vec![&AUROC, &AUPRC],
            PropertyKind::Number => vec![&RMSE, &MAE, &R2],
        }
    }

    /// Adds an example: a number for each property. Panics on another count of them: both come from this workspace.
    pub fn add(&mut self, predicted: &[f32], gold: &[f32]) {
        assert_eq!((predicted.len(), gold.len()), (self.names.len(), self.names.len()), "one for each property");
        self.not_finite += usize::from(predicted.iter().any(|number| !number.is_finite()));
        self.gold.extend(gold);
        self.predicted.extend(predicted);
    }

    /// The known pairs (gold, predicted) of a property among some rows, as often as each row was drawn.
    fn pairs<'a>(&'a self, property: usize, rows: &'a [(usize, u32)]) -> impl Iterator<Item = (f32, f32)> + 'a {
        let cells = rows
            .iter()
            .flat_map(move |&(row, times)| std::iter::repeat_n(row * self.names.len() + property, times as usize));
        cells.map(|cell| (self.gold[cell], self.predicted[cell])).filter(|(gold, _)| !gold.is_nan())
    }

    /// The scores of a property, in the order of [`Self::metrics`].
    fn scores(&self, property: usize, rows: &[(usize, u32)]) -> Vec<Option<f64>> {
        match self.kind {
            PropertyKind::Binary => {
                let mut ranking = Ranking::new(1);
                self.pairs(property, rows).for_each(|(gold, score)| {
                    ranking.push(std::iter::once((score, Some(gold > 0.5))));
                });
                let areas = ranking.areas();
                vec![areas.auroc, areas.auprc]
            }
            PropertyKind::Number => errors(self.pairs(property, rows)),
        }
    }

    /// Means over the properties that have a score.
    fn means(&self, rows: &[(usize, u32)]) -> Vec<Option<f64>> {
        let all: Vec<Vec<Option<f64>>> = (0..self.names.len()).map(|property| self.scores(property, rows)).collect();
        let mean = |metric: usize| {
            let defined: Vec<f64> = all.iter().filter_map(|scores| scores[metric]).collect();
            (!defined.is_empty()).then(|| defined.iter().sum::<f64>() / defined.len() as f64)
        };
        (0..self.metrics().len()).map(mean).collect()
    }

    /// Everything that can be said about the examples seen so far.
    pub fn compute(&self) -> Evaluation {
        let examples = self.gold.len() / self.names.len().max(1);
        let mut evaluation = Evaluation { examples, ..Evaluation::default() };
        if self.gold.iter().all(|gold| gold.is_nan()) {
            evaluation.notes.push("no property is known: no metric is defined".into());
            return evaluation;
        }
        if self.not_finite > 0 {
            evaluation.notes.push(format!(
                "{} of {examples} rows are not finite: no metric is defined; lower the learning rate or use fp32",
                self.not_finite
            ));
            return evaluation;
        }
        let all: Vec<(usize, u32)> = (0..examples).map(|row| (row, 1)).collect();
        let each: Vec<Vec<Option<f64>>> = (0..self.names.len()).map(|property| self.scores(property, &all)).collect();
        let metrics = self.metrics();
        let points: Vec<(&Metric, Option<f64>)> = metrics.iter().copied().zip(self.means(&all)).collect();
        for (index, (metric, value)) in points.iter().enumerate() {
            evaluation.metrics.extend(value.map(|value| (metric.key.to_owned(), value)));
            let defined = each.iter().filter(|scores| scores[index].is_some()).count();
            if defined < each.len() {
                let count = each.len();
                let why = "of the others all known values are the same";
                evaluation.notes.push(format!("{} averages {defined} of {count} properties: {why}", metric.key));
            }
        }
        if self.names.len() > 1 {
            evaluation.details.push(self.per_property(&metrics, &each));
        }
        if self.kind == PropertyKind::Number {
            evaluation.details.push(outputs::scatter(&self.points()));
        }
        // Sorting costs the logarithm of a row more than visiting it.
        let drawn = draws_for(examples, 20 * self.names.len());
        let mut counts = vec![0; drawn];
        evaluation.intervals = percentile_intervals(&points, (drawn, examples), |random: &mut Random| {
            draw_counts(random, &mut counts);
            let rows = counts.iter().enumerate().filter(|(_, count)| **count > 0);
            let rows: Vec<(usize, u32)> = rows.map(|(at, &count)| (at * examples / drawn, count)).collect();
            self.means(&rows)
        });
        evaluation
    }

    fn per_property(&self, metrics: &[&'static Metric], each: &[Vec<Option<f64>>]) -> Detail {
        let row = |(name, scores): (&String, &Vec<Option<f64>>)| {
            let defined = metrics.iter().zip(scores).filter_map(|(it, value)| Some((it.key.to_owned(), (*value)?)));
            OutputRow { name: name.clone(), metrics: defined.collect() }
        };
        outputs::per_output(metrics, &self.names.iter().zip(each).map(row).collect::<Vec<_>>())
    }

    fn points(&self) -> Vec<(f32, f32)> {
        let known = (0..self.gold.len()).filter(|&cell| !self.gold[cell].is_nan());
        let known: Vec<usize> = known.collect();
        let shown = known.len().min(MAX_SCATTER);
        let cells = (0..shown).map(|point| known[point * known.len() / shown]);
        cells.map(|cell| (self.gold[cell], self.predicted[cell])).collect()
    }
}

/// Root mean squared error, mean absolute error, R²; the last one needs gold numbers that differ.
fn errors(pairs: impl Iterator<Item = (f32, f32)>) -> Vec<Option<f64>> {
    let pairs: Vec<(f64, f64)> = pairs.map(|(gold, said)| (f64::from(gold), f64::from(said))).collect();
    if pairs.is_empty() {
        return vec![None; 3];
    }
    let mean = |of: &dyn Fn(&(f64, f64)) -> f64| pairs.iter().map(of).sum::<f64>() / pairs.len() as f64;
    let squared = mean(&|(gold, said)| (gold - said).powi(2));
    let middle = mean(&|(gold, _)| *gold);
    let spread = mean(&|(gold, _)| (gold - middle).powi(2));
    vec![
        Some(squared.sqrt()),
        Some(mean(&|(gold, said)| (gold - said).abs())),
        (spread > 0.0).then(|| 1.0 - squared / spread),
    ]
}

#[cfg(test)]
mod tests {
    use super::super::RegressionMetric;
    use super::*;

    fn names(count: usize) -> Vec<String> {
        (0..count).map(|i| format!("p{i}")).collect()
    }

    #[test]
    fn each_property_counts_over_what_is_known_of_it() {
        let mut metric = PropertyMetric::new(PropertyKind::Binary, names(3));
        let n = f32::NAN;
        for (said, gold) in [
            ([0.9, 0.2, 0.5], [1.0, 1.0, n]),
            ([0.8, 0.7, 0.5], [1.0, n, 0.0]),
            ([0.1, 0.4, 0.5], [0.0, 0.0, n]),
            ([0.3, 0.1, 0.5], [n, 0.0, 0.0]),
        ] {
            metric.add(&said, &gold);
        }
        let evaluation = metric.compute();
        // The first is ranked rightly, the second half so, and the third has one class only.
        assert_eq!(evaluation.metrics["auroc"], 0.75);
        assert!(evaluation.notes.iter().any(|note| note.contains("auroc averages 2 of 3")), "{:?}", evaluation.notes);
    }

    #[test]
    fn without_gaps_numbers_are_those_of_regression() {
        let mut metric = PropertyMetric::new(PropertyKind::Number, names(2));
        let mut other = RegressionMetric::new(names(2));
        for i in 0..60 {
            let gold = [i as f32 * 0.5, (i % 7) as f32];
            let said = [i as f32 * 0.4 + 1.0, (i % 5) as f32];
            metric.add(&said, &gold);
            other.update(&said, &gold).unwrap();
        }
        let (ours, theirs) = (metric.compute(), other.compute());
        for key in ["rmse", "mae", "r2"] {
            assert!((ours.metrics[key] - theirs.metrics[key]).abs() < 1e-9, "{key}");
            let (low, high) = ours.intervals[key];
            assert!(low <= ours.metrics[key] && ours.metrics[key] <= high, "{key}");
        }
    }

    #[test]
    fn nothing_known_or_no_number_is_told() {
        let mut metric = PropertyMetric::new(PropertyKind::Number, names(1));
        metric.add(&[1.0], &[f32::NAN]);
        assert!(metric.compute().metrics.is_empty() && metric.compute().notes[0].contains("no property is known"));
        metric.add(&[f32::NAN], &[1.0]);
        assert!(metric.compute().metrics.is_empty() && metric.compute().notes[0].contains("not finite"));
    }
}
