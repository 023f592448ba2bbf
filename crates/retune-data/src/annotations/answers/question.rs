//! One question about a context.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::annotations::Span;

/// A question, the context that may hold its answer, and the answers that people gave.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// The line where it starts, from 1; the row number for Parquet.
    pub line: u64,
    /// What the file calls it; its number in the file, from 1, where it has no name.
    pub id: String,
    /// The question.
    pub question: String,
    /// The context; questions about the same one share it.
    pub context: Arc<str>,
    /// The answers, all equally right; none if the context does not answer the question; `None` where the file does not say.
    pub answers: Option<Vec<Answer>>,
}

/// A part of the context that answers a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Where it stands, in characters of the context.
    pub span: Span,
    /// Its text, which is that part of the context.
    pub text: String,
}

impl Question {
    /// The input as the file has it, for predictions.
    pub fn fields(&self, question: &str, context: &str) -> Map<String, Value> {
        let pair = |name: &str, value: &str| (name.to_owned(), Value::from(value));
        [pair("id", &self.id), pair(question, &self.question), pair(context, &self.context)].into_iter().collect()
    }
}
