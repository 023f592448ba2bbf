//! What a head reads of its body.

/// Which of the tokens that the last block could return are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reads {
    /// So many from the first on.
    First(i64),
    /// All of them.
    All,
    /// All of them, and what each earlier stage returned.
    Stages,
}
