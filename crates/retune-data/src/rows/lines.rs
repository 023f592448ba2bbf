//! Rows to predict, read line by line as they come: bare inputs or JSON objects, a part at a time.

use std::io::BufRead;
use std::path::{Path, PathBuf};

use super::builder::is_object;
use super::{Builder, Layout, Origin, TableRows};
use crate::problems::Problems;
use crate::table;
use crate::{DataError, OnBadExample};

/// A line that starts with `{` is a JSON object with the columns' names, any other line is itself
/// the input. Labels and groups are optional.
///
/// The first line that is not blank says what blank lines are: among bare inputs an empty input if
/// the modality has such a thing, so that every line has its answer; else nothing.
pub struct TableLines<R> {
    input: R,
    name: PathBuf,
    layout: Layout,
    /// Lines read so far.
    line: u64,
    blanks: Blanks,
    any: bool,
    on_bad_example: OnBadExample,
}

/// What blank lines mean.
enum Blanks {
    /// Not known yet; so many were read.
    Unknown(u64),
    Inputs,
    Nothing,
}

impl<R: BufRead> TableLines<R> {
    /// `name` stands for the file in messages.
    ///
    /// # Errors
    /// Columns that contradict each other.
    pub fn new(input: R, name: &Path, layout: &Layout) -> Result<Self, DataError> {
        let mut layout = layout.clone();
        // Each line has names of its own; those of the first are not known yet.
        layout.split_labels(|| Ok(Vec::new()))?;
        let (name, blanks) = (name.to_owned(), Blanks::Unknown(0));
        Ok(Self { input, name, layout, line: 0, blanks, any: false, on_bad_example: OnBadExample::Fail })
    }

    /// Whether lines that cannot be used are left out; [`crate::Records::left_out`] lists them.
    pub fn on_bad_example(self, on_bad_example: OnBadExample) -> Self {
        Self { on_bad_example, ..self }
    }

    /// The next rows, `most` of them unless the input ends; `None` at its end. Lines that are left out at the end are told
    /// of by rows that are none.
    ///
    /// # Errors
    /// Rows that cannot be used, up to ten together; plain lines where pairs are needed; an input without any row.
    pub fn next_rows(&mut self, most: usize) -> Result<Option<TableRows>, DataError> {
        let mut builder = Builder::new(self.layout.clone(), false)?;
        let mut problems = Problems::that(self.on_bad_example, &self.name);
        let mut text = Vec::new();
        let mut ended = false;
        while builder.len() < most.max(1) && !ended {
            text.clear();
            let read = table::read_line(&mut self.input, &mut text, self.line == 0);
            ended = read.map_err(|source| DataError::Read { file: self.name.clone(), source })?.is_none();
            if !ended {
                self.line += 1;
            }
            if !ended && text.iter().all(u8::is_ascii_whitespace) {
                match &mut self.blanks {
                    Blanks::Unknown(count) => *count += 1,
                    Blanks::Inputs => builder.push_blank(self.line)?,
                    Blanks::Nothing => {}
                }
                continue;
            }
            if let Blanks::Unknown(count) = self.blanks {
                let inputs = !is_object(&text) && self.layout.inputs.len() == 1 && self.layout.kind.blank;
                let blanks = if inputs { count } else { 0 };
                (1..=blanks).try_for_each(|line| builder.push_blank(line))?;
                self.blanks = if inputs { Blanks::Inputs } else { Blanks::Nothing };
            }
            if !ended {
                match builder.free_line(self.line, &text) {
                    Ok(row) => builder.push(row)?,
                    Err(problem) => problems.push_row(builder.len(), problem)?,
                }
            }
        }
        let left_out = problems.leave_out(self.any || builder.len() > 0)?;
        if builder.len() == 0 && left_out.is_empty() {
            let empty = DataError::Empty { file: self.name.clone(), header: false };
            return if self.any { Ok(None) } else { Err(empty) };
        }
        self.any = true;
        builder.finish(&self.name, PathBuf::new(), Origin::Stream, left_out).map(Some)
    }
}

#[cfg(all(test, feature = "text"))]
mod tests;
