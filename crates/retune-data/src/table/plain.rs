//! Plain text files: each line a text, or each block of lines between blank ones, or the whole file.

use std::io::BufRead;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::input::{Encoding, extension, open_text};
use super::{MOST_RECORD_BYTES, NOT_UTF8, read_line};
use crate::{DataError, RowProblem};

/// What the texts of a plain text file are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TextsOf {
    /// Lines; blank ones are none.
    #[default]
    Lines,
    /// What stands between blank lines.
    Paragraphs,
    /// The whole file.
    File,
}

impl FromStr for TextsOf {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "line" => Ok(Self::Lines),
            "paragraph" => Ok(Self::Paragraphs),
            "file" => Ok(Self::File),
            _ => Err(format!("`{name}` is not one of line, paragraph, file")),
        }
    }
}

/// A text with the line where it begins, or what is wrong with it.
type Numbered = Result<(u64, String), RowProblem>;

/// A plain text file being read.
pub(crate) struct PlainText {
    input: Box<dyn BufRead>,
    path: PathBuf,
    texts: TextsOf,
    /// Lines read so far.
    line: u64,
    ended: bool,
}

impl PlainText {
    /// Whether a file is plain text by its name, packed (gz, zst) or not.
    pub(crate) fn is_named(path: &Path) -> bool {
        matches!(extension(path).as_str(), "txt" | "text")
    }

    /// Opens a file.
    ///
    /// # Errors
    /// It is missing, a folder or unreadable.
    pub(crate) fn open(path: &Path, texts: TextsOf) -> Result<Self, DataError> {
        let input = open_text(path, Encoding::Utf8)?;
        Ok(Self { input, path: path.to_owned(), texts, line: 0, ended: false })
    }

    /// The next text that is not blank; `None` at the end. `Ok(Err(_))` for one that cannot be used.
    pub(crate) fn next_text(&mut self) -> Option<Result<Numbered, DataError>> {
        let (mut text, mut begin, mut line) = (Vec::new(), 0, Vec::new());
        while !self.ended {
            line.clear();
            match read_line(&mut self.input, &mut line, self.line == 0) {
                Err(source) => return Some(Err(DataError::Read { file: self.path.clone(), source })),
                Ok(None) => self.ended = true,
                Ok(Some(_)) => self.line += 1,
            }
            let blank = line.iter().all(u8::is_ascii_whitespace);
            if !self.ended && (!blank || (self.texts == TextsOf::File && begin > 0)) {
                if begin == 0 {
                    begin = self.line;
                } else {
                    text.push(b'\n');
                }
                text.append(&mut line);
                // An unbroken file is refused before it fills the memory; whole files are meant to be long.
                if text.len() > MOST_RECORD_BYTES && self.texts != TextsOf::File {
                    let message = "is longer than 64 MiB; break the file into lines or paragraphs".to_owned();
                    return Some(Err(DataError::Malformed { file: self.path.clone(), line: begin, message }));
                }
            }
            let whole = match self.texts {
                TextsOf::Lines => begin > 0,
                TextsOf::Paragraphs => begin > 0 && blank,
                TextsOf::File => false,
            };
            if whole {
                break;
            }
        }
        if begin == 0 {
            return None;
        }
        let problem = |_| RowProblem { line: begin, column: None, message: NOT_UTF8.to_owned() };
        Some(Ok(String::from_utf8(text).map(|text| (begin, text)).map_err(problem)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(bytes: &[u8], of: TextsOf) -> Vec<(u64, String)> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        std::fs::write(&path, bytes).unwrap();
        let mut reader = PlainText::open(&path, of).unwrap();
        std::iter::from_fn(|| reader.next_text())
            .map(|text| text.unwrap().unwrap_or_else(|problem| (problem.line, problem.message)))
            .collect()
    }

    #[test]
    fn texts_are_lines_paragraphs_or_the_file() {
        let file = b"\xef\xbb\xbfone\r\ntwo \n\n \nthree\n\nfour";
        let at = |line, text: &str| (line, text.to_owned());
        assert_eq!(texts(file, TextsOf::Lines), [at(1, "one"), at(2, "two "), at(5, "three"), at(7, "four")]);
        assert_eq!(texts(file, TextsOf::Paragraphs), [at(1, "one\ntwo "), at(5, "three"), at(7, "four")]);
        assert_eq!(texts(file, TextsOf::File), [at(1, "one\ntwo \n\n \nthree\n\nfour")]);
        for of in [TextsOf::Lines, TextsOf::Paragraphs, TextsOf::File] {
            assert!(texts(b" \n\n", of).is_empty(), "{of:?}");
        }
    }

    #[test]
    fn what_is_not_utf_8_is_told_with_its_line() {
        let all = texts(b"good\nb\xffd\nagain\n", TextsOf::Lines);
        assert_eq!((all[1].0, all[1].1.as_str()), (2, NOT_UTF8));
        assert_eq!(all[2], (3, "again".to_owned()));
    }
}
