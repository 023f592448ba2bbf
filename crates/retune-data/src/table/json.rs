//! JSON lines (one object a line) and JSON arrays of objects, streamed.
//!
//! Which of the two a file is, its first character says. A record's line is where it starts.

use std::io::BufRead;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::{Cell, MOST_RECORD_BYTES, Record, RowReader, Wanted, key, locate};
use crate::error::{nearest, quoted};
use crate::{DataError, RowProblem};

/// An object and the line where it starts.
pub(super) type Numbered = (u64, Map<String, Value>);

/// Streams the objects of a JSON file.
pub(super) struct JsonReader<R> {
    path: PathBuf,
    input: R,
    wanted: Vec<Wanted>,
    /// Keys of the first object.
    columns: Vec<String>,
    present: Vec<bool>,
    array: bool,
    /// Lines begun so far.
    line: u64,
    /// The first record, already read to learn which columns there are.
    first: Option<Result<Record, RowProblem>>,
    text: Vec<u8>,
    ended: bool,
}

impl<R: BufRead> JsonReader<R> {
    pub(super) fn new(path: &Path, input: R, wanted: &[Wanted]) -> Result<Self, DataError> {
        let mut reader = Self::begin(path, input, wanted)?;
        let Some(first) = reader.read_object()? else {
            return Err(DataError::Empty { file: path.to_owned(), header: false });
        };
        reader.first = Some(match first {
            Err(problem) => Err(problem),
            Ok((line, object)) => {
                reader.columns = object.keys().cloned().collect();
                reader.present = locate(path, wanted, &reader.columns)?.iter().map(Option::is_some).collect();
                reader.record(line, &object)
            }
        });
        Ok(reader)
    }

    /// Stands before the first object.
    pub(super) fn begin(path: &Path, input: R, wanted: &[Wanted]) -> Result<Self, DataError> {
        let mut reader = Self {
            path: path.to_owned(),
            input,
            wanted: wanted.to_vec(),
            columns: Vec::new(),
            present: vec![false; wanted.len()],
            array: false,
            line: 1,
            first: None,
            text: Vec::new(),
            ended: false,
        };
        if reader.peek()? == Some(0xef) {
            for expected in [0xef, 0xbb, 0xbf] {
                if reader.byte()? != Some(expected) {
                    return Err(reader.malformed(1, super::NOT_UTF8));
                }
            }
        }
        reader.skip_space()?;
        if reader.peek()? == Some(b'[') {
            reader.array = true;
            reader.byte()?;
        }
        Ok(reader)
    }

    fn malformed(&self, line: u64, message: impl Into<String>) -> DataError {
        DataError::Malformed { file: self.path.clone(), line, message: message.into() }
    }

    fn peek(&mut self) -> Result<Option<u8>, DataError> {
        loop {
            match self.input.fill_buf() {
                Ok(bytes) => return Ok(bytes.first().copied()),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(source) => {
                    return Err(DataError::Read { file: self.path.clone(), source });
                }
            }
        }
    }

    fn byte(&mut self) -> Result<Option<u8>, DataError> {
        let byte = self.peek()?;
        if byte.is_some() {
            self.input.consume(1);
        }
        self.line += u64::from(byte == Some(b'\n'));
        Ok(byte)
    }

    fn skip_space(&mut self) -> Result<(), DataError> {
        while self.peek()?.is_some_and(|byte| byte.is_ascii_whitespace()) {
            self.byte()?;
        }
        Ok(())
    }

    /// The next object and its line; `None` at the end.
    pub(super) fn read_object(&mut self) -> Result<Option<Result<Numbered, RowProblem>>, DataError> {
        if self.ended {
            return Ok(None);
        }
        self.skip_space()?;
        let line = if self.array {
            match self.cut_element()? {
                Some(line) => line,
                None => return Ok(None),
            }
        } else {
            if self.peek()?.is_none() {
                return Ok(None);
            }
            let line = self.line;
            self.text.clear();
            self.input
                .read_until(b'\n', &mut self.text)
                .map_err(|source| DataError::Read { file: self.path.clone(), source })?;
            self.line += 1;
            line
        };
        Ok(Some(parse_object(&self.text, line).map(|object| (line, object))))
    }

