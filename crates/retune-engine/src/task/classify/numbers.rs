//! One or several numbers for each example: squared error.

use super::kind::{Kind, Meter};
use crate::metric::{Evaluation, Metric, RegressionMetric};
use crate::number;
use crate::task::{Judged, Phase};
use anyhow::Result;
use retune_data::{Medium, Numbers as NumberTargets, Targets};
use retune_kernels::loss::{self, SummedLoss};
use retune_kernels::tch::{Kind as DType, Tensor};
use retune_models::ProblemType;
use serde_json::{Map, Value, json};

/// The numbers, by name.
pub(super) struct Numbers {
    names: Vec<String>,
}

impl Numbers {
    /// With these names.
    pub(super) fn new(names: Vec<String>) -> Self {
        Self { names }
    }
}

impl<M: Medium> Kind<M> for Numbers
where
    NumberTargets: Targets<M, Gold = Vec<f32>>,
{
    type Targets = NumberTargets;

    fn names(&self) -> &[String] {
        &self.names
    }

    fn problem(&self) -> ProblemType {
        ProblemType::Regression
    }

    fn loss(&self, logits: &Tensor, labels: &Tensor, _phase: Phase) -> Result<SummedLoss> {
        Ok(loss::squared_error(logits, labels))
    }

    fn scores(&self, logits: &Tensor) -> Result<Tensor> {
        Ok(logits.shallow_clone())
    }

    fn explained(&self, logits: &Tensor) -> Tensor {
        logits.sum_dim_intlist([-1i64].as_slice(), false, DType::Float)
    }

    fn target(&self, gold: &Vec<f32>) -> Vec<f32> {
        gold.clone()
    }

    fn judge(&self, scores: &[f32], gold: &Vec<f32>) -> Judged {
        let worst = gold.iter().zip(scores).map(|(gold, score)| (gold - score).abs()).fold(0.0, f32::max);
        Judged { right: None, severity: worst }
    }

    fn meter(&self) -> Box<dyn Meter<Vec<f32>>> {
        Box::new(NumberMeter(RegressionMetric::new(self.names.clone())))
    }

    fn guess_name(&self) -> &'static str {
        "mean of the training targets"
    }

    fn said(&self, scores: &[f32]) -> (String, Option<f64>) {
        let values: Vec<String> = scores.iter().map(|score| number::value(f64::from(*score))).collect();
        (values.join(", "), None)
    }

    fn describe(&self, scores: &[f32]) -> Map<String, Value> {
        let value = if let [one] = scores { json!(one) } else { json!(scores) };
        Map::from_iter([("prediction".to_owned(), value)])
    }
}

struct NumberMeter(RegressionMetric);

impl Meter<Vec<f32>> for NumberMeter {
    fn add(&mut self, scores: &[f32], gold: &Vec<f32>) -> Result<()> {
        Ok(self.0.update(scores, gold)?)
    }

    fn evaluation(&self) -> Evaluation {
        self.0.compute()
    }

    fn metrics(&self) -> Vec<&'static Metric> {
        self.0.metrics()
    }
}
