//! Metrics of single-label classification.
//!
//! Averages run over the classes that occur as a label or as a prediction, as scikit-learn's do.
//! Ties in the probabilities go to the first class, as `argmax` does.

use std::collections::BTreeMap;

use super::bootstrap;
use super::calibration::{CALIBRATION_ERROR, Calibration};
use super::classes::{self, ClassRow, Confusion};
use super::confusion::{self, Cells, F1, MACRO_F1, MCC, Margins, PRECISION, RECALL, WEIGHTED_F1};
use super::decision::argmax;
use super::error::{MetricError, expect_length};
use super::evaluation::{Evaluation, Metrics, share};
use super::interval::{Z, wilson};
use super::metric::Metric;
use super::operating_point::Curve;
use super::ranking::{AUPRC, AUROC, Ranking, affordable_rows, resampled};

/// The share of examples whose prediction is right; of several labels, all of them.
pub const ACCURACY: Metric = Metric::share("accuracy", "Accuracy");
/// F1 of all decisions together.
pub const MICRO_F1: Metric = Metric::share("micro_f1", "Micro-F1");
/// The share of examples whose label is among the five most probable ones.
pub const TOP_5_ACCURACY: Metric = Metric::share("top_5_accuracy", "Top-5 accuracy");
/// The share of rows of the positive class that are predicted so.
pub const SENSITIVITY: Metric = Metric::share("sensitivity", "Sensitivity");
/// The share of other rows that are not.
pub const SPECIFICITY: Metric = Metric::share("specificity", "Specificity");
/// The mean of −ln of the probability of the gold class.
pub const LOG_LOSS: Metric = Metric::error("log_loss", "Log loss");

/// With more classes than this, being among the first so many says something.
const TOP: usize = 5;
/// Above this many classes the dense matrix is left out.
const MAX_DENSE_CLASSES: usize = 1024;

/// Sufficient statistics of a single-label classifier.
///
/// Gives `accuracy`, `macro_f1`, `micro_f1`, `weighted_f1`, `precision`, `recall`, `f1` (two classes: of
/// the positive one; more: macro), `mcc`, `auroc`, `auprc` (two classes: of the positive one's probability;
/// more: one-versus-rest, averaged over the classes present), `calibration_error` and `log_loss`.
///
/// More than five classes: also `top_5_accuracy`, how often the label is among the five most probable classes.
///
/// With a positive class, the second of two unless another is named: also `sensitivity` (the share of its rows that are
/// predicted so), `specificity` (the share of other rows that are not), and the curve of what each threshold on its
/// probability does.
pub struct ClassificationMetric {
    names: Vec<String>,
    positive: Option<usize>,
    counts: BTreeMap<(u32, u32), u64>,
    calibration: Calibration,
    log_loss: f64,
    squared_log_loss: f64,
    ranking: Ranking,
    in_top: u64,
    examples: u64,
    not_finite: u64,
}

impl ClassificationMetric {
    /// For the classes `names`, in index order.
    pub fn new(names: Vec<String>) -> Self {
        // With two classes the positive one's probability says everything.
        let columns = if names.len() == 2 { 1 } else { names.len() };
        Self {
            positive: (names.len() == 2).then_some(1),
            names,
            counts: BTreeMap::new(),
            calibration: Calibration::default(),
            log_loss: 0.0,
            squared_log_loss: 0.0,
            ranking: Ranking::new(columns),
            in_top: 0,
            examples: 0,
            not_finite: 0,
        }
    }

    /// With another class than the usual one as the positive one; to be called before the first row.
    #[must_use]
    pub fn with_positive(self, class: usize) -> Self {
        Self { positive: Some(class), ..self }
    }

