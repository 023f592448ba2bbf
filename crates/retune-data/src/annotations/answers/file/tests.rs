//! Tests of reading questions: each format, and what is said of each mistake.

use super::*;
use std::sync::Arc;

use crate::OnBadExample;
use crate::annotations::Repair;
use crate::annotations::parquet_fixture::{Column, write};

fn read(name: &str, content: impl AsRef<[u8]>, options: &QuestionOptions) -> Result<QuestionFile, DataError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, content).unwrap();
    QuestionFile::read(&path, options)
}

fn plain() -> QuestionOptions {
    QuestionOptions::default()
}

fn good(name: &str, content: impl AsRef<[u8]>) -> QuestionFile {
    read(name, content, &plain()).unwrap()
}

fn said(result: Result<QuestionFile, DataError>) -> String {
    result.unwrap_err().to_string()
}

/// Each question as `line id: question [start-end text, …]`.
fn shown(file: &QuestionFile) -> Vec<String> {
    let one = |it: &Question| {
        let answers = it.answers.as_ref().map_or("-".to_owned(), |answers| {
            let all: Vec<String> =
                answers.iter().map(|it| format!("{}-{} {}", it.span.start, it.span.end, it.text)).collect();
            format!("[{}]", all.join(", "))
        });
        format!("{} {}: {} {answers}", it.line, it.id, it.question)
    };
    file.questions.iter().map(one).collect()
}

const SQUAD: &str = r#"{"version": "v2.0", "data": [
  {"title": "Rome", "paragraphs": [
    {"qas": [
      {"id": "a", "question": "Where?", "is_impossible": false,
       "answers": [{"text": "Rome", "answer_start": 7}, {"answer_start": 4, "text": "in Rome"}]},
      {"id": 2, "question": "Why?", "answers": [], "is_impossible": true,
       "plausible_answers": [{"text": "x", "answer_start": 900}]}
    ], "context": "Zoë in Rome."}]},
  {"paragraphs": []}
]}
"#;

#[test]
fn squad_is_read_with_its_lines() {
    let file = good("a.json", SQUAD);
    assert_eq!(shown(&file), ["4 a: Where? [7-11 Rome, 4-11 in Rome]", "6 2: Why? []"]);
    assert!(Arc::ptr_eq(&file.questions[0].context, &file.questions[1].context) && file.has_unanswerable());
    assert!(file.notes[0].contains("1 of 2 questions have no answer"), "{:?}", file.notes);
    let one_line: String = SQUAD.replace('\n', " ");
    assert_eq!(good("a.json", format!("\u{feff}{one_line}")).questions.len(), 2);
    let version_1 = SQUAD.replace(", \"is_impossible\": true", "");
    let message = said(read("a.json", &version_1, &plain()));
    assert!(
        message.contains("a.json:6: column `answers`: question `2`: is empty")
            && message.contains("is_impossible: true"),
        "{message}"
    );
    let allowed = QuestionOptions { unanswerable: Some(true), ..plain() };
    assert_eq!(read("a.json", &version_1, &allowed).unwrap().questions.len(), 2);
    let forbidden = QuestionOptions { unanswerable: Some(false), ..plain() };
    assert!(said(read("a.json", SQUAD, &forbidden)).contains("a.json:6: question `2` has no answer"));
}

#[test]
fn broken_json_is_placed() {
    let cut = &SQUAD[..SQUAD.find("\"is_impossible\": true").unwrap()];
    let message = said(read("a.json", cut, &plain()));
    assert!(message.contains("a.json:6: broken JSON at column"), "{message}");
    let message = said(read("a.json", SQUAD.replace("{\"paragraphs\": []}", "7"), &plain()));
    assert!(message.contains("a.json:9: broken JSON") && message.contains("an article with `paragraphs`"), "{message}");
    assert!(said(read("a.json", "{\"data\": []}", &plain())).contains("has no rows"));
    assert!(said(read("a.json", format!("{SQUAD}x"), &plain())).contains("a.json:11: broken JSON"));
}

