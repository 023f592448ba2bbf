//! Tables with one word and its tag in each row, as Kaggle's `ner_dataset.csv`: a column says which rows are one sentence, in each
//! of them or in the first alone.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::Tagged;
use super::parts::{RawGold, RawTagged, TagOptions, TagParts};
use super::words::named;
use crate::RowProblem;
use crate::annotations::literal;
use crate::error::{quoted, shortened};

/// What columns of sentences are called, and those of the documents that numbers of sentences may begin anew in.
const SENTENCES: [&str; 8] =
    ["sentence_#", "sentence_id", "sentence_idx", "sentence_number", "sentence", "sent_id", "sent_no", "sentence_no"];
const DOCUMENTS: [&str; 3] = ["doc_id", "document_id", "document"];

/// Rows that are looked at to find out what a cell holds.
pub(super) const LOOKED_AT: usize = 1000;

/// The columns that say which rows are one sentence: the one that is named, else those of documents and sentences.
pub(super) fn columns(options: &TagOptions, present: &[String]) -> Vec<String> {
    if let Some(named) = &options.sentence {
        return vec![named.clone()];
    }
    let find = |known: &[&str]| {
        let usual = |name: &&String| known.contains(&name.trim().to_lowercase().replace([' ', '-'], "_").as_str());
        let free = |name: &&String| ![&options.tokens, &options.tags, &options.text].contains(name);
        present.iter().filter(free).find(usual).cloned()
    };
    [find(&DOCUMENTS), find(&SENTENCES)].into_iter().flatten().collect()
}

/// Whether each of several rows holds one word rather than a list, and the first of them.
pub(super) fn are_words<'a>(
    rows: impl Iterator<Item = &'a Map<String, Value>>,
    options: &TagOptions,
) -> Option<Vec<String>> {
    let mut words = Vec::new();
    for row in rows {
        let tags = row.get(&options.tags).filter(|tags| !tags.is_null());
        if tags.is_some_and(|tags| tags.is_array() || tags.as_str().is_some_and(|tags| spaced(tags) || listed(tags))) {
            return None;
        }
        match row.get(&options.tokens) {
            None | Some(Value::Null) => {}
            Some(Value::String(text)) if text.trim().is_empty() => {}
            // A word such as `[1]` has one tag.
            Some(Value::String(text)) if !spaced(text) && (tags.is_some() || !listed(text)) => words.push(text.clone()),
            Some(Value::Number(number)) => words.push(number.to_string()),
            Some(_) => return None,
        }
    }
    (words.len() > 1).then_some(words)
}

/// Whether a text spells a list.
fn listed(text: &str) -> bool {
    literal::parse(text).is_some_and(|list| list.is_ok())
}

fn spaced(text: &str) -> bool {
    text.trim().contains(char::is_whitespace)
}

/// What to do with words of which nothing says to which sentence they belong.
pub(super) fn homeless(words: &[String], options: &TagOptions) -> String {
    format!(
        "each row of `{}` holds one word ({}), and no column says which rows are one sentence; name one with \
         --sentence-column, write lists of words, or, where blank lines tell sentences apart, remove the line that names the \
         columns",
        options.tokens,
        quoted(&words[..words.len().min(3)], 3)
    )
}

/// Rows that are becoming sentences.
#[derive(Default)]
pub(super) struct Sentences {
    columns: Vec<String>,
    seen: HashSet<Vec<String>>,
    /// What its columns say of the sentence being read.
    key: Vec<String>,
    line: u64,
    last: u64,
    words: Vec<String>,
    tags: Vec<Option<u32>>,
    /// Before which words lines stand that hold none.
    gaps: Vec<usize>,
    problems: Vec<RowProblem>,
}

impl Sentences {
    pub(super) fn by(columns: Vec<String>) -> Self {
        Self { columns, ..Self::default() }
    }

    /// Takes a row; returns how many problems the sentence before it had.
    pub(super) fn take(
        &mut self,
        row: Result<(u64, Map<String, Value>), RowProblem>,
        options: &TagOptions,
        names: Option<&[String]>,
        parts: &mut TagParts,
    ) -> usize {
        let (line, row) = match row {
            Ok(row) => row,
            Err(problem) => {
                self.problems.push(problem);
                return 0;
            }
        };
        let mut before = 0;
        let said = |column: &String| match row.get(column) {
            Some(Value::String(text)) => text.trim().to_owned(),
            None | Some(Value::Null) => String::new(),
            Some(other) => other.to_string(),
        };
        let mut key: Vec<String> = self.columns.iter().map(said).collect();
        for (own, known) in key.iter_mut().zip(&self.key).filter(|(own, _)| own.is_empty()) {
            own.clone_from(known);
        }
        if key != self.key {
            before = self.end(parts);
            if !self.seen.insert(key.clone()) {
                let kind =
                    "a sentence's name comes again behind another's; these rows are taken as a sentence of their own";
                parts.mends.count(kind, line);
            }
            self.key = key;
        }
        if self.key.iter().all(String::is_empty) {
            let message = "has no sentence; say in the first row of each which one it is";
            self.problems.push(RowProblem::new(line, self.columns.last().map(String::as_str), message));
        }
        if let Err(problem) = self.word(line, row, options, names, parts) {
            self.problems.push(problem);
        }
        before
    }

    fn word(
        &mut self,
        line: u64,
        mut row: Map<String, Value>,
        options: &TagOptions,
        names: Option<&[String]>,
        parts: &mut TagParts,
    ) -> Result<(), RowProblem> {
        let refuse = |column: &str, message: String| RowProblem::new(line, Some(column), message);
        let word = match row.remove(&options.tokens) {
            Some(Value::String(word)) if !word.trim().is_empty() => word.trim().to_owned(),
            Some(Value::Number(number)) => number.to_string(),
            None | Some(Value::Null | Value::String(_)) => {
                return Err(refuse(&options.tokens, "has no word; write one or remove the row".to_owned()));
            }
            Some(other) => {
                return Err(refuse(&options.tokens, format!("is `{}`, not a word", shortened(&other.to_string()))));
            }
        };
        let tag = match row.remove(&options.tags).filter(|tag| !tag.is_null()) {
            Some(tag) => Some(named(self.words.len(), &tag, names).map_err(|message| refuse(&options.tags, message))?),
            None if options.required => Some(String::new()),
            None => None,
        };
        if self.words.is_empty() {
            self.line = line;
        } else {
            self.gaps.extend((self.last + 1..line).map(|_| self.words.len()));
        }
        self.last = line;
        self.words.push(word);
        self.tags.push(tag.map(|tag| parts.spellings.number(&tag)));
        Ok(())
    }

    /// Ends the sentence, if there is one; returns how many problems it had.
    pub(super) fn end(&mut self, parts: &mut TagParts) -> usize {
        let problems = std::mem::take(&mut self.problems);
        let (words, tags) = (std::mem::take(&mut self.words), std::mem::take(&mut self.tags));
        let gaps = std::mem::take(&mut self.gaps);
        let count = problems.len();
        if count > 0 {
            parts.rows.push(Err(problems));
        } else if !words.is_empty() {
            let gold = tags.into_iter().collect::<Option<_>>().map_or(RawGold::None, RawGold::Tags);
            let tagged = Tagged::of_words(self.line, &words);
            parts.rows.push(Ok(RawTagged { tagged, gold, comments: Some(gaps) }));
        }
        count
    }
}
