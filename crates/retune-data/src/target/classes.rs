//! One class for each example.

use super::{Targets, labels, mixed};
use crate::schema::{EncodedLabel, LabelSchema};
use crate::{Array, Batch, DataError, LabelRows, Medium, Seen};

/// One class per example; `labels` `[B]` i64, or, where rows are mixed, `[B, C]` f32 shares of the classes.
#[derive(Debug, Clone, PartialEq)]
pub struct Classes {
    names: Vec<String>,
    of: Vec<u32>,
    /// What a person should know about how they were read.
    remarks: Vec<String>,
}

impl Classes {
    /// Takes the class of each example, a place in `names`. Panics on a class without a name.
    pub fn new(names: Vec<String>, of: Vec<u32>) -> Self {
        assert!(of.iter().all(|&class| (class as usize) < names.len()), "every class has a name");
        Self { names, of, remarks: Vec::new() }
    }

    /// Reads the classes of all rows, which are among `names`; `None` when not every row has a label.
    ///
    /// # Errors
    /// Labels that are none of them, up to ten rows together.
    pub fn read(rows: &dyn LabelRows, names: &[String]) -> Result<Option<Self>, DataError> {
        let schema = LabelSchema::SingleLabel { names: names.to_vec() };
        let mut of = Vec::with_capacity(rows.len());
        let labelled = labels::encode(rows, &schema, |label| {
            if let EncodedLabel::Class(class) = label {
                of.push(class);
            }
        })?;
        Ok(labelled.map(|remarks| Self { names: names.to_vec(), of, remarks }))
    }

    /// Class names in the order of the model's outputs.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The class of an example. Panics beyond the end.
    pub fn class(&self, example: usize) -> u32 {
        self.of[example]
    }
}

impl<M: Medium> Targets<M> for Classes {
    type Gold = u32;

    fn len(&self) -> usize {
        self.of.len()
    }

    fn gold(&self, example: usize) -> Result<u32, DataError> {
        Ok(self.of[example])
    }

    fn fill(&self, examples: &[usize], seen: &[M::Seen], into: &mut Batch) -> Result<(), DataError> {
        let ids = examples.iter().map(|&example| self.of[example]);
        let labels = if seen.iter().any(|seen| seen.mixed().is_some()) {
            let classes = self.names.len();
            let mut hot = vec![0.0; examples.len() * classes];
            ids.enumerate().for_each(|(place, id)| hot[place * classes + id as usize] = 1.0);
            Array::floats(&[examples.len(), classes], mixed::shares(&hot, classes, seen))
        } else {
            Array::integers(&[examples.len()], ids.map(i64::from).collect())
        };
        into.targets.insert("labels".to_owned(), labels);
        Ok(())
    }

    fn fingerprint(&self, example: usize) -> Result<String, DataError> {
        Ok(format!("Class({})", self.of[example]))
    }

    /// The class.
    fn strata(&self, examples: &[usize]) -> Vec<u64> {
        examples.iter().map(|&example| self.of[example].into()).collect()
    }

    fn counts(&self, examples: &[usize]) -> Vec<(String, usize)> {
        let mut counts = vec![0; self.names.len()];
        examples.iter().for_each(|&example| counts[self.of[example] as usize] += 1);
        self.names.iter().cloned().zip(counts).collect()
    }

    fn remarks(&self) -> Vec<String> {
        self.remarks.clone()
    }

    fn mixes(&self) -> bool {
        true
    }
}
