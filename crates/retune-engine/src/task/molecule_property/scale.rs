//! The units of numbers: what is learnt has mean 0 and spread 1, and the saved model keeps both.

use super::MoleculeProperty;
use crate::task::Data;
use anyhow::{Result, ensure};
use retune_kernels::tch::Tensor;
use retune_models::ModelConfig;
use serde_json::Value;

/// Field of config.json with the means.
pub(super) const MEAN: &str = "target_mean";
/// Field of config.json with the spreads.
pub(super) const SPREAD: &str = "target_std";
/// Mean and spread of each property.
#[derive(Debug, Clone)]
pub(super) struct Scale {
    /// Of the training molecules.
    pub(super) mean: Vec<f32>,
    /// Their standard deviation.
    pub(super) spread: Vec<f32>,
}

impl Scale {
    /// Of the known numbers of each property; one that never differs keeps its unit.
    pub(super) fn of(train: &Data<MoleculeProperty>, count: usize) -> Result<Self> {
        let golds = train.golds()?;
        let of = |property: usize| {
            let known: Vec<f64> =
                golds.iter().map(|it| f64::from(it[property])).filter(|number| !number.is_nan()).collect();
            let mean = known.iter().sum::<f64>() / known.len().max(1) as f64;
            let squares = known.iter().map(|number| (number - mean).powi(2)).sum::<f64>();
            let spread = (squares / known.len().max(1) as f64).sqrt();
            (mean as f32, if spread > 0.0 { spread as f32 } else { 1.0 })
        };
        let (mean, spread) = (0..count).map(of).unzip();
        Ok(Self { mean, spread })
    }

    /// As a saved model has it; without it numbers are as the model says them.
    pub(super) fn saved(config: &ModelConfig, count: usize) -> Result<Self> {
        let read = |name: &str, usual: f32| -> Result<Vec<f32>> {
            let Some(value) = config.get(name) else { return Ok(vec![usual; count]) };
            let numbers =
                value.as_array().map(|all| all.iter().filter_map(Value::as_f64).map(|it| it as f32).collect());
            let numbers: Vec<f32> = numbers.unwrap_or_default();
            ensure!(
                numbers.len() == count && numbers.iter().all(|it| it.is_finite()),
                "config.json: `{name}` is {value}, not {count} numbers, one for each property"
            );
            Ok(numbers)
        };
        let (mean, spread) = (read(MEAN, 0.0)?, read(SPREAD, 1.0)?);
        ensure!(spread.iter().all(|&it| it > 0.0), "config.json: `{SPREAD}` is not above 0");
        Ok(Self { mean, spread })
    }

    /// Both \[C\], on the device of a tensor.
    pub(super) fn tensors(&self, like: &Tensor) -> (Tensor, Tensor) {
        let to = |numbers: &[f32]| Tensor::from_slice(numbers).to_device(like.device());
        (to(&self.mean), to(&self.spread))
    }
}
