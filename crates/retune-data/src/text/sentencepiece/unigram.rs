//! The likeliest pieces of a text (Kudo 2018), found from left to right, with the sums in the precision that SentencePiece has:
//! texts of equal likelihood are cut as it cuts them.

use std::ops::Range;

use super::{PieceKind, SentencePiece};

/// How much less likely than any piece an unknown character is.
const UNKNOWN_PENALTY: f32 = 10.0;

/// The best way to the end of a byte.
#[derive(Clone, Copy)]
struct Way {
    /// The last piece; none for an unknown character.
    id: Option<u32>,
    score: f32,
    /// Where it begins.
    start: usize,
}

impl SentencePiece {
    /// Pieces of a text; no number where none fits.
    pub(super) fn likeliest(&self, text: &str) -> Vec<(Range<usize>, Option<u32>)> {
        let unknown = f64::from(self.scores.0 - UNKNOWN_PENALTY);
        let mut ways: Vec<Option<Way>> = vec![None; text.len() + 1];
        for (start, letter) in text.char_indices() {
            let before = ways[start].map_or(0.0, |way| way.score);
            let mut offer = |end: usize, id: Option<u32>, score: f64| {
                let score = score + f64::from(before);
                if ways[end].is_none_or(|way| score > f64::from(way.score)) {
                    ways[end] = Some(Way { id, score: score as f32, start });
                }
            };
            let rest = &text[start..];
            let mut single = false;
            for (at, last) in rest.char_indices() {
                let length = at + last.len_utf8();
                if length > self.longest {
                    break;
                }
                let Some(&id) = self.pieces.get(&rest[..length]) else { continue };
                let score = match self.kind_of(id) {
                    PieceKind::Unused => continue,
                    // It gets a bonus, so that it is taken.
                    PieceKind::Defined => f64::from(length as f32 * self.scores.1) - 0.1,
                    _ => f64::from(self.score(id)),
                };
                offer(start + length, Some(id), score);
                single |= at == 0;
            }
            if !single {
                offer(start + letter.len_utf8(), None, unknown);
            }
        }
        let mut found = Vec::new();
        let mut end = text.len();
        while let Some(way) = ways[end].filter(|_| end > 0) {
            found.push((way.start..end, way.id));
            end = way.start;
        }
        found.reverse();
        found
    }
}
