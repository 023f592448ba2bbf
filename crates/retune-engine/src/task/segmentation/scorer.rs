//! Answers compared with masks, pixel by pixel of the original.

use super::Segmentation;
use crate::metric::detail::{Block, Detail, Picture};
use crate::metric::{Evaluation, Metric, SegmentationMetric};
use crate::task::{Data, Judged, Scorer};
use anyhow::{Context, Result, ensure};
use retune_data::{Mask, swatch};

/// Classes whose colours are explained, at most.
const MOST_COLOURS: usize = 60;

/// Counts pixels.
pub(super) struct Pixels {
    names: Vec<String>,
    metric: SegmentationMetric,
}

impl Pixels {
    pub(super) fn new(names: &[String]) -> Self {
        Self { names: names.to_vec(), metric: SegmentationMetric::new(names.to_vec()) }
    }
}

impl Scorer<Segmentation> for Pixels {
    fn add(&mut self, data: &Data<Segmentation>, example: usize, answer: &Mask) -> Result<Judged> {
        let gold = data.gold(example)?.context("the data has no masks")?;
        ensure!((gold.width, gold.height) == (answer.width, answer.height), "an answer is of the size of its image");
        let iou = self.metric.add(&gold.classes, &answer.classes, gold.width);
        Ok(Judged { right: None, severity: iou.map_or(0.0, |iou| 1.0 - iou as f32) })
    }

    fn evaluation(&self) -> Evaluation {
        let mut evaluation = self.metric.compute();
        let colour = |(class, name): (u8, &String)| {
            let png = swatch(class).ok()?;
            Some(Picture { png, caption: name.clone() })
        };
        let colours: Vec<Picture> = (0u8..).zip(self.names.iter().take(MOST_COLOURS)).filter_map(colour).collect();
        if !evaluation.details.is_empty() {
            evaluation.details.push(Detail::shown("colours", "Colours of the masks", vec![Block::Pictures(colours)]));
        }
        evaluation
    }

    fn metrics(&self) -> Vec<&'static Metric> {
        self.metric.metrics()
    }
}
