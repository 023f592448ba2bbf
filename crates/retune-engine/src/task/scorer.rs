//! The metrics as scorers of batches.

use super::{Prediction, Scorer};
use crate::metric::{ClassificationMetric, Evaluation, MultiLabelMetric, ReconstructionMetric, RegressionMetric};
use anyhow::Result;
use retune_models::Tensors;

impl Scorer for ClassificationMetric {
    fn update(&mut self, predictions: &[Prediction], inputs: &Tensors) -> Result<()> {
        let labels = Vec::<i64>::try_from(inputs.get("labels")?)?;
        Ok(ClassificationMetric::update(self, &flat(predictions), &labels)?)
    }
    fn compute(&self) -> Evaluation {
        ClassificationMetric::compute(self)
    }
    fn keys(&self) -> Vec<&'static str> {
        ClassificationMetric::keys(self)
    }
}

impl Scorer for MultiLabelMetric {
    fn update(&mut self, predictions: &[Prediction], inputs: &Tensors) -> Result<()> {
        Ok(MultiLabelMetric::update(self, &flat(predictions), &numbers(inputs)?)?)
    }
    fn compute(&self) -> Evaluation {
        MultiLabelMetric::compute(self)
    }
    fn keys(&self) -> Vec<&'static str> {
        MultiLabelMetric::keys(self)
    }
}

impl Scorer for RegressionMetric {
    fn update(&mut self, predictions: &[Prediction], inputs: &Tensors) -> Result<()> {
        Ok(RegressionMetric::update(self, &flat(predictions), &numbers(inputs)?)?)
    }
    fn compute(&self) -> Evaluation {
        RegressionMetric::compute(self)
    }
    fn keys(&self) -> Vec<&'static str> {
        RegressionMetric::keys(self)
    }
}

impl Scorer for ReconstructionMetric {
    fn update(&mut self, predictions: &[Prediction], _inputs: &Tensors) -> Result<()> {
        ReconstructionMetric::update(self, flat(predictions));
        Ok(())
    }
    fn compute(&self) -> Evaluation {
        ReconstructionMetric::compute(self)
    }
    fn keys(&self) -> Vec<&'static str> {
        ReconstructionMetric::keys(self)
    }
}

fn flat(predictions: &[Prediction]) -> Vec<f32> {
    predictions.iter().flat_map(|p| p.scores.iter().copied()).collect()
}

fn numbers(inputs: &Tensors) -> Result<Vec<f32>> {
    Ok(Vec::try_from(inputs.get("labels")?.f_view([-1])?)?)
}
