//! One tag of a word, and the entity that several make.

use std::fmt;
use std::sync::Arc;

use crate::annotations::Span;

/// Where in an entity a word stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Mark {
    /// In none (`O`).
    Outside,
    /// Its first word (`B-`).
    Begin,
    /// A later word (`I-`, also `M-`).
    Inside,
    /// Its last word of several (`E-`, `L-`).
    End,
    /// Its only word (`S-`, `U-`, `W-`).
    Single,
}

/// A word's tag: `B-person` is the mark `B` with the label `person`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tag {
    /// Where in the entity the word stands.
    pub mark: Mark,
    /// The entity's type; empty for `O` and for tags without a type (`B`, `I`).
    pub label: Arc<str>,
}

impl Tag {
    /// The tag of a word in no entity.
    pub fn outside() -> Self {
        Self { mark: Mark::Outside, label: Arc::from("") }
    }

    /// A tag of an entity's word.
    pub fn new(mark: Mark, label: &Arc<str>) -> Self {
        Self { mark, label: Arc::clone(label) }
    }

    /// Reads a tag as files spell it; `None` if it is not `O` and has no known mark before a `-`.
    pub fn parse(text: &str) -> Option<Self> {
        let (mark, label) = match text.split_once('-') {
            Some((mark, label)) if !label.is_empty() => (mark, label),
            Some(_) => return None,
            None => (text, ""),
        };
        let mark = match mark {
            "O" if label.is_empty() => Mark::Outside,
            "B" => Mark::Begin,
            "I" | "M" => Mark::Inside,
            "E" | "L" => Mark::End,
            "S" | "U" | "W" => Mark::Single,
            _ => return None,
        };
        Some(Self { mark, label: Arc::from(label) })
    }
}

impl fmt::Display for Tag {
    /// As IOB2 and IOBES spell it.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = match self.mark {
            Mark::Outside => return formatter.write_str("O"),
            Mark::Begin => "B",
            Mark::Inside => "I",
            Mark::End => "E",
            Mark::Single => "S",
        };
        if self.label.is_empty() { formatter.write_str(mark) } else { write!(formatter, "{mark}-{}", self.label) }
    }
}

/// A marked part of a text (in characters) or of a sentence (in words, where it is said).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Entity {
    /// Where it stands.
    pub span: Span,
    /// Its type; empty where tags have none.
    pub label: Arc<str>,
}

impl Entity {
    /// The part from `start` up to `end`.
    pub fn new(start: usize, end: usize, label: impl Into<Arc<str>>) -> Self {
        Self { span: Span::new(start, end), label: label.into() }
    }
}

/// The names of a model's outputs for these labels: `O`, then `B-` and `I-` of each.
pub fn tag_names<S: AsRef<str>>(labels: &[S]) -> Vec<String> {
    let both = labels.iter().flat_map(|label| {
        let label = Arc::from(label.as_ref());
        [Tag::new(Mark::Begin, &label).to_string(), Tag::new(Mark::Inside, &label).to_string()]
    });
    std::iter::once("O".to_owned()).chain(both).collect()
}

#[cfg(test)]
pub(super) fn tags(text: &str) -> Vec<Tag> {
    text.split_whitespace().map(|tag| Tag::parse(tag).unwrap()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_spelled_as_they_are_read() {
        for text in ["O", "B-creative-work", "I-PER", "E-a b", "S-x", "B", "I"] {
            assert_eq!(Tag::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Tag::parse("L-PER"), Tag::parse("E-PER"));
        assert_eq!(Tag::parse("M-PER").unwrap().mark, Mark::Inside);
        for text in ["", "PER", "o", "B-", "X-PER", "O-PER", "b-PER"] {
            assert_eq!(Tag::parse(text), None, "{text}");
        }
        assert_eq!(tag_names(&["PER", ""]), ["O", "B-PER", "I-PER", "B", "I"]);
    }
}
