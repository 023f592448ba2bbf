//! Texts as a SentencePiece model looks for pieces in them: characters replaced, spaces dropped and marked.

use std::ops::Range;

use super::SentencePiece;

/// What stands for a space.
const MARK: &str = "▁";

/// A text in which pieces are looked for.
pub(super) struct Normal {
    /// The text.
    pub(super) text: String,
    /// Where each of its bytes comes from; one more for its end.
    places: Vec<usize>,
}

impl Normal {
    /// Bytes of the text before it was made normal.
    pub(super) fn place(&self, range: &Range<usize>) -> Range<usize> {
        self.places[range.start]..self.places[range.end]
    }

    fn push(&mut self, text: &str, from: usize) {
        self.text += text;
        self.places.resize(self.text.len(), from);
    }
}

impl SentencePiece {
    pub(super) fn normalize(&self, text: &str) -> Normal {
        let drops = self.proto().drops_spaces;
        let space = if self.proto().marks_spaces { MARK } else { " " };
        let mut at = 0;
        while drops && at < text.len() {
            let (length, replacement) = self.prefix(&text[at..]);
            if replacement != " " {
                break;
            }
            at += length;
        }
        let mut normal = Normal { text: String::with_capacity(text.len() * 3), places: Vec::new() };
        if at < text.len() {
            if self.proto().dummy_prefix {
                normal.push(space, at);
            }
            let mut after_space = drops;
            while at < text.len() {
                let (length, replacement) = self.prefix(&text[at..]);
                let left = if after_space { replacement.trim_start_matches(' ') } else { replacement };
                if !left.is_empty() {
                    normal.push(&left.replace(' ', space), at);
                    after_space = left.ends_with(' ');
                }
                at += length;
                after_space &= drops;
            }
        }
        while drops && normal.text.ends_with(space) {
            let length = normal.text.len() - space.len();
            at = normal.places[length];
            normal.text.truncate(length);
            normal.places.truncate(length);
        }
        normal.places.push(at);
        normal
    }

    /// What is next in a text that is not empty: its bytes, and what stands there instead.
    fn prefix<'a>(&'a self, text: &'a str) -> (usize, &'a str) {
        if let Some(length) = self.whole_at(text) {
            return (length, &text[..length]);
        }
        if let Some(found) = self.map.as_ref().and_then(|map| map.longest(text)) {
            return found;
        }
        let length = text.chars().next().map_or(0, char::len_utf8);
        (length, &text[..length])
    }
}
