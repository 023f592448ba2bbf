//! Numbers for each example: regression with one or several outputs.

use super::{Targets, labels};
use crate::schema::{EncodedLabel, LabelSchema};
use crate::{Array, Batch, DataError, Fact, FactValue, LabelRows, Medium};

/// Numbers; `labels` `[B]` f32, or `[B, outputs]` where there are several.
#[derive(Debug, Clone, PartialEq)]
pub struct Numbers {
    outputs: usize,
    values: Vec<f32>,
}

impl Numbers {
    /// Takes the numbers of all examples, `outputs` for each. Panics where that does not come out even.
    pub fn new(outputs: usize, values: Vec<f32>) -> Self {
        assert!(outputs > 0 && values.len().is_multiple_of(outputs), "as many numbers for each example");
        Self { outputs, values }
    }

    /// Reads the numbers of all rows, `outputs` of each; `None` when not every row has them.
    ///
    /// # Errors
    /// Labels that are no numbers, or another count of them, up to ten rows together.
    pub fn read(rows: &dyn LabelRows, outputs: usize) -> Result<Option<Self>, DataError> {
        let mut values = Vec::with_capacity(rows.len() * outputs);
        let labelled = labels::encode(rows, &LabelSchema::Regression { outputs }, |label| {
            if let EncodedLabel::Values(more) = label {
                values.extend(more);
            }
        })?;
        Ok(labelled.map(|_| Self { outputs, values }))
    }

    /// How many numbers an example has.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// The numbers of an example. Panics beyond the end.
    pub fn numbers(&self, example: usize) -> &[f32] {
        &self.values[example * self.outputs..(example + 1) * self.outputs]
    }

    fn first(&self, examples: &[usize]) -> impl Iterator<Item = f32> {
        examples.iter().map(|&example| self.values[example * self.outputs])
    }
}

impl<M: Medium> Targets<M> for Numbers {
    type Gold = Vec<f32>;

    fn len(&self) -> usize {
        self.values.len() / self.outputs
    }

    fn gold(&self, example: usize) -> Result<Vec<f32>, DataError> {
        Ok(self.numbers(example).to_vec())
    }

    fn fill(&self, examples: &[usize], _seen: &[M::Seen], into: &mut Batch) -> Result<(), DataError> {
        let picked = examples.iter().flat_map(|&example| self.numbers(example)).copied().collect();
        let shape = [examples.len(), self.outputs];
        let labels = Array::floats(if self.outputs == 1 { &shape[..1] } else { &shape }, picked);
        into.targets.insert("labels".to_owned(), labels);
        Ok(())
    }

    fn fingerprint(&self, example: usize) -> Result<String, DataError> {
        Ok(format!("Values({:?})", self.numbers(example)))
    }

    /// The decile of the first number.
    fn strata(&self, examples: &[usize]) -> Vec<u64> {
        let mut sorted: Vec<f32> = self.first(examples).collect();
        sorted.sort_by(f32::total_cmp);
        let decile = |value: f32| (sorted.partition_point(|&x| x < value) * 10 / sorted.len().max(1)) as u64;
        self.first(examples).map(decile).collect()
    }

    /// Range, mean and spread of the first number.
    fn facts(&self, examples: &[usize]) -> Vec<Fact> {
        // Welford's update: no cancellation whatever the offset of the targets.
        let (mut count, mut mean, mut squares) = (0.0, 0.0, 0.0);
        let (mut least, mut most) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in self.first(examples).map(f64::from) {
            count += 1.0;
            let difference = value - mean;
            mean += difference / count;
            squares += difference * (value - mean);
            least = least.min(value);
            most = most.max(value);
        }
        if count == 0.0 {
            return Vec::new();
        }
        let facts = [("smallest target", least), ("largest target", most), ("mean target", mean)];
        let spread = ("standard deviation of targets", f64::sqrt(squares / count));
        facts.into_iter().chain([spread]).map(|(name, value)| Fact::new(name, FactValue::Number(value))).collect()
    }
}
