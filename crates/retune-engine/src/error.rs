//! Two kinds of failure, because the person has to do different things about them.

use std::path::PathBuf;

/// Why a command did not finish.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// Unusable arguments or input, found before any compute was spent. Exit code 2.
    #[error("{}", said(.0))]
    Input(anyhow::Error),
    /// Failed while running. Exit code 1.
    #[error("{}", said(.0))]
    Failed(anyhow::Error),
    /// Stopped by an observer after a checkpoint was written. Exit code 130.
    #[error("stopped at step {step}; continue with --resume --output {}", output.display())]
    Interrupted {
        /// Steps done.
        step: u64,
        /// The run directory.
        output: PathBuf,
    },
}

/// An error with its causes, each once: many errors hold the words of their cause in their own.
pub fn said(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text += &format!(": {cause}");
        }
    }
    text
}

impl From<anyhow::Error> for EngineError {
    /// What happens after the input was accepted is a failure of the run.
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(error)
    }
}

/// Marks a result as being about the user's input.
pub trait InputContext<T> {
    /// Exit code 2 instead of 1.
    fn input(self) -> Result<T, EngineError>;
}

impl<T, E: Into<anyhow::Error>> InputContext<T> for Result<T, E> {
    fn input(self) -> Result<T, EngineError> {
        self.map_err(|error| EngineError::Input(error.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;
    use retune_data::DataError;

    #[test]
    fn the_systems_words_are_said_once() {
        let source = std::io::Error::other("disk on fire");
        let error = DataError::Read { file: "a.csv".into(), source };
        let error = Err::<(), _>(error).context("training data").unwrap_err();
        assert_eq!(said(&error), "training data: a.csv: cannot be read: disk on fire");
        assert_eq!(EngineError::Input(error).to_string(), "training data: a.csv: cannot be read: disk on fire");
    }
}