    /// What [`compute`](Self::compute) gives where the rows allow it, the usual one first.
    pub fn metrics(&self) -> Vec<&'static Metric> {
        let mut metrics = vec![&ACCURACY, &F1, &MACRO_F1];
        metrics.extend((self.names.len() > TOP).then_some(&TOP_5_ACCURACY));
        metrics.extend([&PRECISION, &RECALL, &WEIGHTED_F1, &MICRO_F1, &MCC]);
        metrics.extend(self.positive.iter().flat_map(|_| [&SENSITIVITY, &SPECIFICITY]));
        metrics.extend([&AUROC, &AUPRC, &CALIBRATION_ERROR, &LOG_LOSS]);
        metrics
    }

    /// Adds a batch: `probabilities` `[N, C]` row-major, `labels` `[N]`; rows with a negative label are ignored.
    ///
    /// # Errors
    /// The lengths disagree, or a label is not a class; the batch is then not counted at all.
    pub fn update(&mut self, probabilities: &[f32], labels: &[i64]) -> Result<(), MetricError> {
        let classes = self.names.len();
        expect_length("probabilities", probabilities.len(), labels.len(), classes)?;
        for (row, label) in labels.iter().enumerate() {
            if usize::try_from(*label).is_ok_and(|l| l >= classes) {
                return Err(MetricError::Label { row, label: *label, classes });
            }
        }
        for (row, label) in probabilities.chunks(classes.max(1)).zip(labels) {
            if let Ok(gold) = usize::try_from(*label) {
                self.add(row, gold);
            }
        }
        Ok(())
    }

    fn add(&mut self, row: &[f32], gold: usize) {
        self.examples += 1;
        if row.iter().any(|p| !p.is_finite()) {
            self.not_finite += 1;
            return;
        }
        let predicted = argmax(row);
        *self.counts.entry((gold as u32, predicted as u32)).or_default() += 1;

        self.in_top += u64::from(rank(row, gold) < TOP);

        self.calibration.add(row[predicted], predicted == gold);

        // scikit-learn clips to the precision of the probabilities, which are float32.
        let epsilon = f64::from(f32::EPSILON);
        let loss = -f64::from(row[gold]).clamp(epsilon, 1.0 - epsilon).ln();
        self.log_loss += loss;
        self.squared_log_loss += loss * loss;

        if let (2, Some(positive)) = (row.len(), self.positive) {
            self.ranking.push(std::iter::once((row[positive], Some(gold == positive))));
        } else {
            self.ranking.push(row.iter().enumerate().map(|(c, p)| (*p, Some(c == gold))));
        }
    }

    /// What thresholds on the probability of the positive class do on the rows seen so far, where there is one.
    pub fn curve(&self) -> Option<Curve> {
        let class = self.positive?;
        // With two classes the ranking holds the positive one alone.
        let column = if self.names.len() == 2 { 0 } else { class };
        Some(self.ranking.curve(column, class))
    }

    /// Everything that can be said about the rows seen so far.
    pub fn compute(&self) -> Evaluation {
        let mut evaluation = Evaluation { examples: self.examples as usize, ..Evaluation::default() };
        if self.examples == 0 {
            evaluation.notes.push("no labelled rows: no metric is defined".into());
            return evaluation;
        }
        if self.not_finite > 0 {
            evaluation.notes.push(format!(
                "{} of {} rows have probabilities that are not finite: no metric is defined; lower the learning rate or use fp32",
                self.not_finite, self.examples
            ));
            return evaluation;
        }
        let cells: Cells = self.counts.iter().map(|((g, p), n)| (*g, *p, *n)).collect();
        self.count_scores(&cells, &mut evaluation);
        self.calibration.tell(&mut evaluation);
        self.score_loss(&mut evaluation);
        self.rank(&mut evaluation);
        evaluation
    }

    fn count_scores(&self, cells: &Cells, evaluation: &mut Evaluation) {
        let classes = self.names.len();
        let margins = Margins::of(cells, classes);
        for metric in [&ACCURACY, &MICRO_F1] {
            proportion(metric, margins.right(), self.examples, "a labelled row", evaluation);
        }
        if classes > TOP {
            proportion(&TOP_5_ACCURACY, self.in_top, self.examples, "a labelled row", evaluation);
        }
        if let Some(class) = self.positive {
            let (name, support, hits) = (&self.names[class], margins.support[class], margins.hits[class]);
            let others = self.examples - support;
            let alarms = margins.predicted[class] - hits;
            proportion(&SENSITIVITY, hits, support, &format!("a row of `{name}`"), evaluation);
            proportion(&SPECIFICITY, others - alarms, others, &format!("a row that is not `{name}`"), evaluation);
        }
        let scores = margins.scores(self.positive).map(|(metric, value)| (metric.key.to_owned(), value));
        evaluation.metrics.extend(Metrics::from(scores));
        evaluation.intervals.extend(confusion::intervals(cells, classes, self.positive));

        let unseen = classes - margins.seen().count();
        if unseen > 0 {
            evaluation.notes.push(format!(
                "{unseen} of {classes} classes occur neither as a label nor as a prediction; averages leave them out"
            ));
        }
        let row = |c: usize| ClassRow::new(&self.names[c], margins.hits[c], margins.support[c], margins.predicted[c]);
        if classes <= MAX_DENSE_CLASSES {
            let mut counts = vec![vec![0; classes]; classes];
            for (gold, predicted, count) in cells {
                counts[*gold as usize][*predicted as usize] = *count;
            }
            let confusion = Confusion { names: self.names.clone(), counts };
            evaluation.details.push(classes::confusion(&confusion, None));
        }
        evaluation.details.push(classes::per_class("Classes", "examples", &(0..classes).map(row).collect::<Vec<_>>()));
    }

    fn score_loss(&self, evaluation: &mut Evaluation) {
        let n = self.examples as f64;
        let mean = self.log_loss / n;
        evaluation.metrics.insert(LOG_LOSS.key.into(), mean);
        if self.examples > 1 {
            let variance = (self.squared_log_loss - n * mean * mean).max(0.0) / (n - 1.0);
            let half = Z * (variance / n).sqrt();
            evaluation.intervals.insert(LOG_LOSS.key.into(), ((mean - half).max(0.0), mean + half));
        }
    }

    fn rank(&self, evaluation: &mut Evaluation) {
        let areas = self.ranking.areas();
        let points = [(&AUROC, areas.auroc), (&AUPRC, areas.auprc)];
        for (metric, value) in &points {
            match value {
                Some(value) => {
                    evaluation.metrics.insert(metric.key.into(), *value);
                }
                None => evaluation.notes.push(format!(
                    "{} is undefined: it needs rows both inside and outside {}",
                    metric.key,
                    self.ranked()
                )),
            }
        }
        if self.names.len() > 2 && areas.both_classes < self.names.len() && areas.both_classes > 0 {
            evaluation.notes.push(format!(
                "auroc and auprc average the {} of {} classes that have labelled rows",
                areas.both_classes,
                self.names.len()
            ));
        }
        if !self.ranking.is_exact() {
            evaluation.notes.push(
                "auroc, auprc and thresholds come from histograms of the scores, and have no interval: too many scores to \
                 keep"
                    .into(),
            );
        }
        let examples = self.examples as usize;
        let rows = affordable_rows(examples, self.names.len());
        if let Some(resampler) = self.ranking.resampler(rows) {
            let mut counts = vec![0; rows];
            let found = bootstrap::percentile_intervals(&points, (rows, examples), |random| {
                let areas = resampled(&resampler, random, &mut counts);
                vec![areas.auroc, areas.auprc]
            });
            evaluation.intervals.extend(found);
        }
    }

    /// What areas are about, in words.
    fn ranked(&self) -> String {
        match self.positive {
            Some(class) if self.names.len() == 2 => format!("the class `{}`", self.names[class]),
            _ => "a class".to_owned(),
        }
    }
}

/// Puts `part / whole` with its interval, or a note about what is `needed` to define it.
fn proportion(metric: &Metric, part: u64, whole: u64, needed: &str, evaluation: &mut Evaluation) {
    match wilson(part, whole) {
        Some(interval) => {
            evaluation.metrics.insert(metric.key.into(), share(part, whole));
            evaluation.intervals.insert(metric.key.into(), interval);
        }
        None => evaluation.notes.push(format!("{} is undefined: it needs {needed}", metric.key)),
    }
}

/// How many classes come before `class`, most probable first.
fn rank(row: &[f32], class: usize) -> usize {
    let ahead = |(index, value): (usize, &f32)| *value > row[class] || (*value == row[class] && index < class);
    row.iter().enumerate().filter(|&entry| ahead(entry)).count()
}

#[cfg(test)]
#[path = "classification_tests.rs"]
mod tests;
