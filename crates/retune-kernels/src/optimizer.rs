//! AdamW (Loshchilov & Hutter 2019) with Hugging Face's groups, gradient clipping and a state that can be saved.

use crate::deferred::Deferred;
use crate::device::Arrival;
use crate::shim::{self, AdamWStep, AdamWTensor};
use crate::{KernelError, Param, Params, Table};
use std::collections::BTreeMap;
use tch::{Device, Kind, Tensor, no_grad};

/// Settings; the defaults are those of Hugging Face's Trainer.
#[derive(Debug, Clone, Copy)]
pub struct AdamWOptions {
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the denominator.
    pub epsilon: f64,
    /// Decoupled weight decay of everything but biases and norms.
    pub weight_decay: f64,
    /// Learning-rate factor per depth below the top (1 = the same everywhere).
    pub layer_decay: f64,
    /// Steps at first in which parameters below the head have no gradients: theirs are counted from there.
    pub head_alone: u64,
}

impl Default for AdamWOptions {
    fn default() -> Self {
        Self { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.0, layer_decay: 1.0, head_alone: 0 }
    }
}

struct Slot {
    first: Tensor,
    second: Tensor,
    /// fp32 sum over a window of several micro-steps, kept only where the gradient itself is bf16.
    window: Option<Tensor>,
    /// A compact table, whose rows are updated when they are read.
    table: Option<Table>,
    /// Of the learning rate.
    factor: f64,
}

impl Slot {
    fn new(param: &Param) -> Self {
        let [first, second] = [(); 2].map(|()| param.zeros());
        let table = param.compacted().filter(|_| first.device() == Device::Cpu).cloned();
        if let Some(compact) = table.as_ref().map(Table::compact).as_deref_mut().and_then(Option::as_mut) {
            compact.deferred = Some(Deferred::new(&first, &second));
        }
        Self { first, second, window: None, table, factor: 1.0 }
    }

    fn tensor<'a>(&'a self, param: &'a Param, gradient: &'a Tensor) -> Result<AdamWTensor<'a>, KernelError> {
        let (first, second) = (&self.first, &self.second);
        Ok(AdamWTensor { master: param.master()?, gradient, first, second, copy: param.copy() })
    }

    /// Makes the moments of all rows what the steps so far make of them.
    fn catch_up(&self) -> Result<(), KernelError> {
        let Some(table) = &self.table else { return Ok(()) };
        table.compact().as_mut().map_or(Ok(()), |compact| compact.catch_up(table.whole(), None))
    }
}

/// What a step reads of one parameter: all of it, or the rows [n] that have gradients [n, E].
struct Active<'a> {
    param: &'a Param,
    gradient: Tensor,
    rows: Option<Tensor>,
}

impl<'a> Active<'a> {
    fn new(param: &'a Param, gradient: &Tensor) -> Result<Self, KernelError> {
        if !gradient.is_sparse() {
            return Ok(Self { param, gradient: gradient.f_contiguous()?, rows: None });
        }
        let gradient = gradient.f_coalesce()?;
        Ok(Self { param, rows: Some(gradient.f_indices()?.f_select(0, 0)?), gradient: gradient.f_values()? })
    }
}

/// The global norm of a step's gradients before clipping, which a GPU may have yet to compute.
#[must_use]
#[derive(Debug)]
pub struct GradientNorm {
    /// Of each tensor.
    norms: Arrival,
    names: Vec<String>,
}

impl GradientNorm {
    /// Whether [`Self::wait`] would not wait.
    pub fn is_there(&self) -> Result<bool, KernelError> {
        self.norms.is_there()
    }

    /// The norm, as soon as it is there.
    ///
    /// # Errors
    /// Where a gradient is not finite; the first such tensor is named, and the step has changed nothing.
    pub fn wait(&self) -> Result<f64, KernelError> {
        let norms = self.norms.wait()?;
        if let Some(bad) = norms.iter().position(|norm| !norm.is_finite()) {
            return Err(KernelError::NotFinite { name: self.names[bad].clone() });
        }
        Ok(norms.iter().map(|norm| norm * norm).sum::<f64>().sqrt())
    }
}