#[test]
fn flat_rows_are_read_in_every_layout() {
    let context = "\"context\": \"Zoë in Rome.\", \"question\": \"Where?\"";
    for answers in [
        "\"answers\": {\"text\": [\"Rome\"], \"answer_start\": [7]}",
        "\"answers\": [{\"text\": \"Rome\", \"answer_start\": 7}]",
        "\"answer\": \"Rome\", \"answer_start\": 7",
        "\"answer_text\": \"Rome\", \"answer_start\": [7]",
        "\"answers\": {\"text\": \"Rome\", \"answer_start\": 7}, \"is_impossible\": false",
    ] {
        let row = format!("{{\"id\": \"a\", {context}, {answers}}}");
        for (name, content) in [
            ("a.jsonl", row.clone()),
            ("a.json", format!("[{row}]")),
            ("a.json", format!("{{\"data\": [{row}]}}")),
            ("b.json", format!("{{\"data\": [{row}], \"version\": 1}}")),
        ] {
            assert_eq!(shown(&good(name, &content)), ["1 a: Where? [7-11 Rome]"], "{content}");
        }
    }
    let pandas = "\"{'text': array(['Rome'], dtype=object), 'answer_start': array([7], dtype=int32)}\"";
    let file = good("a.csv", format!("question,context,answers\nWhere?,Zoë in Rome.,{pandas}\n"));
    assert_eq!(shown(&file), ["2 1: Where? [7-11 Rome]"]);
    let file = good("a.csv", "id,question,context,answer,answer_start\nx,Where?,Zoë in Rome.,Rome,7\n");
    assert_eq!(shown(&file), ["2 x: Where? [7-11 Rome]"]);
}

#[test]
fn a_group_of_lists_in_parquet_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    write(
        &path,
        "message m { REQUIRED BYTE_ARRAY id (UTF8); REQUIRED BYTE_ARRAY question (UTF8);
            REQUIRED BYTE_ARRAY context (UTF8); REQUIRED group answers {
                REQUIRED group text (LIST) { REPEATED group list { REQUIRED BYTE_ARRAY element (UTF8); } }
                REQUIRED group answer_start (LIST) { REPEATED group list { REQUIRED INT64 element; } } } }",
        &[
            Column::Text(&["a", "b"]),
            Column::Text(&["Where?", "Why?"]),
            Column::Text(&["Zoë in Rome.", "Zoë in Rome."]),
            Column::Texts(&[&["Rome", "in Rome"], &[]]),
            Column::Numbers(&[&[7, 4], &[]]),
        ],
        None,
    );
    let file = QuestionFile::read(&path, &plain()).unwrap();
    assert_eq!(shown(&file), ["1 a: Where? [7-11 Rome, 4-11 in Rome]", "2 b: Why? []"]);
    assert!(Arc::ptr_eq(&file.questions[0].context, &file.questions[1].context));
}

#[test]
fn answers_elsewhere_are_listed_mended_or_left_out() {
    let row = |id: &str, text: &str, start: i64| {
        let answers = format!("{{\"text\": [\"{text}\"], \"answer_start\": [{start}]}}");
        format!("{{\"id\": \"{id}\", \"question\": \"Q?\", \"context\": \"Rome 😀 Rome\", \"answers\": {answers}}}\n")
    };
    let content = row("a", "Rome", 0) + &row("b", "Rome", 5) + &row("c", "Rome", 8) + &row("d", "Paris", 1);
    let message = said(read("a.jsonl", &content, &plain()));
    assert!(
        message.contains("a.jsonl:2: question `b` has the answer `Rome` at character 5, but there stands `😀 Ro`"),
        "{message}"
    );
    assert!(
        message.contains("a.jsonl:3: ") && message.contains("UTF-16") && message.contains("a.jsonl:4: "),
        "{message}"
    );
    assert!(message.ends_with("3 problems in all"), "{message}");
    let mend = QuestionOptions { repair: Repair::Mend, on_bad_example: OnBadExample::Skip, ..plain() };
    let file = read("a.jsonl", &content, &mend).unwrap();
    assert_eq!(shown(&file), ["1 a: Q? [0-4 Rome]", "2 b: Q? [7-11 Rome]", "3 c: Q? [7-11 Rome]"]);
    assert_eq!((file.notes.len(), file.left_out.len(), file.left_out[0].line), (2, 1, 4));
    assert!(file.notes[0].contains("a.jsonl:2: an answer is moved"), "{:?}", file.notes);
}

