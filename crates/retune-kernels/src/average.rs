//! Exponential moving average of weights that are being learnt (Polyak & Juditsky 1992; as a teacher Tarvainen & Valpola 2017):
//!
//!   a ← d·a + (1 − d)·w   after each step t, d = min(decay, (1 + t) / (10 + t))
//!
//! The smaller decay of the first steps lets the average forget where training began.

use crate::param::exchange;
use crate::{KernelError, Params};
use std::collections::BTreeMap;
use tch::{Kind, Tensor, no_grad};

/// The averages of the parameters that learn, and of statistics that training writes.
#[derive(Debug)]
pub struct WeightAverage {
    decay: f64,
    /// By name; while exchanged, the weights that are being learnt.
    values: BTreeMap<String, Tensor>,
    /// Statistics, which share their storage with the layers that write them.
    statistics: Vec<(String, Tensor)>,
}

impl WeightAverage {
    /// Begins with the present values. `statistics` share their storage with layers; those that are no floating-point numbers are
    /// left alone.
    ///
    /// # Errors
    /// A compact table, of which most rows are not at hand, or a value that cannot be read.
    pub fn new(
        params: &Params,
        statistics: impl IntoIterator<Item = (String, Tensor)>,
        decay: f64,
    ) -> Result<Self, KernelError> {
        let statistics: Vec<_> = statistics.into_iter().filter(|(_, tensor)| tensor.is_floating_point()).collect();
        let mut values = BTreeMap::new();
        for param in params.trainable() {
            if param.compacted().is_some() {
                let problem = "its rows are updated when they are read, and an average follows each step";
                return Err(KernelError::Compaction { name: param.name.clone(), problem });
            }
            values.insert(param.name.clone(), copy(&param.value()?)?);
        }
        for (name, tensor) in &statistics {
            values.insert(name.clone(), copy(tensor)?);
        }
        Ok(Self { decay, values, statistics })
    }

    /// Bytes that it holds.
    pub fn bytes(&self) -> u64 {
        self.values.values().map(|value| 4 * value.numel() as u64).sum()
    }

    /// The decay of step `step`, counted from 1.
    fn decay_at(&self, step: u64) -> f64 {
        let step = step as f64;
        self.decay.min((1.0 + step) / (10.0 + step))
    }

    /// Follows the weights after step `step`, counted from 1.
    ///
    /// # Errors
    /// Parameters that are others than in the beginning.
    pub fn follow(&mut self, params: &Params, step: u64) -> Result<(), KernelError> {
        let share = 1.0 - self.decay_at(step);
        for param in params.trainable() {
            let _ = self.value_of(&param.name)?.shallow_clone().f_lerp_(&param.value()?, share)?;
        }
        for (name, tensor) in &self.statistics {
            let _ = self.value_of(name)?.shallow_clone().f_lerp_(tensor, share)?;
        }
        Ok(())
    }

    fn value_of(&self, name: &str) -> Result<&Tensor, KernelError> {
        let error = || KernelError::State { name: name.to_owned(), problem: "has no average".to_owned() };
        self.values.get(name).ok_or_else(error)
    }

    /// Exchanges the weights that are being learnt with their averages, or back.
    ///
    /// # Errors
    /// Parameters that are others than in the beginning.
    pub fn exchange(&mut self, params: &Params) -> Result<(), KernelError> {
        for param in params.trainable() {
            param.exchange(self.value_of(&param.name)?)?;
        }
        for (name, tensor) in &self.statistics {
            exchange(tensor, self.value_of(name)?)?;
        }
        Ok(())
    }

    /// While exchanged: the weights that are being learnt, by name.
    pub fn state(&self) -> Vec<(String, Tensor)> {
        self.values.iter().map(|(name, value)| (name.clone(), value.shallow_clone())).collect()
    }

    /// Goes on where [`Self::state`] was taken: the parameters hold the averages and then the weights that are being learnt.
    ///
    /// # Errors
    /// A weight that is missing or of another shape.
    pub fn restore(&mut self, params: &Params, learnt: &BTreeMap<String, Tensor>) -> Result<(), KernelError> {
        for (name, value) in &self.values {
            let error = |problem: &str| KernelError::State { name: name.clone(), problem: problem.to_owned() };
            let learnt = learnt.get(name).ok_or_else(|| error("is missing"))?;
            if learnt.size() != value.size() {
                return Err(error("is of another shape"));
            }
            no_grad(|| value.shallow_clone().f_copy_(learnt).map(drop))?;
        }
        self.exchange(params)
    }
}

fn copy(value: &Tensor) -> Result<Tensor, KernelError> {
    Ok(no_grad(|| value.f_to_kind(Kind::Float)).map(|value| value.detach().copy())?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Param;

    fn params(kind: Kind) -> Params {
        let mut params = Params::default();
        let value = Tensor::from_slice(&[1.0f32, 0.1]);
        params.push(Param::new("w".into(), 1, false, value, kind));
        params.push(Param::new("frozen".into(), 0, false, Tensor::from_slice(&[5.0f32]), kind));
        params.iter_mut().last().unwrap().set_trainable(false);
        params
    }

    fn value(params: &Params) -> Vec<f32> {
        Vec::try_from(params.iter().next().unwrap().value().unwrap()).unwrap()
    }

    fn set(params: &mut Params, values: &[f32]) {
        params.iter_mut().next().unwrap().set(&Tensor::from_slice(values)).unwrap();
    }

    #[test]
    fn it_follows_is_exchanged_and_goes_on_where_it_was() {
        for kind in [Kind::Float, Kind::BFloat16] {
            let mut params = params(kind);
            let mean = Tensor::from_slice(&[2.0f32]);
            let count = Tensor::from_slice(&[7i64]);
            let statistics =
                || [("mean".to_owned(), mean.shallow_clone()), ("count".to_owned(), count.shallow_clone())];
            let mut average = WeightAverage::new(&params, statistics(), 0.5).unwrap();
            assert_eq!(average.bytes(), 12);
            set(&mut params, &[2.0, 0.3]);
            // The first step keeps 2/11 of where training began, the twentieth the half that was asked for.
            average.follow(&params, 1).unwrap();
            average.follow(&params, 20).unwrap();
            average.exchange(&params).unwrap();
            let expected = [1.0f32 + (1.0 - 2.0 / 22.0), 0.1 + 0.2 * (1.0 - 2.0 / 22.0)];
            for (found, expected) in value(&params).iter().zip(expected) {
                assert!((found - expected).abs() < 1e-6, "{found} {expected}");
            }
            let (averaged, state) = (value(&params), average.state().into_iter().collect());
            average.exchange(&params).unwrap();
            assert_eq!(value(&params), [2.0, 0.3]);
            // Another run that loaded the averages.
            let mut other = self::params(kind);
            set(&mut other, &averaged);
            let mut resumed = WeightAverage::new(&other, statistics(), 0.5).unwrap();
            resumed.restore(&other, &state).unwrap();
            assert_eq!(value(&other), [2.0, 0.3]);
            for (params, average) in [(&params, &mut average), (&other, &mut resumed)] {
                average.follow(params, 21).unwrap();
                average.exchange(params).unwrap();
            }
            assert_eq!(value(&params), value(&other));
            assert!(resumed.restore(&other, &BTreeMap::new()).is_err());
        }
    }
}
