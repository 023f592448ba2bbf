//! Metrics of multi-label classification: every label is its own yes or no, at a threshold of one half.

use super::bootstrap::{draw_counts, percentile_intervals};
use super::classes::{self, ClassRow};
use super::classification::{ACCURACY, MICRO_F1};
use super::confusion::{F1, MACRO_F1, PRECISION, RECALL, WEIGHTED_F1};
use super::decision::is_predicted;
use super::error::{MetricError, expect_length};
use super::evaluation::{Evaluation, Intervals, share};
use super::interval::wilson;
use super::metric::Metric;
use super::ranking::{AUPRC, AUROC, Ranking, affordable_rows};

/// The share of wrong decisions over all labels.
pub const HAMMING_LOSS: Metric = Metric::mistakes("hamming_loss", "Hamming loss");

/// Sufficient statistics of a multi-label classifier.
///
/// Gives `accuracy` (of whole rows), `micro_f1`, `macro_f1`, `weighted_f1`, `precision`, `recall`, `f1`
/// (macro), `auroc` (macro over the labels with both classes), `auprc` (macro over the labels with a
/// positive) and `hamming_loss`.
pub struct MultiLabelMetric {
    names: Vec<String>,
    tallies: Vec<Tally>,
    ranking: Ranking,
    /// Hits, false alarms, misses of every labelled cell, for the bootstrap: one [`Outcome`] per cell.
    outcomes: Vec<Outcome>,
    cells: u64,
    wrong: u64,
    rows: u64,
    whole_rows: u64,
    not_finite: u64,
}

/// What one label was found to be.
#[derive(Clone, Copy, Default)]
struct Tally {
    hits: u64,
    support: u64,
    predicted: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Hit,
    FalseAlarm,
    Miss,
    Nothing,
}

impl Tally {
    fn add(&mut self, outcome: Outcome, times: u64) {
        match outcome {
            Outcome::Hit => {
                self.hits += times;
                self.support += times;
                self.predicted += times;
            }
            Outcome::FalseAlarm => self.predicted += times,
            Outcome::Miss => self.support += times,
            Outcome::Nothing => {}
        }
    }

    fn f1(&self) -> f64 {
        share(2 * self.hits, self.support + self.predicted)
    }
}

impl MultiLabelMetric {
    /// For the labels `names`, in index order.
    pub fn new(names: Vec<String>) -> Self {
        Self {
            tallies: vec![Tally::default(); names.len()],
            ranking: Ranking::new(names.len()),
            names,
            outcomes: Vec::new(),
            cells: 0,
            wrong: 0,
            rows: 0,
            whole_rows: 0,
            not_finite: 0,
        }
    }

