//! The metrics as scorers of batches.

use super::{Prediction, Scorer};
use crate::metric::{
    ClassificationMetric, Evaluation, Metric, MultiLabelMetric, ReconstructionMetric, RegressionMetric,
};
use anyhow::Result;
use retune_models::Inputs;

impl Scorer for ClassificationMetric {
    fn update(&mut self, predictions: &[Prediction], inputs: &Inputs) -> Result<()> {
        let labels = Vec::<i64>::try_from(inputs.get("labels")?)?;
        Ok(ClassificationMetric::update(self, &flat(predictions), &labels)?)
    }
    fn compute(&self) -> Evaluation {
        ClassificationMetric::compute(self)
    }
    fn metrics(&self) -> Vec<&'static Metric> {
        ClassificationMetric::metrics(self)
    }
}

impl Scorer for MultiLabelMetric {
    fn update(&mut self, predictions: &[Prediction], inputs: &Inputs) -> Result<()> {
        Ok(MultiLabelMetric::update(self, &flat(predictions), &numbers(inputs)?)?)
    }
    fn compute(&self) -> Evaluation {
        MultiLabelMetric::compute(self)
    }
    fn metrics(&self) -> Vec<&'static Metric> {
        MultiLabelMetric::metrics(self)
    }
}

impl Scorer for RegressionMetric {
    fn update(&mut self, predictions: &[Prediction], inputs: &Inputs) -> Result<()> {
        Ok(RegressionMetric::update(self, &flat(predictions), &numbers(inputs)?)?)
    }
    fn compute(&self) -> Evaluation {
        RegressionMetric::compute(self)
    }
    fn metrics(&self) -> Vec<&'static Metric> {
        RegressionMetric::metrics(self)
    }
}

impl Scorer for ReconstructionMetric {
    fn update(&mut self, predictions: &[Prediction], _inputs: &Inputs) -> Result<()> {
        ReconstructionMetric::update(self, flat(predictions));
        Ok(())
    }
    fn compute(&self) -> Evaluation {
        ReconstructionMetric::compute(self)
    }
    fn metrics(&self) -> Vec<&'static Metric> {
        ReconstructionMetric::metrics(self)
    }
}

fn flat(predictions: &[Prediction]) -> Vec<f32> {
    predictions.iter().flat_map(|p| p.scores.iter().copied()).collect()
}

fn numbers(inputs: &Inputs) -> Result<Vec<f32>> {
    Ok(Vec::try_from(inputs.get("labels")?.f_view([-1])?)?)
}
