//! Several texts of each example that a model reads one by one, such as two sentences that are compared. B rows, K texts of
//! each, T tokens of the longest.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use super::{Text, TextInput, TextOptions, Texts, Tokenizer};
use crate::{
    Array, ArrayData, BadExample, Batch, Cell, DataError, Fact, FactValue, Medium, Pass, Records, Seen, Source,
    TableRows, Units,
};

/// One column of texts of a table.
struct TextColumn {
    rows: Arc<TableRows>,
    column: usize,
    name: String,
}

impl TextColumn {
    /// The column at a place among the inputs of the layout. Panics where there is none.
    fn new(rows: &Arc<TableRows>, column: usize) -> Self {
        let name = rows.layout().input_columns().nth(column).expect("an input column").to_owned();
        Self { rows: Arc::clone(rows), column, name }
    }

    /// A text.
    ///
    /// # Errors
    /// No such example, or the temporary store cannot be read.
    fn text(&self, example: usize) -> Result<String, DataError> {
        // The layout has made texts of all cells.
        Ok(match self.rows.inputs(example)?.into_iter().nth(self.column) {
            Some(Cell::Text(text)) => text,
            _ => String::new(),
        })
    }
}

impl Records for TextColumn {
    fn file(&self) -> &Path {
        self.rows.file()
    }

    fn len(&self) -> usize {
        self.rows.len()
    }

    fn line(&self, example: usize) -> u64 {
        self.rows.line(example)
    }

    fn source(&self, example: usize) -> Result<Source, DataError> {
        self.rows.source(example)
    }
}

impl Texts for TextColumn {
    fn input(&self, example: usize) -> Result<TextInput, DataError> {
        self.text(example).map(TextInput::Text)
    }

    fn pairs(&self) -> bool {
        false
    }

    fn words(&self) -> bool {
        false
    }

    fn column(&self) -> Option<&str> {
        Some(&self.name)
    }

    fn streamed(&self) -> bool {
        self.rows.streamed()
    }
}

/// Encoded texts, K of each example.
pub struct SeveralTexts {
    columns: Vec<TextColumn>,
    texts: Vec<Text>,
    bad: Vec<BadExample>,
}

/// What texts a row has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeveralSeen {
    /// Equal for equal texts, one for each.
    pub hashes: Vec<u64>,
}

impl Seen for SeveralSeen {}

impl SeveralTexts {
    /// Tokenizes every input column, in parallel. `progress` is called with texts done and texts in all.
    ///
    /// # Errors
    /// As [`Text::encode`].
    pub fn encode(
        rows: &Arc<TableRows>,
        tokenizer: &Tokenizer,
        options: &TextOptions,
        progress: &dyn Fn(usize, usize),
    ) -> Result<Self, DataError> {
        let count = rows.layout().input_columns().count();
        let columns: Vec<TextColumn> = (0..count).map(|column| TextColumn::new(rows, column)).collect();
        let encode = |(place, column): (usize, &TextColumn)| {
            let before = place * rows.len();
            Text::encode(column, tokenizer, options, &|done, _| progress(before + done, count * rows.len()))
        };
        let texts: Vec<Text> = columns.iter().enumerate().map(encode).collect::<Result<_, _>>()?;
        let mut bad: Vec<BadExample> = texts.iter().flat_map(|text| text.bad_examples()).cloned().collect();
        bad.sort_by_key(|bad| bad.row);
        bad.dedup_by_key(|bad| bad.row);
        Ok(Self { columns, texts, bad })
    }

    /// K.
    pub fn count(&self) -> usize {
        self.texts.len()
    }

    /// A text of an example, as it is written.
    ///
    /// # Errors
    /// No such example, or the temporary store cannot be read.
    pub fn text(&self, example: usize, place: usize) -> Result<String, DataError> {
        self.columns[place].text(example)
    }

    /// Equal for equal texts. Panics beyond the end.
    pub fn text_hash(&self, example: usize, place: usize) -> u64 {
        self.texts[place].hash(example)
    }

    /// The row of an example in the tokens of a column: those of examples that are left out elsewhere are there.
    fn row(&self, example: usize, place: usize) -> usize {
        self.texts[place].rows(example).start
    }

    fn lengths(&self, example: usize) -> impl Iterator<Item = usize> {
        (0..self.count()).map(move |place| self.texts[place].length(self.row(example, place)))
    }
}

/// A row is an example of the table: those that are left out have a number, but no row.
impl Medium for SeveralTexts {
    type Seen = SeveralSeen;

    fn examples(&self) -> usize {
        self.texts[0].examples()
    }

