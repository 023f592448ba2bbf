//! Tokenized texts as a data set: tokens in a store that spills to disk, labels in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use rayon::prelude::*;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::TextRows;
use super::remarks::{Oddities, remarks};
use super::tokenizer::{Side, Tokenizer};
use crate::arena::{Arena, ArenaBuilder};
use crate::groups::joined_groups;
use crate::labels::{Labels, strata};
use crate::problems::Problems;
use crate::schema::{EncodedLabel, LabelSchema};
use crate::{Array, Batch, DataError, Dataset, Described, Pass, RowProblem, Source};

/// Rows tokenized in parallel before they are stored.
const CHUNK: usize = 4096;

/// Encoded text rows; a [`TextDataset::subset`] shares everything with its parent.
#[derive(Clone)]
pub struct TextDataset {
    shared: Arc<Shared>,
    /// Rows of the shared store this data set shows; all when `None`.
    view: Option<Arc<[u32]>>,
    pad_to_multiple_of: usize,
}

struct Shared {
    rows: TextRows,
    schema: Option<LabelSchema>,
    /// Four bytes a token: the low 28 bits are its id, the high 4 its type.
    tokens: Arena,
    /// First token of each row, and one past the last.
    offsets: Vec<u64>,
    hashes: Vec<u64>,
    truncated: Vec<bool>,
    /// Unknown and all tokens that are not special, per row.
    unknown: Vec<(u32, u32)>,
    labels: Option<Labels>,
    pad_id: u32,
    padding_side: Side,
    token_types: bool,
    remarks: Vec<String>,
}

const ID_BITS: u32 = 28;
const ID_MASK: u32 = (1 << ID_BITS) - 1;

impl TextDataset {
    /// Tokenizes all rows, in parallel, and encodes their labels by `schema`; without one, labels are not looked at. Rows
    /// are cut to `max_length` tokens, special ones included. The data set has labels if there is a schema and all rows
    /// have. `progress` is called with rows done and rows in all.
    ///
    /// # Errors
    /// Labels that the schema does not know, or texts of which no token is made, up to ten rows together; a tokenizer that
    /// fails; a temporary folder without space.
    pub fn encode(
        rows: TextRows,
        tokenizer: &Tokenizer,
        schema: Option<&LabelSchema>,
        max_length: usize,
        progress: &dyn Fn(usize, usize),
    ) -> Result<Self, DataError> {
        tokenizer.check_max_length(max_length, rows.columns().text_pair.is_some())?;
        let total = rows.len();
        let labels = schema.map(|schema| Labels::encode(&rows, schema)).transpose()?.flatten();
        let mut store = ArenaBuilder::new();
        let mut offsets = Vec::with_capacity(total + 1);
        offsets.push(0);
        let (mut hashes, mut truncated, mut unknown) =
            (Vec::with_capacity(total), Vec::with_capacity(total), Vec::with_capacity(total));
        let mut packed = Vec::new();
        let mut odd = Oddities::default();
        let mut problems = Problems::new(rows.file());
        progress(0, total);
        for start in (0..total).step_by(CHUNK) {
            let end = total.min(start + CHUNK);
            // `collect` keeps the order, so the result does not depend on the threads.
            let encoded: Vec<Result<_, DataError>> = (start..end)
                .into_par_iter()
                .map(|row| {
                    let (text, pair) = rows.texts(row)?;
                    let tokens = tokenizer.encode(&text, pair.as_deref(), max_length)?;
                    Ok((tokens, text, pair))
                })
                .collect();
            for (row, encoded) in (start..).zip(encoded) {
                let (tokens, text, pair) = encoded?;
                odd.look(rows.line(row), &text, pair.as_deref());
                if tokens.ids.is_empty() {
                    let message = "is a text of which this tokenizer makes no token; remove the row";
                    problems.push(RowProblem::new(rows.line(row), Some(&rows.columns().text), message))?;
                }
                packed.clear();
                for (&id, &kind) in tokens.ids.iter().zip(&tokens.type_ids) {
                    packed.extend((id & ID_MASK | kind << ID_BITS).to_le_bytes());
                }
                store.append(&packed)?;
                offsets.push(store.len() / 4);
                hashes.push(text_hash(&text, pair.as_deref()));
                truncated.push(tokens.truncated);
                unknown.push((tokens.unknown as u32, tokens.words as u32));
            }
            progress(end, total);
        }
        problems.finish()?;
        let shared = Shared {
            remarks: remarks(&rows, &odd),
            schema: schema.cloned(),
            tokens: store.finish()?,
            offsets,
            hashes,
            truncated,
            unknown,
            labels,
            pad_id: tokenizer.pad_id(),
            padding_side: tokenizer.padding_side(),
            token_types: tokenizer.token_types(),
            rows,
        };
        Ok(Self { shared: Arc::new(shared), view: None, pad_to_multiple_of: 1 })
    }

