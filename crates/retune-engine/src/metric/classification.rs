//! Metrics of single-label classification.
//!
//! Averages run over the classes that occur as a label or as a prediction, as scikit-learn's do.
//! Ties in the probabilities go to the first class, as `argmax` does.

use std::collections::BTreeMap;

use super::confusion::{self, Cells, Margins};
use super::error::{MetricError, expect_length};
use super::evaluation::{CalibrationBin, ClassRow, Confusion, Evaluation, share};
use super::interval::{Z, wilson};
use super::ranking::{Ranking, affordable_rows, resampled};
use super::{bootstrap, evaluation::Metrics};

/// Bins of the calibration error (Guo et al. 2017).
const CALIBRATION_BINS: usize = 15;
/// With more classes than this, being among the first so many says something.
const TOP: usize = 5;
/// Above this many classes the dense matrix is left out.
const MAX_DENSE_CLASSES: usize = 1024;

/// Sufficient statistics of a single-label classifier.
///
/// Gives `accuracy`, `macro_f1`, `micro_f1`, `weighted_f1`, `precision`, `recall`, `f1` (two classes: of
/// the second one; more: macro), `mcc`, `auroc`, `auprc` (two classes: of the second one's probability;
/// more: one-versus-rest, averaged over the classes present), `calibration_error` and `log_loss`.
///
/// More than five classes: also `top_5_accuracy`, how often the label is among the five most probable classes.
///
/// Two classes, the second one being the positive: also `sensitivity` (the share of positive rows that are predicted
/// so, as `recall`), `specificity` (the same of negative rows), and `sensitivity_at_specificity_95`: the largest
/// sensitivity that any threshold on the second probability reaches with a specificity of at least 0.95. That threshold
/// is chosen on the scored rows themselves, so the value is somewhat better than a threshold fixed beforehand would
/// give; its interval resamples the choice too.
pub struct ClassificationMetric {
    names: Vec<String>,
    counts: BTreeMap<(u32, u32), u64>,
    calibration: [BinSums; CALIBRATION_BINS],
    log_loss: f64,
    squared_log_loss: f64,
    ranking: Ranking,
    in_top: u64,
    examples: u64,
    not_finite: u64,
}

#[derive(Clone, Copy, Default)]
struct BinSums {
    count: u64,
    right: u64,
    confidence: f64,
}

impl ClassificationMetric {
    /// For the classes `names`, in index order.
    pub fn new(names: Vec<String>) -> Self {
        // With two classes the second one's probability says everything.
        let columns = if names.len() == 2 { 1 } else { names.len() };
        Self {
            names,
            counts: BTreeMap::new(),
            calibration: [BinSums::default(); CALIBRATION_BINS],
            log_loss: 0.0,
            squared_log_loss: 0.0,
            ranking: Ranking::new(columns),
            in_top: 0,
            examples: 0,
            not_finite: 0,
        }
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

        let confidence = f64::from(row[predicted]);
        let bins = CALIBRATION_BINS as f64;
        let bin = ((confidence * bins).ceil() as usize).clamp(1, CALIBRATION_BINS) - 1;
        self.calibration[bin].count += 1;
        self.calibration[bin].right += u64::from(predicted == gold);
        self.calibration[bin].confidence += confidence;

        // scikit-learn clips to the precision of the probabilities, which are float32.
        let epsilon = f64::from(f32::EPSILON);
        let loss = -f64::from(row[gold]).clamp(epsilon, 1.0 - epsilon).ln();
        self.log_loss += loss;
        self.squared_log_loss += loss * loss;

        if row.len() == 2 {
            self.ranking.push(std::iter::once((row[1], Some(gold == 1))));
        } else {
            self.ranking.push(row.iter().enumerate().map(|(c, p)| (*p, Some(c == gold))));
        }
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
        self.calibrate(&mut evaluation);
        self.score_loss(&mut evaluation);
        self.rank(&mut evaluation);
        evaluation
    }

