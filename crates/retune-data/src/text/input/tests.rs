//! Tests of text rows: which rows are usable, and what is said about the others.

use serde_json::Value;

use super::*;
use crate::{LabelRows, OnBadExample};

fn read(name: &str, content: &str, layout: &Layout, labels_required: bool) -> Result<TableRows, DataError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, content).unwrap();
    TableRows::read(&path, layout, labels_required, OnBadExample::Fail)
}

fn said(result: Result<TableRows, DataError>) -> String {
    result.err().unwrap().to_string()
}

fn texts(label: &str) -> Layout {
    Layout::text("text").labels([label])
}

fn pairs() -> Layout {
    Layout::text("first").pair(Some("second".into())).labels(["label"])
}

fn text(text: &str) -> TextInput {
    TextInput::Text(text.to_owned())
}

fn pair(first: &str, second: &str) -> TextInput {
    TextInput::Pair(first.to_owned(), second.to_owned())
}

#[test]
fn rows_give_back_texts_labels_and_lines() {
    let rows = read("a.csv", "label,first,second\n1,\"a\nb\",c\n0,d,e\n", &pairs(), true).unwrap();
    assert_eq!((rows.len(), rows.line(0), rows.line(1)), (2, 2, 4));
    assert_eq!([rows.input(0).unwrap(), rows.input(1).unwrap()], [pair("a\nb", "c"), pair("d", "e")]);
    assert_eq!(rows.label(0).unwrap(), Some(vec![Cell::Text("1".into())]));
    let source = rows.source(1).unwrap();
    assert_eq!(Value::Object(source.fields), serde_json::json!({"first": "d", "second": "e"}));
    assert_eq!(source.label, Some(Value::from("0")));
    assert!(matches!(rows.input(2), Err(DataError::NoSuchRow { row: 2, rows: 2 })));
}

#[test]
fn every_bad_row_is_reported_together() {
    let content = "first,second,label\na,b,1\na,b, \na,b,\na,b\n";
    let message = said(read("a.csv", content, &pairs(), true));
    for part in [
        "a.csv:3: column `label`: has no label",
        "a.csv:4: column `label`: has no label",
        "a.csv:5: 2 fields where the header has 3",
        "3 problems in all",
    ] {
        assert!(message.contains(part), "{part} in {message}");
    }
    let many = format!("text,label\n{}", "a,\n".repeat(50));
    assert!(said(read("a.csv", &many, &texts("label"), true)).contains("10 problems so far"));
}

#[test]
fn non_text_cells_are_refused_but_numbers_are_texts() {
    let columns = texts("label");
    let rows = read("a.jsonl", "{\"text\": 12, \"label\": true}", &columns, true).unwrap();
    assert_eq!(rows.input(0).unwrap(), text("12"));
    assert!(said(read("a.jsonl", "{\"text\": [1], \"label\": 1}", &columns, true)).contains("is a list, not a text"));
    assert!(said(read("a.jsonl", "{\"text\": \"a\", \"label\": {}}", &columns, true)).contains("is an object"));
    assert!(
        said(read("a.jsonl", "{\"text\": null, \"label\": 1}", &columns, true)).contains("column `text`: has no text")
    );
}

#[test]
fn a_text_may_be_empty_but_not_absent() {
    let rows = read("a.csv", "first,second,label\n,b,1\na,\"\",1\n , ,1\n", &pairs(), true).unwrap();
    let texts: Vec<_> = (0..3).map(|row| rows.input(row).unwrap()).collect();
    assert_eq!(texts, [pair("", "b"), pair("a", ""), pair(" ", " ")]);
    let lines =
        "{\"first\": \"\", \"second\": \"b\", \"label\": 1}\n{\"first\": \"a\", \"second\": null, \"label\": 1}\n";
    let absent = said(read("a.jsonl", lines, &pairs(), true));
    assert!(absent.contains("a.jsonl:2: column `second`: has no text"), "{absent}");
}

fn read_usable(content: &str) -> Result<TableRows, DataError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.jsonl");
    std::fs::write(&path, content).unwrap();
    TableRows::read(&path, &texts("label"), true, OnBadExample::Skip)
}

