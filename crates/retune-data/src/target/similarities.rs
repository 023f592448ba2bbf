//! How alike the texts of an example are: by a number, by yes or no, or more than those of all other examples.

use super::{Numbers, Targets};
use crate::problems::Problems;
use crate::text::{SeveralSeen, SeveralTexts};
use crate::{Array, Batch, DataError, Fact, FactValue, Records, RowProblem, TableRows};

/// What is known of the texts of examples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Similarity {
    /// A number between these two, which mean no and full similarity.
    Scores(f32, f32),
    /// Yes (1) or no (0).
    Labels,
    /// The second text belongs to the first; a third, where there is one, does not.
    Own,
}

/// Targets over several texts: `labels` `[B]` f32, from 0 to 1, or `text_hashes` `[B, K]` i64 where the other texts of a batch
/// are what does not belong together, so that equal ones can be told.
#[derive(Debug, Clone, PartialEq)]
pub struct Similarities {
    kind: Similarity,
    count: usize,
    /// From 0 to 1, of cosines from -1; nothing for [`Similarity::Own`].
    values: Vec<f32>,
}

impl Similarities {
    /// Reads what the one label column says of all rows; `None` when not every row has it.
    ///
    /// # Errors
    /// What is no number, or one beyond the ends, up to ten rows together.
    pub fn read(rows: &TableRows, kind: Similarity) -> Result<Option<Self>, DataError> {
        let count = rows.len();
        if kind == Similarity::Own {
            return Ok(Some(Self { kind, count, values: Vec::new() }));
        }
        let Some(numbers) = Numbers::read(rows, 1)? else { return Ok(None) };
        let mut problems = Problems::new(rows.file());
        let mut values = Vec::with_capacity(count);
        let column = crate::LabelRows::label_columns(rows).first().map(String::as_str);
        for row in 0..count {
            let number = numbers.numbers(row)[0];
            let wrong = match kind {
                Similarity::Labels if number != 0.0 && number != 1.0 => Some(format!(
                    "is {number}, neither 0 nor 1; numbers between go into another column (--score-column)"
                )),
                Similarity::Scores(low, high) if !(low..=high).contains(&number) => Some(format!(
                    "is {number}, not between {low} and {high}; --score-range says what scores lie between"
                )),
                _ => None,
            };
            if let Some(message) = wrong {
                problems.push(RowProblem::new(rows.line(row), column, message))?;
            }
            values.push(match kind {
                // They are cosines themselves.
                Similarity::Scores(-1.0, 1.0) => number,
                Similarity::Scores(low, high) => (number - low) / (high - low),
                _ => number,
            });
        }
        problems.finish()?;
        Ok(Some(Self { kind, count, values }))
    }

    /// What is known.
    pub fn kind(&self) -> Similarity {
        self.kind
    }
}

impl Targets<SeveralTexts> for Similarities {
    /// From 0 to 1, where it is said.
    type Gold = Option<f32>;

    fn len(&self) -> usize {
        self.count
    }

    fn gold(&self, example: usize) -> Result<Option<f32>, DataError> {
        Ok(self.values.get(example).copied())
    }

    fn fill(&self, examples: &[usize], seen: &[SeveralSeen], into: &mut Batch) -> Result<(), DataError> {
        if self.kind == Similarity::Own {
            let hashes: Vec<i64> = seen.iter().flat_map(|seen| &seen.hashes).map(|&hash| hash as i64).collect();
            let shape = [examples.len(), hashes.len() / examples.len().max(1)];
            into.targets.insert("text_hashes".to_owned(), Array::integers(&shape, hashes));
        } else {
            let values = examples.iter().map(|&example| self.values[example]).collect();
            into.targets.insert("labels".to_owned(), Array::floats(&[examples.len()], values));
        }
        Ok(())
    }

    fn fingerprint(&self, example: usize) -> Result<String, DataError> {
        Ok(format!("Similarity({:?})", self.values.get(example)))
    }

    /// The label; the tenth that a score lies in.
    fn strata(&self, examples: &[usize]) -> Vec<u64> {
        let of = |&example: &usize| self.values.get(example).map_or(0, |value| (value * 9.99) as u64);
        examples.iter().map(of).collect()
    }

    fn counts(&self, examples: &[usize]) -> Vec<(String, usize)> {
        if self.kind != Similarity::Labels {
            return Vec::new();
        }
        let alike = examples.iter().filter(|&&example| self.values[example] == 1.0).count();
        vec![("0".to_owned(), examples.len() - alike), ("1".to_owned(), alike)]
    }

    fn facts(&self, examples: &[usize]) -> Vec<Fact> {
        if !matches!(self.kind, Similarity::Scores(..)) || examples.is_empty() {
            return Vec::new();
        }
        let sum: f64 = examples.iter().map(|&example| f64::from(self.values[example])).sum();
        vec![Fact::new("mean similarity", FactValue::Number(sum / examples.len() as f64))]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Layout, OnBadExample};

    fn read(scores: &str, kind: Similarity) -> Result<Option<Similarities>, DataError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        let lines: String = scores.split(' ').map(|score| format!("a,b,{score}\n")).collect();
        std::fs::write(&path, format!("one,two,score\n{lines}")).unwrap();
        let layout = Layout::texts([("one", "--a"), ("two", "--b")]).labels(["score"]);
        Similarities::read(&TableRows::read(path, &layout, true, OnBadExample::Fail)?, kind)
    }

    #[test]
    fn scores_are_mapped_and_others_are_listed() {
        let scores = read("0 2.5 5", Similarity::Scores(0.0, 5.0)).unwrap().unwrap();
        assert_eq!(scores.values, [0.0, 0.5, 1.0]);
        assert_eq!(read("-1 0.5 1", Similarity::Scores(-1.0, 1.0)).unwrap().unwrap().values, [-1.0, 0.5, 1.0]);
        let said = read("0 6 -1 5", Similarity::Scores(0.0, 5.0)).unwrap_err().to_string();
        assert!(said.contains("a.csv:3: column `score`: is 6") && said.contains("a.csv:4"), "{said}");
        let said = read("0 1 0.5", Similarity::Labels).unwrap_err().to_string();
        assert!(said.contains("a.csv:4: column `score`: is 0.5, neither 0 nor 1"), "{said}");
    }
}