/// AdamW over the trainable parameters of a [`Params`].
pub struct AdamW {
    options: AdamWOptions,
    slots: BTreeMap<String, Slot>,
    step: i64,
    top_depth: usize,
}

impl AdamW {
    /// Zero moments for every trainable parameter.
    pub fn new(params: &Params, options: AdamWOptions) -> Self {
        Self {
            options,
            slots: params.trainable().map(|p| (p.name.clone(), Slot::new(p))).collect(),
            step: 0,
            top_depth: params.iter().map(|p| p.depth).max().unwrap_or(0),
        }
    }

    /// The same with a factor of the learning rate for each parameter.
    #[must_use]
    pub fn with_factors(mut self, params: &Params, factor: impl Fn(&Param) -> f64) -> Self {
        for param in params.trainable() {
            self.slots.entry(param.name.clone()).and_modify(|slot| slot.factor = factor(param));
        }
        self
    }

    /// Moves bf16 gradients of one micro-step into fp32 sums; call after each backward pass of a window of several.
    pub fn collect(&mut self, params: &Params) -> Result<(), KernelError> {
        no_grad(|| {
            for param in params.trainable() {
                let (Some(gradient), Some(slot)) = (param.raw_gradient(), self.slots.get_mut(&param.name)) else {
                    continue;
                };
                if gradient.kind() == Kind::Float {
                    continue; // autograd already sums these exactly
                }
                match &mut slot.window {
                    Some(window) => {
                        let _ = window.f_add_(&gradient.to_kind(Kind::Float))?;
                    }
                    None => slot.window = Some(gradient.to_kind(Kind::Float)),
                }
                param.clear_gradient()?;
            }
            Ok(())
        })
    }

    /// One update; gradients are multiplied by the scalar `scale`, on their device, then by the factor that clips their
    /// global norm to `clip` (0 = never). Gradients are dropped afterwards. Returns the norm before clipping; a GPU is
    /// not waited for.
    ///
    /// # Errors
    /// On the CPU where a gradient is not finite, as [`GradientNorm::wait`] says elsewhere: nothing has changed.
    pub fn step(
        &mut self,
        params: &Params,
        learning_rate: f64,
        scale: &Tensor,
        clip: f64,
    ) -> Result<GradientNorm, KernelError> {
        let mut active = Vec::new();
        for param in params.trainable() {
            let window = self.slots.get(&param.name).and_then(|slot| slot.window.as_ref());
            if let Some(gradient) = window.map(Tensor::shallow_clone).or_else(|| param.raw_gradient()) {
                active.push(Active::new(param, &gradient)?);
            }
        }
        let norms = match active.first().map_or(Device::Cpu, |a| a.gradient.device()) {
            Device::Cpu => self.step_on_cpu(&active, learning_rate, scale.f_double_value(&[])?, clip)?,
            _ => self.step_on_device(&active, learning_rate, scale, clip)?,
        };
        let norm =
            GradientNorm { norms: Arrival::of(&norms)?, names: active.iter().map(|a| a.param.name.clone()).collect() };
        self.clear(params)?;
        Ok(norm)
    }

