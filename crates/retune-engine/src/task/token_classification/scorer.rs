//! Entities beside those that people marked.

use super::{Data, Judged, Said, Scorer, TokenClassification};
use crate::metric::tags::Sequence;
use crate::metric::{Evaluation, Metric, TagsMetric, entities};
use anyhow::{Context, Result};
use retune_data::annotations::tags::Entity;
use retune_data::entities_of_classes;

/// Entities, compared with all that are marked.
pub(super) struct TagScorer {
    metric: TagsMetric,
    task: TokenClassification,
}

impl TagScorer {
    /// Of entities of these types.
    pub(super) fn new(task: TokenClassification, labels: Vec<String>) -> Self {
        Self { metric: TagsMetric::new(labels), task }
    }
}

impl Scorer<TokenClassification> for TagScorer {
    fn add(&mut self, data: &Data<TokenClassification>, example: usize, said: &Vec<Said>) -> Result<Judged> {
        let gold = data.gold(example)?.context("the data has no tags")?;
        let plain = |entity: &Entity| entities::Entity {
            start: entity.span.start,
            end: entity.span.end,
            label: entity.label.to_string(),
        };
        let words = gold.classes.len();
        let classes = self.task.classes(said, words);
        let predicted: Vec<entities::Entity> =
            entities_of_classes(&self.task.names, &classes).iter().map(plain).collect();
        let entities: Vec<entities::Entity> = gold.entities.iter().map(plain).collect();
        let found = self.metric.add(&Sequence {
            gold: &entities,
            predicted: &predicted,
            words: words as u64,
            right: said.iter().filter(|said| gold.classes[said.word as usize] == said.tag).count() as u64,
            unseen: (words - said.len()) as u64,
        });
        let wrong = found.gold + found.predicted - 2 * found.hits;
        Ok(Judged { right: Some(wrong == 0), severity: wrong as f32 })
    }

    fn evaluation(&self) -> Evaluation {
        self.metric.evaluation()
    }

    fn metrics(&self) -> Vec<&'static Metric> {
        self.metric.metrics()
    }
}
