//! What can be wrong with a checkpoint.

use retune_kernels::{KernelError, tch::TchError};
use std::path::PathBuf;

/// Errors of this crate.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file that is there but not as it should be.
    #[error("{}: {problem}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// A name that is no family which can be trained from nothing.
    #[error("`{name}` is no family that can be trained from nothing{purpose}; choose one of {known}")]
    NotFresh {
        /// The name.
        name: String,
        /// For which purpose, in words.
        purpose: String,
        /// Those that can, in words.
        known: String,
    },
    /// `config.json` lacks a field or holds one of the wrong type.
    #[error("config.json: field `{field}` {problem}")]
    Config {
        /// Name of the field.
        field: String,
        /// What is wrong with it.
        problem: String,
    },
    /// `config.json` has no dropout probability to override.
    #[error("dropout: config.json has no dropout probability that could be set{instead}")]
    NoDropout {
        /// What it has, in words.
        instead: String,
    },
    /// A model type that this build does not know.
    #[error("model type `{model_type}` is not supported{purpose}; supported: {known}")]
    UnknownFamily {
        /// `model_type` of config.json.
        model_type: String,
        /// What was to be done with it, as ` for token classification`; empty where anything was.
        purpose: String,
        /// What would have worked.
        known: String,
    },
    /// The checkpoint lacks tensors that are not part of a new head.
    #[error("the checkpoint lacks {} of the model's tensors:\n{}", missing.len(), missing.join("\n"))]
    Missing {
        /// One line each, with the nearest tensor that is there.
        missing: Vec<String>,
    },
    /// A tensor of another shape than the configuration asks for.
    #[error("tensor `{name}` has shape {found:?} in the checkpoint, but config.json asks for {expected:?}")]
    Shape {
        /// Full name.
        name: String,
        /// In the file.
        found: Vec<i64>,
        /// By the configuration.
        expected: Vec<i64>,
    },
    /// An input that the model needs is not in the batch.
    #[error("the model needs the input `{name}`; the batch holds: {present}")]
    Input {
        /// Hugging Face's name.
        name: String,
        /// What is there.
        present: String,
    },
    /// A text without the token by which it is classified.
    #[error(
        "row {row} of `input_ids` has no token that ends a text (`eos_token_id` of config.json), by which this model classifies; end each \
         text with one, as the model's tokenizer does"
    )]
    NoEnd {
        /// Counted from 1.
        row: i64,
    },
    /// An input of a shape that the model cannot take.
    #[error("the input `{name}` has shape {shape:?}: {problem}")]
    InputShape {
        /// Hugging Face's name.
        name: String,
        /// What is there.
        shape: Vec<i64>,
        /// What the model takes.
        problem: String,
    },
    /// A text for which there are no positions.
    #[error(
        "a text of {tokens} tokens is longer than the {longest} that this model has positions for; shorten it (--max-length, --max-new-tokens)"
    )]
    TooLong {
        /// Its length.
        tokens: i64,
        /// The longest.
        longest: i64,
    },
    /// Settings of generation that cannot be used.
    #[error("generation: {0}")]
    Generation(String),
    /// A heat map that this model cannot draw.
    #[error("this model has no {how} heat maps{}", if known.is_empty() { String::new() } else { format!("; use {known}") })]
    HeatMap {
        /// What was asked for.
        how: String,
        /// What would work.
        known: String,
    },
    /// Adapter settings or files that cannot be used.
    #[error("adapter: {0}")]
    Adapter(String),
    /// Tensor maths refused.
    #[error(transparent)]
    Kernel(#[from] KernelError),
    /// libtorch refused.
    #[error("libtorch: {0}")]
    Torch(#[from] TchError),
}

impl ModelError {
    pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }

    pub(crate) fn file(path: impl Into<PathBuf>, problem: impl Into<String>) -> Self {
        Self::File { path: path.into(), problem: problem.into() }
    }

    pub(crate) fn of_field(field: &str, problem: impl Into<String>) -> Self {
        Self::Config { field: field.to_owned(), problem: problem.into() }
    }
}