    /// The same data set restricted to `rows` (of this one), in that order. Nothing is copied.
    ///
    /// # Errors
    /// A row beyond the end.
    pub fn subset(&self, rows: &[usize]) -> Result<Self, DataError> {
        let inner = |&row: &usize| self.checked(row).map(|row| row as u32);
        let view = rows.iter().map(inner).collect::<Result<Vec<u32>, _>>()?;
        Ok(Self { view: Some(view.into()), ..self.clone() })
    }

    /// Pads batches to a multiple of this many tokens (8 suits tensor cores); 0 counts as 1.
    pub fn with_padding_multiple(mut self, multiple: usize) -> Self {
        self.pad_to_multiple_of = multiple.max(1);
        self
    }

    /// Rows whose text was cut to the maximum length.
    pub fn truncated_rows(&self) -> usize {
        self.inner_rows().filter(|&row| self.shared.truncated[row]).count()
    }

    /// Share of the tokens (special ones aside) that stand for unknown text; 0 without tokens.
    pub fn unknown_token_fraction(&self) -> f64 {
        let (unknown, words) = self.inner_rows().fold((0u64, 0u64), |(unknown, words), row| {
            let (more, of) = self.shared.unknown[row];
            (unknown + u64::from(more), words + u64::from(of))
        });
        if words == 0 { 0.0 } else { unknown as f64 / words as f64 }
    }

    /// The encoded label of a row, if the data set has labels. Panics beyond the end.
    pub fn label(&self, row: usize) -> Option<EncodedLabel> {
        self.shared.labels.as_ref().map(|labels| labels.get(self.inner(row)))
    }

    /// Hash of a row's text (and pair), equal for equal texts apart from surrounding space: the
    /// group ids that keep duplicates on one side of a split. Panics beyond the end.
    pub fn text_hash(&self, row: usize) -> u64 {
        self.shared.hashes[self.inner(row)]
    }

    /// Stratum of each row for [`crate::stratified_split`]: the class, the rarest of several classes, or
    /// the decile of the (first) target number. All 0 without labels.
    pub fn strata(&self) -> Vec<u64> {
        strata(&(0..self.len()).map(|row| self.label(row)).collect::<Vec<_>>())
    }

    /// Group of each row for [`crate::stratified_group_split`]: rows of one group and rows with the
    /// same text share one.
    pub fn split_groups(&self) -> Vec<u64> {
        let hashes: Vec<u64> = (0..self.len()).map(|row| self.text_hash(row)).collect();
        joined_groups(&hashes, &|row| self.group(row))
    }

    /// Hash of the row's value in the group column, when there is one and every row has a value.
    /// Panics beyond the end.
    pub fn group(&self, row: usize) -> Option<u64> {
        self.shared.rows.group(self.inner(row))
    }

    /// The row of the shared store behind `row`. Panics beyond the end.
    fn inner(&self, row: usize) -> usize {
        self.view.as_ref().map_or(row, |view| view[row] as usize)
    }

    fn inner_rows(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.len()).map(|row| self.inner(row))
    }

    fn checked(&self, row: usize) -> Result<usize, DataError> {
        if row < self.len() { Ok(self.inner(row)) } else { Err(DataError::NoSuchRow { row, rows: self.len() }) }
    }
}

/// Equal for texts that are equal apart from surrounding white space.
fn text_hash(text: &str, pair: Option<&str>) -> u64 {
    let hash = xxh3_64(text.trim().as_bytes());
    pair.map_or(hash, |pair| xxh3_64_with_seed(pair.trim().as_bytes(), hash))
}

impl Dataset for TextDataset {
    fn len(&self) -> usize {
        self.view.as_ref().map_or(self.shared.hashes.len(), |view| view.len())
    }

    fn length(&self, row: usize) -> usize {
        let row = self.inner(row);
        (self.shared.offsets[row + 1] - self.shared.offsets[row]) as usize
    }

