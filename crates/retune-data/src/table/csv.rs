//! CSV (RFC 4180) and TSV, streamed line by line.
//!
//! CSV: quotes matter where a field begins with one; inside, `""` is a quote and line breaks are
//! text. TSV: no quoting at all, as in GLUE's files, whose texts have stray quotes.
//! Byte order mark, CRLF and blank lines are accepted; a record's line is where it starts.

use std::io::BufRead;
use std::path::{Path, PathBuf};

use super::{Cell, MOST_RECORD_BYTES, NOT_UTF8, Record, RowReader, Wanted, locate, read_line};
use crate::error::{quoted, shortened};
use crate::{DataError, RowProblem};

/// Which of the two formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// Comma, with quoting.
    Csv,
    /// Tab, without quoting.
    Tsv,
}

/// Streams the records of a CSV or TSV file.
pub(super) struct CsvReader<R> {
    path: PathBuf,
    input: R,
    dialect: Dialect,
    header: Vec<String>,
    wanted: Vec<Option<usize>>,
    present: Vec<bool>,
    /// Lines read so far.
    line: u64,
    /// The current line without its ending.
    text: Vec<u8>,
    /// The unescaped fields of the current record.
    fields: Vec<Vec<u8>>,
}

/// Where in a CSV field the scanner stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Start,
    Bare,
    Quoted,
    /// After a quote inside a quoted field: its end, or the first half of `""`.
    Closed,
}

impl<R: BufRead> CsvReader<R> {
    pub(super) fn new(path: &Path, input: R, dialect: Dialect, wanted: &[Wanted]) -> Result<Self, DataError> {
        let mut reader = Self {
            path: path.to_owned(),
            input,
            dialect,
            header: Vec::new(),
            wanted: Vec::new(),
            present: Vec::new(),
            line: 0,
            text: Vec::new(),
            fields: Vec::new(),
        };
        let line = match reader.read_fields()? {
            None => {
                return Err(DataError::Empty { file: path.to_owned(), header: false });
            }
            Some(Ok(line)) => line,
            Some(Err(problem)) => return Err(reader.malformed(problem.line, problem.message)),
        };
        let fields = std::mem::take(&mut reader.fields);
        reader.header = fields
            .into_iter()
            .map(|field| String::from_utf8(field).map_err(|_| reader.malformed(line, NOT_UTF8)))
            .collect::<Result<_, _>>()?;
        for (index, name) in reader.header.iter().enumerate() {
            if wanted.iter().any(|column| column.name == *name) && reader.header[..index].contains(name) {
                let message = format!("the column `{}` stands twice in the header; rename one", shortened(name));
                return Err(reader.malformed(line, message));
            }
        }
        reader.wanted = locate(path, wanted, &reader.header)?;
        reader.present = reader.wanted.iter().map(Option::is_some).collect();
        Ok(reader)
    }

    fn malformed(&self, line: u64, message: impl Into<String>) -> DataError {
        DataError::Malformed { file: self.path.clone(), line, message: message.into() }
    }

    /// Reads the next line into `self.text` and returns its ending; `None` at the end of the file.
    fn next_line(&mut self) -> Result<Option<&'static [u8]>, DataError> {
        self.text.clear();
        let ending = read_line(&mut self.input, &mut self.text, self.line == 0)
            .map_err(|source| DataError::Read { file: self.path.clone(), source })?;
        self.line += u64::from(ending.is_some());
        Ok(ending)
    }

    /// Reads one record into `fields` and returns its first line; `None` at the end.
    fn read_fields(&mut self) -> Result<Option<Result<u64, RowProblem>>, DataError> {
        self.fields.clear();
        let mut ending = loop {
            match self.next_line()? {
                None => return Ok(None),
                Some(_) if self.text.is_empty() => {}
                Some(ending) => break ending,
            }
        };
        let start = self.line;
        if self.dialect == Dialect::Tsv {
            self.fields.extend(self.text.split(|&byte| byte == b'\t').map(<[u8]>::to_vec));
            return Ok(Some(Ok(start)));
        }
        let mut place = Place::Start;
        let mut field = Vec::new();
        let mut size = 0;
        let mut stray = None;
        loop {
            for &byte in &self.text {
                place = match (place, byte) {
                    (Place::Start, b'"') => Place::Quoted,
                    (Place::Quoted, b'"') => Place::Closed,
                    (Place::Closed, b'"') => {
                        field.push(b'"');
                        Place::Quoted
                    }
                    (Place::Start | Place::Bare | Place::Closed, b',') => {
                        self.fields.push(std::mem::take(&mut field));
                        Place::Start
                    }
                    // Spaces between a closing quote and the comma are not text.
                    (Place::Closed, b' ' | b'\t') => Place::Closed,
                    (Place::Closed, _) => {
                        stray.get_or_insert((self.line, self.fields.len() + 1));
                        Place::Bare
                    }
                    (Place::Start | Place::Bare, _) => {
                        field.push(byte);
                        Place::Bare
                    }
                    (Place::Quoted, _) => {
                        field.push(byte);
                        Place::Quoted
                    }
                };
            }
            if place != Place::Quoted {
                break;
            }
            field.extend_from_slice(ending);
            size += self.text.len() + ending.len();
            match self.next_line()? {
                Some(next) if size <= MOST_RECORD_BYTES => ending = next,
                _ => {
                    let message = "a quote opened in this record is never closed; \
                                   write a quote inside a quoted field twice (\"\")";
                    return Err(self.malformed(start, message));
                }
            }
        }
        self.fields.push(field);
        Ok(Some(match stray {
            None => Ok(start),
            Some((line, number)) => {
                let message = format!(
                    "field {number}: text follows a closing quote; write a quote inside a quoted field twice (\"\")"
                );
                Err(RowProblem::new(line, None, message))
            }
        }))
    }

    /// Picks the wanted fields of the record just read.
    fn record(&mut self, line: u64) -> Result<Record, RowProblem> {
        if self.fields.len() != self.header.len() {
            let more = self.fields.len() > self.header.len();
            let message = format!(
                "{} fields where the header has {} ({}); {}",
                self.fields.len(),
                self.header.len(),
                quoted(&self.header, 8),
                match (self.dialect, more) {
                    (Dialect::Csv, true) => "put a text with commas in double quotes",
                    (Dialect::Tsv, true) => "a text may not contain a tab in a TSV file",
                    (_, false) => "the record is cut short or lacks a separator",
                }
            );
            return Err(RowProblem::new(line, None, message));
        }
        let mut cells = Vec::with_capacity(self.wanted.len());
        for &index in &self.wanted {
            let Some(index) = index else {
                cells.push(Cell::Null);
                continue;
            };
            // Not taken out of `fields`: two wanted columns may be the same one.
            match std::str::from_utf8(&self.fields[index]) {
                Ok(text) => cells.push(Cell::Text(text.to_owned())),
                Err(_) => return Err(RowProblem::new(line, Some(&self.header[index]), NOT_UTF8)),
            }
        }
        Ok(Record { line, cells })
    }
}

impl<R: BufRead> RowReader for CsvReader<R> {
    fn next_record(&mut self) -> Option<Result<Result<Record, RowProblem>, DataError>> {
        match self.read_fields() {
            Err(error) => Some(Err(error)),
            Ok(None) => None,
            Ok(Some(Err(problem))) => Some(Ok(Err(problem))),
            Ok(Some(Ok(line))) => Some(Ok(self.record(line))),
        }
    }

    fn columns(&self) -> &[String] {
        &self.header
    }

    fn present(&self) -> &[bool] {
        &self.present
    }
}