#[test]
fn rows_that_cannot_be_used_may_be_left_out() {
    let good = "{\"text\": \"a\", \"label\": 1}\n";
    let rows = read_usable(&format!("{good}{{\"text\": null, \"label\": 1}}\n{{\"text\n{good}")).unwrap();
    assert_eq!((rows.len(), rows.line(0), rows.line(1)), (2, 1, 4));
    let left_out = rows.left_out();
    assert_eq!((left_out.len(), left_out[0].row, left_out[1].row, left_out[0].line), (2, 1, 2, 2));
    assert!(left_out[0].reason.starts_with("column `text`: has no text"), "{}", left_out[0]);
    // Many bad rows do not stop it, but there must be a good one.
    let bad = "{\"text\": null, \"label\": 1}\n".repeat(30);
    assert_eq!(read_usable(&(good.to_owned() + &bad)).unwrap().left_out().len(), 30);
    assert!(said(read_usable(&bad)).contains("10 problems so far"));
}

#[test]
fn label_columns_are_one_name_or_several() {
    let columns = |label: &str| texts(label);
    let names = |header: &str, label: &str| {
        let rows = read("a.csv", &format!("{header}\nt,1,0\n"), &columns(label), true);
        rows.map(|rows| LabelRows::label_columns(&rows).to_vec())
    };
    assert_eq!(names("text,a,b", "a,b").unwrap(), ["a", "b"]);
    assert_eq!(names("text,a, b", "a, b").unwrap(), ["a", "b"]);
    assert_eq!(names("text,\"a, b\",b", "a, b").unwrap(), ["a, b"]);
    assert!(names("text,a,b", "a,a").unwrap_err().to_string().contains("named twice"));
    assert!(names("text,a,b", "a,c").unwrap_err().to_string().contains("no column `c`"));
    assert!(names("text,a,b", "a,text").unwrap_err().to_string().contains("both a text and the label"));
}

#[test]
fn labels_are_optional_for_prediction() {
    let columns = texts("label");
    let without = read("a.csv", "text\na\n", &columns, false).unwrap();
    assert!(!without.has_labels() && without.label(0).unwrap().is_none());
    let some = read("a.csv", "text,label\na,1\nb,\n", &columns, false).unwrap();
    assert!(!some.has_labels() && some.label(0).unwrap().is_some() && some.label(1).unwrap().is_none());
    assert!(read("a.csv", "text,label\na,1\n", &columns, false).unwrap().has_labels());
    assert!(said(read("a.csv", "text\na\n", &columns, true)).contains("--label-column"));
}

#[test]
fn an_empty_cell_is_no_label_where_a_separator_is_given() {
    let columns = texts("label").label_separator(Some(';'));
    let rows = read("a.csv", "text,label\na,x;y\nb,\n", &columns, true).unwrap();
    assert_eq!(rows.label(1).unwrap(), Some(vec![Cell::Text(String::new())]));
    assert!(!read("a.csv", "text\na\n", &columns, false).unwrap().has_labels());
}

#[test]
fn contradicting_columns_are_refused() {
    let same = texts("label").pair(Some("text".into()));
    assert!(said(read("a.csv", "text,label\na,1\n", &same, true)).contains("--text-pair-column"));
    assert!(said(read("a.csv", "text,label\na,1\n", &texts("text"), true)).contains("--label-column"));
    let twice = Layout::text("text").labels(["y", "y"]);
    assert!(said(read("a.csv", "text,y\na,1\n", &twice, true)).contains("named twice"));
}

#[test]
fn a_header_alone_is_empty() {
    let message = said(read("a.csv", "text,label\n\n", &texts("label"), true));
    assert!(message.contains("has no rows below its header"), "{message}");
}

#[test]
fn words_are_lists_or_bare_lines() {
    let layout = Layout::words("tokens").labels(["label"]);
    let rows = read("a.jsonl", "{\"tokens\": [\"New\", \"York\", 7], \"label\": 1}\n", &layout, true).unwrap();
    assert!(rows.words() && !rows.pairs());
    let words = |words: &[&str]| TextInput::Words(words.iter().map(|&word| word.to_owned()).collect());
    assert_eq!(rows.input(0).unwrap(), words(&["New", "York", "7"]));
    let inner = said(read("a.jsonl", "{\"tokens\": [[\"a\"]], \"label\": 1}\n", &layout, true));
    assert!(inner.contains("column `tokens`: has an entry that is a list, not a text"), "{inner}");
    assert!(said(read("a.jsonl", "{\"tokens\": 1, \"label\": 1}\n", &layout, true)).contains("is not a list of words"));
    let line = crate::TableLines::new("New  York\n".as_bytes(), "<stdin>".as_ref(), &layout).unwrap().next_rows(1);
    assert_eq!(line.unwrap().unwrap().input(0).unwrap(), words(&["New", "York"]));
}
