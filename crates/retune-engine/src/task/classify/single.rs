//! One label for each example: softmax and cross-entropy.

use super::kind::{Kind, Meter};
use super::threshold::Threshold;
use super::{by_name, weights};
use crate::metric::decision::argmax;
use crate::metric::{ACCURACY, ClassificationMetric, Evaluation, Metric};
use crate::task::{Decision, Judged, Phase};
use anyhow::{Result, bail};
use retune_data::{Classes, Medium, Targets};
use retune_kernels::loss::{self, SummedLoss};
use retune_kernels::tch::{Kind as DType, Tensor};
use retune_models::ProblemType;
use serde_json::{Map, Value, json};

/// Classes with what the settings say of them.
pub(super) struct Single {
    names: Vec<String>,
    label_smoothing: f64,
    class_weights: Option<Vec<f32>>,
    threshold: Threshold,
}

impl Single {
    /// Nothing is learnt.
    pub(super) fn saved(names: Vec<String>, threshold: Threshold) -> Self {
        Self { names, label_smoothing: 0.0, class_weights: None, threshold }
    }

    /// With a smoothed loss.
    pub(super) fn with_smoothing(self, label_smoothing: f64) -> Self {
        Self { label_smoothing, ..self }
    }

    /// With weights of classes by their labels in the training data: `none` or `balanced`.
    pub(super) fn with_weights(self, how: &str, labels: impl Iterator<Item = Result<u32>>) -> Result<Self> {
        let class_weights = match how {
            "none" => None,
            "balanced" => Some(weights::balanced(&self.names, labels)?),
            other => bail!("class-weights: `{other}` is not known"),
        };
        Ok(Self { class_weights, ..self })
    }
}

impl<M: Medium> Kind<M> for Single
where
    Classes: Targets<M, Gold = u32>,
{
    type Targets = Classes;

    fn names(&self) -> &[String] {
        &self.names
    }

    fn problem(&self) -> ProblemType {
        ProblemType::SingleLabelClassification
    }

    fn loss(&self, logits: &Tensor, labels: &Tensor, phase: Phase) -> Result<SummedLoss> {
        let weights = self.class_weights.as_ref().filter(|_| phase == Phase::Training);
        let weights = weights.map(|weights| Tensor::from_slice(weights).to_device(logits.device()));
        let smoothing = phase.smoothing(self.label_smoothing);
        // Mixed examples (mixup, CutMix) bring shares of classes [B, C] instead of class ids [B].
        Ok(if labels.kind() == DType::Float {
            loss::soft_cross_entropy(logits, labels, weights.as_ref(), smoothing)
        } else {
            loss::cross_entropy(logits, labels, weights.as_ref(), smoothing)
        })
    }

    fn scores(&self, logits: &Tensor) -> Result<Tensor> {
        Ok(logits.f_softmax(-1, DType::Float)?)
    }

    fn target(&self, gold: &u32) -> Vec<f32> {
        let mut target = vec![0.0; self.names.len()];
        target[*gold as usize] = 1.0;
        target
    }

    fn judge(&self, scores: &[f32], gold: &u32) -> Judged {
        let best = argmax(scores);
        let right = best == *gold as usize;
        Judged { right: Some(right), severity: if right { 0.0 } else { scores[best] } }
    }

    fn meter(&self) -> Box<dyn Meter<u32>> {
        let metric = ClassificationMetric::new(self.names.clone());
        let metric = match self.threshold.positive() {
            Some(class) => metric.with_positive(class),
            None => metric,
        };
        Box::new(SingleMeter { metric, threshold: self.threshold.clone() })
    }

    fn guess_name(&self) -> &'static str {
        "majority class"
    }

    fn describe(&self, scores: &[f32]) -> Map<String, Value> {
        let best = argmax(scores);
        let mut map = Map::new();
        map.insert("prediction".into(), json!(self.names[best]));
        map.insert("probability".into(), json!(scores[best]));
        map.insert("scores".into(), by_name(&self.names, scores));
        map.extend(self.threshold.is_positive(scores).map(|positive| ("positive".to_owned(), positive.into())));
        map
    }

    fn said(&self, scores: &[f32]) -> (String, Option<f64>) {
        let best = argmax(scores);
        (self.names[best].clone(), Some(f64::from(scores[best])))
    }

    fn decides(&self) -> bool {
        self.threshold.decides()
    }

    fn check_validation(&self, ideal: &Evaluation) -> Result<()> {
        self.threshold.check_validation(ideal)
    }

    fn adopt(&self, decision: &Decision) -> Result<()> {
        self.threshold.adopt(decision)
    }
}

struct SingleMeter {
    metric: ClassificationMetric,
    threshold: Threshold,
}

impl Meter<u32> for SingleMeter {
    fn add(&mut self, scores: &[f32], gold: &u32) -> Result<()> {
        Ok(self.metric.update(scores, &[i64::from(*gold)])?)
    }

    fn evaluation(&self) -> Evaluation {
        let mut evaluation = self.metric.compute();
        if let Some(curve) = self.metric.curve() {
            evaluation.details.extend(self.threshold.details(&curve));
        }
        evaluation
    }

    fn metrics(&self) -> Vec<&'static Metric> {
        self.metric.metrics()
    }

    fn paired(&self) -> Option<&'static Metric> {
        Some(&ACCURACY)
    }

    fn decide(&mut self) -> Result<Option<Decision>> {
        self.metric.curve().and_then(|curve| self.threshold.choose(&curve)).transpose()
    }
}
