//! CSV (RFC 4180) and TSV, streamed line by line.
//!
//! Fields are separated by what the header says (`separator`), a comma or tab where nothing speaks against it. Quotes matter
//! where a field begins with one; inside, `""` is a quote and line breaks are text. In a TSV file they may all be text
//! (`quoting`), as in GLUE's files, whose texts have stray quotes. Where columns are wanted by their numbers, no line names them.

use std::io::BufRead;
use std::path::{Path, PathBuf};

use super::fields::{Fields, Quoting, Read};
use super::{Cell, NOT_UTF8, Names, Record, RowReader, Wanted, locate, outer, separator};
use crate::annotations::literal;
use crate::error::{quoted, shortened};
use crate::{DataError, RowProblem};

/// Streams the records of a CSV or TSV file.
pub(super) struct CsvReader<R> {
    path: PathBuf,
    fields: Fields<R>,
    header: Vec<String>,
    /// The first row, where the first line names no columns, until it is asked for.
    first: Option<(u64, Vec<Vec<u8>>)>,
    /// Whether the first line names no columns.
    numbered: bool,
    wanted: Vec<Option<usize>>,
    /// Keys inside wanted columns that hold objects.
    keys: Vec<Option<String>>,
    present: Vec<bool>,
    /// Whether quotes that are read as text may enclose fields.
    doubt: bool,
}

const UNCLOSED: &str =
    "a quote opened in this record is never closed; write a quote inside a quoted field twice (\"\")";

impl<R: BufRead> CsvReader<R> {
    /// `usual` is the separator that the file's name promises.
    pub(super) fn new(
        path: &Path,
        input: R,
        usual: u8,
        quoting: Quoting,
        wanted: &[Wanted],
    ) -> Result<Self, DataError> {
        let fields = Fields::new(input, usual, quoting);
        let (path, header, wanted_at, present) = (path.to_owned(), Vec::new(), Vec::new(), Vec::new());
        let (first, numbered, keys, doubt) = (None, false, Vec::new(), false);
        let mut reader = Self { path, fields, header, first, numbered, wanted: wanted_at, keys, present, doubt };
        let path = reader.path.clone();
        let failed = |source| DataError::Read { file: path.clone(), source };
        let empty = || DataError::Empty { file: path.clone(), header: false };
        let mut ending = reader.fields.next_filled().map_err(failed)?.ok_or_else(empty)?;
        reader.fields.separator = match separator::declared(&reader.fields.text) {
            Some(separator) => {
                ending = reader.fields.next_filled().map_err(failed)?.ok_or_else(empty)?;
                separator
            }
            None => separator::of_header(&String::from_utf8_lossy(&reader.fields.text), usual, wanted),
        };
        // Quotes that may be text are a matter of tabs.
        if reader.fields.separator != b'\t' && quoting == Quoting::None {
            reader.fields.quoting = Quoting::Doubled;
        }
        let line = match reader.fields.cut(ending).map_err(failed)? {
            Read::Record { line } => line,
            Read::Problem(problem) => return Err(reader.malformed(problem.line, problem.message)),
            Read::Unclosed { line } => return Err(reader.malformed(line, UNCLOSED)),
        };
        let fields = std::mem::take(&mut reader.fields.fields);
        reader.numbered = separator::by_number(wanted, &fields);
        if reader.numbered {
            reader.header = (1..=fields.len()).map(|number| number.to_string()).collect();
            reader.first = Some((line, fields));
        } else {
            reader.header = fields
                .into_iter()
                .map(|field| String::from_utf8(field).map_err(|_| reader.malformed(line, NOT_UTF8)))
                .collect::<Result<_, _>>()?;
        }
        for (index, name) in reader.header.iter().enumerate() {
            if wanted.iter().any(|column| column.name == *name) && reader.header[..index].contains(name) {
                let message = format!("the column `{}` stands twice in the header; rename one", shortened(name));
                return Err(reader.malformed(line, message));
            }
        }
        let (outer, keys) = outer(wanted, &reader.header, |name| reader.header.iter().any(|it| it.trim() == name));
        reader.keys = keys;
        reader.wanted = locate(&path, &outer, &reader.header, Names::Header)?;
        reader.present = reader.wanted.iter().map(Option::is_some).collect();
        Ok(reader)
    }