    /// Cuts the next element of the array into `text`, by brackets and strings alone.
    fn cut_element(&mut self) -> Result<Option<u64>, DataError> {
        const UNCLOSED: &str = "the array is never closed; the file is cut short or a bracket is missing";
        match self.peek()? {
            Some(b']') => {
                self.byte()?;
                self.skip_space()?;
                self.ended = true;
                return match self.peek()? {
                    None => Ok(None),
                    Some(_) => Err(self.malformed(self.line, "text follows the end of the array; remove it")),
                };
            }
            None => return Err(self.malformed(self.line, UNCLOSED)),
            Some(_) => {}
        }
        let line = self.line;
        self.text.clear();
        let (mut depth, mut string, mut escaped) = (0usize, false, false);
        loop {
            let Some(byte) = self.peek()? else {
                return Err(self.malformed(line, UNCLOSED));
            };
            if !string && depth == 0 && byte == b']' {
                return Ok(Some(line));
            }
            self.byte()?;
            match byte {
                _ if string => {
                    string = byte != b'"' || escaped;
                    escaped = byte == b'\\' && !escaped;
                }
                b'"' => string = true,
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth = depth.saturating_sub(1),
                b',' if depth == 0 => return Ok(Some(line)),
                _ => {}
            }
            self.text.push(byte);
            if self.text.len() > MOST_RECORD_BYTES {
                return Err(self.malformed(line, "an object of more than 64 MiB; a quote or bracket is missing"));
            }
        }
    }

    fn record(&self, line: u64, object: &Map<String, Value>) -> Result<Record, RowProblem> {
        let mut cells = Vec::with_capacity(self.wanted.len());
        for column in &self.wanted {
            let key = key(object, &column.name);
            if !column.required && key.is_none() {
                cells.push(Cell::Null);
                continue;
            }
            match key.and_then(|key| object.get(key)) {
                Some(value) => cells.push(Cell::from_json(value.clone(), column.bytes)),
                None => {
                    let keys: Vec<String> = object.keys().cloned().collect();
                    let mut message = format!("is missing; the object has {}", quoted(&keys, 8));
                    if let Some(near) = nearest(&column.name, &keys) {
                        message.push_str(&format!(" (`{near}`?)"));
                    }
                    return Err(RowProblem::new(line, Some(&column.name), message));
                }
            }
        }
        Ok(Record { line, cells })
    }
}

/// Parses one object, with the column of the first mistake in the message.
pub(crate) fn parse_object(text: &[u8], line: u64) -> Result<Map<String, Value>, RowProblem> {
    match serde_json::from_slice(text) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(RowProblem::new(line, None, "is not a JSON object; write {\"text\": …, \"label\": …}")),
        Err(error) => {
            // serde_json counts from 1 and gives line 0 when it has no place.
            let line = line + (error.line() as u64).saturating_sub(1);
            let text = error.to_string();
            let reason = text.split(" at line ").next().unwrap_or(&text);
            let message = format!("broken JSON at column {}: {reason}", error.column());
            Err(RowProblem::new(line, None, message))
        }
    }
}

impl<R: BufRead> RowReader for JsonReader<R> {
    fn next_record(&mut self) -> Option<Result<Result<Record, RowProblem>, DataError>> {
        if let Some(first) = self.first.take() {
            return Some(Ok(first));
        }
        match self.read_object() {
            Err(error) => {
                self.ended = true;
                Some(Err(error))
            }
            Ok(None) => None,
            Ok(Some(Err(problem))) => Some(Ok(Err(problem))),
            Ok(Some(Ok((line, object)))) => {
                for (present, column) in self.present.iter_mut().zip(&self.wanted) {
                    *present |= key(&object, &column.name).is_some();
                }
                Some(Ok(self.record(line, &object)))
            }
        }
    }

    fn columns(&self) -> &[String] {
        &self.columns
    }

    fn present(&self) -> &[bool] {
        &self.present
    }
}
