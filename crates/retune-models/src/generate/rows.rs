//! Rows that are written, as far as they are, and the score of what never comes.

pub(super) const NEVER: f64 = f64::NEG_INFINITY;

/// One row as far as it is written.
#[derive(Debug, Clone)]
pub(super) struct Row {
    /// All tokens, the prompt and its padding included.
    pub(super) tokens: Vec<i64>,
    /// How many of them are padding, before the prompt.
    pub(super) padding: usize,
}

impl Row {
    /// Without the padding, which no rule counts: what is written would depend on what else is written beside it.
    pub(super) fn real(&self) -> &[i64] {
        &self.tokens[self.padding..]
    }
}

/// Where the new part of the rows begins, and where it has to end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Tokens of the prompt, padding included.
    pub(super) prompt: usize,
    /// Most tokens in all.
    pub(super) longest: usize,
}
