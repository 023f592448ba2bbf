//! Lines to predict, read as they come: bare texts or JSON objects, a part at a time.

use std::io::BufRead;
use std::path::Path;

use super::{TextColumns, TextRows};
use crate::rows::TableLines;
use crate::{DataError, OnBadExample};

/// Reads lines for prediction: a line that starts with `{` is a JSON object with the columns' names, any other line is
/// itself the text. Labels are optional.
///
/// The first line that is not blank says what blank lines are: among texts an empty text, so that every line has its
/// answer; among objects nothing.
pub struct TextLines<R> {
    lines: TableLines<R>,
    columns: TextColumns,
}

impl<R: BufRead> TextLines<R> {
    /// `name` stands for the file in messages.
    ///
    /// # Errors
    /// Columns that contradict each other.
    pub fn new(input: R, name: &Path, columns: &TextColumns) -> Result<Self, DataError> {
        Ok(Self { lines: TableLines::new(input, name, columns.layout())?, columns: columns.clone() })
    }

    /// Whether lines that cannot be used are left out; [`crate::Dataset::bad_examples`] lists them.
    pub fn on_bad_example(self, on_bad_example: OnBadExample) -> Self {
        Self { lines: self.lines.on_bad_example(on_bad_example), ..self }
    }

    /// The next rows, `most` of them unless the input ends; `None` at its end. The last may be none, if lines were left out.
    ///
    /// # Errors
    /// Rows that cannot be used, up to ten together; plain lines where pairs are needed; an input without any row.
    pub fn next_rows(&mut self, most: usize) -> Result<Option<TextRows>, DataError> {
        let rows = self.lines.next_rows(most)?;
        Ok(rows.map(|rows| TextRows { rows, columns: self.columns.clone(), streamed: true }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns() -> TextColumns {
        TextColumns::new("text", "label")
    }

    fn parts(input: &str, columns: &TextColumns, most: usize) -> Result<Vec<Vec<(u64, String)>>, DataError> {
        let mut lines = TextLines::new(input.as_bytes(), "<stdin>".as_ref(), columns)?;
        let mut parts = Vec::new();
        while let Some(rows) = lines.next_rows(most)? {
            parts.push((0..rows.len()).map(|row| (rows.line(row), rows.text(row).unwrap())).collect());
        }
        Ok(parts)
    }

    fn said(input: &[u8], columns: &TextColumns) -> String {
        let mut lines = TextLines::new(input, "<stdin>".as_ref(), columns).unwrap();
        lines.next_rows(9).err().unwrap().to_string()
    }

    #[test]
    fn lines_are_texts_or_objects() {
        let input = "\u{feff}plain, \"line\"\r\n  {\"text\": \"an object\", \"label\": 1}\n";
        let all = parts(input, &columns(), 9).unwrap();
        assert_eq!(all, [[(1, "plain, \"line\"".to_owned()), (2, "an object".to_owned())]]);
        let pairs = TextColumns { text_pair: Some("second".into()), ..TextColumns::new("first", "label") };
        assert!(said(b"\none text\n", &pairs).contains("<stdin>:2: a bare text, but the model takes pairs"));
        let missing = said(b"a\n{\"txt\": 1}\n", &columns());
        assert!(missing.contains("<stdin>:2: column `text`: is missing; the object has `txt`"), "{missing}");
        assert!(said(b"a\n{\"text\": \n", &columns()).contains("<stdin>:2: broken JSON"));
        assert!(said(b"\xff\n", &columns()).contains("UTF-8"));
        assert!(said(b"", &columns()).contains("has no rows"));
    }

    #[test]
    fn an_empty_text_is_one_and_bad_lines_may_be_left_out() {
        let input = "{\"text\": \"\"}\n{\"text\": null}\n{\"text\": \"b\"}\n{\n";
        assert!(said(input.as_bytes(), &columns()).contains("<stdin>:2: column `text`: has no text"));
        let lines = TextLines::new(input.as_bytes(), "<stdin>".as_ref(), &columns()).unwrap();
        let mut lines = lines.on_bad_example(OnBadExample::Skip);
        let first = lines.next_rows(2).unwrap().unwrap();
        assert_eq!((first.len(), first.text(0).unwrap().as_str(), first.line(1)), (2, "", 3));
        assert_eq!(first.left_out().len(), 1);
        let last = lines.next_rows(2).unwrap().unwrap();
        assert_eq!((last.len(), last.left_out().len()), (0, 1));
        assert!(lines.next_rows(2).unwrap().is_none());
    }

    #[test]
    fn parts_follow_each_other_and_count_lines_on() {
        let all = parts("a\nb\nc\nd\n\n", &columns(), 2).unwrap();
        let lines: Vec<Vec<u64>> = all.iter().map(|part| part.iter().map(|row| row.0).collect()).collect();
        assert_eq!(lines, [vec![1, 2], vec![3, 4], vec![5]]);
        let late = "a\nb\n{\n";
        let mut lines = TextLines::new(late.as_bytes(), "<stdin>".as_ref(), &columns()).unwrap();
        assert_eq!(lines.next_rows(2).unwrap().unwrap().len(), 2);
        assert!(lines.next_rows(2).err().unwrap().to_string().contains("<stdin>:3: broken JSON"));
    }

    #[test]
    fn a_blank_line_is_a_text_among_texts_and_nothing_among_objects() {
        let texts = |input: &str| -> Vec<(u64, String)> { parts(input, &columns(), 9).unwrap().concat() };
        let row = |line: u64, text: &str| (line, text.to_owned());
        assert_eq!(texts("\n \na\n\nb"), [row(1, ""), row(2, ""), row(3, "a"), row(4, ""), row(5, "b")]);
        assert_eq!(texts("\n\n"), [row(1, ""), row(2, "")]);
        assert_eq!(texts("\n{\"text\": \"a\"}\n\n{\"text\": \"b\"}\n\n"), [row(2, "a"), row(4, "b")]);
    }
}
