//! The loss of sets, for raw outputs of a saved model and for a step of training.

use super::{BOXES, LABELS, OF_STEP};
use crate::task::{BatchTensors, LossOf};
use anyhow::{Result, ensure};
use retune_data::{Array, ArrayData, Batch, IGNORED};
use retune_kernels::loss::{self, DetectionWeights, IGNORE_INDEX, Objects, StepObjects, SummedLoss};
use retune_models::{ModelConfig, Tensors, heads};

/// The loss of a saved model, for raw outputs, as transformers' class computes it.
pub(super) fn saved_loss(config: &ModelConfig) -> Result<LossOf> {
    let (weights, classes) = (heads::detection_weights(config)?, config.label_count());
    Ok(Box::new(move |outputs, batch| {
        let (labels, boxes) = (batch.targets.get(LABELS)?, batch.targets.get(BOXES)?);
        let shape = labels.size();
        ensure!(shape.len() == 2, "{LABELS}: shape {shape:?}, not [images, objects]; fill rows up with {IGNORE_INDEX}");
        ensure!(
            boxes.size() == [shape[0], shape[1], 4],
            "{BOXES}: shape {:?}, not [{}, {}, 4] as {LABELS} say",
            boxes.size(),
            shape[0],
            shape[1]
        );
        // PyTorch would read memory that is not there.
        let there = labels.ne(IGNORE_INDEX);
        let outside = labels.ge(classes).logical_or(&labels.lt(0)).logical_and(&there);
        ensure!(
            !outside.any().f_int64_value(&[]).map(|any| any != 0)?,
            "{LABELS}: a class outside 0..{classes}, and not {IGNORE_INDEX}"
        );
        let gap = there
            .narrow(1, 1, (shape[1] - 1).max(0))
            .logical_and(&there.narrow(1, 0, (shape[1] - 1).max(0)).logical_not());
        ensure!(
            !gap.any().f_int64_value(&[]).map(|any| any != 0)?,
            "{LABELS}: {IGNORE_INDEX} before a class; it stands behind the objects of an image"
        );
        let objects = Objects { labels, boxes };
        Ok(loss::detection_loss(&heads::detection_outputs(outputs)?, objects, &weights, None))
    }))
}

/// The loss of a batch, which may know what the whole step has.
pub(super) fn of_batch(outputs: &Tensors, batch: &BatchTensors, weights: &DetectionWeights) -> Result<SummedLoss> {
    let objects = Objects { labels: batch.targets.get(LABELS)?, boxes: batch.targets.get(BOXES)? };
    let step = batch.targets.optional(OF_STEP).map(|of| -> Result<StepObjects> {
        Ok(StepObjects { objects: of.f_double_value(&[0, 0])?, images: of.f_double_value(&[0, 1])? })
    });
    Ok(loss::detection_loss(&heads::detection_outputs(outputs)?, objects, weights, step.transpose()?))
}

/// Says to each batch of a step what all have: two means of different weights are summed, and each must know what divides it.
/// Models that learn from noised objects find these among their inputs.
pub(super) fn tell_of_step(window: &mut [Batch]) {
    let objects = |batch: &Batch| match batch.targets.get(LABELS).map(|labels| &labels.data) {
        Some(ArrayData::I64(labels)) => labels.iter().filter(|label| **label != IGNORED).count(),
        _ => 0,
    };
    let all: usize = window.iter().map(objects).sum();
    let images: usize = window.iter().map(|batch| batch.rows.len()).sum();
    for batch in window {
        let rows = batch.rows.len();
        let numbers = [all as f32, images as f32].repeat(rows);
        batch.targets.insert(OF_STEP.to_owned(), Array::floats(&[rows, 2], numbers));
        for (target, input) in [(LABELS, heads::OBJECT_LABELS), (BOXES, heads::OBJECT_BOXES)] {
            if let Some(array) = batch.targets.get(target).cloned() {
                batch.inputs.insert(input.to_owned(), array);
            }
        }
    }
}
