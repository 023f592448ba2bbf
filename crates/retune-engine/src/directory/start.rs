//! What becomes of a run directory that is in use.

/// How to treat a run directory that is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// Refuse it.
    New,
    /// Continue it.
    Resume,
    /// Replace it.
    Overwrite,
}
