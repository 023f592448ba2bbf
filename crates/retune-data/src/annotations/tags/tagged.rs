//! One example: a text with entities, or words with tags.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::{Entity, Tag, entities_lenient, in_characters};
use crate::annotations::{Characters, Span};

/// A text, perhaps cut into words, and perhaps marked.
#[derive(Debug, Clone, PartialEq)]
pub struct Tagged {
    /// The line where it starts, from 1; the row number for Parquet.
    pub line: u64,
    /// The document it belongs to, where the file says (`-DOCSTART-`), from 0.
    pub document: Option<u32>,
    /// What the file calls it (`id`).
    pub id: Option<Value>,
    /// The text; words are joined by one space.
    pub text: String,
    /// Where each word stands in the text, where the file has words.
    pub words: Option<Vec<Span>>,
    /// What is marked; `None` where the file does not say.
    pub gold: Option<Gold>,
}

/// What is marked in an example.
#[derive(Debug, Clone, PartialEq)]
pub enum Gold {
    /// The words' tags in IOB2, as many as there are words.
    Tags(Vec<Tag>),
    /// The entities in the order of the text, in characters, none overlapping another.
    Entities(Vec<Entity>),
}

impl Tagged {
    /// An example of raw text without marks.
    pub fn of_text(line: u64, text: String) -> Self {
        Self { line, document: None, id: None, text, words: None, gold: None }
    }

    /// An example of words without marks.
    pub fn of_words<S: AsRef<str>>(line: u64, words: &[S]) -> Self {
        let (mut text, mut spans, mut end) = (String::new(), Vec::with_capacity(words.len()), 0);
        for word in words {
            if !spans.is_empty() {
                text.push(' ');
                end += 1;
            }
            text.push_str(word.as_ref());
            let start = end;
            end += word.as_ref().chars().count();
            spans.push(Span::new(start, end));
        }
        Self { words: Some(spans), ..Self::of_text(line, text) }
    }

    /// The words as texts, where the file has words.
    pub fn word_texts(&self) -> Option<Vec<&str>> {
        let characters = Characters::of(&self.text);
        let spans = self.words.as_ref()?.iter();
        Some(spans.map(|&span| characters.part(span).unwrap_or("")).collect())
    }

    /// The entities in characters of the text, whichever way they are marked; `None` without marks.
    pub fn entities(&self) -> Option<Vec<Entity>> {
        match self.gold.as_ref()? {
            Gold::Entities(entities) => Some(entities.clone()),
            Gold::Tags(tags) => Some(in_characters(&entities_lenient(tags), self.words.as_deref().unwrap_or(&[]))),
        }
    }

    /// The labels that occur, once for each entity.
    pub(crate) fn labels(&self) -> Vec<Arc<str>> {
        match &self.gold {
            None => Vec::new(),
            Some(Gold::Entities(entities)) => entities.iter().map(|it| Arc::clone(&it.label)).collect(),
            Some(Gold::Tags(tags)) => entities_lenient(tags).into_iter().map(|it| it.label).collect(),
        }
    }

    /// The input as the file has it, for predictions: `tokens` or `text` under the given names, and the `id`.
    pub fn fields(&self, tokens: &str, text: &str) -> Map<String, Value> {
        let id = self.id.iter().map(|id| ("id".to_owned(), id.clone()));
        let input = match self.word_texts() {
            Some(words) => (tokens.to_owned(), json!(words)),
            None => (text.to_owned(), Value::from(self.text.as_str())),
        };
        id.chain(std::iter::once(input)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_parts_of_the_text() {
        let mut tagged = Tagged::of_words(3, &["Zoë", "lives", "in", "New York"]);
        assert_eq!(tagged.text, "Zoë lives in New York");
        assert_eq!(tagged.word_texts().unwrap(), ["Zoë", "lives", "in", "New York"]);
        tagged.gold = Some(Gold::Tags(super::super::tag::tags("B-PER O O B-LOC")));
        assert_eq!(tagged.entities().unwrap(), [Entity::new(0, 3, "PER"), Entity::new(13, 21, "LOC")]);
        assert_eq!(Value::Object(tagged.fields("words", "text")), json!({"words": ["Zoë", "lives", "in", "New York"]}));
        let raw = Tagged { id: Some(json!(7)), ..Tagged::of_text(1, "a".into()) };
        assert_eq!(Value::Object(raw.fields("tokens", "body")), json!({"id": 7, "body": "a"}));
        assert_eq!(raw.entities(), None);
    }
}
