//! SQuAD's JSON, one object over the whole file, streamed: in memory are the questions, never the file.
//!
//! `data` holds articles with `paragraphs`, or paragraphs, or rows in Hugging Face's layout. Fields that nobody needs
//! (`title`, `plausible_answers`) are skipped.

use std::cell::Cell;
use std::fmt;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::flat;
use super::raw::{Contexts, QuestionOptions, RawQuestion, RawQuestions, first_byte};
use crate::table::{open_file, reduced};
use crate::{DataError, RowProblem};

/// Counts lines while a file is read byte by byte, as serde_json does.
struct Counted<R> {
    input: R,
    line: Rc<Cell<u64>>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let count = self.input.read(into)?;
        let lines = into[..count].iter().filter(|byte| **byte == b'\n').count();
        self.line.set(self.line.get() + lines as u64);
        Ok(count)
    }
}

/// Whether a `.json` file is one object with `data`, not rows.
///
/// # Errors
/// The file cannot be read.
pub(super) fn is_nested(file: &Path) -> Result<bool, DataError> {
    if first_byte(file)? != Some(b'{') {
        return Ok(false);
    }
    let (mut input, _) = opened(file)?;
    let mut keys = serde_json::Deserializer::from_reader(&mut input);
    // What is broken is said when it is read.
    Ok(HasData.deserialize(&mut keys).unwrap_or(true))
}

/// A file that is read, and how many lines of it were.
type Opened = (Counted<BufReader<std::fs::File>>, Rc<Cell<u64>>);

fn opened(file: &Path) -> Result<Opened, DataError> {
    let mut input = BufReader::new(open_file(file)?);
    let start = input.fill_buf().map_err(|source| DataError::Read { file: file.to_owned(), source })?;
    if start.starts_with(b"\xef\xbb\xbf") {
        input.consume(3);
    }
    let line = Rc::new(Cell::new(1));
    Ok((Counted { input, line: Rc::clone(&line) }, line))
}

/// Reads a whole file.
///
/// # Errors
/// The file cannot be read or is no such JSON.
pub(super) fn read(file: &Path, options: &QuestionOptions) -> Result<RawQuestions, DataError> {
    let (input, line) = opened(file)?;
    let mut reader = Reader { line, options, contexts: Contexts::default(), all: Vec::new() };
    let mut json = serde_json::Deserializer::from_reader(input);
    let result = Part(&mut reader, Level::File).deserialize(&mut json).and_then(|()| json.end());
    result.map_err(|error| {
        let text = error.to_string();
        let reason = text.split(" at line ").next().unwrap_or(&text);
        // Behind a line end stands what is wrong with the end of the line before.
        let (line, place) = match (error.line(), error.column()) {
            (line @ 2.., 0) => (line - 1, "its end".to_owned()),
            (line, column) => (line.max(1), format!("column {column}")),
        };
        let message = format!("broken JSON at {place}: {reason}");
        DataError::Malformed { file: file.to_owned(), line: line as u64, message }
    })?;
    Ok(reader.all)
}

struct Reader<'a> {
    line: Rc<Cell<u64>>,
    options: &'a QuestionOptions,
    contexts: Contexts,
    all: RawQuestions,
}

/// What the next value is.
#[derive(Clone, Copy)]
enum Level {
    File,
    /// The elements of `data`.
    Data,
    /// An article, a paragraph or a row.
    Article,
    /// The elements of `paragraphs`.
    Paragraphs,
    Paragraph,
}

/// A value of the file that is read for its questions.
struct Part<'a, 'b>(&'a mut Reader<'b>, Level);

impl<'de> DeserializeSeed<'de> for Part<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        match self.1 {
            Level::Data | Level::Paragraphs => json.deserialize_seq(self),
            Level::File | Level::Article | Level::Paragraph => json.deserialize_map(self),
        }
    }
}

