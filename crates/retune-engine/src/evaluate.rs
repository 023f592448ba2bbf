//! Using a model on rows: the same forward pass and decoding that training, evaluation and prediction share.

use crate::hardware;
use crate::metric::{Evaluation, LOSS};
use crate::task::{Prediction, Task};
use crate::tensors::to_inputs;
use anyhow::Result;
use retune_data::{Batch, Dataset, Loader, evaluation_batches};
use retune_kernels::Lanes;
use retune_kernels::tch::{Device, no_grad};
use retune_models::{Inputs, Mode, Model};
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

/// The result of scoring a split.
#[derive(Debug, Clone)]
pub struct Scored {
    /// Metrics with intervals.
    pub evaluation: Evaluation,
    /// Loss per target, without smoothing or class weights; absent where the split cannot be scored.
    pub loss: Option<f64>,
    /// One per row, in the order of the file.
    pub predictions: Vec<Prediction>,
    /// Wall-clock seconds, metrics and their intervals included.
    pub seconds: f64,
}

impl Scored {
    /// A metric, or the loss.
    pub fn value(&self, metric: &str) -> Option<f64> {
        match metric {
            key if key == LOSS.key => self.loss,
            name => self.evaluation.metrics.get(name).copied(),
        }
    }

    /// For a person: that this metric has no value here, and why as far as is known.
    pub(crate) fn undefined(&self, metric: &str) -> String {
        let why = self.evaluation.notes.iter().map(|note| format!("; {note}")).collect::<String>();
        format!("{metric} (--best-by) is not defined on the validation split, which counts as no improvement{why}")
    }
}

/// What the model makes of a batch.
struct Answer {
    inputs: Inputs,
    predictions: Vec<Prediction>,
    /// Loss and its weight, where the rows have labels.
    loss: Option<(f64, f64)>,
}

/// Batches for each lane from one meeting of lanes to the next: enough that they seldom wait, few enough that progress shows.
const BATCHES: usize = 2;

/// A model at work.
#[derive(Clone, Copy)]
pub struct Predictor<'a> {
    /// The network.
    pub model: &'a dyn Model,
    /// What it does.
    pub task: &'a dyn Task,
    /// Examples per batch.
    pub batch_size: usize,
    /// Compute device.
    pub device: Device,
    /// Each works on a batch of its own.
    pub lanes: &'a Lanes,
}

impl Predictor<'_> {
    /// Predictions of some rows, in their order.
    pub fn predict(&self, dataset: &Arc<dyn Dataset>, rows: Range<usize>) -> Result<Vec<Prediction>> {
        self.run(dataset, rows, false, &mut |_| Ok(()), &mut |_| {})
    }

    /// Predictions and, where they can be judged, loss and metrics of all rows. `progress` gets rows done and rows in all.
    pub fn score(&self, dataset: &Arc<dyn Dataset>, progress: &mut dyn FnMut(usize, usize)) -> Result<Scored> {
        let start = Instant::now();
        let scored = self.task.can_score(dataset.as_ref());
        let mut scorer = self.task.scorer();
        let (mut sum, mut weight) = (0.0, 0.0);
        let mut score = |answer: &Answer| match answer.loss {
            None => Ok(()),
            Some((loss, of)) => {
                sum += loss;
                weight += of;
                scorer.update(&answer.predictions, &answer.inputs)
            }
        };
        let rows = dataset.len();
        let predictions = self.run(dataset, 0..rows, scored, &mut score, &mut |done| progress(done, rows))?;
        let loss = (weight > 0.0).then_some(sum / weight);
        let evaluation = scorer.compute();
        Ok(Scored { evaluation, loss, predictions, seconds: start.elapsed().as_secs_f64() })
    }

    fn answer(&self, batch: &Batch, scored: bool) -> Result<Answer> {
        let inputs = to_inputs(batch, self.device)?;
        no_grad(|| {
            let outputs = self.model.forward(&inputs, &Mode::evaluation())?;
            let predictions = self.task.decode(&outputs, &inputs)?;
            let loss = if scored {
                let loss = self.task.plain_loss(&outputs, &inputs)?;
                Some((loss.sum.f_double_value(&[])?, loss.weight.f_double_value(&[])?))
            } else {
                None
            };
            Ok(Answer { inputs, predictions, loss })
        })
    }

    /// Runs the model over rows, longest first, and restores their order.
    fn run(
        &self,
        dataset: &Arc<dyn Dataset>,
        rows: Range<usize>,
        scored: bool,
        visit: &mut dyn FnMut(&Answer) -> Result<()>,
        progress: &mut dyn FnMut(usize),
    ) -> Result<Vec<Prediction>> {
        let (start, count) = (rows.start, rows.len());
        let batches = evaluation_batches(&|row| dataset.length(start + row), count, self.batch_size);
        let batches = batches.into_iter().map(move |rows| (rows.into_iter().map(|row| start + row).collect(), None));
        let mut predictions: Vec<Option<Prediction>> = vec![None; count];
        let mut done = 0;
        let (threads, ahead) = hardware::loaders(dataset.as_ref(), self.device);
        let mut loader = Loader::new(Arc::clone(dataset), batches, threads, ahead);
        loop {
            let some = loader.by_ref().take(BATCHES * self.lanes.count()).collect::<Result<Vec<_>, _>>()?;
            if some.is_empty() {
                break;
            }
            let answers = self.lanes.map(some, |batch| (self.answer(&batch, scored), batch.rows));
            for (answer, rows) in answers {
                let answer = answer?;
                visit(&answer)?;
                done += rows.len();
                for (row, prediction) in rows.into_iter().zip(answer.predictions) {
                    predictions[row - start] = Some(prediction);
                }
            }
            progress(done);
        }
        Ok(predictions.into_iter().flatten().collect())
    }
}
