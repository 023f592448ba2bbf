//! What is known of a row beside its tokens, and how a token is stored.

use super::{TextOptions, place};

/// Bytes of a token's id and type.
pub(super) const TOKEN: usize = 4;

/// In place of a token's type where rows are whole documents: the token goes on with the word of the one before it.
pub(super) const CONTINUES: u32 = 8;

/// What is known of one row beside its tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct RowFacts {
    /// Tokens, special ones included.
    pub(super) length: u32,
    /// Whether the text was cut to the maximum length.
    pub(super) truncated: bool,
    /// Whether it is another window of the example of the row before.
    pub(super) continues: bool,
    /// Tokens for unknown text in all of the example; 0 where the row continues it.
    pub(super) unknown: u32,
    /// Tokens that are not special in all of the example, each once; 0 where the row continues it.
    pub(super) words: u32,
}

/// Bytes of a stored token.
pub(super) fn width(options: &TextOptions) -> usize {
    if options.keep_offsets { TOKEN + place::BYTES } else { TOKEN }
}
