//! Areas under the ROC and precision-recall curves, column by column (one-versus-rest), and the curve of one column.
//!
//! Scores are kept exactly up to 2^25 numbers; past that they fall into equal-width histograms over
//! [0, 1] (65536 bins per column, fewer above 128 columns), so memory stays bounded. Scores that share
//! a bin then count as tied, which moves an area by about half the share of pairs that share a bin.

use super::bootstrap::{Random, draw_counts, draws_for};
use super::metric::Metric;
use super::operating_point::Curve;

/// The area under the ROC curve.
pub const AUROC: Metric = Metric::share("auroc", "AUROC");
/// The area under the precision-recall curve, as average precision.
pub const AUPRC: Metric = Metric::share("auprc", "AUPRC");

/// Numbers kept exactly: 160 MiB of scores and targets.
const EXACT_LIMIT: usize = 1 << 25;
/// Histogram cells over all columns: 128 MiB of counters.
const HISTOGRAM_CELLS: usize = 1 << 23;
const MISSING: i8 = -1;

/// Scores and targets of one or more binary rankings over the same rows.
pub(super) struct Ranking {
    columns: usize,
    limit: usize,
    store: Store,
}

enum Store {
    /// Row-major scores, and targets 1, 0 or [`MISSING`].
    Exact { scores: Vec<f32>, targets: Vec<i8> },
    /// `[negatives, positives]` per column and bin, low scores first.
    Histogram { bins: usize, counts: Vec<[u64; 2]> },
}

/// Macro averages over the columns where the area is defined.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Areas {
    /// Mean area under the ROC curve over the columns with both classes.
    pub(super) auroc: Option<f64>,
    /// Mean average precision over the columns with a positive.
    pub(super) auprc: Option<f64>,
    /// How many columns had both classes.
    pub(super) both_classes: usize,
}

impl Ranking {
    pub(super) fn new(columns: usize) -> Self {
        Self::with_limit(columns, EXACT_LIMIT)
    }

    fn with_limit(columns: usize, limit: usize) -> Self {
        Self { columns, limit, store: Store::Exact { scores: Vec::new(), targets: Vec::new() } }
    }

    /// Adds one row: a finite score and its target for every column, `None` where unlabelled.
    pub(super) fn push(&mut self, row: impl Iterator<Item = (f32, Option<bool>)>) {
        match &mut self.store {
            Store::Exact { scores, targets } => {
                for (score, target) in row {
                    scores.push(score);
                    targets.push(target.map_or(MISSING, i8::from));
                }
                if scores.len() > self.limit {
                    self.quantise();
                }
            }
            Store::Histogram { bins, counts } => {
                for (column, (score, target)) in row.enumerate() {
                    count(&mut counts[column * *bins..], *bins, score, target);
                }
            }
        }
    }

    /// Whether the scores are kept as they came.
    pub(super) fn is_exact(&self) -> bool {
        matches!(self.store, Store::Exact { .. })
    }

    fn quantise(&mut self) {
        let Store::Exact { scores, targets } = &self.store else {
            return;
        };
        let affordable = (HISTOGRAM_CELLS / self.columns.max(1)).max(1);
        let bins = (1 << affordable.ilog2()).clamp(256, 65_536);
        let mut counts = vec![[0u64; 2]; bins * self.columns];
        for (index, (score, target)) in scores.iter().zip(targets).enumerate() {
            let target = (*target != MISSING).then_some(*target == 1);
            let column = index % self.columns;
            count(&mut counts[column * bins..], bins, *score, target);
        }
        self.store = Store::Histogram { bins, counts };
    }

    /// The areas over all rows.
    pub(super) fn areas(&self) -> Areas {
        match &self.store {
            Store::Exact { scores, .. } => {
                let rows = scores.len() / self.columns.max(1);
                self.resampler(rows).map_or_else(Areas::default, |r| r.areas(&vec![1; rows]))
            }
            Store::Histogram { bins, counts } => average(counts.chunks(*bins).map(|column| {
                let ties = column.iter().rev().map(|[negatives, positives]| (*positives as f64, *negatives as f64));
                ColumnAreas::over(ties)
            })),
        }
    }

