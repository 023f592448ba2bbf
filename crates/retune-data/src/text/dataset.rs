//! Tokenized texts as a data set: tokens in a store that spills to disk, labels in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::TextRows;
use super::encoded::Encoded;
use super::remarks::{Oddities, remarks};
use super::tokenizer::{Side, Tokenizer};
use crate::labels::Labels;
use crate::problems::Problems;
use crate::schema::{EncodedLabel, LabelSchema};
use crate::{Array, BadExample, Batch, DataError, Dataset, Described, Pass, RowProblem, Source};

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
    encoded: Encoded,
    /// Equal for texts that are equal apart from surrounding white space.
    hashes: Vec<u64>,
    labels: Option<Labels>,
    pad_id: u32,
    padding_side: Side,
    token_types: bool,
    remarks: Vec<String>,
}

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
        let labels = schema.map(|schema| Labels::encode(&rows, schema)).transpose()?.flatten();
        let (labels, note) = labels.unzip();
        let (encoded, looks) = Encoded::make(&rows, tokenizer, max_length, progress)?;
        let mut odd = Oddities::default();
        let mut problems = Problems::new(rows.file());
        for (row, look) in looks.iter().enumerate() {
            odd.look(rows.line(row), look);
            if encoded.length(row) == 0 {
                let message = "is a text of which this tokenizer makes no token; remove the row";
                problems.push(RowProblem::new(rows.line(row), Some(&rows.columns().text), message))?;
            }
        }
        problems.finish()?;
        let shared = Shared {
            remarks: note.flatten().into_iter().chain(remarks(&rows, &odd)).collect(),
            schema: schema.cloned(),
            encoded,
            hashes: looks.into_iter().map(|look| look.hash).collect(),
            labels,
            pad_id: tokenizer.pad_id(),
            padding_side: tokenizer.padding_side(),
            token_types: tokenizer.token_types(),
            rows,
        };
        Ok(Self { shared: Arc::new(shared), view: None, pad_to_multiple_of: 1 })
    }

    /// Pads batches to a multiple of this many tokens (8 suits tensor cores); 0 counts as 1.
    pub fn with_padding_multiple(mut self, multiple: usize) -> Self {
        self.pad_to_multiple_of = multiple.max(1);
        self
    }

    /// Rows whose text was cut to the maximum length.
    pub fn truncated_rows(&self) -> usize {
        self.inner_rows().filter(|&row| self.shared.encoded.facts(row).truncated).count()
    }

    /// Share of the tokens (special ones aside) that stand for unknown text; 0 without tokens.
    pub fn unknown_token_fraction(&self) -> f64 {
        let (unknown, words) = self.inner_rows().fold((0u64, 0u64), |(unknown, words), row| {
            let row = self.shared.encoded.facts(row);
            (unknown + u64::from(row.unknown), words + u64::from(row.words))
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

impl Dataset for TextDataset {
    fn len(&self) -> usize {
        self.view.as_ref().map_or(self.shared.hashes.len(), |view| view.len())
    }

    fn length(&self, row: usize) -> usize {
        self.shared.encoded.length(self.inner(row))
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
            let start = match shared.padding_side {
                Side::Right => index * width,
                Side::Left => (index + 1) * width - length,
            };
            mask[start..start + length].fill(1);
            let mut position = start;
            shared.encoded.for_each(row, &mut bytes, |id, kind| {
                ids[position] = i64::from(id);
                if let Some(place) = types.get_mut(position) {
                    *place = i64::from(kind);
                }
                position += 1;
            })?;
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

    fn bad_examples(&self) -> &[BadExample] {
        self.shared.rows.left_out()
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
            shared.encoded.for_each(row, &mut bytes, |id, _| {
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

impl Described for TextDataset {
    fn subset(&self, rows: &[usize]) -> Result<Self, DataError> {
        let inner = |&row: &usize| self.checked(row).map(|row| row as u32);
        let view = rows.iter().map(inner).collect::<Result<Vec<u32>, _>>()?;
        Ok(Self { view: Some(view.into()), ..self.clone() })
    }

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
