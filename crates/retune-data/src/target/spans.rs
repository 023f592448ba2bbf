//! Answers as places in a window: targets of extractive question answering.

use super::{Targets, on_rows};
use crate::annotations::Span;
use crate::annotations::answers::{Answer, QuestionFile, answer_positions};
use crate::{Batch, DataError, Fact, FactValue, Place, TextAs, TextSeen};

/// The answers of all questions; `start_positions` and `end_positions` `[B]` i64: tokens of the window, or the classification
/// token where the window does not have the first answer.
pub struct Spans {
    answers: Vec<Vec<Answer>>,
}

impl Spans {
    /// The answers of a file; `None` where it does not say them of every question.
    pub fn of(file: &QuestionFile) -> Option<Self> {
        let answers = file.questions.iter().map(|question| question.answers.clone());
        Some(Self { answers: answers.collect::<Option<_>>()? })
    }

    /// Where a token stands in the context; `None` for tokens of the question and special ones.
    pub fn in_context(place: &Place) -> Option<Span> {
        (place.sequence == Some(1)).then(|| Span::new(place.start as usize, place.end as usize))
    }
}

impl Targets<TextAs<QuestionFile>> for Spans {
    type Gold = Vec<Answer>;

    fn len(&self) -> usize {
        self.answers.len()
    }

    fn gold(&self, example: usize) -> Result<Vec<Answer>, DataError> {
        Ok(self.answers[example].clone())
    }

    fn fill(&self, examples: &[usize], seen: &[TextSeen], into: &mut Batch) -> Result<(), DataError> {
        let places = examples.iter().zip(seen).map(|(&example, seen)| {
            let offsets: Vec<Option<Span>> = seen.places.iter().map(Self::in_context).collect();
            let answer = self.answers[example].first().map(|answer| answer.span);
            let (start, end) = answer_positions(&offsets, answer, 0);
            ((seen.first + start) as i64, (seen.first + end) as i64)
        });
        let (start, end) = places.unzip();
        on_rows(into, "start_positions", start);
        on_rows(into, "end_positions", end);
        Ok(())
    }

    fn fingerprint(&self, example: usize) -> Result<String, DataError> {
        Ok(format!("{:?}", self.answers[example]))
    }

    /// Questions with and without an answer are split alike.
    fn strata(&self, examples: &[usize]) -> Vec<u64> {
        examples.iter().map(|&example| u64::from(self.answers[example].is_empty())).collect()
    }

    fn facts(&self, examples: &[usize]) -> Vec<Fact> {
        let none = examples.iter().filter(|&&example| self.answers[example].is_empty()).count() as u64;
        if none == 0 {
            return Vec::new();
        }
        vec![Fact::new("without an answer", FactValue::Part { count: none, of: examples.len() as u64 })]
    }
}