    /// How many rows reach each score of a column; `positive` is the class it is about. Binned scores count as the lower
    /// edge of their bin.
    pub(super) fn curve(&self, column: usize, positive: usize) -> Curve {
        match &self.store {
            Store::Exact { scores, targets } => {
                let cells = scores.iter().zip(targets).skip(column).step_by(self.columns.max(1));
                let mut labelled: Vec<(f32, bool)> = cells
                    .filter(|(_, target)| **target != MISSING)
                    .map(|(score, target)| (*score, *target == 1))
                    .collect();
                labelled.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
                let ties = labelled.chunk_by(|a, b| a.0 == b.0).map(|tie| {
                    let positives = tie.iter().filter(|row| row.1).count() as u64;
                    (tie[0].0, positives, tie.len() as u64 - positives)
                });
                Curve::new(positive, ties)
            }
            Store::Histogram { bins, counts } => {
                let column = &counts[column * bins..(column + 1) * bins];
                let filled = column.iter().enumerate().rev().filter(|(_, count)| **count != [0, 0]);
                let edge = |bin: usize| bin as f32 / *bins as f32;
                Curve::new(positive, filled.map(|(bin, [negatives, positives])| (edge(bin), *positives, *negatives)))
            }
        }
    }

    /// Sorted columns to resample `rows` rows of, spread evenly; none once quantised.
    pub(super) fn resampler(&self, rows: usize) -> Option<Resampler> {
        let Store::Exact { scores, targets } = &self.store else {
            return None;
        };
        let total = scores.len() / self.columns.max(1);
        let sorted = |column: usize| {
            let mut entries: Vec<(f32, Entry)> = (0..rows)
                .filter_map(|row| {
                    let index = (row * total / rows) * self.columns + column;
                    let positive = targets[index] == 1;
                    let entry = Entry { row: row as u32, positive, closes_tie: true };
                    (targets[index] != MISSING).then_some((scores[index], entry))
                })
                .collect();
            entries.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
            for index in 1..entries.len() {
                entries[index - 1].1.closes_tie = entries[index - 1].0 != entries[index].0;
            }
            entries.into_iter().map(|(_, entry)| entry).collect()
        };
        Some(Resampler { columns: (0..self.columns).map(sorted).collect() })
    }
}

/// Adds one score to a column's histogram.
fn count(column: &mut [[u64; 2]], bins: usize, score: f32, target: Option<bool>) {
    if let Some(positive) = target {
        let bin = ((score.max(0.0) * bins as f32) as usize).min(bins - 1);
        column[bin][usize::from(positive)] += 1;
    }
}

/// One labelled score of a column sorted from high to low.
struct Entry {
    row: u32,
    positive: bool,
    /// Whether the next entry has a lower score.
    closes_tie: bool,
}

/// Columns sorted once, to be weighted many times.
pub(super) struct Resampler {
    columns: Vec<Vec<Entry>>,
}

impl Resampler {
    /// The areas when row `i` counts `weights[i]` times.
    pub(super) fn areas(&self, weights: &[u32]) -> Areas {
        let weight = |entry: &Entry| f64::from(weights[entry.row as usize]);
        average(self.columns.iter().map(|entries| {
            let (mut positives, mut negatives) = (0.0, 0.0);
            let ties = entries.iter().filter_map(|entry| {
                if entry.positive {
                    positives += weight(entry);
                } else {
                    negatives += weight(entry);
                }
                entry.closes_tie.then(|| {
                    let tie = (positives, negatives);
                    (positives, negatives) = (0.0, 0.0);
                    tie
                })
            });
            ColumnAreas::over(ties)
        }))
    }
}

/// The areas under the curves of one column.
struct ColumnAreas {
    auroc: Option<f64>,
    auprc: Option<f64>,
}

impl ColumnAreas {
    /// From `(positives, negatives)` per distinct score, highest score first.
    fn over(ties: impl Iterator<Item = (f64, f64)>) -> Self {
        let (mut positives, mut negatives, mut pairs, mut precision) = (0.0, 0.0, 0.0, 0.0);
        for (more_positives, more_negatives) in ties {
            pairs += more_negatives * (positives + more_positives / 2.0);
            positives += more_positives;
            negatives += more_negatives;
            if more_positives > 0.0 {
                precision += more_positives * positives / (positives + negatives);
            }
        }
        let both = positives > 0.0 && negatives > 0.0;
        Self {
            auroc: both.then(|| pairs / (positives * negatives)),
            auprc: (positives > 0.0).then(|| precision / positives),
        }
    }
}

fn average(columns: impl Iterator<Item = ColumnAreas>) -> Areas {
    let (mut roc, mut precision) = (Vec::new(), Vec::new());
    for column in columns {
        roc.extend(column.auroc);
        precision.extend(column.auprc);
    }
    let mean = |values: &[f64]| (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64);
    Areas { auroc: mean(&roc), auprc: mean(&precision), both_classes: roc.len() }
}

/// One resample of the areas, for the bootstrap: draws rows into `counts` and weighs them.
pub(super) fn resampled(resampler: &Resampler, random: &mut Random, counts: &mut [u32]) -> Areas {
    draw_counts(random, counts);
    resampler.areas(counts)
}

