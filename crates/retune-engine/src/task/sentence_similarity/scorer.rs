//! Judges vectors by what the data says of their texts: scores, labels, or what belongs together.

use super::search::Search;
use super::vectors::Vectors;
use super::{KEY, SentenceSimilarity};
use crate::metric::ranks::retrieval;
use crate::metric::{
    ACCURACY, AUPRC, AUROC, Block, Detail, Evaluation, Metric, PEARSON, PropertyKind, PropertyMetric, RegressionMetric,
    SPEARMAN, wilson,
};
use crate::number;
use crate::task::{Data, Decision, Judged, Scorer};
use anyhow::{Context, Result};
use retune_data::Similarity;
use serde_json::{Map, json};
use std::sync::{Arc, OnceLock};

/// What is known so far.
enum Meter {
    /// Cosines beside scores.
    Scores(RegressionMetric),
    /// Cosines beside labels.
    Labels(PropertyMetric, Vec<(f32, bool)>),
    /// Vectors of all texts.
    Own(Search),
}

/// The scorer.
pub(super) struct Alike {
    meter: Meter,
    threshold: Arc<OnceLock<f32>>,
}

impl Alike {
    pub(super) fn new(kind: Similarity, threshold: Arc<OnceLock<f32>>) -> Self {
        let name = || vec!["similarity".to_owned()];
        let meter = match kind {
            Similarity::Scores(..) => Meter::Scores(RegressionMetric::new(name())),
            Similarity::Labels => Meter::Labels(PropertyMetric::new(PropertyKind::Binary, name()), Vec::new()),
            Similarity::Own => Meter::Own(Search::default()),
        };
        Self { meter, threshold }
    }
}

/// The least cosine that counts as alike, so that most pairs are right; the middle between two that differ.
fn best_threshold(pairs: &[(f32, bool)]) -> f32 {
    let mut sorted = pairs.to_vec();
    sorted.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut right = pairs.iter().filter(|(_, alike)| !alike).count() as i64;
    let above = |first: f32| first + 1e-3;
    let mut best = (right, sorted.first().map_or(1.0, |pair| above(pair.0)));
    for (place, (cosine, alike)) in sorted.iter().enumerate() {
        right += if *alike { 1 } else { -1 };
        let next = sorted.get(place + 1).map_or(cosine - 1e-3, |pair| pair.0);
        if next < *cosine && right > best.0 {
            best = (right, (cosine + next) / 2.0);
        }
    }
    best.1
}

impl Scorer<SentenceSimilarity> for Alike {
    fn add(&mut self, data: &Data<SentenceSimilarity>, example: usize, answer: &Vectors) -> Result<Judged> {
        let cosine = answer.cosine(0, 1);
        let gold = data.gold(example)?.flatten();
        let severity = (gold.unwrap_or(1.0) - cosine).abs();
        let mut right = None;
        match &mut self.meter {
            Meter::Scores(metric) => metric.update(&[cosine], &[gold.context("the data has no scores")?])?,
            Meter::Labels(metric, pairs) => {
                let gold = gold.context("the data has no labels")?;
                metric.add(&[cosine], &[gold]);
                pairs.push((cosine, gold == 1.0));
                right = self.threshold.get().map(|threshold| (cosine >= *threshold) == (gold == 1.0));
            }
            Meter::Own(search) => {
                let (inner, medium) = (data.inner_example(example), data.medium());
                let hashes: Vec<u64> = (0..medium.count()).map(|place| medium.text_hash(inner, place)).collect();
                search.add(&hashes, answer);
            }
        }
        Ok(Judged { right, severity })
    }

    fn evaluation(&self) -> Evaluation {
        match &self.meter {
            Meter::Scores(metric) => {
                let mut evaluation = metric.compute();
                let told = |key: &str| [SPEARMAN.key, PEARSON.key].contains(&key);
                evaluation.metrics.retain(|key, _| told(key));
                evaluation.intervals.retain(|key, _| told(key));
                let keys = ["rmse", "mse", "mae", "r2"];
                evaluation.notes.retain(|note| !keys.iter().any(|key| note.starts_with(&format!("{key} "))));
                evaluation
            }
            Meter::Labels(metric, pairs) => self.labelled(metric, pairs),
            Meter::Own(search) => search.evaluation().unwrap_or_else(|error| Evaluation {
                notes: vec![format!("texts could not be compared: {error:#}")],
                ..Evaluation::default()
            }),
        }
    }

    fn metrics(&self) -> Vec<&'static Metric> {
        match &self.meter {
            Meter::Scores(_) => vec![&SPEARMAN, &PEARSON],
            Meter::Labels(..) => vec![&AUPRC, &AUROC, &ACCURACY],
            Meter::Own(_) => retrieval(),
        }
    }

    fn decide(&mut self) -> Result<Option<Decision>> {
        let Meter::Labels(_, pairs) = &self.meter else { return Ok(None) };
        let threshold = *self.threshold.get_or_init(|| best_threshold(pairs));
        Ok(Some(Decision { key: KEY, chosen: Map::from_iter([("threshold".to_owned(), json!(threshold))]) }))
    }
}

impl Alike {
    fn labelled(&self, metric: &PropertyMetric, pairs: &[(f32, bool)]) -> Evaluation {
        let mut evaluation = metric.compute();
        let Some(&threshold) = self.threshold.get() else {
            let note = "accuracy needs a threshold, which the validation split chooses at the end".to_owned();
            evaluation.notes.push(note);
            return evaluation;
        };
        let right = pairs.iter().filter(|(cosine, alike)| (*cosine >= threshold) == *alike).count() as u64;
        let all = pairs.len() as u64;
        if all > 0 {
            evaluation.metrics.insert(ACCURACY.key.to_owned(), right as f64 / all as f64);
            evaluation.intervals.extend(wilson(right, all).map(|interval| (ACCURACY.key.to_owned(), interval)));
        }
        let words = format!(
            "texts count as alike from a cosine of {} on, the threshold with which most validation pairs are right",
            number::value(f64::from(threshold))
        );
        let value = json!({"threshold": threshold, "accuracy": right as f64 / all.max(1) as f64});
        let mut detail = Detail::new(KEY, "Threshold", &value, vec![Block::Words(words)]);
        detail.decided = true;
        evaluation.details.push(detail);
        evaluation
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_threshold_lies_where_most_are_right() {
        let pairs = [(0.9, true), (0.8, false), (0.7, true), (0.6, true), (0.2, false), (0.1, false)];
        assert!((best_threshold(&pairs) - 0.4).abs() < 1e-6);
        assert!(best_threshold(&[(0.3, true)]) < 0.3 && best_threshold(&[(0.3, false)]) > 0.3);
    }
}
