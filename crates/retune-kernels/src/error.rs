//! What can go wrong in tensor maths.

/// Errors of this crate.
#[derive(Debug, thiserror::Error)]
pub enum KernelError {
    /// libtorch refused an operation.
    #[error("libtorch: {0}")]
    Torch(#[from] tch::TchError),
    /// The C++ shim refused an operation.
    #[error("libtorch: {0}")]
    Shim(String),
    /// A row of an attention mask lets no token be attended to, which would make softmax undefined.
    #[error("row {row} of the attention mask attends to nothing; give every example at least one token")]
    EmptyMaskRow {
        /// Index in the batch.
        row: i64,
    },
    /// Keys from before the queries, in a number that cannot be.
    #[error("causal attention with {past} earlier keys is not possible{}", if *packed { " over packed sequences" } else { "" })]
    Causal {
        /// As asked for.
        past: i64,
        /// Whether sequences are packed.
        packed: bool,
    },
    /// A window over nothing, or over what is no sequence.
    #[error(
        "attention with a window of {size} keys is not possible; it takes one of at least 1 and a mask that is not packed: a causal one to slide behind a token, any other to lie around it"
    )]
    Window {
        /// As asked for.
        size: i64,
    },
    /// An unusable device.
    #[error("device `{device}` is not usable: {reason}; use --device cpu or --device auto")]
    Device {
        /// As the user wrote it.
        device: String,
        /// Why.
        reason: String,
    },
    /// A name that is not known.
    #[error("unknown {what} `{name}`; known: {known}")]
    Unknown {
        /// `activation`, `schedule`, …
        what: &'static str,
        /// As given.
        name: String,
        /// What would have been accepted.
        known: &'static str,
    },
    /// Optimizer state that does not fit the parameters.
    #[error("optimizer state: tensor `{name}` {problem}")]
    State {
        /// Parameter name.
        name: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A row that an embedding table does not have.
    #[error("row {row} is outside an embedding table of {rows} rows")]
    Row {
        /// As asked for.
        row: i64,
        /// Of the table.
        rows: i64,
    },
    /// A parameter that cannot be compacted.
    #[error("`{name}` cannot be compacted: {problem}")]
    Compaction {
        /// Parameter name.
        name: String,
        /// Why.
        problem: &'static str,
    },
    /// The exact value of a frozen parameter that cannot be read again.
    #[error("the value of `{name}` cannot be read again: {problem}")]
    Source {
        /// Parameter name.
        name: String,
        /// Why, and what to do.
        problem: String,
    },
    /// Frames and labels that do not fit each other.
    #[error("connectionist temporal classification: {problem}")]
    Ctc {
        /// What does not fit.
        problem: String,
    },
    /// A gradient that is not finite.
    #[error("the gradient of `{name}` is not finite")]
    NotFinite {
        /// Parameter name.
        name: String,
    },
}
