//! Rows of one question each: Hugging Face's layout of SQuAD, and simpler ones.

use std::path::Path;

use serde_json::{Map, Value};

use super::raw::{Contexts, QuestionOptions, RawAnswer, RawQuestion, RawQuestions};
use crate::annotations::literal;
use crate::annotations::repair::enough;
use crate::error::shortened;
use crate::table::Objects;
use crate::{DataError, RowProblem};

/// The columns that are read beside those the options name.
pub(super) const OTHERS: [&str; 5] = ["id", "answer", "answer_text", "answer_start", "is_impossible"];

/// Reads all rows of a table.
///
/// # Errors
/// The file cannot be read or lacks a column.
pub(super) fn read(file: &Path, options: &QuestionOptions) -> Result<RawQuestions, DataError> {
    let mut wanted = vec![options.question.as_str(), &options.context, &options.answers];
    wanted.extend(OTHERS);
    let mut rows = Objects::open(file, &wanted)?;
    let mut needed =
        vec![(options.question.as_str(), "--question-column"), (options.context.as_str(), "--context-column")];
    if options.required && !rows.has("answer") && !rows.has("answer_text") {
        needed.push((options.answers.as_str(), "--answers-column"));
    }
    for (column, flag) in needed {
        if !rows.columns().is_empty() && !rows.has(column) {
            let (file, present) = (file.to_owned(), rows.columns().to_vec());
            return Err(DataError::MissingColumn { file, column: column.to_owned(), flag, present, headerless: false });
        }
    }
    let mut contexts = Contexts::default();
    let (mut all, mut problems) = (Vec::new(), 0);
    while let Some(next) = rows.next() {
        let next =
            next?.and_then(|(line, object)| row(line, object, options, &mut contexts)).map_err(|problem| vec![problem]);
        problems += usize::from(next.is_err());
        all.push(next);
        if enough(problems, options.on_bad_example) {
            break;
        }
    }
    Ok(all)
}

/// Reads one row.
///
/// # Errors
/// What is wrong with it.
pub(super) fn row(
    line: u64,
    mut row: Map<String, Value>,
    options: &QuestionOptions,
    contexts: &mut Contexts,
) -> Result<RawQuestion, RowProblem> {
    let question = text(line, &options.question, row.remove(&options.question))?;
    let context = contexts.shared(&text(line, &options.context, row.remove(&options.context))?);
    let id = name(row.remove("id"));
    let refuse = |column: &str, message: String| RowProblem::new(line, Some(column), message);
    let mut given = answers(row.remove(&options.answers).unwrap_or(Value::Null));
    if given == Ok(None) {
        let start = row.remove("answer_start");
        let single = row.remove("answer").or_else(|| row.remove("answer_text")).unwrap_or(Value::Null);
        given = single_answer(single, start);
    }
    let mut given = given.map_err(|message| refuse(&options.answers, message))?;
    match (row.get("is_impossible").and_then(flag), given.as_ref().map(Vec::len)) {
        (Some(true), None | Some(0)) => given = Some(Vec::new()),
        (Some(true), Some(_)) => {
            return Err(refuse(
                "is_impossible",
                "is true, but the question has answers; correct one of the two".to_owned(),
            ));
        }
        (Some(false), Some(0)) if options.unanswerable != Some(true) => {
            return Err(refuse(
                "is_impossible",
                "is false, but the question has no answer; correct one of the two".to_owned(),
            ));
        }
        _ => {}
    }
    Ok(RawQuestion { line, id, question, context, answers: given })
}

/// A cell that must be a text.
pub(super) fn text(line: u64, column: &str, value: Option<Value>) -> Result<String, RowProblem> {
    let message = match value {
        Some(Value::String(text)) => return Ok(text),
        Some(Value::Number(number)) => return Ok(number.to_string()),
        Some(Value::Null) | None => "is missing; fill it in or remove the row".to_owned(),
        Some(other) => format!("is `{}`, not a text", shortened(&other.to_string())),
    };
    Err(RowProblem::new(line, Some(column), message))
}

