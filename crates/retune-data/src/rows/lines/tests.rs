//! Tests of lines of texts and of images.

use super::*;
use crate::{Records, TextInput, Texts};

fn columns() -> Layout {
    Layout::text("text").labels(["label"])
}

fn text(rows: &TableRows, row: usize) -> String {
    match rows.input(row).unwrap() {
        TextInput::Text(text) => text,
        other => panic!("{other:?}"),
    }
}

fn parts(input: &str, columns: &Layout, most: usize) -> Result<Vec<Vec<(u64, String)>>, DataError> {
    let mut lines = TableLines::new(input.as_bytes(), "<stdin>".as_ref(), columns)?;
    let mut parts = Vec::new();
    while let Some(rows) = lines.next_rows(most)? {
        parts.push((0..rows.len()).map(|row| (rows.line(row), text(&rows, row))).collect());
    }
    Ok(parts)
}

fn said(input: &[u8], columns: &Layout) -> String {
    let mut lines = TableLines::new(input, "<stdin>".as_ref(), columns).unwrap();
    lines.next_rows(9).err().unwrap().to_string()
}

#[test]
fn lines_are_texts_or_objects() {
    let input = "\u{feff}plain, \"line\"\r\n  {\"text\": \"an object\", \"label\": 1}\n";
    let all = parts(input, &columns(), 9).unwrap();
    assert_eq!(all, [[(1, "plain, \"line\"".to_owned()), (2, "an object".to_owned())]]);
    let pairs = Layout::text("first").pair(Some("second".into())).labels(["label"]);
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
    let lines = TableLines::new(input.as_bytes(), "<stdin>".as_ref(), &columns()).unwrap();
    let mut lines = lines.on_bad_example(OnBadExample::Skip);
    let first = lines.next_rows(2).unwrap().unwrap();
    assert_eq!((first.len(), text(&first, 0).as_str(), first.line(1)), (2, "", 3));
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
    let mut lines = TableLines::new(late.as_bytes(), "<stdin>".as_ref(), &columns()).unwrap();
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

#[cfg(feature = "image")]
#[test]
fn lines_of_images_that_cannot_be_used_may_be_left_out() {
    let layout = Layout::image("image");
    let input = "a.png\n{\"image\": \"\"}\nb.png\n{\"image\": null}\n";
    let lines = TableLines::new(input.as_bytes(), "<stdin>".as_ref(), &layout).unwrap();
    let mut lines = lines.on_bad_example(OnBadExample::Skip);
    let rows = lines.next_rows(9).unwrap().unwrap();
    let left_out: Vec<(usize, u64)> = rows.left_out().iter().map(|bad| (bad.row, bad.line)).collect();
    assert_eq!((rows.len(), left_out), (2, vec![(1, 2), (3, 4)]));
    assert_eq!((rows.place(1).unwrap().as_str(), rows.streamed()), ("b.png", true));
    let mut failing = TableLines::new(input.as_bytes(), "<stdin>".as_ref(), &layout).unwrap();
    assert!(failing.next_rows(9).err().unwrap().to_string().contains("<stdin>:2: column `image`: is empty"));
}
