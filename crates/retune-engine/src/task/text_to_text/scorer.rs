//! What was written beside what is right, and how likely that was.

use super::{TextToText, Written};
use crate::metric::{EXACT_MATCH, Evaluation, Measures, Metric, PERPLEXITY, PerplexityMetric, WrittenMetric};
use crate::task::{Data, Judged, Scorer};
use anyhow::{Context, Result};

pub(super) struct TextScorer {
    measures: Measures,
    written: WrittenMetric,
    likely: PerplexityMetric,
    /// Whether any target was asked for.
    any: bool,
}

impl TextScorer {
    pub(super) fn new(measures: Measures) -> Self {
        Self { measures, written: WrittenMetric::new(measures), likely: PerplexityMetric::new(), any: false }
    }
}

impl Scorer<TextToText> for TextScorer {
    fn add(&mut self, data: &Data<TextToText>, example: usize, written: &Written) -> Result<Judged> {
        let references = data.gold(example)?.context("the data says what is to be written")?;
        if let Some(likely) = written.likely {
            self.likely.add(likely);
            self.any = true;
        }
        let (exact, distance) = self.written.add(&references, &written.text);
        Ok(Judged { right: Some(exact), severity: distance as f32 })
    }

    fn evaluation(&self) -> Evaluation {
        let mut evaluation = self.written.evaluation();
        if self.any {
            let likely = self.likely.compute();
            evaluation.metrics.extend(likely.metrics);
            evaluation.intervals.extend(likely.intervals);
            evaluation.notes.extend(likely.notes);
            evaluation.details.extend(likely.details);
        }
        evaluation
    }

    fn metrics(&self) -> Vec<&'static Metric> {
        let mut metrics = self.written.metrics();
        metrics.push(&PERPLEXITY);
        metrics
    }

    fn paired(&self) -> Option<&'static Metric> {
        // Hardly any translation is the reference word by word.
        (self.measures == Measures::Texts).then_some(&EXACT_MATCH)
    }
}