/// An id: a text or a number.
pub(super) fn name(value: Option<Value>) -> Option<String> {
    match value? {
        Value::String(text) => Some(text).filter(|text| !text.is_empty()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// True or false, also as a text of CSV.
pub(super) fn flag(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(value) => Some(*value),
        Value::Number(number) => number.as_i64().map(|number| number != 0),
        Value::String(text) if text.eq_ignore_ascii_case("true") || text == "1" => Some(true),
        Value::String(text) if text.eq_ignore_ascii_case("false") || text == "0" => Some(false),
        _ => None,
    }
}

/// The answers of a question, in whichever layout; `None` where there is no value.
///
/// # Errors
/// What is wrong with them.
pub(super) fn answers(value: Value) -> Result<Option<Vec<RawAnswer>>, String> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) if text.trim().is_empty() => Ok(None),
        Value::String(text) => match literal::parse(&text) {
            Some(Ok(parsed)) => answers(parsed),
            Some(Err(reason)) if text.trim_end().ends_with([']', '}']) => Err(format!("is a broken list: {reason}")),
            _ => Ok(Some(vec![RawAnswer { text, start: None }])),
        },
        Value::Object(mut object) => {
            let texts = object.remove("text").map_or(Vec::new(), listed);
            let starts = object.remove("answer_start").map_or(Vec::new(), listed);
            if !starts.is_empty() && starts.len() != texts.len() {
                return Err(format!("has {} texts for {} starts; each text needs one", texts.len(), starts.len()));
            }
            let starts = starts.into_iter().map(Some).chain(std::iter::repeat(None));
            texts.into_iter().zip(starts).map(|(text, start)| one(text, start)).collect::<Result<_, _>>().map(Some)
        }
        Value::Array(items) => {
            let item = |item: Value| match item {
                Value::Object(mut object) => {
                    let start = object.remove("answer_start");
                    one(object.remove("text").unwrap_or(Value::Null), start)
                }
                other => one(other, None),
            };
            items.into_iter().map(item).collect::<Result<_, _>>().map(Some)
        }
        other => Err(format!("is `{}`; write {{\"text\": […], \"answer_start\": […]}}", shortened(&other.to_string()))),
    }
}

/// Answers whose starts stand in a column of their own. A text is a list only if the start is one: `[1]` may be an answer.
fn single_answer(text: Value, start: Option<Value>) -> Result<Option<Vec<RawAnswer>>, String> {
    let lists = match &start {
        Some(Value::Array(_)) => true,
        Some(Value::String(start)) => start.trim_start().starts_with('['),
        _ => false,
    };
    let given = match text {
        Value::String(text) if !lists && !text.trim().is_empty() => Some(vec![RawAnswer { text, start: None }]),
        other => answers(other)?,
    };
    let starts = match start.filter(|start| !start.is_null()) {
        Some(Value::String(text)) => match literal::parse(&text) {
            Some(parsed) => listed(parsed?),
            None => vec![Value::String(text)],
        },
        Some(value) => listed(value),
        None => return Ok(given),
    };
    let Some(mut given) = given else { return Ok(None) };
    if starts.len() != given.len() {
        return Err(format!("has {} texts for {} starts; each text needs one", given.len(), starts.len()));
    }
    for (answer, start) in given.iter_mut().zip(starts) {
        answer.start = Some(whole(&start)?);
    }
    Ok(Some(given))
}

fn one(text: Value, start: Option<Value>) -> Result<RawAnswer, String> {
    let text = match text {
        Value::String(text) => text,
        Value::Number(number) => number.to_string(),
        other => return Err(format!("has an answer whose text is `{}`", shortened(&other.to_string()))),
    };
    let start = start.filter(|start| !start.is_null()).map(|start| whole(&start)).transpose()?;
    Ok(RawAnswer { text, start })
}

fn whole(start: &Value) -> Result<i64, String> {
    let number = match start {
        Value::Number(number) => {
            number.as_i64().or_else(|| number.as_f64().filter(|x| x.fract() == 0.0).map(|x| x as i64))
        }
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    number.ok_or_else(|| {
        format!("has `{}` as the start of an answer; write a whole number", shortened(&start.to_string()))
    })
}

fn listed(value: Value) -> Vec<Value> {
    match value {
        Value::Array(values) => values,
        Value::Null => Vec::new(),
        other => vec![other],
    }
}