#[test]
fn mistakes_are_named() {
    let refused = |rest: &str, words: &str| {
        let message = said(read("a.jsonl", format!("{{{rest}}}\n"), &plain()));
        assert!(message.contains("a.jsonl:1: ") && message.contains(words), "{rest}: {message}");
    };
    let answers = "\"answers\": {\"text\": [\"a\"], \"answer_start\": [0]}";
    refused(&format!("\"question\": \" \", \"context\": \"a\", {answers}"), "question 1 is empty");
    refused(
        &format!("\"id\": \"x\", \"question\": \"q\", \"context\": \"\", {answers}"),
        "question `x` has an empty context",
    );
    refused("\"question\": \"q\", \"context\": \"a\", \"answers\": null", "has no answers");
    refused("\"question\": \"q\", \"context\": \"a\", \"answer\": [\"a\"]", "without a start");
    refused(
        "\"question\": \"q\", \"context\": \"a\", \"answers\": {\"text\": [\"a\"], \"answer_start\": [0, 1]}",
        "1 texts for 2 starts",
    );
    refused(
        "\"question\": \"q\", \"context\": \"a\", \"answers\": [{\"text\": \"a\", \"answer_start\": \"x\"}]",
        "start of an answer",
    );
    refused(
        "\"question\": \"q\", \"context\": \"a\", \"answers\": [{\"text\": [1], \"answer_start\": 0}]",
        "whose text is",
    );
    refused(
        &format!("\"question\": \"q\", \"context\": \"a\", \"is_impossible\": true, {answers}"),
        "the question has answers",
    );
    refused(&format!("\"question\": 1, \"context\": null, {answers}"), "column `context`: is missing");
    refused("\"question\": \"q\", \"context\": \"a\"", "--answers-column");
    refused(&format!("\"query\": \"q\", \"context\": \"a\", {answers}"), "--question-column");
    let row = format!("{{\"id\": \"x\", \"question\": \"q\", \"context\": \"a\", {answers}}}\n");
    let twice = said(read("a.jsonl", row.repeat(2), &plain()));
    assert!(twice.contains("a.jsonl:2: question `x` has the id of one in line 1"), "{twice}");
    let many = said(read("a.jsonl", row.repeat(40), &plain()));
    assert!(many.contains("10 problems so far"), "{many}");
}

#[test]
fn answers_are_optional_for_prediction() {
    let options = QuestionOptions { required: false, ..plain() };
    let file = read("a.csv", "question,context\nWhere?,Rome\n", &options).unwrap();
    assert_eq!(shown(&file), ["2 1: Where? -"]);
    let fields = serde_json::json!({"id": "1", "question": "Where?", "passage": "Rome"});
    assert_eq!(serde_json::Value::Object(file.questions[0].fields("question", "passage")), fields);
    let nested = "{\"data\": [{\"context\": \"Rome\", \"qas\": [{\"id\": \"a\", \"question\": \"Where?\"}]}]}";
    assert_eq!(shown(&read("a.json", nested, &options).unwrap()), ["1 a: Where? -"]);
    assert!(said(read("a.json", nested, &plain())).contains("question `a` has no answers"));
}
