//! Lines of a text file, one after the other, with whatever line ends it has: LF, CRLF or CR alone.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use crate::table::open_file;
use crate::{DataError, RowProblem};

/// No sensible line is longer.
const MOST_LINE_BYTES: usize = 64 << 20;

/// Streams the lines of a text.
pub(crate) struct TextLines<R> {
    input: R,
    file: PathBuf,
    line: u64,
    /// The last line ended with CR: a LF that follows belongs to it.
    after_return: bool,
    bytes: Vec<u8>,
}

impl TextLines<BufReader<File>> {
    /// # Errors
    /// The file cannot be opened.
    pub(crate) fn open(file: &Path) -> Result<Self, DataError> {
        Ok(Self::new(BufReader::new(open_file(file)?), file))
    }
}

/// A line's number, and its text, or why it has none.
type Numbered<'a> = (u64, Result<&'a str, RowProblem>);

impl<R: BufRead> TextLines<R> {
    pub(crate) fn new(input: R, file: &Path) -> Self {
        Self { input, file: file.to_owned(), line: 0, after_return: false, bytes: Vec::new() }
    }

    /// The next line and its number, from 1; `Ok(Err(_))` if it is not UTF-8, `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<Numbered<'_>>, DataError> {
        if !self.read()? {
            return Ok(None);
        }
        self.line += 1;
        if self.line == 1 {
            if self.bytes.starts_with(b"\xff\xfe") || self.bytes.starts_with(b"\xfe\xff") {
                return Err(self.malformed("is UTF-16; save the file as UTF-8"));
            }
            if self.bytes.starts_with(b"\xef\xbb\xbf") {
                self.bytes.drain(..3);
            }
        }
        let line = self.line;
        let text = std::str::from_utf8(&self.bytes).map_err(|error| {
            let before = String::from_utf8_lossy(&self.bytes[..error.valid_up_to()]).chars().count();
            RowProblem::new(line, None, format!("is not valid UTF-8 at column {}; save the file as UTF-8", before + 1))
        });
        Ok(Some((line, text)))
    }

    fn malformed(&self, message: &str) -> DataError {
        DataError::Malformed { file: self.file.clone(), line: self.line, message: message.to_owned() }
    }

    /// Reads up to the next line end, which is left out; false at the end of the input.
    fn read(&mut self) -> Result<bool, DataError> {
        self.bytes.clear();
        let mut any = false;
        loop {
            let part = match self.input.fill_buf() {
                Ok(part) => part,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(source) => return Err(DataError::Read { file: self.file.clone(), source }),
            };
            if part.is_empty() {
                return Ok(any);
            }
            if std::mem::take(&mut self.after_return) && part[0] == b'\n' {
                self.input.consume(1);
                continue;
            }
            any = true;
            let Some(end) = part.iter().position(|byte| matches!(byte, b'\n' | b'\r')) else {
                let length = part.len();
                self.bytes.extend_from_slice(part);
                self.input.consume(length);
                if self.bytes.len() > MOST_LINE_BYTES {
                    self.line += 1;
                    return Err(self.malformed("a line of more than 64 MiB; the file has no line ends"));
                }
                continue;
            };
            self.after_return = part[end] == b'\r';
            self.bytes.extend_from_slice(&part[..end]);
            self.input.consume(end + 1);
            return Ok(true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lines(content: &[u8], buffer: usize) -> Vec<String> {
        let mut lines = TextLines::new(BufReader::with_capacity(buffer, content), "a.txt".as_ref());
        let mut all = Vec::new();
        while let Some((line, text)) = lines.next().unwrap() {
            assert_eq!(line as usize, all.len() + 1);
            all.push(text.unwrap().to_owned());
        }
        all
    }

    proptest! {
        #[test]
        fn any_line_end_ends_a_line(texts in prop::collection::vec("[a-c]{0,3}", 1..6), end in 0usize..3, buffer in 1usize..9) {
            let end = ["\n", "\r\n", "\r"][end];
            let content: String = texts.iter().map(|text| format!("{text}{end}")).collect();
            prop_assert_eq!(lines(content.as_bytes(), buffer), texts);
        }
    }

    #[test]
    fn byte_order_marks_go_and_broken_bytes_are_placed() {
        assert_eq!(lines(b"\xef\xbb\xbfa\nb", 64), ["a", "b"]);
        let mut broken = TextLines::new(&b"a\n\xc3\xa9\xff\n"[..], "a.txt".as_ref());
        broken.next().unwrap();
        let problem = broken.next().unwrap().unwrap().1.unwrap_err();
        assert_eq!(problem.line, 2);
        assert!(problem.message.contains("column 2"), "{}", problem.message);
        let mut utf16 = TextLines::new(&b"\xff\xfea\0"[..], "a.txt".as_ref());
        assert!(utf16.next().unwrap_err().to_string().contains("a.txt:1: is UTF-16"));
    }
}
