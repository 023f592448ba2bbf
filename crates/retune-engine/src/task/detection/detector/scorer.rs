//! Answers compared with objects, picture by picture.

use super::super::threshold::Threshold;
use super::{Detection, true_boxes};
use crate::metric::detail::{Block, Detail, Picture};
use crate::metric::{DetectionMetric, Evaluation, FoundBox, Metric};
use crate::task::{Data, Decision, Judged, Scorer};
use anyhow::{Context, Result};
use retune_data::swatch;

/// Classes whose colours are explained, at most.
const MOST_COLOURS: usize = 60;

/// Keeps boxes.
pub(super) struct BoxScorer {
    names: Vec<String>,
    metric: DetectionMetric,
    threshold: Threshold,
}

impl BoxScorer {
    pub(super) fn new(names: &[String], threshold: Threshold) -> Self {
        Self { names: names.to_vec(), metric: DetectionMetric::new(names.to_vec()), threshold }
    }
}

impl Scorer<Detection> for BoxScorer {
    fn add(&mut self, data: &Data<Detection>, example: usize, answer: &Vec<FoundBox>) -> Result<Judged> {
        let gold = data.gold(example)?.context("the data has no objects")?;
        let severity = self.metric.add(true_boxes(&gold), answer.clone(), self.threshold.value());
        Ok(Judged { right: None, severity })
    }

    fn evaluation(&self) -> Evaluation {
        let mut evaluation = self.metric.compute(self.threshold.value(), self.threshold.chosen());
        let colour = |(class, name): (usize, &String)| {
            let png = swatch((class % 256) as u8).ok()?;
            Some(Picture { png, caption: name.clone() })
        };
        let colours: Vec<Picture> = self.names.iter().take(MOST_COLOURS).enumerate().filter_map(colour).collect();
        if !evaluation.details.is_empty() {
            evaluation.details.push(Detail::shown("colours", "Colours of the boxes", vec![Block::Pictures(colours)]));
        }
        evaluation
    }

    fn metrics(&self) -> Vec<&'static Metric> {
        self.metric.metrics()
    }

    /// The threshold with the best F1; the usual one, where nothing right was found.
    fn decide(&mut self) -> Result<Option<Decision>> {
        if !self.threshold.decides() {
            return Ok(None);
        }
        let best = self.metric.best_threshold().unwrap_or(self.threshold.value());
        let decision = Threshold::decision(best);
        self.threshold.adopt(&decision)?;
        Ok(Some(decision))
    }
}
