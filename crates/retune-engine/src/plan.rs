//! Which rows each step sees: a pure function of (seed, step), so that resuming is recomputing.

use crate::Recipe;
use retune_data::{Batching, Dataset, Pass, SamplerOptions, epoch_batches};
use std::sync::Arc;

/// Sizes of a run in steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// Examples per micro-batch.
    pub batch_size: usize,
    /// Micro-batches per step.
    pub accumulation: usize,
    /// Micro-batches per pass over the data.
    pub batches_per_epoch: u64,
    /// Steps per pass over the data.
    pub steps_per_epoch: u64,
    /// Steps in all.
    pub total_steps: u64,
    /// Steps between evaluations.
    pub evaluate_every: u64,
    /// Of the shuffles.
    pub seed: u64,
    /// Which rows share a batch.
    pub batching: Batching,
}

impl Plan {
    /// What a recipe makes of so many training rows.
    pub fn of(recipe: &Recipe, rows: usize) -> Self {
        let it = &recipe.optimization;
        let every = recipe.run.steps_between_evaluations();
        Self::new(rows, it.batch_size, it.gradient_accumulation, it.epochs, it.steps, every, recipe.run.seed)
    }

    /// `evaluate_every`: `None` = each epoch.
    pub fn new(
        rows: usize,
        batch_size: usize,
        accumulation: usize,
        epochs: f64,
        steps: Option<u64>,
        evaluate_every: Option<u64>,
        seed: u64,
    ) -> Self {
        let batches_per_epoch = rows.div_ceil(batch_size).max(1) as u64;
        let steps_per_epoch = batches_per_epoch.div_ceil(accumulation as u64);
        let total_steps = steps.unwrap_or(((steps_per_epoch as f64 * epochs).ceil() as u64).max(1));
        let evaluate_every = evaluate_every.unwrap_or(steps_per_epoch);
        let batching = Batching::Examples;
        Self {
            batch_size,
            accumulation,
            batches_per_epoch,
            steps_per_epoch,
            total_steps,
            evaluate_every,
            seed,
            batching,
        }
    }

    /// The same sizes with batches made otherwise.
    #[must_use]
    pub fn with_batching(self, batching: Batching) -> Self {
        Self { batching, ..self }
    }

    /// Whether validation follows step number `step` (counted from 1).
    pub fn evaluates_at(&self, step: u64) -> bool {
        step.is_multiple_of(self.evaluate_every) || step == self.total_steps
    }

    /// Micro-batches in step `step` (counted from 0): the last window of an epoch may be shorter.
    pub fn window(&self, step: u64) -> usize {
        let done = step % self.steps_per_epoch * self.accumulation as u64;
        (self.batches_per_epoch - done).min(self.accumulation as u64) as usize
    }

    /// Rows of every micro-batch from step `first_step` (counted from 0) to the end, in order, made epoch by epoch.
    pub fn micro_batches(
        self,
        dataset: Arc<dyn Dataset>,
        first_step: u64,
    ) -> impl Iterator<Item = (Vec<usize>, Option<Pass>)> + Send {
        let first_epoch = first_step / self.steps_per_epoch;
        let skipped = (first_step % self.steps_per_epoch) as usize * self.accumulation;
        let wanted = (first_step..self.total_steps).map(|step| self.window(step)).sum();
        (first_epoch..)
            .flat_map(move |epoch| {
                let options = SamplerOptions { batch_size: self.batch_size, seed: self.seed, batching: self.batching };
                let batches = epoch_batches(&|row| dataset.length(row), dataset.len(), epoch, &options);
                let pass = Some(Pass { seed: self.seed, epoch });
                batches.into_iter().map(move |rows| (rows, pass))
            })
            .skip(skipped)
            .take(wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use retune_data::{Batch, DataError, Source};

    struct Rows(usize);
    impl Dataset for Rows {
        fn len(&self) -> usize {
            self.0
        }
        fn length(&self, row: usize) -> usize {
            1 + row % 7
        }
        fn batch(&self, rows: &[usize], _: Option<Pass>) -> Result<Batch, DataError> {
            Ok(Batch { rows: rows.to_vec(), ..Batch::default() })
        }
        fn source(&self, _: usize) -> Result<Source, DataError> {
            unreachable!("not asked for")
        }
    }

    proptest::proptest! {
        #[test]
        fn resuming_continues_the_same_sequence(
            rows in 1usize..60, batch in 1usize..9, accumulation in 1usize..4, epochs in 1u8..4, cut in 0u64..40,
            tokens: bool,
        ) {
            let batching = if tokens { Batching::Tokens } else { Batching::Examples };
            let plan = Plan::new(rows, batch, accumulation, f64::from(epochs), None, None, 5).with_batching(batching);
            let data: Arc<dyn Dataset> = Arc::new(Rows(rows));
            let all: Vec<_> = plan.micro_batches(Arc::clone(&data), 0).collect();
            proptest::prop_assert_eq!(all.iter().map(|(r, _)| r.len()).sum::<usize>(), rows * epochs as usize);
            let cut = cut.min(plan.total_steps);
            let before: usize = (0..cut).map(|step| plan.window(step)).sum();
            let resumed: Vec<_> = plan.micro_batches(data, cut).collect();
            proptest::prop_assert_eq!(&resumed[..], &all[before..]);
        }
    }

    #[test]
    fn steps_win_over_epochs() {
        let plan = Plan::new(100, 10, 2, 3.0, Some(7), Some(3), 1);
        assert_eq!((plan.steps_per_epoch, plan.total_steps), (5, 7));
        assert_eq!((1..=7).filter(|&s| plan.evaluates_at(s)).collect::<Vec<_>>(), [3, 6, 7]);
        assert_eq!(plan.micro_batches(Arc::new(Rows(100)), 0).count(), 14);
        let uneven = Plan::new(25, 10, 2, 1.0, None, None, 1);
        assert_eq!((uneven.total_steps, uneven.window(0), uneven.window(1)), (2, 2, 1));
    }
}
