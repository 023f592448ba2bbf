//! Blocks as a medium: what a batch holds of them. B rows, T tokens of the longest, P hidden tokens of a row at most.

use std::collections::BTreeSet;
use std::path::Path;

use super::super::medium::{TRUNCATED, UNKNOWN_TOKENS};
use super::blocks::{Blocks, Row};
use super::cut::Cut;
use super::masking::Masking;
use super::seen::BlockSeen;
use crate::{Array, Batch, DataError, Fact, FactValue, Medium, Pass, Units};

/// Name of the fact that counts the documents that blocks are cut from.
pub const DOCUMENTS: &str = "documents";

/// Name of the input with the places of hidden tokens.
const LOGIT_POSITIONS: &str = "logit_positions";

impl Medium for Blocks {
    type Seen = BlockSeen;

    fn examples(&self) -> usize {
        self.0.pieces.blocks()
    }

    fn length(&self, row: usize) -> usize {
        self.0.length(row)
    }

    /// `input_ids` and `attention_mask` `[B, T]` i64, padded on the right; `token_type_ids` where the model takes them; what
    /// [`super::BlockOptions::boundaries`] adds; and where tokens are hidden `logit_positions` `[B, P]`, their places.
    fn fill(&self, rows: &[usize], pass: Option<Pass>, into: &mut Batch) -> Result<Vec<BlockSeen>, DataError> {
        let tokenizer = self.documents().tokenizer();
        let lengths: Vec<usize> = rows.iter().map(|&row| self.0.length(row)).collect();
        let width = lengths.iter().copied().max().unwrap_or(0);
        let size = rows.len() * width;
        let mut ids = vec![i64::from(tokenizer.pad_id()); size];
        let mut mask = vec![0; size];
        let mut types = vec![0; if tokenizer.token_types() { size } else { 0 }];
        let mut positions = vec![0; if self.0.options.boundaries { size } else { 0 }];
        let mut documents = positions.clone();
        let mut bytes = Vec::new();
        let mut all = Vec::with_capacity(rows.len());
        for ((index, &row), &length) in rows.iter().enumerate().zip(&lengths) {
            let places = index * width..index * width + length;
            let Row { ids: tokens, seen } = self.0.row(row, pass, &mut bytes)?;
            for (into, id) in ids[places.clone()].iter_mut().zip(tokens) {
                *into = i64::from(id);
            }
            mask[places.clone()].fill(1);
            for (into, kind) in types.iter_mut().skip(places.start).zip(self.0.types(length)) {
                *into = i64::from(kind);
            }
            if self.0.options.boundaries {
                boundaries(&seen, &mut positions[places.clone()], &mut documents[places]);
            }
            all.push(seen);
        }
        let shape = [rows.len(), width];
        let mut insert = |name: &str, values| into.inputs.insert(name.to_owned(), Array::integers(&shape, values));
        insert("input_ids", ids);
        insert("attention_mask", mask);
        if tokenizer.token_types() {
            insert("token_type_ids", types);
        }
        if self.0.options.boundaries {
            insert("position_ids", positions);
            insert("document_ids", documents);
        }
        if self.0.options.masking.is_some() {
            // What is computed once and kept has one size in all batches.
            let least = if pass.is_none() { self.0.most_hidden } else { 0 };
            let most = all.iter().map(|seen| seen.masked.len()).max().unwrap_or(0).max(least);
            into.inputs.insert(LOGIT_POSITIONS.to_owned(), logit_positions(&all, most));
        }
        into.extent.input = Units { real: lengths.iter().sum(), padded: size };
        Ok(all)
    }

    fn seen(&self, row: usize) -> Result<BlockSeen, DataError> {
        Ok(self.0.row(row, None, &mut Vec::new())?.seen)
    }

    fn hash(&self, example: usize) -> u64 {
        self.0.hashes[example]
    }

    fn size(&self, example: usize) -> usize {
        self.0.length(example)
    }

