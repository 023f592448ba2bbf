//! How texts become rows.

use crate::OnBadExample;

/// How long rows may be, and what is kept of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextOptions {
    /// Tokens of a row at most, special ones included.
    pub max_length: usize,
    /// Tokens that windows of one example have in common (Hugging Face's `stride`, `--doc-stride`); `None` cuts what is
    /// too long. Of a pair only the second text is cut into windows, and the first is in each.
    pub stride: Option<usize>,
    /// Keeps where each token stands in its text: 12 bytes a token.
    pub keep_offsets: bool,
    /// Whether texts of which no row can be made end the run.
    pub on_bad_example: OnBadExample,
    /// Whether rows are whole documents without special tokens, which may have no token.
    pub(super) document: bool,
    /// Whether tokens of documents say that they go on with a word.
    pub(super) marks_words: bool,
}

impl TextOptions {
    /// Rows of at most `max_length` tokens; what is longer is cut, and offsets are not kept.
    pub fn new(max_length: usize) -> Self {
        let on_bad_example = OnBadExample::Fail;
        Self { max_length, stride: None, keep_offsets: false, on_bad_example, document: false, marks_words: false }
    }

    /// Rows that are whole documents, without special tokens.
    pub(super) fn document(marks_words: bool) -> Self {
        Self { document: true, marks_words, ..Self::new(usize::MAX) }
    }

    /// With windows that have `stride` tokens in common, in place of cutting.
    pub fn windows(self, stride: usize) -> Self {
        Self { stride: Some(stride), ..self }
    }

    /// With offsets.
    pub fn offsets(self) -> Self {
        Self { keep_offsets: true, ..self }
    }

    /// With texts left out of which no row can be made, or not.
    pub fn on_bad_example(self, on_bad_example: OnBadExample) -> Self {
        Self { on_bad_example, ..self }
    }
}