/// Rows that a bootstrap over `rows` rows of `columns` may draw.
pub(super) fn affordable_rows(rows: usize, columns: usize) -> usize {
    draws_for(rows, columns)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn binary(rows: &[(f32, bool)], limit: usize) -> Areas {
        let mut ranking = Ranking::with_limit(1, limit);
        for (score, target) in rows {
            ranking.push(std::iter::once((*score, Some(*target))));
        }
        ranking.areas()
    }

    #[test]
    fn hand_computed_areas() {
        // Positives at 0.8 and 0.35, negatives at 0.4 and 0.1: 3 of 4 pairs in order; AP = ½·1 + ½·⅔.
        let rows = [(0.1, false), (0.4, false), (0.35, true), (0.8, true)];
        let areas = binary(&rows, 100);
        assert_eq!(areas.auroc, Some(0.75));
        assert!((areas.auprc.unwrap() - (0.5 + 1.0 / 3.0)).abs() < 1e-15);
    }

    #[test]
    fn ties_count_half() {
        let areas = binary(&[(0.5, true), (0.5, false)], 100);
        assert_eq!((areas.auroc, areas.auprc), (Some(0.5), Some(0.5)));
    }

    #[test]
    fn the_curve_of_a_column_counts_its_labelled_rows_and_keeps_ties_together() {
        for limit in [100, 3] {
            let mut ranking = Ranking::with_limit(2, limit);
            for (score, target) in [(0.5, Some(true)), (0.25, Some(false)), (0.5, Some(false)), (0.75, None)] {
                ranking.push([(0.125, Some(true)), (score, target)].into_iter());
            }
            assert_eq!(ranking.is_exact(), limit == 100);
            assert_eq!(ranking.curve(1, 7), Curve::new(7, [(0.5, 1, 1), (0.25, 0, 1)]), "{limit}");
            assert_eq!(ranking.curve(0, 0).totals(), (4, 0), "{limit}");
        }
    }

    #[test]
    fn one_class_only_has_no_roc() {
        let only_positives = binary(&[(0.5, true), (0.2, true)], 100);
        assert_eq!((only_positives.auroc, only_positives.auprc), (None, Some(1.0)));
        assert_eq!(binary(&[(0.5, false)], 100), Areas::default());
        assert_eq!(binary(&[], 100), Areas::default());
    }

    #[test]
    fn weights_equal_repetition() {
        let rows = [(0.9, true), (0.7, false), (0.6, true), (0.2, false)];
        let mut ranking = Ranking::new(1);
        for (score, target) in rows {
            ranking.push(std::iter::once((score, Some(target))));
        }
        let weighted = ranking.resampler(4).unwrap().areas(&[1, 3, 2, 0]);
        let repeated: Vec<_> =
            [1, 3, 2, 0].iter().zip(rows).flat_map(|(times, row)| std::iter::repeat_n(row, *times)).collect();
        assert_eq!(weighted, binary(&repeated, 100));
    }

    proptest! {
        #[test]
        fn monotone_transforms_change_nothing(
            rows in prop::collection::vec((0u8..=40, any::<bool>()), 1..60),
        ) {
            let plain: Vec<_> = rows.iter().map(|(s, t)| (f32::from(*s) / 64.0, *t)).collect();
            let bent: Vec<_> = rows.iter().map(|(s, t)| ((f32::from(*s) / 64.0).powi(2) / 2.0, *t)).collect();
            prop_assert_eq!(binary(&plain, 1000), binary(&bent, 1000));
        }

        #[test]
        fn histograms_agree_with_exact_scores(
            rows in prop::collection::vec((0u16..1000, any::<bool>()), 1..200),
        ) {
            // Scores 1/1024 apart never share one of 65536 bins, so both ways must agree.
            let rows: Vec<_> = rows.iter().map(|(s, t)| (f32::from(*s) / 1024.0, *t)).collect();
            let (exact, binned) = (binary(&rows, 1000), binary(&rows, 3));
            prop_assert_eq!(exact.auroc, binned.auroc);
            prop_assert!((exact.auprc.unwrap_or(0.0) - binned.auprc.unwrap_or(0.0)).abs() < 1e-12);
        }

        #[test]
        fn swapping_classes_and_scores_is_symmetric(
            rows in prop::collection::vec((0u8..=64, any::<bool>()), 2..60),
        ) {
            let plain: Vec<_> = rows.iter().map(|(s, t)| (f32::from(*s) / 64.0, *t)).collect();
            let mirror: Vec<_> = plain.iter().map(|(s, t)| (1.0 - s, !t)).collect();
            let (a, b) = (binary(&plain, 1000).auroc, binary(&mirror, 1000).auroc);
            prop_assert_eq!(a.is_some(), b.is_some());
            prop_assert!((a.unwrap_or(0.0) - b.unwrap_or(0.0)).abs() < 1e-12);
        }
    }
}
