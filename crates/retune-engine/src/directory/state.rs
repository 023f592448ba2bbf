//! Where a run stands: what a checkpoint knows beside weights and moments.

use crate::evaluate::Scored;
use crate::metric::{Direction, Metrics};
use crate::step::StepReport;
use anyhow::{Context, Result};
use retune_kernels::{AdamW, Params, WeightAverage};
use retune_models::checkpoint::{read_tensors, write_tensors};
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::Path;

/// The best validation so far.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Best {
    /// Step it was reached at.
    pub step: u64,
    /// Metric that decides.
    pub metric: String,
    /// Its value; nothing where it was not defined on the validation split.
    pub value: Option<f64>,
}

/// One evaluation during training.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct EvaluationPoint {
    /// Steps done.
    pub step: u64,
    /// Validation loss per target.
    pub loss: Option<f64>,
    /// Validation metrics.
    pub metrics: Metrics,
    /// The 95 % interval of the main metric, drawn as a band.
    pub interval: Option<(f64, f64)>,
}

/// Sums over all steps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Totals {
    /// Examples trained on.
    pub examples: u64,
    /// Tokens without padding.
    pub tokens: u64,
    /// Tokens with padding.
    pub padded: u64,
    /// Matrix-product work.
    pub flops: f64,
    /// Wall-clock seconds inside steps.
    pub seconds: f64,
    /// Loss of the last step.
    pub final_loss: f64,
    /// That of the first one.
    #[serde(default)]
    pub first_loss: Option<f64>,
}

impl Totals {
    /// Adds one step.
    pub fn add(&mut self, report: &StepReport) {
        self.examples += report.examples as u64;
        self.tokens += report.tokens as u64;
        self.padded += report.padded as u64;
        self.flops += report.flops;
        self.seconds += report.seconds;
        self.final_loss = report.loss;
        self.first_loss.get_or_insert(report.loss);
    }
}

/// Where a run stands; everything else is recomputed from it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RunState {
    /// Steps done.
    pub step: u64,
    /// Of the training data.
    pub fingerprint: u64,
    /// Identity of the files that training started from.
    pub base_model: u64,
    /// Best validation so far.
    pub best: Option<Best>,
    /// Evaluations since then.
    pub without_improvement: usize,
    /// Every validation.
    pub evaluations: Vec<EvaluationPoint>,
    /// Sums for the summary.
    pub totals: Totals,
}

impl RunState {
    /// Whether the last of several validations was the best, so that learning had not come to an end.
    pub fn ended_at_its_best(&self) -> bool {
        self.evaluations.len() > 1 && self.without_improvement == 0
    }

    /// Notes a validation; says whether it is the best so far. A value beats an undefined one, of equal ones the lower loss is better
    /// (a detector's first passes all have an mAP of 0), and the first validation is the best whatever it says.
    pub fn record(&mut self, metric: &str, value: Option<f64>, direction: Direction, scored: &Scored) -> bool {
        let improved = self.best.as_ref().is_none_or(|best| match (value, best.value) {
            (Some(new), Some(old)) if new != old => direction.improves(new, old),
            (Some(_), None) => true,
            (None, Some(_)) => false,
            _ => {
                let then = self.evaluations.iter().find(|it| it.step == best.step).and_then(|it| it.loss);
                scored.loss.zip(then).is_some_and(|(now, then)| now < then)
            }
        });
        if improved {
            self.best = Some(Best { step: self.step, metric: metric.to_owned(), value });
            self.without_improvement = 0;
        } else {
            self.without_improvement += 1;
        }
        self.evaluations.push(EvaluationPoint {
            step: self.step,
            loss: scored.loss,
            metrics: scored.evaluation.metrics.clone(),
            interval: scored.evaluation.intervals.get(metric).copied(),
        });
        improved
    }

    /// Whether patience is spent.
    pub fn is_over(&self, patience: usize) -> bool {
        patience > 0 && self.without_improvement >= patience
    }
}

/// What a checkpoint holds beside a model.
#[derive(Clone, Copy)]
pub struct Progress<'a> {
    /// Its moments.
    pub optimizer: &'a AdamW,
    /// Exchanged with the weights that are being learnt, where the model's are their averages.
    pub average: Option<&'a WeightAverage>,
}

/// The weights that are being learnt, where those of the model are their averages.
const LEARNT: &str = "learnt.safetensors";

impl Progress<'_> {
    /// Writes it.
    pub(super) fn write(&self, checkpoint: &Path) -> Result<()> {
        write_tensors(&checkpoint.join("optimizer.safetensors"), &self.optimizer.state())?;
        let learnt = self.average.map(|average| write_tensors(&checkpoint.join(LEARNT), &average.state()));
        Ok(learnt.transpose().map(drop)?)
    }
}

/// Goes on with an average; the parameters hold those of the checkpoint.
pub fn restore_average(checkpoint: &Path, params: &Params, average: &mut WeightAverage) -> Result<()> {
    Ok(average.restore(params, &read_tensors(&checkpoint.join(LEARNT))?)?)
}

/// Reads the state of a checkpoint.
pub fn read_state(checkpoint: &Path) -> Result<RunState> {
    let path = checkpoint.join("state.json");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is not a run state", path.display()))
}

/// Puts the moments of a checkpoint into an optimizer.
pub fn restore_optimizer(checkpoint: &Path, step: u64, optimizer: &mut AdamW) -> Result<()> {
    Ok(optimizer.restore(step as i64, &read_tensors(&checkpoint.join("optimizer.safetensors"))?)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_counts_evaluations_without_improvement() {
        let scored = Scored {
            evaluation: Default::default(),
            loss: Some(1.0),
            judged: Vec::new(),
            decision: None,
            seconds: 0.0,
        };
        let mut state = RunState::default();
        let mut record = |value| {
            let improved = state.record("accuracy", Some(value), Direction::Higher, &scored);
            (improved, state.ended_at_its_best())
        };
        let [first, others @ ..] = [0.5, 0.4, 0.5, 0.6, 0.6].map(&mut record);
        // A single evaluation does not tell whether learning goes on.
        assert_eq!(first, (true, false));
        assert_eq!(others, [false, false, true, false].map(|improved| (improved, improved)));
        assert!(state.is_over(1) && !state.is_over(2) && !state.is_over(0));
    }

    #[test]
    fn of_equal_values_the_lower_loss_is_better() {
        let mut state = RunState::default();
        let best = [9.0, 8.0, 8.5, 7.0].map(|loss| {
            let scored = Scored {
                evaluation: Default::default(),
                loss: Some(loss),
                judged: Vec::new(),
                decision: None,
                seconds: 0.0,
            };
            state.step += 1;
            state.record("map", Some(0.0), Direction::Higher, &scored)
        });
        assert_eq!((best, state.best.unwrap().step), ([true, true, false, true], 4));
    }

    #[test]
    fn an_undefined_value_beats_nothing_and_loses_to_any() {
        let scored = Scored {
            evaluation: Default::default(),
            loss: Some(1.0),
            judged: Vec::new(),
            decision: None,
            seconds: 0.0,
        };
        let mut state = RunState::default();
        let values = [None, None, Some(0.1), None, Some(0.2)];
        let improved = values.map(|value| state.record("pearson", value, Direction::Higher, &scored));
        assert_eq!(improved, [true, false, true, false, true]);
        let again: RunState = serde_json::from_str(&serde_json::to_string(&state).unwrap()).unwrap();
        assert_eq!(again, state);
    }
}
