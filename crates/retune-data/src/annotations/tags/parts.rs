//! What tagged files hold: how they are read, their examples before tags are understood, and after.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::{Entity, TagScheme, Tagged};
use crate::annotations::Repair;
use crate::annotations::repair::Mends;
use crate::{BadExample, OnBadExample, RowProblem};

/// How tagged texts are read.
#[derive(Debug, Clone)]
pub struct TagOptions {
    /// The column of words; of a CoNLL file its number, from 1 (the first one if this is `tokens`).
    pub tokens: String,
    /// The column of tags; of a CoNLL file its number, from 1 (the last one if this is `ner_tags`).
    pub tags: String,
    /// The column of raw text.
    pub text: String,
    /// The column of entities; `spans`, `label` and `labels` count as well if this one is absent.
    pub entities: String,
    /// The column that says which rows are one sentence, where each holds one word; found by usual names if absent.
    pub sentence: Option<String>,
    /// The tags' scheme; recognised from the file if absent. Whoever reads several files of one set gives the scheme of
    /// the largest to the others.
    pub scheme: Option<TagScheme>,
    /// Whether tags without a type (`B`, `I`) stay so, because those of the model have none; else their type is `entity`.
    pub untyped: bool,
    /// Names of tags that are given by number.
    pub names: Option<Vec<String>>,
    /// What to do with tags and entities that contradict themselves.
    pub repair: Repair,
    /// What to do with examples that cannot be used.
    pub on_bad_example: OnBadExample,
    /// Whether each example must be marked.
    pub required: bool,
}

impl Default for TagOptions {
    fn default() -> Self {
        Self {
            tokens: "tokens".to_owned(),
            tags: "ner_tags".to_owned(),
            text: "text".to_owned(),
            entities: "entities".to_owned(),
            sentence: None,
            scheme: None,
            untyped: false,
            names: None,
            repair: Repair::Fail,
            on_bad_example: OnBadExample::Fail,
            required: true,
        }
    }
}

/// The examples of one file.
#[derive(Debug)]
pub struct TaggedFile {
    /// The file.
    pub file: PathBuf,
    /// Its examples that can be used, in order.
    pub examples: Vec<Tagged>,
    /// The scheme its tags had, if it has any.
    pub scheme: Option<TagScheme>,
    /// The examples that cannot be used, where they are left out.
    pub left_out: Vec<BadExample>,
    /// What was recognised or mended, a sentence each.
    pub notes: Vec<String>,
    /// The column of words, and that of raw texts.
    pub(super) columns: (String, String),
    /// Whether the examples are lines of a stream.
    pub(super) streamed: bool,
}

impl TaggedFile {
    /// Whether the examples are lines of a stream.
    pub fn is_streamed(&self) -> bool {
        self.streamed
    }

    /// Examples of a file, of which nothing else is known.
    pub(super) fn of(file: &Path, examples: Vec<Tagged>, left_out: Vec<BadExample>, options: &TagOptions) -> Self {
        let columns = (options.tokens.clone(), options.text.clone());
        let file = file.to_owned();
        Self { file, examples, scheme: None, left_out, notes: Vec::new(), columns, streamed: false }
    }
}

/// A file as it was read, before its tags are understood.
#[derive(Default)]
pub(super) struct TagParts {
    pub(super) rows: Vec<Result<RawTagged, Vec<RowProblem>>>,
    pub(super) spellings: Spellings,
    /// The document of the examples that follow.
    pub(super) document: Option<u32>,
    pub(super) mends: Mends,
    pub(super) notes: Vec<String>,
}

/// An example before its tags are understood.
pub(super) struct RawTagged {
    pub(super) tagged: Tagged,
    pub(super) gold: RawGold,
    /// Before which words a comment line stands, where each word has a line of its own.
    pub(super) comments: Option<Vec<usize>>,
}

/// What an example's marks look like in the file.
pub(super) enum RawGold {
    None,
    /// Numbers of spellings.
    Tags(Vec<u32>),
    /// As they stand, unchecked.
    Entities(Vec<Entity>),
}

/// The spellings of tags, each stored once.
#[derive(Default)]
pub(super) struct Spellings {
    pub(super) all: Vec<String>,
    numbers: HashMap<String, u32>,
}

impl Spellings {
    pub(super) fn number(&mut self, text: &str) -> u32 {
        if let Some(&number) = self.numbers.get(text) {
            return number;
        }
        let number = self.all.len() as u32;
        self.all.push(text.to_owned());
        self.numbers.insert(text.to_owned(), number);
        number
    }
}
