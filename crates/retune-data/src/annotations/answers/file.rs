//! Reads a file of questions, whatever its format, and checks it as a whole.

use std::collections::{HashMap, HashSet};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::flat::RawAnswer;
use super::{Answer, Question, flat, offset, squad};
use crate::annotations::repair::{Mends, usable};
use crate::annotations::{Characters, Repair};
use crate::error::shortened;
use crate::{BadExample, DataError, OnBadExample, RowProblem};

/// How questions are read.
#[derive(Debug, Clone)]
pub struct QuestionOptions {
    /// The column of questions.
    pub question: String,
    /// The column of contexts.
    pub context: String,
    /// The column of answers; `answer` with `answer_start` counts as well if this one is absent.
    pub answers: String,
    /// Whether a question may have no answer: by default if the file says so (`is_impossible`, empty lists in flat files).
    pub unanswerable: Option<bool>,
    /// What to do with answers that do not stand where they say.
    pub repair: Repair,
    /// What to do with questions that cannot be used.
    pub on_bad_example: OnBadExample,
    /// Whether each question must say its answers.
    pub required: bool,
}

impl Default for QuestionOptions {
    fn default() -> Self {
        Self {
            question: "question".to_owned(),
            context: "context".to_owned(),
            answers: "answers".to_owned(),
            unanswerable: None,
            repair: Repair::Fail,
            on_bad_example: OnBadExample::Fail,
            required: true,
        }
    }
}

/// The questions of one file.
#[derive(Debug)]
pub struct QuestionFile {
    /// The file.
    pub file: PathBuf,
    /// Its questions that can be used, in order.
    pub questions: Vec<Question>,
    /// The questions that cannot be used, where they are left out.
    pub left_out: Vec<BadExample>,
    /// What was recognised or mended, a sentence each.
    pub notes: Vec<String>,
}

/// A question as a file has it.
pub(super) struct RawQuestion {
    pub(super) line: u64,
    pub(super) id: Option<String>,
    pub(super) question: String,
    pub(super) context: Arc<str>,
    /// The answers; none for a question without one; `None` where nothing is said.
    pub(super) answers: Option<Vec<RawAnswer>>,
}

/// Contexts, each stored once.
#[derive(Default)]
pub(super) struct Contexts(HashSet<Arc<str>>);

impl Contexts {
    pub(super) fn shared(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.0.get(text) {
            return Arc::clone(known);
        }
        let new: Arc<str> = Arc::from(text);
        self.0.insert(Arc::clone(&new));
        new
    }
}

/// What a reader gives.
pub(super) type RawQuestions = Vec<Result<RawQuestion, Vec<RowProblem>>>;

impl QuestionFile {
    /// Reads a file; the module says which formats there are.
    ///
    /// # Errors
    /// An unreadable file, missing columns, or questions that cannot be used, up to ten problems together.
    pub fn read(file: impl AsRef<Path>, options: &QuestionOptions) -> Result<Self, DataError> {
        let file = file.as_ref();
        let json = file.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"));
        let rows =
            if json && squad::is_nested(file)? { squad::read(file, options)? } else { flat::read(file, options)? };
        let mut mends = Mends::default();
        let mut seen: HashMap<String, u64> = HashMap::new();
        let mut understood = Vec::with_capacity(rows.len());
        for (number, row) in (1..).zip(rows) {
            understood.push(row.and_then(|row| checked(row, number, options, &mut seen, &mut mends)));
        }
        let (questions, left_out) = usable(file, understood, options.on_bad_example)?;
        let unanswered = questions.iter().filter(|it| it.answers.as_ref().is_some_and(Vec::is_empty)).count();
        let mut notes: Vec<String> = mends.notes(file).collect();
        if unanswered > 0 && options.unanswerable.is_none() {
            let all = questions.len();
            notes.push(format!("{}: {unanswered} of {all} questions have no answer in their context", file.display()));
        }
        Ok(Self { file: file.to_owned(), questions, left_out, notes })
    }

    /// Whether some question has no answer, so that a model must be able to say that there is none.
    pub fn has_unanswerable(&self) -> bool {
        self.questions.iter().any(|question| question.answers.as_ref().is_some_and(Vec::is_empty))
    }
}

/// Checks a question and finds its answers in the context.
fn checked(
    row: RawQuestion,
    number: usize,
    options: &QuestionOptions,
    seen: &mut HashMap<String, u64>,
    mends: &mut Mends,
) -> Result<Question, Vec<RowProblem>> {
    let RawQuestion { line, id, question, context, answers } = row;
    let named = match &id {
        Some(id) => format!("question `{}`", shortened(id)),
        None => format!("question {number}"),
    };
    let mut problems = Vec::new();
    let mut say = |message: String| problems.push(RowProblem::new(line, None, format!("{named} {message}")));
    if question.trim().is_empty() {
        say("is empty; write it or remove it".to_owned());
    }
    if context.trim().is_empty() {
        say("has an empty context; write it or remove the question".to_owned());
    }
    let id = id.unwrap_or_else(|| number.to_string());
    if let Some(first) = seen.insert(id.clone(), line) {
        let place =
            if first == line { "stands twice".to_owned() } else { format!("has the id of one in line {first}") };
        say(format!("{place}; give each an id of its own"));
    }
    match &answers {
        None if options.required => say("has no answers; add them or remove the question".to_owned()),
        Some(answers) if answers.is_empty() && options.unanswerable == Some(false) => {
            say("has no answer, where each question needs one; add one or remove the question".to_owned());
        }
        _ => {}
    }
    let characters = Characters::of(&context);
    let mut found: Vec<Answer> = Vec::new();
    for answer in answers.iter().flatten() {
        match offset::placed(answer, &characters, options.repair) {
            Ok((answer, mend)) => {
                mend.into_iter().for_each(|kind| mends.count(kind, line));
                found.push(answer);
            }
            Err(message) => say(format!("has the answer {message}")),
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    Ok(Question { line, id, question, answers: answers.map(|_| found), context })
}

/// The first byte of a file that is neither space nor a byte order mark.
pub(super) fn first_byte(file: &Path) -> Result<Option<u8>, DataError> {
    let mut input = BufReader::new(crate::table::open_file(file)?);
    let failed = |source| DataError::Read { file: file.to_owned(), source };
    loop {
        let bytes = input.fill_buf().map_err(failed)?;
        let length = bytes.len();
        let found = bytes.iter().find(|byte| !byte.is_ascii_whitespace() && !matches!(byte, 0xef | 0xbb | 0xbf));
        if found.is_some() || length == 0 {
            return Ok(found.copied());
        }
        input.consume(length);
    }
}

#[cfg(test)]
mod tests;
