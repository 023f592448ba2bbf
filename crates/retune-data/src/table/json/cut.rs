//! Objects cut out of a stream of bytes, by brackets and strings alone.

use std::io::BufRead;

use super::JsonReader;
use crate::DataError;
use crate::table::MOST_RECORD_BYTES;

/// An object that holds a whole file may not exceed this.
const MOST_WHOLE_BYTES: usize = 1 << 30;

/// Where a byte stands: within how many brackets, and whether within a string.
#[derive(Default)]
struct Nesting {
    depth: usize,
    string: bool,
    escaped: bool,
}

impl Nesting {
    fn pass(&mut self, byte: u8) {
        match byte {
            _ if self.string => {
                self.string = byte != b'"' || self.escaped;
                self.escaped = byte == b'\\' && !self.escaped;
            }
            b'"' => self.string = true,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
    }
}

impl<R: BufRead> JsonReader<R> {
    pub(super) fn malformed(&self, line: u64, message: impl Into<String>) -> DataError {
        DataError::Malformed { file: self.path.clone(), line, message: message.into() }
    }

    pub(super) fn peek(&mut self) -> Result<Option<u8>, DataError> {
        if let Some(byte) = self.pending.last() {
            return Ok(Some(*byte));
        }
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

    pub(super) fn byte(&mut self) -> Result<Option<u8>, DataError> {
        let byte = self.peek()?;
        if byte.is_some() && self.pending.pop().is_none() {
            self.input.consume(1);
        }
        self.line += u64::from(byte == Some(b'\n'));
        Ok(byte)
    }

    pub(super) fn skip_space(&mut self) -> Result<(), DataError> {
        while self.peek()?.is_some_and(|byte| byte.is_ascii_whitespace()) {
            self.byte()?;
        }
        Ok(())
    }

    /// Cuts the next object into `text`, by brackets and strings alone.
    pub(super) fn cut_object(&mut self) -> Result<Option<u64>, DataError> {
        if self.peek()? == Some(b',') {
            self.byte()?;
            self.skip_space()?;
        }
        let line = self.line;
        match self.peek()? {
            None => return Ok(None),
            Some(b'{') => {}
            Some(_) => {
                return Err(self.malformed(line, "text follows an object; write objects only, or a list of them"));
            }
        }
        self.text.clear();
        let mut nesting = Nesting::default();
        while let Some(byte) = self.byte()? {
            self.text.push(byte);
            nesting.pass(byte);
            if nesting.depth == 0 {
                return Ok(Some(line));
            }
            if self.text.len() > MOST_WHOLE_BYTES {
                return Err(self.malformed(line, "an object of more than 1 GiB; write JSON lines, one object a row"));
            }
        }
        Err(self.malformed(line, "the object is never closed; the file is cut short or a bracket is missing"))
    }

    /// Cuts the next element of the array into `text`, by brackets and strings alone.
    pub(super) fn cut_element(&mut self) -> Result<Option<u64>, DataError> {
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
        let mut nesting = Nesting::default();
        loop {
            let Some(byte) = self.peek()? else {
                return Err(self.malformed(line, UNCLOSED));
            };
            let between = nesting.depth == 0 && !nesting.string;
            if between && byte == b']' {
                return Ok(Some(line));
            }
            self.byte()?;
            if between && byte == b',' {
                return Ok(Some(line));
            }
            nesting.pass(byte);
            self.text.push(byte);
            if self.text.len() > MOST_RECORD_BYTES {
                return Err(self.malformed(line, "an object of more than 64 MiB; a quote or bracket is missing"));
            }
        }
    }
}
