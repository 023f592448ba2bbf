//! `metrics.json`: what a run reached, for programs.

use crate::directory::{Best, RunState};
use crate::evaluate::Scored;
use crate::hardware::Hardware;
use crate::metric::{Evaluation, Metrics};
use crate::task::Split;
use retune_kernels::{device, memory};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// The file's content; keys are part of the public contract.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Summary {
    /// Task name.
    pub task: String,
    /// Method name.
    pub method: String,
    /// Metric that chose the model.
    pub best: Option<Best>,
    /// On the validation split, with the kept weights.
    pub validation: Option<Metrics>,
    /// On the test split, with the kept weights.
    pub test: Option<Metrics>,
    /// 95 % intervals of both.
    pub intervals: BTreeMap<String, BTreeMap<String, (f64, f64)>>,
    /// What the task chose on the validation split, by the name of the decision, and what it does on each split.
    #[serde(flatten)]
    pub decided: BTreeMap<String, Value>,
    /// Other ways to do the task, by name.
    pub baselines: BTreeMap<String, Metrics>,
    /// How training went.
    pub train: TrainSummary,
}

/// How training went.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TrainSummary {
    /// Optimizer steps.
    pub steps: u64,
    /// Examples trained on.
    pub examples: u64,
    /// Tokens without padding.
    pub tokens: u64,
    /// Share of the computed positions that was padding.
    pub padding_fraction: f64,
    /// Inside training steps.
    pub seconds: f64,
    /// Examples a second.
    pub samples_per_second: f64,
    /// Tokens (without padding) a second.
    pub tokens_per_second: f64,
    /// Matrix-product work of non-padding tokens a second.
    pub model_flops_per_second: f64,
    /// The measured matrix-product ceiling of the precision used.
    pub peak_flops_per_second: f64,
    /// Of the last step.
    pub final_loss: f64,
    /// Peak resident memory of the process.
    pub peak_memory_bytes: u64,
    /// Most that tensors took on the GPU at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_device_memory_bytes: Option<u64>,
    /// Updated parameters.
    pub trainable_parameters: usize,
    /// All parameters.
    pub total_parameters: usize,
    /// `fp32` or `bf16`.
    pub precision: String,
    /// `cpu` or `cuda:N`.
    pub device: String,
    /// Compute threads.
    pub threads: usize,
}

impl Summary {
    /// The decision of a run, with what it does on its splits.
    pub(crate) fn decided(validation: &Scored, test: Option<&Scored>) -> BTreeMap<String, Value> {
        let Some(decision) = &validation.decision else { return BTreeMap::new() };
        let scored = [(Split::Validation, Some(validation)), (Split::Test, test)];
        let shown = scored.into_iter().filter_map(|(split, scored)| {
            let detail = scored?.evaluation.details.iter().find(|detail| detail.key == decision.key)?;
            Some((split.name(), &detail.value))
        });
        BTreeMap::from([(decision.key.to_owned(), decision.with_splits(shown))])
    }
}

impl TrainSummary {
    /// From the sums of a run.
    pub fn new(state: &RunState, hardware: &Hardware, counts: (usize, usize)) -> Self {
        let totals = state.totals;
        let per_second = |x: f64| if totals.seconds > 0.0 { x / totals.seconds } else { 0.0 };
        Self {
            steps: state.step,
            examples: totals.examples,
            tokens: totals.tokens,
            padding_fraction: 1.0 - totals.tokens as f64 / totals.padded.max(1) as f64,
            seconds: totals.seconds,
            samples_per_second: per_second(totals.examples as f64),
            tokens_per_second: per_second(totals.tokens as f64),
            model_flops_per_second: per_second(totals.flops),
            peak_flops_per_second: hardware.ceilings.of(hardware.precision),
            final_loss: totals.final_loss,
            peak_memory_bytes: memory::peak_bytes(),
            peak_device_memory_bytes: device::peak_bytes(hardware.device),
            trainable_parameters: counts.1,
            total_parameters: counts.0,
            precision: hardware.precision.name().to_owned(),
            device: hardware.device_name(),
            threads: hardware.threads,
        }
    }
}

/// Intervals of the splits that were scored.
pub fn intervals(validation: &Evaluation, test: Option<&Evaluation>) -> BTreeMap<String, BTreeMap<String, (f64, f64)>> {
    let mut map = BTreeMap::from([("validation".to_owned(), validation.intervals.clone())]);
    map.extend(test.map(|test| ("test".to_owned(), test.intervals.clone())));
    map
}
