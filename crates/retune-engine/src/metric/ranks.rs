//! Metrics of ranked candidates: how far up what belongs to a query stands. Each query counts the same, and intervals draw
//! queries anew.
//!
//! Hit rate and recall as sentence-transformers' `InformationRetrievalEvaluator` has them; with one thing that belongs to a query
//! they are the same. NDCG of one right item of rank r (from 1) is 1 / log₂(r + 1), its reciprocal rank 1 / r.

use std::collections::HashMap;

use super::bootstrap::{draw_counts, draws_for, percentile_intervals};
use super::evaluation::Evaluation;
use super::metric::Metric;

/// Values of metrics, query by query. Queries of one unit, such as a person, are drawn together.
pub struct MeanOfQueries {
    metrics: Vec<&'static Metric>,
    /// Row-major: of each unit, the sum of each metric.
    sums: Vec<f64>,
    /// Queries of each unit.
    counts: Vec<f64>,
    units: HashMap<u64, usize>,
}

impl MeanOfQueries {
    /// For these metrics.
    pub fn new(metrics: Vec<&'static Metric>) -> Self {
        Self { metrics, sums: Vec::new(), counts: Vec::new(), units: HashMap::new() }
    }

    /// Adds a query that is a unit of its own. Panics on another count of values: both come from this workspace.
    pub fn add(&mut self, values: &[f64]) {
        assert_eq!(values.len(), self.metrics.len(), "one value for each metric");
        self.sums.extend(values);
        self.counts.push(1.0);
    }

    /// Adds a query of a unit.
    pub fn add_of(&mut self, unit: u64, values: &[f64]) {
        let Some(&known) = self.units.get(&unit) else {
            self.units.insert(unit, self.counts.len());
            return self.add(values);
        };
        let own = &mut self.sums[known * values.len()..(known + 1) * values.len()];
        own.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
        self.counts[known] += 1.0;
    }

    /// Number of queries.
    pub fn queries(&self) -> usize {
        self.counts.iter().sum::<f64>() as usize
    }

    /// Means over queries, and how sure they are.
    pub fn compute(&self) -> Evaluation {
        let (units, count) = (self.counts.len(), self.metrics.len());
        let mut evaluation = Evaluation { examples: self.queries(), ..Evaluation::default() };
        if units == 0 {
            evaluation.notes.push("no queries: no metric is defined".to_owned());
            return evaluation;
        }
        let queries: f64 = self.counts.iter().sum();
        let mean = |metric: usize| self.sums.iter().skip(metric).step_by(count).sum::<f64>() / queries;
        let points: Vec<(&Metric, Option<f64>)> =
            self.metrics.iter().enumerate().map(|(at, metric)| (*metric, Some(mean(at)))).collect();
        evaluation.metrics =
            points.iter().filter_map(|(metric, value)| Some((metric.key.to_owned(), (*value)?))).collect();
        let drawn = draws_for(units, count);
        let mut times = vec![0; drawn];
        evaluation.intervals = percentile_intervals(&points, (drawn, units), |random| {
            draw_counts(random, &mut times);
            let (mut sums, mut queries) = (vec![0.0; count], 0.0);
            for (at, times) in times.iter().enumerate().filter(|(_, times)| **times > 0) {
                let (unit, times) = (at * units / drawn, f64::from(*times));
                let own = &self.sums[unit * count..(unit + 1) * count];
                sums.iter_mut().zip(own).for_each(|(sum, value)| *sum += times * value);
                queries += times * self.counts[unit];
            }
            sums.into_iter().map(|sum| Some(sum / queries)).collect()
        });
        evaluation
    }
}

/// The share of what belongs to a query that stands first.
pub const RECALL_AT_1: Metric = Metric::share("recall_at_1", "Recall@1");
/// The share of what belongs to a query among the first five.
pub const RECALL_AT_5: Metric = Metric::share("recall_at_5", "Recall@5");
/// The share of what belongs to a query among the first ten.
pub const RECALL_AT_10: Metric = Metric::share("recall_at_10", "Recall@10");
/// The mean of one over the rank of the first that belongs to a query.
pub const MRR: Metric = Metric::share("mrr", "MRR");

/// The metrics of a search.
pub fn retrieval() -> Vec<&'static Metric> {
    vec![&MRR, &RECALL_AT_1, &RECALL_AT_5, &RECALL_AT_10]
}

