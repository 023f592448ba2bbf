//! Numbers for each example of which some are not known: properties of molecules, results of assays.

use std::collections::BTreeSet;
use std::path::Path;

use super::Targets;
use crate::error::quoted;
use crate::problems::Problems;
use crate::table::{self, Cell, Wanted};
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
        let mut wrong: Vec<(usize, usize, String)> = Vec::new();
        for row in 0..rows.len() {
            for (output, cell) in rows.label_cells(row)?.into_iter().enumerate() {
                let number = match &cell {
                    Cell::Null => Some(f32::NAN),
                    cell => cell.number().map(|number| number as f32).filter(|number| !number.is_infinite()),
                };
                if number.is_none() {
                    wrong.push((row, output, cell.name().unwrap_or_default()));
                }
                values.push(number.unwrap_or(f32::NAN));
            }
        }
        let known = Self { names, values };
        known.refuse(rows, &wrong)?;
        for (output, name) in known.names.iter().enumerate() {
            if known.column(output).next().is_none() {
                let message = format!("column `{name}` has no number in any row; leave it out of --label-column");
                return Err(DataError::Schema { file: rows.file().to_owned(), message });
            }
        }
        Ok(known)
    }

    /// Refuses cells that are no numbers; of a column that holds none but words it is said what targets are.
    fn refuse(&self, rows: &TableRows, wrong: &[(usize, usize, String)]) -> Result<(), DataError> {
        let mut problems = Problems::new(rows.file());
        for (row, output, found) in wrong {
            let name = &self.names[*output];
            if self.column(*output).next().is_none() {
                let of_column = wrong.iter().filter(|(_, other, _)| other == output).map(|(.., found)| found.clone());
                let words: Vec<String> = of_column.collect::<BTreeSet<String>>().into_iter().collect();
                let answers = yes_or_no(rows.file()).unwrap_or_default();
                let other = match answers.is_empty() {
                    true => "write one column of 0 and 1 for each class".to_owned(),
                    false => format!("0 and 1 stand in {} (--label-column)", quoted(&answers, 8)),
                };
                let message = format!(
                    "column `{name}` holds words ({}); a target is a number, or 0 or 1 where it is yes or no: {other}",
                    quoted(&words, 5)
                );
                return Err(DataError::Schema { file: rows.file().to_owned(), message });
            }
            let message = format!("`{found}` is no number; write one, or leave the cell empty");
            problems.push(RowProblem::new(rows.line(*row), Some(name), message))?;
        }
        problems.finish()
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

/// The columns of a file whose first rows hold nothing but 0 and 1.
fn yes_or_no(file: &Path) -> Result<Vec<String>, DataError> {
    const ROWS: usize = 1000;
    let names = table::column_names(file)?;
    let wanted = |name: &String| Wanted { name: name.clone(), flag: "", required: false, bytes: false };
    let mut reader = table::open(file, &names.iter().map(wanted).collect::<Vec<_>>())?;
    // Whether a column holds nothing else, and whether it holds anything.
    let mut found = vec![(true, false); names.len()];
    for record in std::iter::from_fn(|| reader.next_record()).take(ROWS) {
        let Ok(record) = record? else { continue };
        for (cell, found) in record.cells.iter().zip(&mut found) {
            let empty = *cell == Cell::Null || matches!(cell, Cell::Text(text) if text.trim().is_empty());
            found.0 &= empty || cell.number().is_some_and(|number| number == 0.0 || number == 1.0);
            found.1 |= !empty;
        }
    }
    Ok(names.into_iter().zip(found).filter(|(_, found)| found.0 && found.1).map(|(name, _)| name).collect())
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
