//! Collecting what is wrong with the rows of a file, so that it is reported together.

use std::path::{Path, PathBuf};

use serde_json::Map;

use crate::{BadExample, DataError, OnBadExample, RowProblem};

impl RowProblem {
    pub(crate) fn new(line: u64, column: Option<&str>, message: impl Into<String>) -> Self {
        Self { line, column: column.map(str::to_owned), message: message.into() }
    }
}

/// Problems reported together before reading stops.
const MOST_PROBLEMS: usize = 10;

/// Collects row problems until there are ten; the caller stops then.
pub(crate) struct Problems {
    file: PathBuf,
    found: Vec<RowProblem>,
    /// Rows left out, where problems do not end the reading.
    left_out: Option<Vec<BadExample>>,
}

impl Problems {
    pub(crate) fn new(file: &Path) -> Self {
        Self { file: file.to_owned(), found: Vec::new(), left_out: None }
    }

    /// Problems that end the reading or not.
    pub(crate) fn that(on_bad_example: OnBadExample, file: &Path) -> Self {
        Self { left_out: (on_bad_example == OnBadExample::Skip).then(Vec::new), ..Self::new(file) }
    }

    /// Records why a row cannot be used, after `good` that can; fails when that made ten, unless rows are left out for it.
    pub(crate) fn push_row(&mut self, good: usize, problem: RowProblem) -> Result<(), DataError> {
        let Some(left_out) = &mut self.left_out else { return self.push(problem) };
        left_out.push(BadExample {
            place: format!("{}:{}", self.file.display(), problem.line),
            reason: problem.said(),
            row: good + left_out.len(),
            line: problem.line,
            fields: Map::new(),
        });
        if self.found.len() < MOST_PROBLEMS {
            self.found.push(problem);
        }
        Ok(())
    }

    /// Records a problem; fails when that made ten.
    pub(crate) fn push(&mut self, problem: RowProblem) -> Result<(), DataError> {
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
        let stopped = self.left_out.is_some_and(|left_out| left_out.len() > self.found.len());
        Err(DataError::Rows { file: self.file, problems: self.found, stopped })
    }

    /// As [`Problems::finish`], but rows may be left out if others (`any`) can be used.
    pub(crate) fn leave_out(mut self, any: bool) -> Result<Vec<BadExample>, DataError> {
        match self.left_out.take_if(|_| any) {
            Some(left_out) => Ok(left_out),
            None => self.finish().map(|()| Vec::new()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_that_are_left_out_are_counted() {
        let mut problems = Problems::that(OnBadExample::Skip, "a.csv".as_ref());
        (2..14).for_each(|line| problems.push_row(5, RowProblem::new(line, None, "is broken")).unwrap());
        let left_out = problems.leave_out(true).unwrap();
        assert_eq!((left_out.len(), left_out[11].row, left_out[11].line), (12, 16, 13));
        assert_eq!(left_out[0].to_string(), "a.csv:2: is broken");
        let mut problems = Problems::that(OnBadExample::Skip, "a.csv".as_ref());
        problems.push_row(0, RowProblem::new(2, None, "is broken")).unwrap();
        assert_eq!(problems.leave_out(false).unwrap_err().to_string(), "a.csv:2: is broken");
        let mut problems = Problems::that(OnBadExample::Fail, "a.csv".as_ref());
        problems.push_row(0, RowProblem::new(2, None, "is broken")).unwrap();
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