    fn rows(&self, example: usize) -> Range<usize> {
        let is_bad = self.bad.binary_search_by_key(&example, |bad| bad.row).is_ok();
        example..example + usize::from(!is_bad)
    }

    fn bad_examples(&self) -> &[BadExample] {
        &self.bad
    }

    /// Of all texts together.
    fn length(&self, row: usize) -> usize {
        self.lengths(row).sum()
    }

    /// `input_ids` and `attention_mask` `[B · K, T]` i64, the texts of a row one after the other, and `token_type_ids` where
    /// the model takes them.
    fn fill(&self, rows: &[usize], pass: Option<Pass>, into: &mut Batch) -> Result<Vec<SeveralSeen>, DataError> {
        let count = self.count();
        let mut parts = Vec::with_capacity(count);
        for (place, text) in self.texts.iter().enumerate() {
            let inner: Vec<usize> = rows.iter().map(|&row| self.row(row, place)).collect();
            let mut part = Batch::default();
            text.fill(&inner, pass, &mut part)?;
            parts.push(part);
        }
        let width = parts.iter().map(|part| part.inputs["input_ids"].shape[1]).max().unwrap_or(0);
        let left = self.texts[0].pads_left();
        for name in ["input_ids", "attention_mask", "token_type_ids"] {
            let fill = if name == "input_ids" { i64::from(self.texts[0].pad_id()) } else { 0 };
            let arrays: Vec<&Array> = parts.iter().filter_map(|part| part.inputs.get(name)).collect();
            if arrays.len() < count {
                continue;
            }
            let mut values = vec![fill; rows.len() * count * width];
            for (place, array) in arrays.iter().enumerate() {
                let ArrayData::I64(own) = &array.data else { continue };
                let narrow = array.shape[1];
                for row in 0..rows.len() {
                    let begin = (row * count + place) * width + if left { width - narrow } else { 0 };
                    values[begin..begin + narrow].copy_from_slice(&own[row * narrow..(row + 1) * narrow]);
                }
            }
            into.inputs.insert(name.to_owned(), Array::integers(&[rows.len() * count, width], values));
        }
        let real = parts.iter().map(|part| part.extent.input.real).sum();
        into.extent.input = Units { real, padded: rows.len() * count * width };
        rows.iter().map(|&row| self.seen(row)).collect()
    }

    fn seen(&self, row: usize) -> Result<SeveralSeen, DataError> {
        Ok(SeveralSeen { hashes: self.texts.iter().map(|text| text.hash(row)).collect() })
    }

    fn hash(&self, example: usize) -> u64 {
        let bytes: Vec<u8> = self.texts.iter().flat_map(|text| text.hash(example).to_le_bytes()).collect();
        xxhash_rust::xxh3::xxh3_64(&bytes)
    }

    /// The longest text.
    fn size(&self, example: usize) -> usize {
        self.lengths(example).max().unwrap_or(0)
    }

    fn unit(&self) -> &'static str {
        "tokens"
    }

    /// Those of each column, counted together where they count.
    fn facts(&self, examples: &[usize]) -> Vec<Fact> {
        let count = self.count();
        let named = |(place, text): (usize, &Text)| {
            let name = &self.columns[place].name;
            let named = move |fact: Fact| match count {
                1 => fact,
                _ => Fact { name: format!("{name}: {}", fact.name), ..fact },
            };
            text.facts(examples).into_iter().map(named).collect::<Vec<_>>()
        };
        let mut facts: Vec<Fact> = self.texts.iter().enumerate().flat_map(named).collect();
        if count > 1 {
            let mut hashes: Vec<u64> =
                examples.iter().flat_map(|&example| self.texts.iter().map(move |text| text.hash(example))).collect();
            hashes.sort_unstable();
            hashes.dedup();
            facts.push(Fact::new("different texts", FactValue::Count(hashes.len() as u64)));
        }
        facts
    }

    fn one_input_a_row(&self) -> bool {
        self.count() == 1
    }

    fn remarks(&self, file: &Path) -> Vec<String> {
        self.texts.iter().flat_map(|text| text.remarks(file)).collect()
    }

    fn tokens_in_use(&self, rows: &mut dyn Iterator<Item = usize>) -> Result<Option<Vec<i64>>, DataError> {
        let rows: Vec<usize> = rows.collect();
        let mut all = Vec::new();
        for (place, text) in self.texts.iter().enumerate() {
            let Some(used) = text.tokens_in_use(&mut rows.iter().map(|&row| self.row(row, place)))? else {
                return Ok(None);
            };
            all.extend(used);
        }
        all.sort_unstable();
        all.dedup();
        Ok(Some(all))
    }
}
