//! Collecting what is wrong with the rows of a file, so that it is reported together.

use std::path::{Path, PathBuf};

use crate::{DataError, RowProblem};

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
}

impl Problems {
    pub(crate) fn new(file: &Path) -> Self {
        Self { file: file.to_owned(), found: Vec::new() }
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
        Err(DataError::Rows { file: self.file, problems: self.found, stopped: false })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
