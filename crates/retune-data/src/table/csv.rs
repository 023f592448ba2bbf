//! CSV (RFC 4180) and TSV, streamed line by line.
//!
//! Fields are separated by what the header says (`separator`), a comma or tab where nothing speaks against it. Quotes matter
//! where a field begins with one; inside, `""` is a quote and line breaks are text. In a TSV file they may all be text
//! (`quoting`), as in GLUE's files, whose texts have stray quotes.
//! Byte order mark, CRLF and blank lines are accepted; a record's line is where it starts.

use std::io::BufRead;
use std::path::{Path, PathBuf};

use super::quoting::Quoting;
use super::{Cell, MOST_RECORD_BYTES, NOT_UTF8, Names, Record, RowReader, Wanted, locate, read_line, separator};
use crate::error::{quoted, shortened};
use crate::{DataError, RowProblem};

/// Streams the records of a CSV or TSV file.
pub(super) struct CsvReader<R> {
    path: PathBuf,
    fields: Fields<R>,
    header: Vec<String>,
    wanted: Vec<Option<usize>>,
    present: Vec<bool>,
    /// Whether quotes that are read as text may enclose fields.
    doubt: bool,
}

/// Cuts lines into the fields of records.
pub(super) struct Fields<R> {
    input: R,
    separator: u8,
    quoting: Quoting,
    /// Lines read so far.
    line: u64,
    /// The current line without its ending.
    text: Vec<u8>,
    /// The unescaped fields of the current record.
    pub(super) fields: Vec<Vec<u8>>,
    /// Whether one of them stood in quotes.
    pub(super) any_quoted: bool,
}

/// What reading one record gave.
pub(super) enum Read {
    /// Its fields are there.
    Record {
        /// Its first line.
        line: u64,
    },
    /// It cannot be used; the next can be read.
    Problem(RowProblem),
    /// A quote opened in it is never closed.
    Unclosed {
        /// Its first line.
        line: u64,
    },
}

/// Where in a field the scanner stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Start,
    Bare,
    Quoted,
    /// After a backslash in a quoted field whose quotes are escaped so.
    Escaped,
    /// After a quote inside a quoted field: its end, or the first half of `""`.
    Closed,
}

impl<R: BufRead> Fields<R> {
    pub(super) fn new(input: R, separator: u8, quoting: Quoting) -> Self {
        let (text, fields) = (Vec::new(), Vec::new());
        Self { input, separator, quoting, line: 0, text, fields, any_quoted: false }
    }

    /// Reads the next line into `self.text` and returns its ending; `None` at the end of the file.
    fn next_line(&mut self) -> std::io::Result<Option<&'static [u8]>> {
        self.text.clear();
        let ending = read_line(&mut self.input, &mut self.text, self.line == 0)?;
        self.line += u64::from(ending.is_some());
        Ok(ending)
    }

    /// Reads the next line that is not blank.
    fn next_filled(&mut self) -> std::io::Result<Option<&'static [u8]>> {
        loop {
            match self.next_line()? {
                Some(_) if self.text.is_empty() => {}
                ending => return Ok(ending),
            }
        }
    }

    /// Reads one record; `None` at the end.
    pub(super) fn read(&mut self) -> std::io::Result<Option<Read>> {
        let Some(ending) = self.next_filled()? else { return Ok(None) };
        self.cut(ending).map(Some)
    }

    /// Cuts the record that begins with the current line.
    fn cut(&mut self, mut ending: &'static [u8]) -> std::io::Result<Read> {
        self.fields.clear();
        self.any_quoted = false;
        let start = self.line;
        if self.quoting == Quoting::None {
            self.fields.extend(self.text.split(|&byte| byte == self.separator).map(<[u8]>::to_vec));
            return Ok(Read::Record { line: start });
        }
        let escapes = self.quoting == Quoting::Escaped;
        let mut place = Place::Start;
        let mut field = Vec::new();
        let mut size = 0;
        let mut stray = None;
        loop {
            for &byte in &self.text {
                place = match (place, byte) {
                    (Place::Start, b'"') => {
                        self.any_quoted = true;
                        Place::Quoted
                    }
                    (Place::Quoted, b'\\') if escapes => Place::Escaped,
                    (Place::Escaped, _) => {
                        if byte != b'"' && byte != b'\\' {
                            field.push(b'\\');
                        }
                        field.push(byte);
                        Place::Quoted
                    }
                    (Place::Quoted, b'"') => Place::Closed,
                    (Place::Closed, b'"') => {
                        field.push(b'"');
                        Place::Quoted
                    }
                    (Place::Start | Place::Bare | Place::Closed, byte) if byte == self.separator => {
                        self.fields.push(std::mem::take(&mut field));
                        Place::Start
                    }
                    // Spaces between a closing quote and the separator are not text.
                    (Place::Closed, b' ' | b'\t') => Place::Closed,
                    (Place::Closed, _) => {
                        stray.get_or_insert((self.line, self.fields.len() + 1, field.ends_with(b"\\")));
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
            if place == Place::Escaped {
                field.push(b'\\');
                place = Place::Quoted;
            }
            if place != Place::Quoted {
                break;
            }
            field.extend_from_slice(ending);
            size += self.text.len() + ending.len();
            match self.next_line()? {
                Some(next) if size <= MOST_RECORD_BYTES => ending = next,
                _ => return Ok(Read::Unclosed { line: start }),
            }
        }
        self.fields.push(field);
        Ok(match stray {
            None => Read::Record { line: start },
            Some((line, number, backslash)) => {
                let why = if backslash { " (a backslash does not escape it)" } else { "" };
                let message = format!(
                    "field {number}: text follows a closing quote{why}; write a quote inside a quoted field twice (\"\")"
                );
                Read::Problem(RowProblem::new(line, None, message))
            }
        })
    }
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
        let mut reader = Self { path, fields, header, wanted: wanted_at, present, doubt: false };
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
        reader.wanted = locate(&path, wanted, &reader.header, Names::Header)?;
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
                "{} fields where the header has {} ({}); {}",
                fields.len(),
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
        for &index in &self.wanted {
            let Some(index) = index else {
                cells.push(Cell::Null);
                continue;
            };
            // Not taken out of `fields`: two wanted columns may be the same one.
            match std::str::from_utf8(&fields[index]) {
                Ok(text) => cells.push(Cell::Text(text.to_owned())),
                Err(_) => return Err(RowProblem::new(line, Some(&self.header[index]), NOT_UTF8)),
            }
        }
        Ok(Record { line, cells })
    }
}

impl<R: BufRead> RowReader for CsvReader<R> {
    fn next_record(&mut self) -> Option<Result<Result<Record, RowProblem>, DataError>> {
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
        self.doubt.then_some(remark).into_iter().collect()
    }
}