    fn unit(&self) -> &'static str {
        "tokens"
    }

    fn facts(&self, examples: &[usize]) -> Vec<Fact> {
        let documents: BTreeSet<u32> =
            examples.iter().flat_map(|&block| self.0.pieces.of(block)).map(|piece| piece.document).collect();
        let sum = |of: &dyn Fn(usize) -> usize| documents.iter().map(|&document| of(document as usize) as u64).sum();
        let unknown: u64 = sum(&|document| self.0.documents.unknown(document));
        let tokens: u64 = sum(&|document| self.0.documents.length(document));
        let mut facts = vec![Fact::new(DOCUMENTS, FactValue::Count(documents.len() as u64))];
        if self.0.options.cut == Cut::Whole {
            let cut_off = |&&block: &&usize| self.0.whole_document(block).is_none();
            facts.push(Fact::part(TRUNCATED, examples.iter().filter(cut_off).count(), examples.len()));
        }
        facts.push(Fact::new(UNKNOWN_TOKENS, FactValue::Share(unknown as f64 / tokens.max(1) as f64)));
        facts
    }

    fn varies(&self) -> bool {
        matches!(self.0.options.masking, Some(Masking::Drawn(_)))
    }

    fn remarks(&self, file: &Path) -> Vec<String> {
        let name = file.display();
        let mut remarks = if self.0.tells { self.0.documents.remarks().to_vec() } else { Vec::new() };
        if self.0.nothing > 0 {
            remarks.push(format!("{name}: {} texts have no token and are left out", self.0.nothing));
        }
        if self.0.options.cut == Cut::Whole {
            let blocks = self.examples();
            let cut_off = (0..blocks).filter(|&block| self.0.whole_document(block).is_none()).count();
            if cut_off > 0 {
                let size = self.0.options.size;
                let unlearnt = (0..blocks).filter(|&block| self.0.is_cut_before_what_is_learnt(block)).count();
                let unlearnt = (unlearnt > 0).then(|| {
                    format!("; of {unlearnt} what is to be learnt lies behind the cut, so that they teach nothing")
                });
                let unlearnt = unlearnt.unwrap_or_default();
                remarks.push(format!(
                    "{name}: {cut_off} of {blocks} texts are longer than {size} tokens and cut off{unlearnt}"
                ));
            }
        }
        remarks
    }

    /// `None` where any token may stand in place of another.
    fn tokens_in_use(&self, rows: &mut dyn Iterator<Item = usize>) -> Result<Option<Vec<i64>>, DataError> {
        if self.varies() {
            return Ok(None);
        }
        let around = self.0.frame.before.iter().chain(&self.0.frame.after).map(|(id, _)| *id);
        let mut used: BTreeSet<u32> = around.chain([self.documents().tokenizer().pad_id()]).collect();
        let mut bytes = Vec::new();
        for row in rows {
            self.0.text(row, &mut bytes, |id, _| {
                used.insert(id);
            })?;
        }
        Ok(Some(used.into_iter().map(i64::from).collect()))
    }
}

/// The places of hidden tokens, `[B, P]` i64 with -1 behind the last.
fn logit_positions(seen: &[BlockSeen], size: usize) -> Array {
    let of = |seen: &BlockSeen| {
        let places: Vec<i64> = seen.masked.iter().map(|masked| masked.at as i64).collect();
        places.into_iter().chain(std::iter::repeat(-1)).take(size).collect::<Vec<i64>>()
    };
    Array::integers(&[seen.len(), size], seen.iter().flat_map(of).collect())
}

/// Positions that start anew at each document, and numbers of documents, of a row without its padding.
fn boundaries(seen: &BlockSeen, positions: &mut [i64], documents: &mut [i64]) {
    let pieces = seen.pieces.len();
    for (number, piece) in seen.pieces.iter().enumerate() {
        // What stands before the first document belongs to it, and what stands after the last one.
        let begin = if number == 0 { 0 } else { piece.at.start };
        let end = if number + 1 == pieces { positions.len() } else { piece.at.end };
        for (position, place) in (begin..end).enumerate() {
            (positions[place], documents[place]) = (position as i64, number as i64 + 1);
        }
    }
}
