//! Where tokens stand in the text that they are made of.

use crate::Seen;

/// Where a token stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Place {
    /// First character (Unicode scalar value) in the text as it was given; in the word, where words were given. 0 for
    /// special tokens.
    pub start: u32,
    /// One past the last character.
    pub end: u32,
    /// Which text of a pair it is of, 0 or 1; `None` for special tokens.
    pub sequence: Option<u8>,
    /// The word: where words were given their place in the list, else the tokenizer's own count. `None` for special tokens.
    pub word: Option<u32>,
}

/// Bytes of a stored place.
pub(super) const BYTES: usize = 12;
/// A word that is none.
const NO_WORD: u32 = (1 << 30) - 1;

impl Place {
    pub(super) fn pack(self) -> [u8; BYTES] {
        let sequence = self.sequence.map_or(0, |sequence| u32::from(sequence) + 1);
        let word = self.word.unwrap_or(NO_WORD).min(NO_WORD) | sequence << 30;
        let mut bytes = [0; BYTES];
        for (into, number) in bytes.as_chunks_mut::<4>().0.iter_mut().zip([self.start, self.end, word]) {
            *into = number.to_le_bytes();
        }
        bytes
    }

    pub(super) fn unpack(bytes: &[u8]) -> Self {
        let mut numbers = bytes.as_chunks::<4>().0.iter().map(|bytes| u32::from_le_bytes(*bytes));
        let mut next = || numbers.next().unwrap_or_default();
        let (start, end, word) = (next(), next(), next());
        let sequence = (word >> 30).checked_sub(1).map(|sequence| sequence as u8);
        Self { start, end, sequence, word: Some(word & NO_WORD).filter(|&word| word != NO_WORD) }
    }
}

/// Where the tokens of a row are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TextSeen {
    /// Place of the first token in the batch's row: above 0 where padding stands on the left.
    pub first: usize,
    /// Number of tokens, special ones included.
    pub length: usize,
    /// Where each of them stands in the text; nothing unless offsets are kept.
    pub places: Vec<Place>,
}

impl Seen for TextSeen {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_stored_whole() {
        for place in [
            Place { start: 3, end: 900_000, sequence: Some(1), word: Some(77) },
            Place { start: 0, end: 5, sequence: Some(0), word: None },
            Place::default(),
        ] {
            assert_eq!(Place::unpack(&place.pack()), place);
        }
    }
}
