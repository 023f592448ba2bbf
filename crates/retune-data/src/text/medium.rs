//! Tokenized texts as a medium: tokens in a store that spills to disk. B rows, T tokens of the longest.

use std::path::Path;

use super::encoded::{Bad, Encoded};
use super::place::TextSeen;
use super::remarks::{Look, Oddities, remarks};
use super::tokenizer::{Side, Tokenizer};
use super::{TextOptions, Texts};
use crate::problems::Problems;
use crate::{
    Array, BadExample, Batch, DataError, Fact, FactValue, Medium, OnBadExample, Pass, RowProblem, Source, Units,
};

/// Name of the fact that counts examples cut to the maximum length.
pub const TRUNCATED: &str = "truncated";
/// Name of the fact that counts the windows of all examples.
pub const WINDOWS: &str = "windows";
/// Name of the fact that says which share of the tokens stands for unknown text.
pub const UNKNOWN_TOKENS: &str = "unknown tokens";

/// Encoded texts, pairs of texts or words.
pub struct Text {
    encoded: Encoded,
    options: TextOptions,
    /// Equal for texts that are equal apart from surrounding white space.
    hashes: Vec<u64>,
    pad_id: u32,
    padding_side: Side,
    token_types: bool,
    pad_to_multiple_of: usize,
    remarks: Vec<String>,
    bad: Vec<BadExample>,
}

impl Text {
    /// Tokenizes all examples, in parallel. `progress` is called with examples done and examples in all.
    ///
    /// # Errors
    /// Texts of which no row can be made (up to ten together), unless they are to be left out; a tokenizer that fails; a
    /// temporary folder without space.
    pub fn encode(
        texts: &dyn Texts,
        tokenizer: &Tokenizer,
        options: &TextOptions,
        progress: &dyn Fn(usize, usize),
    ) -> Result<Self, DataError> {
        tokenizer.check_max_length(options.max_length, texts.pairs())?;
        let (encoded, looks, bad) = Encoded::make(texts, tokenizer, options, progress)?;
        let mut odd = Oddities::default();
        for (example, look) in looks.iter().enumerate() {
            odd.look(texts.line(example), look);
        }
        Ok(Self {
            encoded,
            options: *options,
            bad: left_out(texts, bad, options.on_bad_example)?,
            remarks: remarks(texts, &odd),
            hashes: looks.into_iter().map(|Look { hash, .. }| hash).collect(),
            pad_id: tokenizer.pad_id(),
            padding_side: tokenizer.padding_side(),
            token_types: tokenizer.token_types(),
            pad_to_multiple_of: 1,
        })
    }

    /// Pads batches to a multiple of this many tokens (8 suits tensor cores); 0 counts as 1.
    pub fn with_padding_multiple(mut self, multiple: usize) -> Self {
        self.pad_to_multiple_of = multiple.max(1);
        self
    }

    /// The example that a row is of. Panics beyond the end.
    pub fn example_of(&self, row: usize) -> usize {
        self.encoded.example(row)
    }

    /// Whether rows that are shorter than their batch have padding before their first token.
    pub fn pads_left(&self) -> bool {
        self.padding_side == Side::Left
    }

    /// What fills rows that are shorter than their batch.
    pub fn pad_id(&self) -> u32 {
        self.pad_id
    }

    /// How the texts were encoded.
    pub fn options(&self) -> &TextOptions {
        &self.options
    }

    /// The facts of an example's first row, which count for all of it.
    fn example(&self, example: usize) -> super::row_facts::RowFacts {
        self.encoded.rows(example).next().map(|row| self.encoded.facts(row)).unwrap_or_default()
    }
}

/// Examples without rows, as ones that are left out.
fn left_out(texts: &dyn Texts, bad: Bad, on_bad_example: OnBadExample) -> Result<Vec<BadExample>, DataError> {
    let mut problems = Problems::new(texts.file());
    let mut left_out = Vec::with_capacity(bad.len());
    for (example, reason) in bad {
        let problem = RowProblem::new(texts.line(example), texts.column(), reason);
        if on_bad_example == OnBadExample::Fail {
            problems.push(problem)?;
            continue;
        }
        let Source { file, line, fields, .. } = texts.source(example)?;
        let place = format!("{}:{line}", file.display());
        left_out.push(BadExample { place, reason: problem.said(), row: example, line, fields });
    }
    problems.finish()?;
    Ok(left_out)
}

impl Medium for Text {
    type Seen = TextSeen;

    fn examples(&self) -> usize {
        self.hashes.len()
    }