    /// What [`compute`](Self::compute) gives where the rows allow it, the usual one first.
    pub fn metrics(&self) -> Vec<&'static Metric> {
        vec![&MICRO_F1, &MACRO_F1, &WEIGHTED_F1, &ACCURACY, &PRECISION, &RECALL, &F1, &AUROC, &AUPRC, &HAMMING_LOSS]
    }

    /// Adds a batch: `probabilities` and `labels` `[N, L]` row-major. A label of at least ½ is a yes, a
    /// negative one or NaN is unknown and ignored; a row without a known label does not count.
    ///
    /// # Errors
    /// The lengths disagree.
    pub fn update(&mut self, probabilities: &[f32], labels: &[f32]) -> Result<(), MetricError> {
        let columns = self.names.len().max(1);
        let rows = labels.len() / columns;
        expect_length("labels", labels.len(), rows, columns)?;
        expect_length("probabilities", probabilities.len(), rows, columns)?;
        for (row, gold) in probabilities.chunks(columns).zip(labels.chunks(columns)) {
            self.add(row, gold);
        }
        Ok(())
    }

    fn add(&mut self, row: &[f32], gold: &[f32]) {
        if gold.iter().all(|label| target(*label).is_none()) {
            return;
        }
        self.rows += 1;
        if row.iter().any(|p| !p.is_finite()) {
            self.not_finite += 1;
            return;
        }
        let keep = self.ranking.is_exact();
        let mut whole = true;
        for (index, (probability, label)) in row.iter().zip(gold).enumerate() {
            let predicted = is_predicted(*probability);
            let outcome = match (target(*label), predicted) {
                (Some(true), true) => Outcome::Hit,
                (Some(true), false) => Outcome::Miss,
                (Some(false), true) => Outcome::FalseAlarm,
                (Some(false), false) | (None, _) => Outcome::Nothing,
            };
            let wrong = matches!(outcome, Outcome::Miss | Outcome::FalseAlarm);
            whole &= !wrong;
            self.wrong += u64::from(wrong);
            self.cells += u64::from(target(*label).is_some());
            self.tallies[index].add(outcome, 1);
            if keep {
                self.outcomes.push(outcome);
            }
        }
        self.whole_rows += u64::from(whole);
        self.ranking.push(row.iter().zip(gold).map(|(p, label)| (*p, target(*label))));
        if !self.ranking.is_exact() {
            self.outcomes = Vec::new();
        }
    }

    /// Everything that can be said about the rows seen so far.
    pub fn compute(&self) -> Evaluation {
        let mut evaluation = Evaluation { examples: self.rows as usize, ..Evaluation::default() };
        if self.rows == 0 {
            evaluation.notes.push("no labelled rows: no metric is defined".into());
            return evaluation;
        }
        if self.not_finite > 0 {
            evaluation.notes.push(format!(
                "{} of {} rows have probabilities that are not finite: no metric is defined; lower the learning rate or use fp32",
                self.not_finite, self.rows
            ));
            return evaluation;
        }
        let areas = self.ranking.areas();
        let mut points: Vec<(&Metric, Option<f64>)> =
            scores(&self.tallies).map(|(metric, value)| (metric, Some(value))).to_vec();
        points.extend([
            (&HAMMING_LOSS, Some(share(self.wrong, self.cells))),
            (&AUROC, areas.auroc),
            (&AUPRC, areas.auprc),
        ]);
        for (metric, value) in &points {
            match value {
                Some(value) => {
                    evaluation.metrics.insert(metric.key.into(), *value);
                }
                None => evaluation
                    .notes
                    .push(format!("{} is undefined: no label has both positive and negative rows", metric.key)),
            }
        }
        evaluation.metrics.insert(ACCURACY.key.into(), share(self.whole_rows, self.rows));
        if let Some(interval) = wilson(self.whole_rows, self.rows) {
            evaluation.intervals.insert(ACCURACY.key.into(), interval);
        }
        self.note_gaps(areas.both_classes, &mut evaluation);
        evaluation.intervals.extend(self.intervals(&points));
        let row = |(name, tally): (&String, &Tally)| ClassRow::new(name, tally.hits, tally.support, tally.predicted);
        let rows: Vec<ClassRow> = self.names.iter().zip(&self.tallies).map(row).collect();
        evaluation.details.push(classes::per_class("Labels", "examples", &rows));
        evaluation
    }

    fn note_gaps(&self, both_classes: usize, evaluation: &mut Evaluation) {
        let labels = self.names.len();
        let unseen = self.tallies.iter().filter(|t| t.support + t.predicted == 0).count();
        if unseen > 0 {
            evaluation.notes.push(format!(
                "{unseen} of {labels} labels are never gold and never predicted; they count as 0 in macro averages"
            ));
        }
        if both_classes > 0 && both_classes < labels {
            evaluation.notes.push(format!(
                "auroc averages the {both_classes} of {labels} labels that have both positive and negative rows"
            ));
        }
        if !self.ranking.is_exact() {
            evaluation.notes.push(
                "auroc and auprc come from histograms of the scores, and only accuracy has an interval: too many scores to keep".into(),
            );
        }
    }

    /// Bootstrap over rows of every point but `accuracy`; empty once the scores are quantised.
    fn intervals(&self, points: &[(&Metric, Option<f64>)]) -> Intervals {
        let (labels, examples) = (self.names.len(), self.rows as usize);
        let rows = affordable_rows(examples, 2 * labels);
        let Some(resampler) = self.ranking.resampler(rows) else {
            return Intervals::new();
        };
        let mut counts = vec![0; rows];
        percentile_intervals(points, (rows, examples), |random| {
            draw_counts(random, &mut counts);
            let mut tallies = vec![Tally::default(); labels];
            let mut wrong = 0;
            for (row, times) in counts.iter().enumerate() {
                if *times == 0 {
                    continue;
                }
                let first = (row * examples / rows) * labels;
                let cells = &self.outcomes[first..first + labels];
                for (tally, outcome) in tallies.iter_mut().zip(cells) {
                    tally.add(*outcome, u64::from(*times));
                    if matches!(outcome, Outcome::Miss | Outcome::FalseAlarm) {
                        wrong += u64::from(*times);
                    }
                }
            }
            let areas = resampler.areas(&counts);
            let mut values: Vec<Option<f64>> = scores(&tallies).iter().map(|(_, v)| Some(*v)).collect();
            // Unknown labels are a property of the split, not of the sample.
            let known = self.cells as f64 * rows as f64 / examples as f64;
            values.extend([Some(wrong as f64 / known), areas.auroc, areas.auprc]);
            values
        })
    }
}

