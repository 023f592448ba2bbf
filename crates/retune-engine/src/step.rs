//! One optimizer step: forward and backward over a window of micro-batches, then clip and update.

use crate::task::Task;
use crate::tensors::to_inputs;
use anyhow::{Context, Result, bail};
use retune_data::{Batch, Dataset};
use retune_kernels::tch::Device;
use retune_kernels::{AdamW, KernelError, Params, dropout, random};
use retune_models::{Mode, Model};

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
    pub model: &'a dyn Model,
    /// Its parameters.
    pub params: &'a Params,
    /// What it learns.
    pub task: &'a dyn Task,
    /// Where the rows come from, for messages.
    pub dataset: &'a dyn Dataset,
    /// Updates the parameters.
    pub optimizer: AdamW,
    /// Compute device.
    pub device: Device,
    /// Nothing below this depth is trained.
    pub first_trained_depth: usize,
    /// Largest gradient norm; 0 = no clipping.
    pub clip: f64,
    /// Of the dropout masks.
    pub seed: u64,
    /// Work of a training step relative to its forward pass.
    pub training_factor: f64,
}

impl Trainer<'_> {
    /// Runs the window of step `step` (counted from 0). Losses are summed and divided once by the target count of the
    /// whole window, because a mean of means weighs examples unequally.
    pub fn step(&mut self, step: u64, window: &[Batch], learning_rate: f64) -> Result<StepReport> {
        let mode = Mode::training(self.first_trained_depth);
        let mut report = StepReport { step: step + 1, learning_rate, ..StepReport::default() };
        let (mut sum, mut weight) = (0.0, 0.0);
        for (micro, batch) in window.iter().enumerate() {
            let stream = random::mix(&[self.seed, step, micro as u64]);
            dropout::set_stream(stream);
            let inputs = to_inputs(batch, self.device)?;
            let outputs = self.model.forward(&inputs, &mode)?;
            let loss = self.task.loss(&outputs, &inputs)?;
            let value = loss.sum.f_double_value(&[])?;
            if !value.is_finite() {
                self.optimizer.clear(self.params)?;
                bail!("the loss is not a number ({value}){}", self.blame_forward(batch, &inputs, &mode, stream));
            }
            loss.sum.f_backward()?;
            if window.len() > 1 {
                self.optimizer.collect(self.params)?;
            }
            sum += value;
            weight += loss.weight;
            report.examples += batch.rows.len();
            report.tokens += batch.tokens;
            report.padded += batch.padded;
            let mean_length = batch.tokens / batch.rows.len().max(1);
            report.flops += batch.rows.len() as f64 * self.model.forward_flops(mean_length) * self.training_factor;
        }
        if weight == 0.0 {
            bail!("no target in the whole window{}", self.blame(window, "every label is ignored"));
        }
        report.loss = sum / weight;
        report.gradient_norm =
            self.optimizer.step(self.params, learning_rate, 1.0 / weight, self.clip).map_err(|error| match error {
                KernelError::NotFinite { .. } => {
                    anyhow::anyhow!("{error}{}", self.blame_backward(window))
                }
                other => other.into(),
            })?;
        Ok(report)
    }
}

/// Adds the step's number to an error.
pub(crate) fn at_step<T>(result: Result<T>, step: u64, total: u64) -> Result<T> {
    result.with_context(|| format!("step {} of {total}", step + 1))
}
