//! Any number of labels for each example: a sigmoid and a binary cross-entropy for each label.

use super::by_name;
use super::kind::{Kind, Meter};
use crate::metric::decision::is_predicted;
use crate::metric::{ACCURACY, Evaluation, Metric, MultiLabelMetric};
use crate::task::{Judged, Phase};
use anyhow::Result;
use retune_data::{ClassSets, Medium, Targets};
use retune_kernels::loss::{self, SummedLoss};
use retune_kernels::tch::Tensor;
use retune_models::ProblemType;
use serde_json::{Map, Value, json};

/// Labels that may come together.
pub(super) struct Multi {
    names: Vec<String>,
}

impl Multi {
    /// With these labels.
    pub(super) fn new(names: Vec<String>) -> Self {
        Self { names }
    }
}

fn hot(count: usize, classes: &[u32]) -> Vec<f32> {
    let mut target = vec![0.0; count];
    classes.iter().for_each(|&class| target[class as usize] = 1.0);
    target
}

impl<M: Medium> Kind<M> for Multi
where
    ClassSets: Targets<M, Gold = Vec<u32>>,
{
    type Targets = ClassSets;

    fn names(&self) -> &[String] {
        &self.names
    }

    fn problem(&self) -> ProblemType {
        ProblemType::MultiLabelClassification
    }

    fn loss(&self, logits: &Tensor, labels: &Tensor, _phase: Phase) -> Result<SummedLoss> {
        Ok(loss::binary_cross_entropy(logits, labels, None))
    }

    fn scores(&self, logits: &Tensor) -> Result<Tensor> {
        Ok(logits.f_sigmoid()?)
    }

    fn target(&self, gold: &Vec<u32>) -> Vec<f32> {
        hot(self.names.len(), gold)
    }

    fn judge(&self, scores: &[f32], gold: &Vec<u32>) -> Judged {
        let target = hot(self.names.len(), gold);
        let pairs = || target.iter().zip(scores);
        let right = pairs().all(|(gold, score)| is_predicted(*gold) == is_predicted(*score));
        let worst = pairs().map(|(gold, score)| (gold - score).abs()).fold(0.0, f32::max);
        Judged { right: Some(right), severity: if right { 0.0 } else { worst } }
    }

    fn meter(&self) -> Box<dyn Meter<Vec<u32>>> {
        Box::new(MultiMeter { metric: MultiLabelMetric::new(self.names.clone()), count: self.names.len() })
    }

    fn guess_name(&self) -> &'static str {
        "how frequent each label is"
    }

    fn said(&self, scores: &[f32]) -> (String, Option<f64>) {
        let chosen = self.names.iter().zip(scores).filter(|(_, score)| is_predicted(**score));
        (chosen.map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", "), None)
    }

    fn describe(&self, scores: &[f32]) -> Map<String, Value> {
        let all = self.names.iter().zip(scores);
        let chosen: Vec<&String> = all.filter(|(_, score)| is_predicted(**score)).map(|(name, _)| name).collect();
        Map::from_iter([("prediction".to_owned(), json!(chosen)), ("scores".to_owned(), by_name(&self.names, scores))])
    }
}

struct MultiMeter {
    metric: MultiLabelMetric,
    count: usize,
}

impl Meter<Vec<u32>> for MultiMeter {
    fn add(&mut self, scores: &[f32], gold: &Vec<u32>) -> Result<()> {
        Ok(self.metric.update(scores, &hot(self.count, gold))?)
    }

    fn evaluation(&self) -> Evaluation {
        self.metric.compute()
    }

    fn metrics(&self) -> Vec<&'static Metric> {
        self.metric.metrics()
    }

    fn paired(&self) -> Option<&'static Metric> {
        Some(&ACCURACY)
    }
}