    /// `input_ids` and `attention_mask` `[B, T]` i64, `token_type_ids` `[B, T]` i64 where the model
    /// takes them, `labels` if there are any: `[B]` i64 (single label), `[B, C]` f32 of 0 and 1
    /// (several labels), `[B]` or `[B, outputs]` f32 (regression).
    fn batch(&self, rows: &[usize], _pass: Option<Pass>) -> Result<Batch, DataError> {
        let shared = &self.shared;
        let inner = rows.iter().map(|&row| self.checked(row)).collect::<Result<Vec<usize>, _>>()?;
        let lengths: Vec<usize> = rows.iter().map(|&row| self.length(row)).collect();
        let longest = lengths.iter().copied().max().unwrap_or(0);
        let width = longest.next_multiple_of(self.pad_to_multiple_of);
        let size = rows.len() * width;
        let mut ids = vec![i64::from(shared.pad_id); size];
        let mut mask = vec![0; size];
        let mut types = vec![0; if shared.token_types { size } else { 0 }];
        let mut bytes = Vec::new();
        for (index, (&row, &length)) in inner.iter().zip(&lengths).enumerate() {
            shared.tokens.read(shared.offsets[row] * 4, length * 4, &mut bytes)?;
            let start = match shared.padding_side {
                Side::Right => index * width,
                Side::Left => (index + 1) * width - length,
            };
            mask[start..start + length].fill(1);
            for (position, quad) in bytes.as_chunks::<4>().0.iter().enumerate() {
                let token = u32::from_le_bytes(*quad);
                ids[start + position] = i64::from(token & ID_MASK);
                if let Some(kind) = types.get_mut(start + position) {
                    *kind = i64::from(token >> ID_BITS);
                }
            }
        }
        let shape = [rows.len(), width];
        let mut arrays = BTreeMap::new();
        arrays.insert("input_ids".to_owned(), Array::integers(&shape, ids));
        arrays.insert("attention_mask".to_owned(), Array::integers(&shape, mask));
        if shared.token_types {
            arrays.insert("token_type_ids".to_owned(), Array::integers(&shape, types));
        }
        if let Some(labels) = &shared.labels {
            arrays.insert("labels".to_owned(), labels.array(&inner));
        }
        Ok(Batch { rows: rows.to_vec(), arrays, tokens: lengths.iter().sum(), padded: size })
    }

    fn source(&self, row: usize) -> Result<Source, DataError> {
        let row = self.checked(row)?;
        let rows = &self.shared.rows;
        let (fields, label) = rows.fields(row)?;
        Ok(Source { file: rows.file().to_owned(), line: rows.line(row), fields, label })
    }

    fn has_labels(&self) -> bool {
        self.shared.labels.is_some()
    }

    fn remarks(&self) -> Vec<String> {
        self.shared.remarks.clone()
    }

    fn tokens_in_use(&self) -> Result<Option<Vec<i64>>, DataError> {
        let shared = &self.shared;
        let mut used = vec![false; shared.pad_id as usize + 1];
        used[shared.pad_id as usize] = true;
        let mut bytes = Vec::new();
        for row in self.inner_rows() {
            let (start, end) = (shared.offsets[row], shared.offsets[row + 1]);
            shared.tokens.read(start * 4, (end - start) as usize * 4, &mut bytes)?;
            for quad in bytes.as_chunks::<4>().0 {
                let id = (u32::from_le_bytes(*quad) & ID_MASK) as usize;
                if id >= used.len() {
                    used.resize(id + 1, false);
                }
                used[id] = true;
            }
        }
        Ok(Some((0..used.len()).filter(|&id| used[id]).map(|id| id as i64).collect()))
    }
}

impl Described for TextDataset {
    fn schema(&self) -> Option<&LabelSchema> {
        self.shared.schema.as_ref()
    }

    fn label(&self, row: usize) -> Option<EncodedLabel> {
        TextDataset::label(self, row)
    }

    fn content_hash(&self, row: usize) -> u64 {
        self.text_hash(row)
    }

    fn group(&self, row: usize) -> Option<u64> {
        TextDataset::group(self, row)
    }

    fn extent(&self, row: usize) -> usize {
        self.length(row)
    }

    fn extent_unit(&self) -> &'static str {
        "tokens"
    }

    fn truncated_rows(&self) -> Option<usize> {
        Some(TextDataset::truncated_rows(self))
    }

    fn unknown_token_fraction(&self) -> Option<f64> {
        Some(TextDataset::unknown_token_fraction(self))
    }
}

#[cfg(test)]
mod tests;