    /// With a remark that its quotes may be meant in another way.
    pub(super) fn with_doubt(self, doubt: bool) -> Self {
        Self { doubt, ..self }
    }

    fn malformed(&self, line: u64, message: impl Into<String>) -> DataError {
        DataError::Malformed { file: self.path.clone(), line, message: message.into() }
    }

    /// Picks the wanted fields of the record just read.
    fn record(&mut self, line: u64) -> Result<Record, RowProblem> {
        let fields = &self.fields.fields;
        if fields.len() != self.header.len() {
            let more = fields.len() > self.header.len();
            let message = format!(
                "{} fields where the {} has {} ({}); {}",
                fields.len(),
                if self.numbered { "first row" } else { "header" },
                self.header.len(),
                quoted(&self.header, 8),
                match (self.fields.quoting, more) {
                    (Quoting::None, true) => "a text may not contain a tab in a TSV file".to_owned(),
                    (_, true) => {
                        format!("put a text with {} in double quotes", separator::called(self.fields.separator))
                    }
                    (_, false) => "the record is cut short or lacks a separator".to_owned(),
                }
            );
            return Err(RowProblem::new(line, None, message));
        }
        let mut cells = Vec::with_capacity(self.wanted.len());
        for (&index, key) in self.wanted.iter().zip(&self.keys) {
            let Some(index) = index else {
                cells.push(Cell::Null);
                continue;
            };
            let problem = |message: String| RowProblem::new(line, Some(&self.header[index]), message);
            // Not taken out of `fields`: two wanted columns may be the same one.
            let text = std::str::from_utf8(&fields[index]).map_err(|_| problem(NOT_UTF8.to_owned()))?;
            cells.push(match key {
                Some(key) => value_of(text, key).map_err(problem)?,
                None => Cell::Text(text.to_owned()),
            });
        }
        Ok(Record { line, cells })
    }
}

impl<R: BufRead> RowReader for CsvReader<R> {
    fn next_record(&mut self) -> Option<Result<Result<Record, RowProblem>, DataError>> {
        if let Some((line, fields)) = self.first.take() {
            self.fields.fields = fields;
            return Some(Ok(self.record(line)));
        }
        match self.fields.read() {
            Err(source) => Some(Err(DataError::Read { file: self.path.clone(), source })),
            Ok(None) => None,
            Ok(Some(Read::Problem(problem))) => Some(Ok(Err(problem))),
            Ok(Some(Read::Unclosed { line })) => Some(Err(self.malformed(line, UNCLOSED))),
            Ok(Some(Read::Record { line })) => Some(Ok(self.record(line))),
        }
    }

    fn columns(&self) -> &[String] {
        &self.header
    }

    fn present(&self) -> &[bool] {
        &self.present
    }

    fn remarks(&self) -> Vec<String> {
        let file = self.path.display();
        let remark = format!(
            "{file}: some fields stand in double quotes as CSV has them, others have stray quotes: all quotes are read as text"
        );
        let named = format!("{file}: columns are given by number, so that the first line is a row and names none");
        self.doubt.then_some(remark).into_iter().chain(self.numbered.then_some(named)).collect()
    }
}

/// The value of a key in an object that a cell spells; nothing where it has none.
fn value_of(cell: &str, key: &str) -> Result<Cell, String> {
    match literal::parse(cell) {
        _ if cell.trim().is_empty() => Ok(Cell::Null),
        Some(Ok(serde_json::Value::Object(mut object))) => {
            Ok(object.remove(key).map_or(Cell::Null, |value| Cell::from_json(value, false)))
        }
        Some(Err(reason)) => Err(format!("is a broken object: {reason}")),
        _ => Err(format!("is `{}`, not an object with `{key}`", shortened(cell))),
    }
}
