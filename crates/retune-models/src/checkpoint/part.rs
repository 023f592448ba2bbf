//! Which part of a model a tensor belongs to.

/// What of a model a tensor belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// It must be in the checkpoint.
    Body,
    /// It learns as the body does, but a checkpoint that was made for something else may lack it.
    Neck,
    /// It is the task's own.
    Head,
}
