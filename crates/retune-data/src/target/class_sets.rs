//! Any number of classes for each example.

use super::{Targets, labels, mixed};
use crate::schema::{EncodedLabel, LabelSchema};
use crate::{Array, Batch, DataError, LabelRows, Medium};

/// Sets of classes; `labels` `[B, C]` f32 of 0 and 1, or shares of them where rows are mixed.
#[derive(Debug, Clone, PartialEq)]
pub struct ClassSets {
    names: Vec<String>,
    /// Examples' classes one after the other, ascending for each, with each example's end.
    ends: Vec<usize>,
    classes: Vec<u32>,
    /// What a person should know about how they were read.
    remarks: Vec<String>,
}

impl ClassSets {
    /// Takes the classes of each example, ascending places in `names`. Panics on a class without a name.
    pub fn new(names: Vec<String>, of: &[Vec<u32>]) -> Self {
        let mut sets = Self { names, ends: Vec::with_capacity(of.len()), classes: Vec::new(), remarks: Vec::new() };
        of.iter().for_each(|classes| sets.push(classes));
        assert!(sets.classes.iter().all(|&class| (class as usize) < sets.names.len()), "every class has a name");
        sets
    }

    /// Reads the classes of all rows, which are among `names`; `None` when not every row has a label.
    ///
    /// # Errors
    /// Labels that are none of them, up to ten rows together.
    pub fn read(rows: &dyn LabelRows, names: &[String]) -> Result<Option<Self>, DataError> {
        let schema = LabelSchema::MultiLabel { names: names.to_vec() };
        let mut sets = Self::new(names.to_vec(), &[]);
        let labelled = labels::encode(rows, &schema, |label| {
            if let EncodedLabel::Classes(classes) = label {
                sets.push(&classes);
            }
        })?;
        Ok(labelled.map(|remarks| Self { remarks, ..sets }))
    }

    /// Class names in the order of the model's outputs.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The classes of an example, ascending. Panics beyond the end.
    pub fn classes(&self, example: usize) -> &[u32] {
        let start = if example == 0 { 0 } else { self.ends[example - 1] };
        &self.classes[start..self.ends[example]]
    }

    fn push(&mut self, classes: &[u32]) {
        self.classes.extend(classes);
        self.ends.push(self.classes.len());
    }

    fn count(&self, examples: &[usize]) -> Vec<usize> {
        let mut counts = vec![0; self.names.len()];
        let all = examples.iter().flat_map(|&example| self.classes(example));
        all.for_each(|&class| counts[class as usize] += 1);
        counts
    }
}

impl<M: Medium> Targets<M> for ClassSets {
    type Gold = Vec<u32>;

    fn len(&self) -> usize {
        self.ends.len()
    }

    fn gold(&self, example: usize) -> Result<Vec<u32>, DataError> {
        Ok(self.classes(example).to_vec())
    }

    fn fill(&self, examples: &[usize], seen: &[M::Seen], into: &mut Batch) -> Result<(), DataError> {
        let outputs = self.names.len();
        let mut hot = vec![0.0; examples.len() * outputs];
        for (place, &example) in examples.iter().enumerate() {
            self.classes(example).iter().for_each(|&class| hot[place * outputs + class as usize] = 1.0);
        }
        let labels = Array::floats(&[examples.len(), outputs], mixed::shares(&hot, outputs, seen));
        into.targets.insert("labels".to_owned(), labels);
        Ok(())
    }

    fn fingerprint(&self, example: usize) -> Result<String, DataError> {
        Ok(format!("Classes({:?})", self.classes(example)))
    }

    /// The rarest class of each set: whole sets are mostly unique.
    fn strata(&self, examples: &[usize]) -> Vec<u64> {
        let counts = self.count(examples);
        let rarest = |&example: &usize| {
            let rarest = self.classes(example).iter().min_by_key(|&&class| (counts[class as usize], class));
            rarest.map_or(0, |&class| 1 + u64::from(class))
        };
        examples.iter().map(rarest).collect()
    }

    fn counts(&self, examples: &[usize]) -> Vec<(String, usize)> {
        self.names.iter().cloned().zip(self.count(examples)).collect()
    }

    fn remarks(&self) -> Vec<String> {
        self.remarks.clone()
    }

    fn mixes(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Random, stratified_split};

    #[test]
    fn label_sets_that_are_mostly_unique_still_give_a_validation_set() {
        let mut random = Random::at(&[3]);
        let mut set = || -> Vec<u32> { (0..20).filter(|_| random.below(4) == 0).collect() };
        let sets: Vec<Vec<u32>> = (0..300).map(|_| set()).collect();
        let targets = ClassSets::new((0..20).map(|class| class.to_string()).collect(), &sets);
        let all: Vec<usize> = (0..300).collect();
        let strata = Targets::<crate::target::tests::Nothing>::strata(&targets, &all);
        let (train, validation) = stratified_split(&strata, 0.1, 1).unwrap();
        assert_eq!(validation.len(), 30);
        for class in 0..20 {
            assert!(train.iter().any(|&row| sets[row].contains(&class)), "{class}");
            assert!(validation.iter().any(|&row| sets[row].contains(&class)), "{class}");
        }
    }
}
