//! Parts of a text by characters, and what offsets mean that were counted in other units.

use serde::{Deserialize, Serialize};

/// A part of a text: characters (Unicode scalar values) from `start` up to, not including, `end`. Of words, where it is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Span {
    /// The first character, from 0.
    pub start: usize,
    /// Behind the last character.
    pub end: usize,
}

impl Span {
    /// The part from `start` up to `end`.
    pub fn new(start: usize, end: usize) -> Self {
        Self { start, end }
    }

    /// How many characters the part has; 0 if it ends before it starts.
    pub fn len(&self) -> usize {
        self.end.saturating_sub(self.start)
    }

    /// Whether the part has no character.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the two have a character in common.
    pub fn overlaps(&self, other: Self) -> bool {
        self.start.max(other.start) < self.end.min(other.end)
    }
}

/// A text that is asked for by characters: each look-up takes the same time, however long the text is.
#[derive(Debug, Clone)]
pub struct Characters<'a> {
    text: &'a str,
    /// Start of each character in bytes, and the end; none for ASCII.
    starts: Option<Vec<u32>>,
}

impl<'a> Characters<'a> {
    /// Counts the characters of a text (of less than 4 GiB; what is beyond is not seen).
    pub fn of(text: &'a str) -> Self {
        let starts = (!text.is_ascii()).then(|| {
            let ends = std::iter::once(text.len());
            text.char_indices().map(|(at, _)| at).chain(ends).map_while(|at| u32::try_from(at).ok()).collect()
        });
        Self { text, starts }
    }

    /// How many characters the text has.
    pub fn len(&self) -> usize {
        self.starts.as_ref().map_or(self.text.len(), |starts| starts.len() - 1)
    }

    /// Whether the text has no characters.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Where a character starts in bytes; the text's length for the place behind the last; `None` beyond.
    pub fn byte(&self, character: usize) -> Option<usize> {
        match &self.starts {
            None => (character <= self.text.len()).then_some(character),
            Some(starts) => starts.get(character).map(|&at| at as usize),
        }
    }

    /// The number of the character that starts at, or holds, this byte.
    pub fn character(&self, byte: usize) -> usize {
        match &self.starts {
            None => byte.min(self.text.len()),
            Some(starts) => starts.partition_point(|&at| (at as usize) <= byte).saturating_sub(1),
        }
    }

    /// A part of the text; `None` if it ends before it starts or beyond the text.
    pub fn part(&self, span: Span) -> Option<&'a str> {
        self.text.get(self.byte(span.start)?..self.byte(span.end)?)
    }

    /// The part without space at its ends; empty if it is nothing but space.
    pub fn trimmed(&self, span: Span) -> Span {
        let part = self.part(span).unwrap_or("");
        let before = part.chars().take_while(|c| c.is_whitespace()).count().min(span.len());
        let behind = part.chars().rev().take_while(|c| c.is_whitespace()).count().min(span.len() - before);
        Span::new(span.start + before, span.end - behind)
    }

    /// The part in characters that `start..end` means if it was counted in `unit`; `None` where it cuts a character.
    pub(crate) fn converted(&self, span: Span, unit: Unit) -> Option<Span> {
        let place = |offset: usize| match unit {
            Unit::Bytes => self.text.is_char_boundary(offset).then(|| self.character(offset)),
            Unit::Utf16 => {
                let mut units = 0;
                for (character, c) in self.text.chars().enumerate() {
                    if units >= offset {
                        return (units == offset).then_some(character);
                    }
                    units += c.len_utf16();
                }
                (units == offset).then(|| self.len())
            }
        };
        Some(Span::new(place(span.start)?, place(span.end)?))
    }

    /// The other unit in which `start..end` would name exactly `text`, with the part in characters.
    pub(crate) fn other_unit(&self, span: Span, text: &str) -> Option<(Unit, Span)> {
        let named = |unit| {
            let converted = self.converted(span, unit)?;
            (self.part(converted)? == text).then_some((unit, converted))
        };
        if self.text.is_ascii() { None } else { [Unit::Utf16, Unit::Bytes].into_iter().find_map(named) }
    }

    /// All places where `wanted` stands in the text, in order.
    pub(crate) fn occurrences(&self, wanted: &str) -> Vec<usize> {
        let mut found = Vec::new();
        let mut from = 0;
        while let Some(at) = self.text.get(from..).and_then(|rest| rest.find(wanted)).filter(|_| !wanted.is_empty()) {
            found.push(self.character(from + at));
            from += at + self.text[from + at..].chars().next().map_or(1, char::len_utf8);
        }
        found
    }
}

/// What other programs count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    /// JavaScript, Java.
    Utf16,
    /// Rust, Go, C.
    Bytes,
}

impl Unit {
    /// As it is said to people.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Utf16 => "UTF-16 units (as JavaScript counts)",
            Self::Bytes => "bytes of UTF-8",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_part_is_what_python_slices(text in "[a-cé😀 ]{0,12}", start in 0usize..14, end in 0usize..14) {
            let all: Vec<char> = text.chars().collect();
            let characters = Characters::of(&text);
            prop_assert_eq!(characters.len(), all.len());
            let expected = (start <= end).then(|| all.get(start..end).map(|part| part.iter().collect::<String>())).flatten();
            prop_assert_eq!(characters.part(Span::new(start, end)).map(str::to_owned), expected);
        }

        #[test]
        fn units_lead_back_to_the_same_part(text in "[a-cé😀]{1,12}", from in 0usize..12, length in 1usize..4) {
            let characters = Characters::of(&text);
            let span = Span::new(from.min(characters.len()), (from + length).min(characters.len()));
            let bytes = Span::new(characters.byte(span.start).unwrap(), characters.byte(span.end).unwrap());
            prop_assert_eq!(characters.converted(bytes, Unit::Bytes), Some(span));
            let units = |to: usize| text.chars().take(to).map(char::len_utf16).sum::<usize>();
            let utf16 = Span::new(units(span.start), units(span.end));
            prop_assert_eq!(characters.converted(utf16, Unit::Utf16), Some(span));
        }

        #[test]
        fn every_occurrence_is_found(text in "[ab]{0,10}", wanted in "[ab]{1,2}") {
            let expected: Vec<usize> = (0..text.len()).filter(|&at| text[at..].starts_with(&wanted)).collect();
            prop_assert_eq!(Characters::of(&text).occurrences(&wanted), expected);
        }
    }

    #[test]
    fn other_units_are_recognised_by_the_text() {
        let characters = Characters::of("😀 é Paris");
        assert_eq!(characters.other_unit(Span::new(5, 10), "Paris"), Some((Unit::Utf16, Span::new(4, 9))));
        assert_eq!(characters.other_unit(Span::new(8, 13), "Paris"), Some((Unit::Bytes, Span::new(4, 9))));
        assert_eq!(characters.other_unit(Span::new(4, 9), "Rome"), None);
        assert_eq!(characters.converted(Span::new(1, 3), Unit::Utf16), None);
    }

    #[test]
    fn space_at_the_ends_goes() {
        let characters = Characters::of("a  é b");
        assert_eq!(characters.trimmed(Span::new(1, 5)), Span::new(3, 4));
        assert!(characters.trimmed(Span::new(1, 3)).is_empty());
        assert!(Span::new(0, 2).overlaps(Span::new(1, 2)) && !Span::new(0, 2).overlaps(Span::new(2, 3)));
    }
}
