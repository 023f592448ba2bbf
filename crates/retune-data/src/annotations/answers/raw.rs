//! What files of questions hold: how they are read, questions before their answers are found, and after.

use std::collections::HashSet;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Question;
use crate::annotations::Repair;
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
    /// Names of the columns of questions and contexts.
    pub(super) columns: (String, String),
    /// Whether they are lines of a stream.
    pub(super) streamed: bool,
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

/// An answer as a file has it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct RawAnswer {
    pub(super) text: String,
    pub(super) start: Option<i64>,
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
