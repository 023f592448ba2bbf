//! The tokens of a text without special ones, and the special ones that stand around a text.

use std::ops::Range;

use tokenizers::tokenizer::{Encoding, OffsetType, PostProcessor as _, Token};

use super::{Tokenizer, failed};
use crate::DataError;

/// The tokens of a text, special ones left out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Bare {
    /// Token ids.
    pub ids: Vec<u32>,
    /// Of each token, whether it goes on with the word of the one before it; nothing unless words were asked for.
    pub continues: Vec<bool>,
}

/// The special tokens that a tokenizer puts around a single text, as (id, type).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Frame {
    /// Before the text.
    pub before: Vec<(u32, u32)>,
    /// After it.
    pub after: Vec<(u32, u32)>,
    /// The type of the text's own tokens.
    pub kind: u32,
}

impl Tokenizer {
    /// Cuts a text into tokens, without special ones around it. With `words`, the tokenizer's own words are told apart.
    ///
    /// # Errors
    /// The tokenizer fails on the text.
    pub fn bare(&self, text: &str, words: bool) -> Result<Bare, DataError> {
        let failed = |error: tokenizers::Error| failed(&self.folder, error.to_string());
        if !words {
            let encoding = self.backend.encode_fast(text, false).map_err(failed)?;
            return Ok(Bare { ids: encoding.get_ids().to_vec(), continues: Vec::new() });
        }
        let encoding = self.pieces(text, None, OffsetType::Byte).map_err(failed)?;
        let words = encoding.get_word_ids();
        let continues = (0..words.len()).map(|at| at > 0 && words[at].is_some() && words[at] == words[at - 1]);
        Ok(Bare { ids: encoding.get_ids().to_vec(), continues: continues.collect() })
    }

    /// Cuts a text into tokens, without special ones around it, and says where each stands in it: first character, and one past
    /// the last (`return_offsets_mapping=True` of transformers).
    ///
    /// # Errors
    /// The tokenizer fails on the text.
    pub fn with_offsets(&self, text: &str) -> Result<Vec<(u32, Range<usize>)>, DataError> {
        let encoding = self.backend.encode_char_offsets(text, false);
        let encoding = encoding.map_err(|error| failed(&self.folder, error.to_string()))?;
        let ranges = encoding.get_offsets().iter().map(|&(begin, end)| begin..end);
        Ok(encoding.get_ids().iter().copied().zip(ranges).collect())
    }

    /// What it puts around a single text.
    ///
    /// # Errors
    /// It puts nothing around texts that could be told from them.
    pub fn frame(&self) -> Result<Frame, DataError> {
        let failed = |message: String| failed(&self.folder, message);
        // Any token stands for the text.
        let text = Encoding::from_tokens(vec![Token::new(0, String::new(), (0, 0))], 0);
        let Some(processor) = self.backend.get_post_processor() else { return Ok(Frame::default()) };
        let whole = processor.process(text, None, true).map_err(|error| failed(error.to_string()))?;
        let special = whole.get_special_tokens_mask();
        let all: Vec<(u32, u32)> = whole.get_ids().iter().copied().zip(whole.get_type_ids().iter().copied()).collect();
        match (0..all.len()).filter(|&at| special[at] == 0).collect::<Vec<usize>>()[..] {
            [text] => Ok(Frame { before: all[..text].to_vec(), after: all[text + 1..].to_vec(), kind: all[text].1 }),
            ref texts => Err(failed(format!("puts a text {} times between its special tokens", texts.len()))),
        }
    }

    /// Which ids stand for no text of their own: `[CLS]`, `<pad>`, ….
    pub fn special_ids(&self) -> Vec<u32> {
        let added = self.backend.get_added_tokens_decoder();
        let mut ids: Vec<u32> = added.into_iter().filter(|(_, token)| token.special).map(|(id, _)| id).collect();
        ids.sort_unstable();
        ids
    }
}
