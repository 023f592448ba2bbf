//! Numbers for each example of which some are not known: properties of molecules, results of assays.

use super::Targets;
use crate::problems::Problems;
use crate::table::Cell;
use crate::{Array, Batch, DataError, Fact, FactValue, Medium, Records, RowProblem, TableRows};

/// Numbers with gaps; `labels` `[B, outputs]` f32, NaN where a number is not known.
#[derive(Debug, Clone, PartialEq)]
pub struct Properties {
    names: Vec<String>,
    values: Vec<f32>,
}

impl Properties {
    /// Reads the label columns of all rows. Empty cells are gaps, and so is `nan`.
    ///
    /// # Errors
    /// Cells that are no numbers, up to ten together; no number at all.
    pub fn read(rows: &TableRows) -> Result<Self, DataError> {
        let names = rows.layout().labels.clone();
        let mut values = Vec::with_capacity(rows.len() * names.len());
        let mut problems = Problems::new(rows.file());
        for row in 0..rows.len() {
            for (name, cell) in names.iter().zip(rows.label_cells(row)?) {
                let number = match &cell {
                    Cell::Null => Some(f32::NAN),
                    cell => cell.number().map(|number| number as f32).filter(|number| !number.is_infinite()),
                };
                if number.is_none() {
                    let found = cell.name().unwrap_or_default();
                    let message = format!("`{found}` is no number; write one, or leave the cell empty");
                    problems.push(RowProblem::new(rows.line(row), Some(name), message))?;
                }
                values.push(number.unwrap_or(f32::NAN));
            }
        }
        problems.finish()?;
        let known = Self { names, values };
        for (output, name) in known.names.iter().enumerate() {
            if known.column(output).next().is_none() {
                let message = format!("column `{name}` has no number in any row; leave it out of --label-column");
                return Err(DataError::Schema { file: rows.file().to_owned(), message });
            }
        }
        Ok(known)
    }

    /// Names of the columns.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The numbers of an example, NaN where they are not known. Panics beyond the end.
    pub fn numbers(&self, example: usize) -> &[f32] {
        &self.values[example * self.names.len()..(example + 1) * self.names.len()]
    }

    /// The known numbers of a column.
    pub fn column(&self, output: usize) -> impl Iterator<Item = f32> {
        let values = self.values.iter().skip(output).step_by(self.names.len().max(1));
        values.copied().filter(|value| !value.is_nan())
    }

    /// Whether every known number is 0 or 1.
    pub fn binary(&self) -> bool {
        self.values.iter().all(|value| value.is_nan() || *value == 0.0 || *value == 1.0)
    }
}

impl<M: Medium> Targets<M> for Properties {
    type Gold = Vec<f32>;

    fn len(&self) -> usize {
        self.values.len() / self.names.len().max(1)
    }

    fn gold(&self, example: usize) -> Result<Vec<f32>, DataError> {
        Ok(self.numbers(example).to_vec())
    }

    fn fill(&self, examples: &[usize], _seen: &[M::Seen], into: &mut Batch) -> Result<(), DataError> {
        let picked = examples.iter().flat_map(|&example| self.numbers(example)).copied().collect();
        into.targets.insert("labels".to_owned(), Array::floats(&[examples.len(), self.names.len()], picked));
        Ok(())
    }

    fn fingerprint(&self, example: usize) -> Result<String, DataError> {
        Ok(format!("Properties({:?})", self.numbers(example)))
    }

    /// The first number that is known, where it is one of two; else nothing.
    fn strata(&self, examples: &[usize]) -> Vec<u64> {
        let binary = self.binary();
        let of = |&example: &usize| {
            let first = self.numbers(example).iter().find(|number| !number.is_nan());
            first.filter(|_| binary).map_or(0, |number| 1 + *number as u64)
        };
        examples.iter().map(of).collect()
    }

    fn facts(&self, examples: &[usize]) -> Vec<Fact> {
        let all = examples.len() * self.names.len();
        let known = examples.iter().flat_map(|&example| self.numbers(example)).filter(|number| !number.is_nan());
        let mut facts = vec![Fact::part("known targets", known.clone().count(), all)];
        let (count, sum) = known.fold((0u64, 0f64), |sum, &number| (sum.0 + 1, sum.1 + f64::from(number)));
        if count > 0 {
            facts.push(Fact::new("mean target", FactValue::Number(sum / count as f64)));
        }
        facts
    }
}
