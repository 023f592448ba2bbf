//! What is wrong with a SMILES, and where.

/// What is wrong with a SMILES.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("is no valid SMILES: character {at}: {message}")]
pub struct SmilesError {
    /// Character, from 1; one past the end where something is missing there.
    pub at: usize,
    /// What is wrong.
    pub message: String,
}

pub(super) fn error<T>(at: usize, message: impl Into<String>) -> Result<T, SmilesError> {
    Err(SmilesError { at, message: message.into() })
}
