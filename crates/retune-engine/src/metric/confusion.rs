//! Scores that follow from a confusion matrix alone, kept sparse so that thousands of classes fit.

use super::bootstrap::{Random, draws_for, percentile_intervals};
use super::evaluation::{Intervals, share};
use super::metric::Metric;

/// F1 of each class, averaged evenly.
pub const MACRO_F1: Metric = Metric::share("macro_f1", "Macro-F1");
/// F1 of each class, averaged by its support.
pub const WEIGHTED_F1: Metric = Metric::share("weighted_f1", "Weighted F1");
/// The share of what is predicted that is right.
pub const PRECISION: Metric = Metric::share("precision", "Precision");
/// The share of what is gold that is found.
pub const RECALL: Metric = Metric::share("recall", "Recall");
/// The harmonic mean of precision and recall.
pub const F1: Metric = Metric::share("f1", "F1");
/// Matthews' correlation coefficient.
pub const MCC: Metric = Metric::correlation("mcc", "Matthews correlation");

/// What [`Margins::scores`] gives.
pub(super) const SCORES: [&Metric; 6] = [&MACRO_F1, &WEIGHTED_F1, &PRECISION, &RECALL, &F1, &MCC];

/// `(gold, predicted, count)` of the cells that are not zero.
pub(super) type Cells = Vec<(u32, u32, u64)>;

/// Row sums, column sums and diagonal.
pub(super) struct Margins {
    /// Gold examples per class.
    pub(super) support: Vec<u64>,
    /// Predictions per class.
    pub(super) predicted: Vec<u64>,
    /// Right predictions per class.
    pub(super) hits: Vec<u64>,
}

impl Margins {
    pub(super) fn of(cells: &[(u32, u32, u64)], classes: usize) -> Self {
        let mut margins = Self { support: vec![0; classes], predicted: vec![0; classes], hits: vec![0; classes] };
        for (gold, predicted, count) in cells {
            margins.support[*gold as usize] += count;
            margins.predicted[*predicted as usize] += count;
            if gold == predicted {
                margins.hits[*gold as usize] += count;
            }
        }
        margins
    }

    pub(super) fn total(&self) -> u64 {
        self.support.iter().sum()
    }

    pub(super) fn right(&self) -> u64 {
        self.hits.iter().sum()
    }

    /// Classes that occur as a label or as a prediction, which is what averages run over.
    pub(super) fn seen(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.support.len()).filter(|c| self.support[*c] + self.predicted[*c] > 0)
    }

    pub(super) fn precision(&self, class: usize) -> f64 {
        share(self.hits[class], self.predicted[class])
    }

    pub(super) fn recall(&self, class: usize) -> f64 {
        share(self.hits[class], self.support[class])
    }

    pub(super) fn f1(&self, class: usize) -> f64 {
        share(2 * self.hits[class], self.support[class] + self.predicted[class])
    }

    fn macro_average(&self, score: impl Fn(usize) -> f64) -> f64 {
        let (sum, seen) = self.seen().fold((0.0, 0u32), |(sum, seen), c| (sum + score(c), seen + 1));
        sum / f64::from(seen.max(1))
    }

    /// Matthews' correlation for any number of classes (Gorodkin 2004); 0 where it has no denominator.
    fn mcc(&self) -> f64 {
        let n = self.total() as f64;
        let product = |a: &[u64], b: &[u64]| -> f64 { a.iter().zip(b).map(|(x, y)| *x as f64 * *y as f64).sum() };
        let between = self.right() as f64 * n - product(&self.support, &self.predicted);
        let gold = n * n - product(&self.support, &self.support);
        let predicted = n * n - product(&self.predicted, &self.predicted);
        if gold <= 0.0 || predicted <= 0.0 {
            return 0.0;
        }
        (between / (gold.sqrt() * predicted.sqrt())).clamp(-1.0, 1.0)
    }

    /// Every averaged score. Two classes: `precision`, `recall` and `f1` are the positive one's.
    pub(super) fn scores(&self, positive: Option<usize>) -> [(&'static Metric, f64); 6] {
        let total = self.total().max(1) as f64;
        let weighted = self.seen().map(|c| self.support[c] as f64 * self.f1(c)).sum::<f64>() / total;
        let macro_f1 = self.macro_average(|c| self.f1(c));
        let (precision, recall, f1) = match positive.filter(|_| self.support.len() == 2) {
            Some(class) => (self.precision(class), self.recall(class), self.f1(class)),
            None => (self.macro_average(|c| self.precision(c)), self.macro_average(|c| self.recall(c)), macro_f1),
        };
        let values = [macro_f1, weighted, precision, recall, f1, self.mcc()];
        std::array::from_fn(|index| (SCORES[index], values[index]))
    }
}

/// Bootstrap intervals of [`Margins::scores`]: drawing examples with replacement is drawing cells.
pub(super) fn intervals(cells: &Cells, classes: usize, positive: Option<usize>) -> Intervals {
    let margins = Margins::of(cells, classes);
    let total = margins.total() as usize;
    let drawn = draws_for(total, 1);
    let mut upper = 0;
    let edges: Vec<u64> = cells
        .iter()
        .map(|(_, _, count)| {
            upper += count;
            upper
        })
        .collect();
    let points = margins.scores(positive).map(|(metric, value)| (metric, Some(value)));
    percentile_intervals(&points, (drawn, total), |random: &mut Random| {
        let mut sample: Cells = cells.iter().map(|(g, p, _)| (*g, *p, 0)).collect();
        for _ in 0..drawn {
            let place = random.below(upper);
            sample[edges.partition_point(|edge| *edge <= place)].2 += 1;
        }
        let scores = Margins::of(&sample, classes).scores(positive);
        scores.iter().map(|(_, value)| Some(*value)).collect()
    })
}
