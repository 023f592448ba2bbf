//! Two kinds of failure, because the person has to do different things about them.

use std::path::PathBuf;

/// Why a command did not finish.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// Unusable arguments or input, found before any compute was spent. Exit code 2.
    #[error("{0:#}")]
    Input(anyhow::Error),
    /// Failed while running. Exit code 1.
    #[error("{0:#}")]
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
