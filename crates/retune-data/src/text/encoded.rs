//! The tokens of all rows of a data set, made in parallel or read from where an earlier run kept them.

use rayon::prelude::*;

use super::TextRows;
use super::remarks::Look;
use super::token_cache::Entry;
use super::tokenizer::{Tokenizer, Tokens};
use crate::DataError;
use crate::arena::{Arena, ArenaBuilder};

/// Rows tokenized in parallel before they are stored.
const CHUNK: usize = 4096;

const ID_BITS: u32 = 28;
const ID_MASK: u32 = (1 << ID_BITS) - 1;

/// What is known of one row beside its tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RowFacts {
    /// Tokens, special ones included.
    pub(super) length: u32,
    /// Whether the text was cut to the maximum length.
    pub(super) truncated: bool,
    /// Tokens for unknown text.
    pub(super) unknown: u32,
    /// Tokens that are not special.
    pub(super) words: u32,
}

/// Tokens with what is known of their rows.
pub(super) struct Encoded {
    /// Four bytes a token: the low 28 bits are its id, the high 4 its type.
    tokens: Arena,
    /// First token of each row, and one past the last.
    offsets: Vec<u64>,
    facts: Vec<RowFacts>,
}

impl Encoded {
    /// Tokens and, for each row, a look at its texts.
    pub(super) fn make(
        rows: &TextRows,
        tokenizer: &Tokenizer,
        max_length: usize,
        progress: &dyn Fn(usize, usize),
    ) -> Result<(Self, Vec<Look>), DataError> {
        let total = rows.len();
        let look = |row| rows.texts(row).map(|(text, pair)| Look::at(&text, pair.as_deref()));
        let looks: Vec<Look> = (0..total).into_par_iter().map(look).collect::<Result<_, _>>()?;
        let entry = Entry::of(tokenizer, max_length, looks.iter().map(|look| look.exact));
        if let Some((tokens, facts)) = entry.as_ref().and_then(|entry| entry.read(total)) {
            progress(total, total);
            return Ok((Self::new(tokens, facts), looks));
        }
        let (mut store, mut facts, mut packed) = (ArenaBuilder::new(), Vec::with_capacity(total), Vec::new());
        progress(0, total);
        for start in (0..total).step_by(CHUNK) {
            let end = total.min(start + CHUNK);
            // `collect` keeps the order, so the result does not depend on the threads.
            let encoded: Vec<Result<Tokens, DataError>> = (start..end)
                .into_par_iter()
                .map(|row| {
                    let (text, pair) = rows.texts(row)?;
                    tokenizer.encode(&text, pair.as_deref(), max_length)
                })
                .collect();
            for tokens in encoded {
                let tokens = tokens?;
                packed.clear();
                for (&id, &kind) in tokens.ids.iter().zip(&tokens.type_ids) {
                    packed.extend((id & ID_MASK | kind << ID_BITS).to_le_bytes());
                }
                store.append(&packed)?;
                facts.push(RowFacts {
                    length: tokens.ids.len() as u32,
                    truncated: tokens.truncated,
                    unknown: tokens.unknown as u32,
                    words: tokens.words as u32,
                });
            }
            progress(end, total);
        }
        let tokens = store.finish()?;
        if let Some(entry) = entry {
            // A run needs no cache: where it cannot be written, the next one tokenizes again.
            let _ = entry.write(&tokens, &facts);
        }
        Ok((Self::new(tokens, facts), looks))
    }

    fn new(tokens: Arena, facts: Vec<RowFacts>) -> Self {
        let mut offsets = Vec::with_capacity(facts.len() + 1);
        offsets.push(0);
        for row in &facts {
            offsets.push(offsets[offsets.len() - 1] + u64::from(row.length));
        }
        Self { tokens, offsets, facts }
    }

    pub(super) fn facts(&self, row: usize) -> RowFacts {
        self.facts[row]
    }

    pub(super) fn length(&self, row: usize) -> usize {
        self.facts[row].length as usize
    }

    /// Calls `each` with the id and type of every token of a row; `bytes` is scratch.
    pub(super) fn for_each(
        &self,
        row: usize,
        bytes: &mut Vec<u8>,
        mut each: impl FnMut(u32, u32),
    ) -> Result<(), DataError> {
        self.tokens.read(self.offsets[row] * 4, self.length(row) * 4, bytes)?;
        for quad in bytes.as_chunks::<4>().0 {
            let token = u32::from_le_bytes(*quad);
            each(token & ID_MASK, token >> ID_BITS);
        }
        Ok(())
    }
}
