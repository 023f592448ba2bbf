//! Texts with what is known of them: the records behind them, and what tokens are there.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use super::{Text, TextOptions, TextSeen, Texts, Tokenizer};
use crate::{BadExample, Batch, DataError, Fact, HeatMap, Medium, Pass, Seen};

/// What tokens of a text are, for targets and answers that are placed on them.
pub trait Reading: Texts {
    /// What is seen of a row.
    type Seen: Seen;

    /// What the tokens of a row of an example are.
    fn look(&self, example: usize, seen: TextSeen) -> Self::Seen;
}

/// Encoded texts that keep their records.
pub struct TextAs<R> {
    text: Text,
    records: Arc<R>,
}

impl<R: Reading> TextAs<R> {
    /// Tokenizes all examples. See [`Text::encode`].
    ///
    /// # Errors
    /// As [`Text::encode`].
    pub fn encode(
        records: &Arc<R>,
        tokenizer: &Tokenizer,
        options: &TextOptions,
        progress: &dyn Fn(usize, usize),
    ) -> Result<Self, DataError> {
        let text = Text::encode(records.as_ref(), tokenizer, options, progress)?;
        Ok(Self { text, records: Arc::clone(records) })
    }

    /// Whether rows that are shorter than their batch have padding before their first token.
    pub fn pads_left(&self) -> bool {
        self.text.pads_left()
    }

    /// The records, numbered as the examples of the medium.
    pub fn records(&self) -> &R {
        &self.records
    }
}

impl<R: Reading> Medium for TextAs<R> {
    type Seen = R::Seen;

    fn examples(&self) -> usize {
        self.text.examples()
    }

    fn rows(&self, example: usize) -> Range<usize> {
        self.text.rows(example)
    }

    fn bad_examples(&self) -> &[BadExample] {
        self.text.bad_examples()
    }

    fn length(&self, row: usize) -> usize {
        self.text.length(row)
    }

    fn fill(&self, rows: &[usize], pass: Option<Pass>, into: &mut Batch) -> Result<Vec<R::Seen>, DataError> {
        let seen = self.text.fill(rows, pass, into)?;
        Ok(rows.iter().zip(seen).map(|(&row, seen)| self.records.look(self.text.example_of(row), seen)).collect())
    }

    fn seen(&self, row: usize) -> Result<R::Seen, DataError> {
        Ok(self.records.look(self.text.example_of(row), self.text.seen(row)?))
    }

    fn hash(&self, example: usize) -> u64 {
        self.text.hash(example)
    }

    fn size(&self, example: usize) -> usize {
        self.text.size(example)
    }

    fn unit(&self) -> &'static str {
        self.text.unit()
    }

    fn facts(&self, examples: &[usize]) -> Vec<Fact> {
        self.text.facts(examples)
    }

    fn picture(&self, example: usize, side: usize, heat: Option<&HeatMap>) -> Result<Option<Vec<u8>>, DataError> {
        self.text.picture(example, side, heat)
    }

    fn varies(&self) -> bool {
        self.text.varies()
    }

    fn loader_threads(&self, free: usize) -> usize {
        self.text.loader_threads(free)
    }

    fn remarks(&self, file: &Path) -> Vec<String> {
        self.text.remarks(file)
    }

    fn tokens_in_use(&self, rows: &mut dyn Iterator<Item = usize>) -> Result<Option<Vec<i64>>, DataError> {
        self.text.tokens_in_use(rows)
    }
}
