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
    /// Most tokens in all, padding included.
    pub(super) longest: usize,
    /// Most tokens of a row without its padding, where that is what is said.
    pub(super) own: Option<usize>,
}

impl Limits {
    /// Most tokens of this row, its padding included.
    pub(super) fn of(&self, row: &Row) -> usize {
        self.own.map_or(self.longest, |own| self.longest.min(row.padding + own))
    }
}
