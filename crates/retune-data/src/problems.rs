//! Collecting what is wrong with the rows of a file, so that it is reported together.

use std::path::{Path, PathBuf};

use crate::{DataError, OnBadExample, RowProblem};

impl RowProblem {
    pub(crate) fn new(line: u64, column: Option<&str>, message: impl Into<String>) -> Self {
        Self { line, column: column.map(str::to_owned), message: message.into() }
    }
}

/// Problems reported together before reading stops.
const MOST_PROBLEMS: usize = 10;

/// Rows that are left out because they cannot be used.
#[derive(Debug, Clone, Default)]
pub(crate) struct LeftOut {
    /// How many there are.
    pub(crate) count: usize,
    /// What is wrong with the first ten.
    pub(crate) first: Vec<RowProblem>,
}

/// Collects row problems until there are ten; the caller stops then.
pub(crate) struct Problems {
    file: PathBuf,
    found: Vec<RowProblem>,
    /// Problems in all, where they do not end the reading.
    skipped: Option<usize>,
}

impl Problems {
    pub(crate) fn new(file: &Path) -> Self {
        Self { file: file.to_owned(), found: Vec::new(), skipped: None }
    }

    /// Problems that end the reading or not.
    pub(crate) fn that(on_bad_example: OnBadExample, file: &Path) -> Self {
        Self { skipped: (on_bad_example == OnBadExample::Skip).then_some(0), ..Self::new(file) }
    }

    /// Records a problem; fails when that made ten, unless rows are left out for it.
    pub(crate) fn push(&mut self, problem: RowProblem) -> Result<(), DataError> {
        if let Some(skipped) = &mut self.skipped {
            *skipped += 1;
            if self.found.len() < MOST_PROBLEMS {
                self.found.push(problem);
            }
            return Ok(());
        }
        self.found.push(problem);
        if self.found.len() < MOST_PROBLEMS {
            return Ok(());
        }
        Err(DataError::Rows { file: self.file.clone(), problems: std::mem::take(&mut self.found), stopped: true })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Fails when there was any problem.
    pub(crate) fn finish(self) -> Result<(), DataError> {
        if self.found.is_empty() {
            return Ok(());
        }
        let stopped = self.skipped.is_some_and(|skipped| skipped > self.found.len());
        Err(DataError::Rows { file: self.file, problems: self.found, stopped })
    }

    /// As [`Problems::finish`], but rows may be left out if others (`any`) can be used.
    pub(crate) fn leave_out(self, any: bool) -> Result<LeftOut, DataError> {
        match self.skipped {
            Some(count) if any => Ok(LeftOut { count, first: self.found }),
            _ => self.finish().map(|()| LeftOut::default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_that_are_left_out_are_counted() {
        let mut problems = Problems::that(OnBadExample::Skip, "a.csv".as_ref());
        (2..14).for_each(|line| problems.push(RowProblem::new(line, None, "is broken")).unwrap());
        let left_out = problems.leave_out(true).unwrap();
        assert_eq!((left_out.count, left_out.first.len()), (12, 10));
        let mut problems = Problems::that(OnBadExample::Skip, "a.csv".as_ref());
        problems.push(RowProblem::new(2, None, "is broken")).unwrap();
        assert_eq!(problems.leave_out(false).unwrap_err().to_string(), "a.csv:2: is broken");
        let mut problems = Problems::that(OnBadExample::Fail, "a.csv".as_ref());
        problems.push(RowProblem::new(2, None, "is broken")).unwrap();
        assert!(problems.leave_out(true).is_err());
    }

    #[test]
    fn ten_problems_are_reported_together() {
        let mut problems = Problems::new("a.csv".as_ref());
        for line in 2..11 {
            problems.push(RowProblem::new(line, Some("label"), "is missing")).unwrap();
        }
        let error = problems.push(RowProblem::new(11, None, "is broken")).unwrap_err().to_string();
        assert!(error.starts_with("a.csv:2: column `label`: is missing\n"), "{error}");
        assert!(error.ends_with("a.csv:11: is broken\n10 problems so far, the rest of the file was not checked"));
    }
}
