//! One optimizer step: forward and backward over a window of micro-batches, then clip and update.

use crate::task::{Phase, Work};
use crate::tensors::to_tensors;
use anyhow::{Context, Result, anyhow};
use retune_data::{Batch, Dataset};
use retune_kernels::device::Arrival;
use retune_kernels::tch::{Device, Kind, Tensor};
use retune_kernels::{AdamW, GradientNorm, Params, WeightAverage, dropout, random};
use retune_models::{Mode, Network, Recomputed};

/// What a step did.
#[derive(Debug, Clone, Copy, Default)]
pub struct StepReport {
    /// Steps done, from 1.
    pub step: u64,
    /// Passes over the data done.
    pub epoch: f64,
    /// Loss per target over the whole window.
    pub loss: f64,
    /// Learning rate of the step.
    pub learning_rate: f64,
    /// Global gradient norm before clipping.
    pub gradient_norm: f64,
    /// Examples of the window.
    pub examples: usize,
    /// Tokens without padding.
    pub tokens: usize,
    /// Tokens with padding.
    pub padded: usize,
    /// Matrix-product work.
    pub flops: f64,
    /// Wall-clock seconds.
    pub seconds: f64,
}

/// What a step works with.
pub struct Trainer<'a> {
    /// The network.
    pub network: &'a Network,
    /// Its parameters.
    pub params: &'a Params,
    /// What it learns.
    pub work: &'a dyn Work,
    /// Where the rows come from, for messages.
    pub dataset: &'a dyn Dataset,
    /// Updates the parameters.
    pub optimizer: AdamW,
    /// Follows them, where what is evaluated and saved is their average.
    pub average: Option<WeightAverage>,
    /// Compute device.
    pub device: Device,
    /// Nothing below this depth is trained.
    pub first_trained_depth: usize,
    /// Steps at first in which nothing below the head is trained.
    pub head_warmup: u64,
    /// Whether blocks are computed again in the backward pass, so that their graph need not be kept.
    pub recompute: bool,
    /// Largest gradient norm; 0 = no clipping.
    pub clip: f64,
    /// Of the dropout masks.
    pub seed: u64,
    /// Work of a training step relative to its forward pass.
    pub training_factor: f64,
}

/// A step under way: a GPU computes it while the host prepares the next.
pub struct UnderWay {
    report: StepReport,
    window: Vec<Batch>,
    /// Loss and its weight, summed over the window.
    sums: Arrival,
    norm: GradientNorm,
}

impl UnderWay {
    /// The number of the step, counted from 0.
    pub fn number(&self) -> u64 {
        self.report.step - 1
    }

    /// Whether [`Trainer::finish`] would not wait.
    pub fn is_there(&self) -> Result<bool> {
        Ok(self.sums.is_there()? && self.norm.is_there()?)
    }
}

impl Trainer<'_> {
    /// Begins step `step` (counted from 0) over `window`. Losses are summed and divided once by the target count of the
    /// whole window, because a mean of means weighs examples unequally.
    pub fn begin(&mut self, step: u64, mut window: Vec<Batch>, learning_rate: f64) -> Result<UnderWay> {
        let (depth, factor) = self.depth_of(step);
        let mode = Mode::training(depth).with_factors();
        let mut report = StepReport { step: step + 1, learning_rate, ..StepReport::default() };
        self.work.of_step(&mut window);
        let mut sums = Tensor::zeros([2], (Kind::Double, self.device));
        for (micro, batch) in window.iter().enumerate() {
            dropout::set_stream(self.stream(step, micro));
            let tensors = to_tensors(batch, self.device)?;
            let (outputs, recomputed) = match self.recompute {
                true => self.network.forward_recomputed(&tensors.inputs, &mode)?,
                false => (self.network.forward(&tensors.inputs, &mode)?, None),
            };
            let loss = self.work.loss(&outputs, &tensors, Phase::Training)?;
            loss.sum.f_backward()?;
            drop(outputs);
            recomputed.map_or(Ok(()), Recomputed::backward)?;
            if window.len() > 1 {
                self.optimizer.collect(self.params)?;
            }
            sums += Tensor::f_stack(&[loss.sum.detach().to_kind(Kind::Double), loss.weight], 0)?;
            report.examples += batch.rows.len();
            let (input, target) = (batch.extent.input, batch.extent.target);
            report.tokens += input.real + target.real;
            report.padded += input.padded + target.padded;
            let rows = batch.rows.len().max(1);
            let work = self.network.work(input.real / rows, target.real / rows);
            report.flops += batch.rows.len() as f64 * work * factor;
        }
        let arriving = Arrival::of(&sums)?;
        let scale = sums.f_get(1)?.f_reciprocal()?;
        match self.optimizer.step(self.params, learning_rate, &scale, self.clip) {
            Ok(norm) => {
                self.average.as_mut().map_or(Ok(()), |average| average.follow(self.params, step + 1))?;
                Ok(UnderWay { report, window, sums: arriving, norm })
            }
            Err(error) => {
                let diagnosis = self.diagnose(step, &window, &arriving.wait()?, error.into());
                self.optimizer.clear(self.params)?;
                Err(diagnosis)
            }
        }
    }

    /// Exchanges the weights that are being learnt with their averages, if there are any, or back.
    pub fn exchange(&mut self) -> Result<()> {
        self.average.as_mut().map_or(Ok(()), |average| average.exchange(self.params)).map_err(Into::into)
    }

    /// What a step did, as soon as the device has done it.
    pub fn finish(&self, under_way: &UnderWay) -> Result<StepReport> {
        let UnderWay { report, window, sums, norm } = under_way;
        let sums = sums.wait()?;
        let loss = sums[0] / sums[1];
        match norm.wait() {
            Ok(gradient_norm) if loss.is_finite() => Ok(StepReport { loss, gradient_norm, ..*report }),
            Ok(norm) => Err(self.diagnose(under_way.number(), window, &sums, anyhow!("the gradient's norm is {norm}"))),
            Err(error) => Err(self.diagnose(under_way.number(), window, &sums, error.into())),
        }
    }

    /// Below which depth nothing is trained in a step, and its work relative to a forward pass.
    pub(crate) fn depth_of(&self, step: u64) -> (usize, f64) {
        if step < self.head_warmup {
            return (self.network.blocks() + 1, self.training_factor.min(1.0));
        }
        (self.first_trained_depth, self.training_factor)
    }

    /// Seed of the dropout masks of a micro-step.
    pub(crate) fn stream(&self, step: u64, micro: usize) -> u64 {
        random::mix(&[self.seed, step, micro as u64])
    }
}

/// Adds the step's number to an error.
pub(crate) fn at_step<T>(result: Result<T>, step: u64, total: u64) -> Result<T> {
    result.with_context(|| format!("step {} of {total}", step + 1))
}