/// Their values for a query whose own stand at these ranks, from 1.
pub fn retrieved(ranks: &[usize]) -> [f64; 4] {
    let recall = |most: usize| ranks.iter().filter(|&&rank| rank <= most).count() as f64 / ranks.len().max(1) as f64;
    let first = ranks.iter().min().map_or(0.0, |&rank| 1.0 / rank as f64);
    [first, recall(1), recall(5), recall(10)]
}

/// What one item that is looked for gives, the usual metric first: NDCG, hit rate and reciprocal rank up to some place.
pub static RECOMMENDED: [Metric; 10] = [
    Metric::share("ndcg_at_10", "NDCG@10"),
    Metric::share("hit_rate_at_10", "Hit rate@10"),
    Metric::share("mrr", "MRR"),
    Metric::share("hit_rate_at_5", "Hit rate@5"),
    Metric::share("hit_rate_at_20", "Hit rate@20"),
    Metric::share("ndcg_at_5", "NDCG@5"),
    Metric::share("ndcg_at_20", "NDCG@20"),
    Metric::share("mrr_at_5", "MRR@5"),
    Metric::share("mrr_at_10", "MRR@10"),
    Metric::share("mrr_at_20", "MRR@20"),
];
/// The same where what is looked for was in no training history.
pub static RECOMMENDED_COLD: [Metric; 10] = [
    Metric::share("cold_ndcg_at_10", "NDCG@10, cold items"),
    Metric::share("cold_hit_rate_at_10", "Hit rate@10, cold items"),
    Metric::share("cold_mrr", "MRR, cold items"),
    Metric::share("cold_hit_rate_at_5", "Hit rate@5, cold items"),
    Metric::share("cold_hit_rate_at_20", "Hit rate@20, cold items"),
    Metric::share("cold_ndcg_at_5", "NDCG@5, cold items"),
    Metric::share("cold_ndcg_at_20", "NDCG@20, cold items"),
    Metric::share("cold_mrr_at_5", "MRR@5, cold items"),
    Metric::share("cold_mrr_at_10", "MRR@10, cold items"),
    Metric::share("cold_mrr_at_20", "MRR@20, cold items"),
];
/// The share of all items that stand among the first ten of anybody.
pub static COVERAGE: Metric = Metric::share("coverage", "Coverage@10");

/// The values of [`RECOMMENDED`] for an item of this rank, from 1.
pub fn recommended(rank: usize) -> [f64; 10] {
    let within = |most: usize, value: f64| if rank <= most { value } else { 0.0 };
    let gain = 1.0 / ((rank + 1) as f64).log2();
    let reciprocal = 1.0 / rank as f64;
    [
        within(10, gain),
        within(10, 1.0),
        reciprocal,
        within(5, 1.0),
        within(20, 1.0),
        within(5, gain),
        within(20, gain),
        within(5, reciprocal),
        within(10, reciprocal),
        within(20, reciprocal),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_count_the_same() {
        let mut metric = MeanOfQueries::new(retrieval());
        metric.add(&retrieved(&[1]));
        metric.add(&retrieved(&[4, 11]));
        let evaluation = metric.compute();
        assert_eq!(evaluation.metrics["mrr"], 0.625);
        assert_eq!(evaluation.metrics["recall_at_1"], 0.5);
        assert_eq!(evaluation.metrics["recall_at_5"], 0.75);
        let (low, high) = evaluation.intervals["mrr"];
        assert!((0.25..=0.625).contains(&low) && (0.625..=1.0).contains(&high));
        assert!(MeanOfQueries::new(retrieval()).compute().metrics.is_empty());
    }

    #[test]
    fn ranks_of_one_person_are_drawn_together() {
        let mut metric = MeanOfQueries::new(RECOMMENDED.iter().collect());
        for (person, rank) in [(1, 1), (1, 3), (2, 7), (3, 30)] {
            metric.add_of(person, &recommended(rank));
        }
        let evaluation = metric.compute();
        let close = |key: &str, value: f64| assert!((evaluation.metrics[key] - value).abs() < 1e-12, "{key}");
        assert_eq!((metric.queries(), metric.counts.len()), (4, 3));
        close("hit_rate_at_10", 0.75);
        close("hit_rate_at_5", 0.5);
        close("ndcg_at_10", (1.0 + 0.5 + 1.0 / 3.0) / 4.0);
        close("mrr", (1.0 + 1.0 / 3.0 + 1.0 / 7.0 + 1.0 / 30.0) / 4.0);
        close("mrr_at_5", (1.0 + 1.0 / 3.0) / 4.0);
    }
}
