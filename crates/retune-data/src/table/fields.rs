//! Lines to the fields of records: CSV (RFC 4180) and what people make of it.
//!
//! Byte order mark, CRLF and blank lines are accepted; a record's line is where it starts.

use std::io::BufRead;

use super::{MOST_RECORD_BYTES, read_line};
use crate::RowProblem;

/// What double quotes mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quoting {
    /// They are text.
    None,
    /// They enclose a field that begins with one; `""` inside is one.
    Doubled,
    /// They enclose a field that begins with one; `\"` inside is one.
    Escaped,
}

/// Cuts lines into the fields of records.
pub(super) struct Fields<R> {
    input: R,
    pub(super) separator: u8,
    pub(super) quoting: Quoting,
    /// Lines read so far.
    line: u64,
    /// The current line without its ending.
    pub(super) text: Vec<u8>,
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
    pub(super) fn next_filled(&mut self) -> std::io::Result<Option<&'static [u8]>> {
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
    pub(super) fn cut(&mut self, mut ending: &'static [u8]) -> std::io::Result<Read> {
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
