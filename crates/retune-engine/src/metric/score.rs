//! How good one answer to a question is.

/// How good one answer is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Score {
    /// Whether it equals a gold answer.
    pub exact: bool,
    /// How many words it has in common with the nearest gold answer.
    pub f1: f64,
}