    fn rows(&self, example: usize) -> std::ops::Range<usize> {
        self.encoded.rows(example)
    }

    fn bad_examples(&self) -> &[BadExample] {
        &self.bad
    }

    fn length(&self, row: usize) -> usize {
        self.encoded.length(row)
    }

    /// `input_ids` and `attention_mask` `[B, T]` i64, `token_type_ids` `[B, T]` i64 where the model takes them.
    fn fill(&self, rows: &[usize], _pass: Option<Pass>, into: &mut Batch) -> Result<Vec<TextSeen>, DataError> {
        let lengths: Vec<usize> = rows.iter().map(|&row| self.length(row)).collect();
        let longest = lengths.iter().copied().max().unwrap_or(0);
        let width = longest.next_multiple_of(self.pad_to_multiple_of);
        let size = rows.len() * width;
        let mut ids = vec![i64::from(self.pad_id); size];
        let mut mask = vec![0; size];
        let mut types = vec![0; if self.token_types { size } else { 0 }];
        let mut bytes = Vec::new();
        let mut all = Vec::with_capacity(rows.len());
        for (index, (&row, &length)) in rows.iter().zip(&lengths).enumerate() {
            let first = match self.padding_side {
                Side::Right => 0,
                Side::Left => width - length,
            };
            let mut seen = TextSeen { first, length, places: Vec::new() };
            let mut position = index * width + first;
            mask[position..position + length].fill(1);
            self.encoded.for_each(row, &mut bytes, |id, kind, place| {
                ids[position] = i64::from(id);
                if let Some(into) = types.get_mut(position) {
                    *into = i64::from(kind);
                }
                seen.places.extend(place);
                position += 1;
            })?;
            all.push(seen);
        }
        let shape = [rows.len(), width];
        into.inputs.insert("input_ids".to_owned(), Array::integers(&shape, ids));
        into.inputs.insert("attention_mask".to_owned(), Array::integers(&shape, mask));
        if self.token_types {
            into.inputs.insert("token_type_ids".to_owned(), Array::integers(&shape, types));
        }
        into.extent.input = Units { real: lengths.iter().sum(), padded: size };
        Ok(all)
    }

    fn seen(&self, row: usize) -> Result<TextSeen, DataError> {
        let mut seen = TextSeen { first: 0, length: self.length(row), places: Vec::new() };
        if self.options.keep_offsets {
            self.encoded.for_each(row, &mut Vec::new(), |_, _, place| seen.places.extend(place))?;
        }
        Ok(seen)
    }

    fn hash(&self, example: usize) -> u64 {
        self.hashes[example]
    }

    /// Tokens of the row, or, where there are several, of the whole text without special ones.
    fn size(&self, example: usize) -> usize {
        let facts = self.example(example);
        if self.encoded.rows(example).len() == 1 { facts.length as usize } else { facts.words as usize }
    }

    fn unit(&self) -> &'static str {
        "tokens"
    }

    fn facts(&self, examples: &[usize]) -> Vec<Fact> {
        let all = || examples.iter().map(|&example| self.example(example));
        let (unknown, words) =
            all().fold((0u64, 0u64), |sum, it| (sum.0 + u64::from(it.unknown), sum.1 + u64::from(it.words)));
        let share = if words == 0 { 0.0 } else { unknown as f64 / words as f64 };
        let long = if self.options.stride.is_some() {
            let windows: usize = examples.iter().map(|&example| self.encoded.rows(example).len()).sum();
            Fact::new(WINDOWS, FactValue::Count(windows as u64))
        } else {
            Fact::part(TRUNCATED, all().filter(|it| it.truncated).count(), examples.len())
        };
        vec![long, Fact::new(UNKNOWN_TOKENS, FactValue::Share(share))]
    }

    fn remarks(&self, _file: &Path) -> Vec<String> {
        self.remarks.clone()
    }

    fn tokens_in_use(&self, rows: &mut dyn Iterator<Item = usize>) -> Result<Option<Vec<i64>>, DataError> {
        let mut used = vec![false; self.pad_id as usize + 1];
        used[self.pad_id as usize] = true;
        let mut bytes = Vec::new();
        for row in rows {
            self.encoded.for_each(row, &mut bytes, |id, _, _| {
                let id = id as usize;
                if id >= used.len() {
                    used.resize(id + 1, false);
                }
                used[id] = true;
            })?;
        }
        Ok(Some((0..used.len()).filter(|&id| used[id]).map(|id| id as i64).collect()))
    }
}

#[cfg(test)]
mod tests;