/// A yes, a no, or unknown.
fn target(label: f32) -> Option<bool> {
    (label >= 0.0).then_some(label >= 0.5)
}

/// The averaged scores of all labels.
fn scores(tallies: &[Tally]) -> [(&'static Metric, f64); 6] {
    let labels = tallies.len().max(1) as f64;
    let mean = |score: &dyn Fn(&Tally) -> f64| tallies.iter().map(score).sum::<f64>() / labels;
    let sum = |part: fn(&Tally) -> u64| tallies.iter().map(part).sum::<u64>();
    let (hits, support, predicted) = (sum(|t| t.hits), sum(|t| t.support), sum(|t| t.predicted));
    let weighted: f64 = tallies.iter().map(|t| t.support as f64 * t.f1()).sum();
    let macro_f1 = mean(&Tally::f1);
    [
        (&MICRO_F1, share(2 * hits, support + predicted)),
        (&MACRO_F1, macro_f1),
        (&WEIGHTED_F1, weighted / support.max(1) as f64),
        (&PRECISION, mean(&|t| share(t.hits, t.predicted))),
        (&RECALL, mean(&|t| share(t.hits, t.support))),
        (&F1, macro_f1),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metric(labels: usize) -> MultiLabelMetric {
        MultiLabelMetric::new((0..labels).map(|l| format!("l{l}")).collect())
    }

    #[test]
    fn hand_computed_scores() {
        // Rows: exact; one miss; one false alarm. Label 0: 2 hits. Label 1: 1 hit, 1 miss, 1 false alarm.
        let mut metric = metric(2);
        metric.update(&[0.9, 0.8, 0.7, 0.1], &[1.0, 1.0, 1.0, 1.0]).unwrap();
        metric.update(&[0.2, 0.5], &[0.0, 0.0]).unwrap();
        let found = metric.compute();
        let value = |key: &str| found.metrics[key];
        assert_eq!(found.examples, 3);
        assert!((value("accuracy") - 1.0 / 3.0).abs() < 1e-15);
        assert!((value("micro_f1") - 6.0 / 8.0).abs() < 1e-15);
        assert!((value("macro_f1") - 0.75).abs() < 1e-15);
        assert!((value("precision") - 0.75).abs() < 1e-15);
        assert!((value("hamming_loss") - 2.0 / 6.0).abs() < 1e-15);
        // Label 0 in perfect order; label 1: of its two pairs one is in order.
        assert!((value("auroc") - 0.75).abs() < 1e-15);
        assert_eq!(found.read::<Vec<ClassRow>>("per_class").unwrap()[1].support, 2);
    }

    #[test]
    fn unknown_labels_are_ignored() {
        let mut metric = metric(2);
        metric.update(&[0.9, 0.1, 0.9, 0.9], &[1.0, f32::NAN, -1.0, -100.0]).unwrap();
        let found = metric.compute();
        assert_eq!(found.examples, 1);
        assert_eq!(found.metrics["accuracy"], 1.0);
        assert_eq!(found.metrics["hamming_loss"], 0.0);
        assert!(!found.metrics.contains_key("auroc"));
        assert!(found.notes.iter().any(|note| note.contains("auroc")));
    }

    #[test]
    fn intervals_surround_their_points() {
        let mut random = super::super::bootstrap::Random::new(3);
        let mut metric = metric(3);
        for _ in 0..300 {
            let labels: Vec<f32> = (0..3).map(|_| random.below(2) as f32).collect();
            let row: Vec<f32> = labels.iter().map(|l| (l * 0.3 + random.below(700) as f32 / 1000.0).min(1.0)).collect();
            metric.update(&row, &labels).unwrap();
        }
        let found = metric.compute();
        let mut keys: Vec<&str> = metric.metrics().iter().map(|metric| metric.key).collect();
        keys.sort_unstable();
        assert_eq!(found.metrics.keys().collect::<Vec<_>>(), keys);
        for (key, value) in &found.metrics {
            let (low, high) = found.intervals[key];
            assert!(low < *value && *value < high, "{key}: {low} {value} {high}");
            assert!(high - low < 0.2, "{key}");
        }
    }

    #[test]
    fn wrong_shapes_and_broken_models() {
        let mut metric = metric(2);
        assert!(metric.update(&[0.1, 0.2, 0.3], &[1.0, 0.0]).is_err());
        assert!(metric.compute().metrics.is_empty());
        metric.update(&[f32::NAN, 0.2], &[1.0, 0.0]).unwrap();
        let found = metric.compute();
        assert!(found.metrics.is_empty() && found.notes[0].contains("not finite"));
    }
}
