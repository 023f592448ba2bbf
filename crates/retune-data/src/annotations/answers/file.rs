//! Reads a file of questions, whatever its format, and checks it as a whole.

use std::collections::HashMap;
use std::path::Path;

use super::raw::{QuestionFile, QuestionOptions, RawQuestion};
use super::{Answer, Question, flat, offset, squad};
use crate::annotations::Characters;
use crate::annotations::repair::{Mends, usable};
use crate::error::shortened;
use crate::{DataError, RowProblem};

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
        let columns = (options.question.clone(), options.context.clone());
        Ok(Self { file: file.to_owned(), questions, left_out, notes, columns, streamed: false })
    }

    /// Whether the questions are lines of a stream.
    pub fn is_streamed(&self) -> bool {
        self.streamed
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

#[cfg(test)]
mod tests;
