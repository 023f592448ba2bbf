//! Where the pieces of a block went in a batch.

use std::ops::Range;

use crate::Seen;

/// What a block became in a batch.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BlockSeen {
    /// Number of tokens, special ones included.
    pub length: usize,
    /// The pieces of documents, in their order.
    pub pieces: Vec<SeenPiece>,
    /// The tokens that are hidden from the model, in their order.
    pub masked: Vec<Masked>,
}

/// Some tokens of a document in a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenPiece {
    /// The document, as [`super::Documents`] counts them.
    pub document: usize,
    /// Which of its tokens is the first here.
    pub from: usize,
    /// The places of its tokens in the batch's row, that of its separator included.
    pub at: Range<usize>,
    /// Whether the last place is that of a separator.
    pub separated: bool,
}

/// A token that is hidden from the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Masked {
    /// Its place in the batch's row.
    pub at: usize,
    /// What stood there; `None` where that is not known.
    pub id: Option<u32>,
}

impl Seen for BlockSeen {}