    fn count_scores(&self, cells: &Cells, evaluation: &mut Evaluation) {
        let classes = self.names.len();
        let margins = Margins::of(cells, classes);
        for key in ["accuracy", "micro_f1"] {
            proportion(key, margins.right(), self.examples, "a labelled row", evaluation);
        }
        if classes > TOP {
            proportion("top_5_accuracy", self.in_top, self.examples, "a labelled row", evaluation);
        }
        if classes == 2 {
            for (key, class, needed) in
                [("sensitivity", 1, "a row of the second class"), ("specificity", 0, "a row of the first class")]
            {
                proportion(key, margins.hits[class], margins.support[class], needed, evaluation);
            }
        }
        let scores = margins.scores().map(|(name, value)| (name.to_owned(), value));
        evaluation.metrics.extend(Metrics::from(scores));
        evaluation.intervals.extend(confusion::intervals(cells, classes));

        let unseen = classes - margins.seen().count();
        if unseen > 0 {
            evaluation.notes.push(format!(
                "{unseen} of {classes} classes occur neither as a label nor as a prediction; averages leave them out"
            ));
        }
        evaluation.per_class = (0..classes)
            .map(|c| {
                let (hits, support) = (margins.hits[c], margins.support[c]);
                ClassRow::new(&self.names[c], hits, support, margins.predicted[c])
            })
            .collect();
        if classes <= MAX_DENSE_CLASSES {
            let mut counts = vec![vec![0; classes]; classes];
            for (gold, predicted, count) in cells {
                counts[*gold as usize][*predicted as usize] = *count;
            }
            evaluation.confusion = Some(Confusion { names: self.names.clone(), counts });
        }
    }

    fn calibrate(&self, evaluation: &mut Evaluation) {
        let bins = CALIBRATION_BINS as f64;
        let mut error = 0.0;
        for (index, bin) in self.calibration.iter().enumerate() {
            let count = bin.count.max(1) as f64;
            let row = CalibrationBin {
                low: index as f64 / bins,
                high: (index + 1) as f64 / bins,
                count: bin.count,
                confidence: bin.confidence / count,
                accuracy: bin.right as f64 / count,
            };
            error += bin.count as f64 * (row.accuracy - row.confidence).abs();
            evaluation.calibration.push(row);
        }
        evaluation.metrics.insert("calibration_error".into(), error / self.examples as f64);
    }

    fn score_loss(&self, evaluation: &mut Evaluation) {
        let n = self.examples as f64;
        let mean = self.log_loss / n;
        evaluation.metrics.insert("log_loss".into(), mean);
        if self.examples > 1 {
            let variance = (self.squared_log_loss - n * mean * mean).max(0.0) / (n - 1.0);
            let half = Z * (variance / n).sqrt();
            evaluation.intervals.insert("log_loss".into(), ((mean - half).max(0.0), mean + half));
        }
    }

    fn rank(&self, evaluation: &mut Evaluation) {
        let areas = self.ranking.areas();
        let mut points = vec![("auroc", areas.auroc), ("auprc", areas.auprc)];
        if self.names.len() == 2 {
            points.push(("sensitivity_at_specificity_95", areas.sensitivity));
        }
        for (name, value) in &points {
            match value {
                Some(value) => {
                    evaluation.metrics.insert((*name).into(), *value);
                }
                None => evaluation.notes.push(format!(
                    "{name} is undefined: it needs rows both inside and outside {}",
                    if self.names.len() == 2 { "the second class" } else { "a class" }
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
                "what depends on the order of scores (auroc, auprc, sensitivity at a specificity) comes from histograms \
                 of them, and has no interval: too many scores to keep"
                    .into(),
            );
        }
        let examples = self.examples as usize;
        let rows = affordable_rows(examples, self.names.len());
        if let Some(resampler) = self.ranking.resampler(rows) {
            let mut counts = vec![0; rows];
            let found = bootstrap::percentile_intervals(&points, (rows, examples), |random| {
                let areas = resampled(&resampler, random, &mut counts);
                // A third value goes with the third point, where there is one.
                vec![areas.auroc, areas.auprc, areas.sensitivity]
            });
            evaluation.intervals.extend(found);
        }
    }
}

/// Puts `part / whole` with its interval, or a note about what is `needed` to define it.
fn proportion(key: &str, part: u64, whole: u64, needed: &str, evaluation: &mut Evaluation) {
    match wilson(part, whole) {
        Some(interval) => {
            evaluation.metrics.insert(key.into(), share(part, whole));
            evaluation.intervals.insert(key.into(), interval);
        }
        None => evaluation.notes.push(format!("{key} is undefined: it needs {needed}")),
    }
}

/// How many classes come before `class`, most probable first.
fn rank(row: &[f32], class: usize) -> usize {
    let ahead = |(index, value): (usize, &f32)| *value > row[class] || (*value == row[class] && index < class);
    row.iter().enumerate().filter(|&entry| ahead(entry)).count()
}

/// The first index of the largest value.
fn argmax(row: &[f32]) -> usize {
    let mut best = 0;
    for (index, value) in row.iter().enumerate() {
        if *value > row[best] {
            best = index;
        }
    }
    best
}

#[cfg(test)]
#[path = "classification_tests.rs"]
mod tests;