    /// Returns the norm of each scaled gradient.
    fn step_on_cpu(
        &mut self,
        active: &[Active<'_>],
        learning_rate: f64,
        scale: f64,
        clip: f64,
    ) -> Result<Tensor, KernelError> {
        let gradients: Vec<&Tensor> = active.iter().map(|a| &a.gradient).collect();
        let squares = shim::squared_norms(&gradients)?;
        // Neither with a scale that is not: of a window without targets.
        if let Some(bad) = squares.iter().position(|square| !(square * scale).is_finite()) {
            return Err(KernelError::NotFinite { name: active[bad].param.name.clone() });
        }
        let norm = squares.iter().sum::<f64>().sqrt() * scale;
        // torch.nn.utils.clip_grad_norm_ adds 1e-6 to the norm.
        let clipped = if clip > 0.0 { (clip / (norm + 1e-6)).min(1.0) } else { 1.0 };
        self.step += 1;
        let (mut tensors, mut steps) = (Vec::with_capacity(active.len()), Vec::with_capacity(active.len()));
        for Active { param, gradient, rows } in active {
            let slot = &self.slots[&param.name];
            let (step, keep) = self.step_of(param, learning_rate, scale * clipped);
            param.decay_rest(keep);
            if let Some(compact) = slot.table.as_ref().map(Table::compact).as_deref_mut().and_then(Option::as_mut)
                && let Some(deferred) = &mut compact.deferred
            {
                let all = || Tensor::arange(gradient.size()[0], (Kind::Int64, gradient.device()));
                let rows = rows.as_ref().map_or_else(all, Tensor::shallow_clone);
                deferred.step(&compact.leaf, &rows, gradient, step)?;
                continue;
            }
            tensors.push(slot.tensor(param, gradient)?);
            steps.push(step);
        }
        shim::adamw(&tensors, &steps)?;
        let norms: Vec<f64> = squares.iter().map(|square| square.sqrt() * scale).collect();
        Ok(Tensor::from_slice(&norms))
    }

    /// The same beside a GPU, which is not waited for.
    fn step_on_device(
        &mut self,
        active: &[Active<'_>],
        learning_rate: f64,
        scale: &Tensor,
        clip: f64,
    ) -> Result<Tensor, KernelError> {
        self.step += 1;
        let tensors: Vec<_> =
            active.iter().map(|a| self.slots[&a.param.name].tensor(a.param, &a.gradient)).collect::<Result<_, _>>()?;
        let steps: Vec<AdamWStep> = active
            .iter()
            .map(|a| {
                let (step, keep) = self.step_of(a.param, learning_rate, 1.0);
                a.param.decay_rest(keep);
                step
            })
            .collect();
        shim::device::adamw_device(&tensors, &steps, scale, clip)
    }

    /// The arithmetic of the present step for `param`, and its factor of decay.
    fn step_of(&self, param: &Param, learning_rate: f64, scale: f64) -> (AdamWStep, f64) {
        let AdamWOptions { beta1, beta2, epsilon, weight_decay, layer_decay, head_alone } = self.options;
        let below_top = self.top_depth.saturating_sub(param.depth) as i32;
        let rate = learning_rate * layer_decay.powi(below_top) * self.slots[&param.name].factor;
        let decay = if param.decays() { weight_decay } else { 0.0 };
        let keep = 1.0 - rate * decay;
        let earlier = if param.head { 0 } else { head_alone as i64 };
        let own = (self.step - earlier).max(1);
        let correction = |beta: f64| 1.0 - beta.powf(own as f64);
        let step = AdamWStep {
            step_size: (rate / correction(beta1)) as f32,
            keep: keep as f32,
            correction2_sqrt: correction(beta2).sqrt() as f32,
            beta1: beta1 as f32,
            beta2: beta2 as f32,
            epsilon: epsilon as f32,
            scale: scale as f32,
        };
        (step, keep)
    }

    /// Drops all gradients.
    pub fn clear(&mut self, params: &Params) -> Result<(), KernelError> {
        for param in params.iter() {
            param.clear_gradient()?;
        }
        for slot in self.slots.values_mut() {
            slot.window = None;
        }
        Ok(())
    }

    /// Number of updates done.
    pub fn steps(&self) -> i64 {
        self.step
    }

    /// The moments as named tensors: `<parameter>.exp_avg` and `<parameter>.exp_avg_sq`.
    ///
    /// # Panics
    /// Where the tensors of a compact table have been exchanged for others.
    pub fn state(&self) -> Vec<(String, Tensor)> {
        for slot in self.slots.values() {
            slot.catch_up().expect("a table and moments of one shape");
        }
        let pair = |(name, slot): (&String, &Slot)| {
            [
                (format!("{name}.exp_avg"), slot.first.shallow_clone()),
                (format!("{name}.exp_avg_sq"), slot.second.shallow_clone()),
            ]
        };
        self.slots.iter().flat_map(pair).collect()
    }

    /// Restores what [`Self::state`] gave, after `step` updates.
    pub fn restore(&mut self, step: i64, state: &BTreeMap<String, Tensor>) -> Result<(), KernelError> {
        for (name, slot) in &mut self.slots {
            slot.catch_up()?;
            for (suffix, tensor) in [("exp_avg", &mut slot.first), ("exp_avg_sq", &mut slot.second)] {
                let key = format!("{name}.{suffix}");
                let error = |problem: String| KernelError::State { name: key.clone(), problem };
                let saved = state.get(&key).ok_or_else(|| error("is missing".to_owned()))?;
                if saved.size() != tensor.size() {
                    return Err(error(format!("has shape {:?} instead of {:?}", saved.size(), tensor.size())));
                }
                tensor.f_copy_(saved)?;
            }
        }
        self.step = step;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fused::testing::test_device;
    use crate::random;

    fn tensor(seed: u64, shape: &[i64]) -> Tensor {
        let count = shape.iter().product::<i64>() as usize;
        Tensor::from_slice(&random::normal(seed, count)).reshape(shape).to_device(test_device())
    }

    /// The update written plainly in f64.
    fn reference_step(w: &mut f64, g: f64, m: &mut f64, v: &mut f64, step: i32, lr: f64, decay: f64) {
        *m = 0.9 * *m + 0.1 * g;
        *v = 0.999 * *v + 0.001 * g * g;
        *w -= lr * decay * *w;
        *w -= lr * (*m / (1.0 - 0.9f64.powi(step))) / ((*v / (1.0 - 0.999f64.powi(step))).sqrt() + 1e-8);
    }

    #[test]
    fn follows_the_reference_with_clipping_and_groups() {
        for kind in [Kind::Float, Kind::BFloat16] {
            let mut params = Params::default();
            params.push(Param::new("layer.weight".into(), 1, false, tensor(1, &[300, 150]), kind));
            params.push(Param::new("layer.bias".into(), 1, false, tensor(2, &[150]), kind));
            let mut optimizer = AdamW::new(&params, AdamWOptions { weight_decay: 0.1, ..AdamWOptions::default() });
            let read = |t: Tensor| Vec::<f64>::try_from(t.to_kind(Kind::Double).view([-1])).unwrap();
            let mut expected: Vec<Vec<f64>> = params.iter().map(|p| read(p.value().unwrap())).collect();
            let mut moments: Vec<Vec<(f64, f64)>> = expected.iter().map(|w| vec![(0.0, 0.0); w.len()]).collect();
            for step in 1..=3 {
                let factors: Vec<Tensor> =
                    params.iter().map(|p| tensor(step as u64 + p.count() as u64, &p.leaf().size())).collect();
                let losses: Vec<Tensor> =
                    params.iter().zip(&factors).map(|(p, f)| (p.leaf() * f.to_kind(kind)).sum(Kind::Float)).collect();
                (&losses[0] + &losses[1]).backward();
                let gradients: Vec<Vec<f64>> = params.iter().map(|p| read(p.gradient().unwrap())).collect();
                let norm = gradients.iter().flatten().map(|g| (g * 0.5).powi(2)).sum::<f64>().sqrt();
                let reported = optimizer.step(&params, 0.01, &Tensor::from(0.5), 1.0).unwrap().wait().unwrap();
                assert!((reported / norm - 1.0).abs() < 1e-5, "{reported} {norm}");
                for (t, decay) in [(0, 0.1), (1, 0.0)] {
                    for i in 0..expected[t].len() {
                        let (m, v) = &mut moments[t][i];
                        let g = gradients[t][i] * 0.5 / (norm + 1e-6);
                        reference_step(&mut expected[t][i], g, m, v, step, 0.01, decay);
                    }
                }
            }
            for (param, expected) in params.iter().zip(&expected) {
                let worst =
                    read(param.value().unwrap()).iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
                assert!(worst < 2e-6, "{kind:?} {}: {worst}", param.name);
                assert_eq!(param.leaf().kind(), kind);
                assert_eq!(param.leaf().detach(), param.value().unwrap().to_kind(kind));
                assert!(param.gradient().is_none());
            }
        }
    }

    /// A rounded leaf and the bits that it lacks learn as the fp32 value that they are.
    #[test]
    fn rounding_the_leaf_changes_nothing_of_the_value() {
        let of = |kind| {
            let mut params = Params::default();
            params.push(Param::new("w".into(), 0, false, tensor(1, &[300, 150]) * 0.05, kind));
            params
        };
        let (whole, halves) = (of(Kind::Float), of(Kind::BFloat16));
        let mut optimizers = [&whole, &halves].map(|params| AdamW::new(params, AdamWOptions::default()));
        for step in 0..6 {
            let factor = tensor(step + 2, &[300, 150]).to_kind(Kind::BFloat16);
            for (params, optimizer) in [&whole, &halves].into_iter().zip(&mut optimizers) {
                let leaf = params.iter().next().unwrap().leaf();
                (&leaf * factor.to_kind(leaf.kind())).sum(Kind::Float).backward();
                optimizer.step(params, 5e-5, &Tensor::from(1.0), 0.0).unwrap().wait().unwrap();
            }
            let [a, b] = [&whole, &halves].map(|params| params.iter().next().unwrap().value().unwrap());
            let apart = (&a - &b).abs() / (a.abs() + 1e-3);
            let worst = apart.max().double_value(&[]);
            assert!(worst < 3e-7 * (step + 1) as f64, "step {step}: {worst:e}");
        }
    }

    /// What has no gradients while the head learns alone takes its first step afterwards as a first one.
    #[test]
    fn steps_below_the_head_are_counted_from_their_own_first() {
        let made = || {
            let mut params = Params::default();
            params.push(Param::new("body".into(), 0, false, tensor(1, &[6]), Kind::Float));
            params.push(Param::new("head".into(), 1, true, tensor(2, &[6]), Kind::Float));
            params
        };
        let update = |optimizer: &mut AdamW, params: &Params, body: bool| {
            let learning = params.iter().filter(|param| param.head || body);
            let losses: Vec<Tensor> = learning.map(|param| param.leaf().square().sum(Kind::Float)).collect();
            Tensor::stack(&losses, 0).sum(Kind::Float).backward();
            optimizer.step(params, 0.01, &Tensor::from(1.0), 0.0).unwrap().wait().unwrap();
        };
        let (late, first) = (made(), made());
        let mut after = AdamW::new(&late, AdamWOptions { head_alone: 3, ..AdamWOptions::default() });
        [false, false, false, true].iter().for_each(|&body| update(&mut after, &late, body));
        update(&mut AdamW::new(&first, AdamWOptions::default()), &first, true);
        let body = |params: &Params| params.iter().next().unwrap().value().unwrap();
        assert_eq!(body(&late), body(&first));
        assert_ne!(body(&late), body(&made()));
    }

    /// The gradients of micro-steps are summed in fp32, also where the leaf is bf16.
    #[test]
    fn a_window_of_micro_steps_is_one_step() {
        for kind in [Kind::Float, Kind::BFloat16] {
            let mut params = Params::default();
            params.push(Param::new("w".into(), 0, false, tensor(1, &[40, 25]), kind));
            let mut optimizer = AdamW::new(&params, AdamWOptions::default());
            let param = params.iter().next().unwrap();
            let factors: Vec<Tensor> = (2..5).map(|seed| tensor(seed, &[40, 25]).to_kind(kind)).collect();
            for factor in &factors {
                (param.leaf() * factor).sum(Kind::Float).backward();
                optimizer.collect(&params).unwrap();
            }
            let before = param.value().unwrap().to_kind(Kind::Double);
            let scale = Tensor::from(1.0 / 3.0);
            let norm = optimizer.step(&params, 0.01, &scale, 0.0).unwrap().wait().unwrap();
            let sum: Tensor = factors.iter().map(|f| f.to_kind(Kind::Double)).sum();
            let gradient: Tensor = sum / 3.0;
            assert!((norm / gradient.norm().double_value(&[]) - 1.0).abs() < 1e-5);
            // A first step follows the sign of the gradient.
            let expected: Tensor = before - 0.01 * &gradient / (gradient.abs() + 1e-8);
            let worst = (param.value().unwrap().to_kind(Kind::Double) - expected).abs().max().double_value(&[]);
            assert!(worst < 2e-6, "{kind:?}: {worst}");
            assert_eq!(param.leaf().detach(), param.value().unwrap().to_kind(kind));
        }
    }

    #[test]
    fn a_bad_gradient_is_named_and_changes_nothing() {
        let mut params = Params::default();
        for name in ["a.weight", "b.weight"] {
            params.push(Param::new(name.into(), 0, false, tensor(3, &[8]), Kind::Float));
        }
        let before: Vec<Tensor> = params.iter().map(|p| p.value().unwrap().copy()).collect();
        let mut optimizer = AdamW::new(&params, AdamWOptions::default());
        let leaves: Vec<Tensor> = params.iter().map(Param::leaf).collect();
        (leaves[0].sum(Kind::Float) + (leaves[1].sum(Kind::Float) * f64::NAN)).backward();
        let error = optimizer.step(&params, 0.1, &Tensor::from(1.0), 0.0).and_then(|norm| norm.wait()).unwrap_err();
        assert!(matches!(&error, KernelError::NotFinite { name } if name == "b.weight"), "{error}");
        assert!(params.iter().zip(&before).all(|(p, b)| p.value().unwrap() == *b));
        optimizer.clear(&params).unwrap();
        leaves[0].sum(Kind::Float).backward();
        let step = optimizer.step(&params, 0.1, &Tensor::from(f64::INFINITY), 1.0);
        assert!(step.and_then(|norm| norm.wait()).is_err(), "no target, no update");
        assert!(params.iter().zip(&before).all(|(p, b)| p.value().unwrap() == *b));
    }

    #[test]
    fn state_survives_a_round_trip() {
        let make = || {
            let mut params = Params::default();
            params.push(Param::new("w".into(), 0, false, tensor(5, &[64]), Kind::Float));
            params
        };
        let step = |params: &Params, optimizer: &mut AdamW| {
            let leaf = params.iter().next().unwrap().leaf();
            (&leaf * &leaf).sum(Kind::Float).backward();
            optimizer.step(params, 0.1, &Tensor::from(1.0), 0.0).unwrap().wait().unwrap();
        };
        let (straight, mut resumed) = (make(), make());
        let mut optimizer = AdamW::new(&straight, AdamWOptions::default());
        step(&straight, &mut optimizer);
        let state = optimizer.state().into_iter().map(|(n, t)| (n, t.copy())).collect();
        resumed.get_mut("w").unwrap().set(&straight.iter().next().unwrap().value().unwrap()).unwrap();
        let mut second = AdamW::new(&resumed, AdamWOptions::default());
        second.restore(optimizer.steps(), &state).unwrap();
        step(&straight, &mut optimizer);
        step(&resumed, &mut second);
        assert_eq!(straight.iter().next().unwrap().value().unwrap(), resumed.iter().next().unwrap().value().unwrap());
        assert!(second.restore(1, &BTreeMap::new()).is_err());
    }
}
