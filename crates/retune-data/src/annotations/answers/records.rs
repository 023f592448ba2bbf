//! Questions as records of a data set, and as pairs of texts to be tokenized; and those that come line by line.

use std::io::BufRead;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use xxhash_rust::xxh3::xxh3_64;

use super::{Question, QuestionFile, QuestionOptions};
use crate::problems::Problems;
use crate::table;
use crate::text::{Reading, TextInput, TextSeen, Texts};
use crate::{BadExample, DataError, Records, RowProblem, Source};

impl QuestionFile {
    /// A question. Panics beyond the end.
    pub fn question(&self, example: usize) -> &Question {
        &self.questions[example]
    }

    fn checked(&self, example: usize) -> Result<&Question, DataError> {
        let missing = || DataError::NoSuchRow { row: example, rows: self.questions.len() };
        self.questions.get(example).ok_or_else(missing)
    }
}

impl Records for QuestionFile {
    fn file(&self) -> &Path {
        &self.file
    }

    fn len(&self) -> usize {
        self.questions.len()
    }

    fn line(&self, example: usize) -> u64 {
        self.questions[example].line
    }

    fn source(&self, example: usize) -> Result<Source, DataError> {
        let question = self.checked(example)?;
        let label = question.answers.as_ref().map(|answers| {
            let texts: Vec<&str> = answers.iter().map(|answer| answer.text.as_str()).collect();
            let starts: Vec<usize> = answers.iter().map(|answer| answer.span.start).collect();
            json!({"text": texts, "answer_start": starts})
        });
        let fields = question.fields(&self.columns.0, &self.columns.1);
        Ok(Source { file: self.file.clone(), line: question.line, fields, label })
    }

    /// Questions about one context stand on one side of a split.
    fn group(&self, example: usize) -> Option<u64> {
        Some(xxh3_64(self.questions[example].context.as_bytes()))
    }

    fn groups_by_column(&self) -> bool {
        false
    }

    fn left_out(&self) -> &[BadExample] {
        &self.left_out
    }

    fn remarks(&self) -> Vec<String> {
        self.notes.clone()
    }
}

impl Texts for QuestionFile {
    fn input(&self, example: usize) -> Result<TextInput, DataError> {
        let question = self.checked(example)?;
        // As `run_qa.py`: space before a question changes nothing but how many tokens it has.
        Ok(TextInput::Pair(question.question.trim_start().to_owned(), question.context.to_string()))
    }

    fn pairs(&self) -> bool {
        true
    }

    fn words(&self) -> bool {
        false
    }

    fn column(&self) -> Option<&str> {
        Some(&self.columns.1)
    }

    fn streamed(&self) -> bool {
        self.streamed
    }
}

impl Reading for QuestionFile {
    type Seen = TextSeen;

    fn look(&self, _example: usize, seen: TextSeen) -> TextSeen {
        seen
    }
}

/// Questions to answer, read line by line: JSON objects with a question and its context.
pub struct QuestionLines<R> {
    input: R,
    name: PathBuf,
    options: QuestionOptions,
    line: u64,
}

impl<R: BufRead> QuestionLines<R> {
    /// `name` stands for the file in messages.
    pub fn new(input: R, name: &Path, options: &QuestionOptions) -> Self {
        Self { input, name: name.to_owned(), options: options.clone(), line: 0 }
    }

    /// The next questions, `most` of them unless the input ends; `None` at its end. Blank lines are passed over.
    ///
    /// # Errors
    /// Lines that cannot be used, up to ten together.
    pub fn next_rows(&mut self, most: usize) -> Result<Option<QuestionFile>, DataError> {
        let mut problems = Problems::that(self.options.on_bad_example, &self.name);
        let mut questions = Vec::new();
        let (mut line, mut any) = (Vec::new(), false);
        while questions.len() < most.max(1) {
            line.clear();
            let read = table::read_line(&mut self.input, &mut line, self.line == 0);
            if read.map_err(|source| DataError::Read { file: self.name.clone(), source })?.is_none() {
                break;
            }
            self.line += 1;
            if line.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            any = true;
            match self.question(&line) {
                Ok(question) => questions.push(question),
                Err(message) => problems.push_row(questions.len(), RowProblem::new(self.line, None, message))?,
            }
        }
        let left_out = problems.leave_out(true)?;
        let columns = (self.options.question.clone(), self.options.context.clone());
        let (file, notes) = (self.name.clone(), Vec::new());
        Ok(any.then_some(QuestionFile { file, questions, left_out, notes, columns, streamed: true }))
    }

    fn question(&self, line: &[u8]) -> Result<Question, String> {
        let mut object: Map<String, Value> = serde_json::from_slice(line)
            .map_err(|error| format!("is not a JSON object with a question and its context: {error}"))?;
        let mut text = |key: &str, flag: &str| match object.remove(key) {
            Some(Value::String(text)) if !text.trim().is_empty() => Ok(text),
            Some(_) => Err(format!("`{key}` is not a text, or an empty one")),
            None => Err(format!("has no `{key}`; use {flag}")),
        };
        let question = text(&self.options.question, "--question-column")?;
        let context = text(&self.options.context, "--context-column")?;
        let id = match object.remove("id") {
            Some(Value::String(id)) => id,
            Some(Value::Number(id)) => id.to_string(),
            _ => self.line.to_string(),
        };
        Ok(Question { line: self.line, id, question, context: context.into(), answers: None })
    }
}
