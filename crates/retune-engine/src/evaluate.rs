//! Scoring a model on a split: the same forward pass, loss and decoding that training and prediction use.

use crate::metric::Evaluation;
use crate::task::{Prediction, Task};
use crate::tensors::to_inputs;
use anyhow::Result;
use retune_data::{Dataset, Loader, evaluation_batches};
use retune_kernels::tch::{Device, no_grad};
use retune_models::{Mode, Model};
use std::sync::Arc;

/// The result of scoring a split.
#[derive(Debug, Clone)]
pub struct Scored {
    /// Metrics with intervals.
    pub evaluation: Evaluation,
    /// Loss per target, without smoothing or class weights; absent where the split has no labels.
    pub loss: Option<f64>,
    /// One per row, in the order of the file.
    pub predictions: Vec<Prediction>,
}

/// Runs the model over a split, longest examples first, and restores the order of rows.
pub fn evaluate(
    model: &dyn Model,
    task: &dyn Task,
    dataset: &Arc<dyn Dataset>,
    batch_size: usize,
    device: Device,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Scored> {
    let length = |row: usize| dataset.length(row);
    let batches = evaluation_batches(&length, dataset.len(), batch_size);
    let labelled = dataset.has_labels();
    let mut scorer = task.scorer();
    let (mut sum, mut weight, mut done) = (0.0, 0.0, 0);
    let mut predictions: Vec<Option<Prediction>> = vec![None; dataset.len()];
    for batch in Loader::new(Arc::clone(dataset), batches.into_iter().map(|rows| (rows, None)), 1, 4) {
        let batch = batch?;
        let inputs = to_inputs(&batch, device)?;
        no_grad(|| {
            let outputs = model.forward(&inputs, &Mode::evaluation())?;
            if labelled {
                let loss = task.plain_loss(&outputs, &inputs)?;
                sum += loss.sum.f_double_value(&[])?;
                weight += loss.weight;
            }
            let decoded = task.decode(&outputs)?;
            if labelled {
                scorer.update(&decoded, &inputs)?;
            }
            for (&row, prediction) in batch.rows.iter().zip(decoded) {
                predictions[row] = Some(prediction);
            }
            anyhow::Ok(())
        })?;
        done += batch.rows.len();
        progress(done, dataset.len());
    }
    Ok(Scored {
        evaluation: scorer.compute(),
        loss: (labelled && weight > 0.0).then_some(sum / weight),
        predictions: predictions.into_iter().flatten().collect(),
    })
}