impl<'de> Visitor<'de> for Part<'_, '_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self.1 {
            Level::File => "an object with `data`",
            Level::Data => "a list of articles in `data`",
            Level::Article => "an article with `paragraphs`",
            Level::Paragraphs => "a list in `paragraphs`",
            Level::Paragraph => "a paragraph with `context` and `qas`",
        })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        let level = if matches!(self.1, Level::Data) { Level::Article } else { Level::Paragraph };
        while elements.next_element_seed(Part(&mut *self.0, level))?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        let Self(reader, level) = self;
        let line = reader.line.get();
        let (mut rest, mut questions, mut nested) = (Map::new(), None, false);
        while let Some(key) = fields.next_key::<String>()? {
            match (level, key.as_str()) {
                (Level::File, "data") => fields.next_value_seed(Part(&mut *reader, Level::Data))?,
                (Level::Article, "paragraphs") => {
                    nested = true;
                    fields.next_value_seed(Part(&mut *reader, Level::Paragraphs))?;
                }
                (Level::Article | Level::Paragraph, "qas") => {
                    questions = Some(fields.next_value_seed(Questions(&reader.line))?);
                }
                (Level::Article | Level::Paragraph, _) if reader.reads(&key) => {
                    rest.insert(key, fields.next_value()?);
                }
                _ => {
                    fields.next_value::<IgnoredAny>()?;
                }
            }
        }
        match (level, questions) {
            (Level::Article | Level::Paragraph, Some(questions)) => reader.paragraph(line, rest, questions),
            (Level::Article, None) if !nested => {
                let columns = reader.columns();
                let row = flat::row(line, reduced(rest, &columns), reader.options, &mut reader.contexts);
                reader.all.push(row.map_err(|problem| vec![problem]));
            }
            (Level::Paragraph, None) => {
                reader.all.push(Err(vec![RowProblem::new(line, Some("qas"), "is missing in a paragraph")]));
            }
            _ => {}
        }
        Ok(())
    }
}

impl Reader<'_> {
    fn columns(&self) -> Vec<String> {
        let named = [&self.options.question, &self.options.context, &self.options.answers];
        named.into_iter().cloned().chain(flat::OTHERS.map(str::to_owned)).collect()
    }

    fn reads(&self, key: &str) -> bool {
        key == "context" || self.columns().iter().any(|column| column == key)
    }

    /// Takes the questions of a paragraph.
    fn paragraph(&mut self, line: u64, mut rest: Map<String, Value>, questions: Vec<(u64, Value)>) {
        match flat::text(line, "context", rest.remove("context")) {
            Err(problem) => self.all.push(Err(vec![problem])),
            Ok(context) => {
                let context = self.contexts.shared(&context);
                for (line, question) in questions {
                    let raw = question_of(line, question, &context, self.options);
                    self.all.push(raw.map_err(|problem| vec![problem]));
                }
            }
        }
    }
}

/// One element of `qas`.
fn question_of(
    line: u64,
    value: Value,
    context: &Arc<str>,
    options: &QuestionOptions,
) -> Result<RawQuestion, RowProblem> {
    let Value::Object(mut object) = value else {
        return Err(RowProblem::new(line, Some("qas"), "has an element that is no object"));
    };
    let id = flat::name(object.remove("id"));
    let named = id.as_ref().map_or_else(String::new, |id| format!("question `{}`: ", crate::error::shortened(id)));
    let refuse = |column: &str, message: &str| RowProblem::new(line, Some(column), format!("{named}{message}"));
    let question =
        flat::text(line, "question", object.remove("question")).map_err(|it| refuse("question", &it.message))?;
    let answers =
        flat::answers(object.remove("answers").unwrap_or(Value::Null)).map_err(|it| refuse("answers", &it))?;
    let impossible = object.get("is_impossible").and_then(flat::flag);
    let answers = match (impossible, answers) {
        (Some(true), None) => Some(Vec::new()),
        (Some(true), Some(answers)) if !answers.is_empty() => {
            return Err(refuse("is_impossible", "is true, but there are answers; correct one of the two"));
        }
        (None | Some(false), Some(answers)) if answers.is_empty() && options.unanswerable != Some(true) => {
            return Err(refuse("answers", "is empty; add an answer, or say `is_impossible: true` as SQuAD 2.0 does"));
        }
        (_, answers) => answers,
    };
    Ok(RawQuestion { line, id, question, context: Arc::clone(context), answers })
}

/// The elements of `qas` with their lines; the context may come after them.
struct Questions<'a>(&'a Cell<u64>);

impl<'de> DeserializeSeed<'de> for Questions<'_> {
    type Value = Vec<(u64, Value)>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Questions<'_> {
    type Value = Vec<(u64, Value)>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a list of questions in `qas`")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self::Value, A::Error> {
        let mut all = Vec::new();
        while let Some(element) = elements.next_element_seed(Numbered(self.0))? {
            all.push(element);
        }
        Ok(all)
    }
}

/// Any value with the line where it starts.
struct Numbered<'a>(&'a Cell<u64>);

impl<'de> DeserializeSeed<'de> for Numbered<'_> {
    type Value = (u64, Value);

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        let line = self.0.get();
        serde::Deserialize::deserialize(json).map(|value| (line, value))
    }
}

/// Whether an object has a list `data`.
struct HasData;

impl<'de> DeserializeSeed<'de> for HasData {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<bool, D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for HasData {
    type Value = bool;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<bool, A::Error> {
        let mut found = false;
        while let Some(key) = fields.next_key::<String>()? {
            found |= key == "data";
            fields.next_value::<IgnoredAny>()?;
        }
        Ok(found)
    }
}
