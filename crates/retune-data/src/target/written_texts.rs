//! What should be written: targets of translation, of summaries, of anything that is said in the model's own words.

use std::sync::Arc;

use rayon::prelude::*;

use super::{IGNORED, Targets};
use crate::text::Tokenizer;
use crate::{Array, Batch, Cell, DataError, Fact, FactValue, LabelRows, Medium, Records as _, TableRows, Units};

/// The texts that a model should write, each with others that would be right too; `labels` `[B, S]` i64 are the tokens of the
/// first, S those of the longest in the batch, [`IGNORED`] behind the end of others. What a decoder reads while it learns them
/// goes with the inputs: `decoder_input_ids` `[B, S]` i64.
pub struct WrittenTexts {
    references: Vec<Vec<String>>,
    /// Tokens of the first reference, one example after the other, with the end of each.
    ids: Vec<u32>,
    ends: Vec<usize>,
    /// Examples whose reference was cut.
    cut: Vec<usize>,
    decoder: Option<DecoderInput>,
}

/// A target moved on by one.
type Shift = dyn Fn(&[i64]) -> Vec<i64> + Send + Sync;

/// What a decoder reads for a target, and the token of its padding.
pub struct DecoderInput {
    /// Of one target: the target moved on by one.
    pub shift: Arc<Shift>,
    /// Stands behind the end of others.
    pub padding: i64,
}

/// The references of each row; `None` where not every row has one.
///
/// # Errors
/// The temporary store cannot be read.
pub fn references(rows: &TableRows) -> Result<Option<Vec<Vec<String>>>, DataError> {
    if !rows.has_labels() {
        return Ok(None);
    }
    let text = |cell: &Cell| match cell {
        Cell::Text(text) => Some(text.clone()),
        other => other.name(),
    };
    let of = |cell: &Cell| match cell {
        Cell::List(cells) => cells.iter().filter_map(text).collect(),
        cell => text(cell).into_iter().collect::<Vec<String>>(),
    };
    let row = |row: usize| Ok(rows.label_cells(row)?.first().map(of).unwrap_or_default());
    (0..rows.len()).map(row).collect::<Result<_, DataError>>().map(Some)
}

impl WrittenTexts {
    /// Cuts references into tokens, with the special ones that the tokenizer puts around texts; what is longer than `longest`
    /// is cut to it.
    ///
    /// # Errors
    /// The tokenizer fails on a text.
    pub fn encode(references: Vec<Vec<String>>, tokenizer: &Tokenizer, longest: usize) -> Result<Self, DataError> {
        tokenizer.check_max_length(longest, false)?;
        let first = |references: &Vec<String>| {
            let text = references.first().map_or("", String::as_str);
            tokenizer.encode(text, None, longest)
        };
        let tokens = references.par_iter().map(first).collect::<Result<Vec<_>, DataError>>()?;
        let (mut ids, mut ends, mut cut) = (Vec::new(), Vec::with_capacity(tokens.len()), Vec::new());
        for (example, tokens) in tokens.into_iter().enumerate() {
            ids.extend(tokens.ids);
            ends.push(ids.len());
            if tokens.truncated {
                cut.push(example);
            }
        }
        Ok(Self { references, ids, ends, cut, decoder: None })
    }

    /// With what a decoder reads.
    #[must_use]
    pub fn with_decoder(self, decoder: DecoderInput) -> Self {
        Self { decoder: Some(decoder), ..self }
    }

    /// All references of an example. Panics beyond the end.
    pub fn references(&self, example: usize) -> &[String] {
        &self.references[example]
    }

    /// Tokens of the first reference. Panics beyond the end.
    pub fn ids(&self, example: usize) -> &[u32] {
        let start = example.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.ids[start..self.ends[example]]
    }

    /// Examples whose first reference was longer than the longest, in their order.
    pub fn cut(&self) -> &[usize] {
        &self.cut
    }
}

/// Puts what is to be written for each row of a batch among its targets, and what a decoder reads meanwhile among its inputs.
pub(crate) fn put_written(rows: &[&[u32]], decoder: Option<&DecoderInput>, into: &mut Batch) {
    let width = rows.iter().map(|ids| ids.len()).max().unwrap_or(0).max(1);
    let (shape, size) = ([rows.len(), width], rows.len() * width);
    let mut labels = vec![IGNORED; size];
    let mut read = decoder.map(|decoder| (decoder, vec![decoder.padding; size]));
    for (place, ids) in rows.iter().enumerate() {
        let ids: Vec<i64> = ids.iter().map(|&id| i64::from(id)).collect();
        let row = place * width..place * width + ids.len();
        labels[row.clone()].copy_from_slice(&ids);
        if let Some((decoder, read)) = &mut read {
            read[row].copy_from_slice(&(decoder.shift)(&ids));
        }
    }
    if let Some((_, read)) = read {
        into.inputs.insert("decoder_input_ids".to_owned(), Array::integers(&shape, read));
    }
    into.extent.target = Units { real: rows.iter().map(|ids| ids.len()).sum(), padded: size };
    into.targets.insert("labels".to_owned(), Array::integers(&shape, labels));
}

impl<M: Medium> Targets<M> for WrittenTexts {
    type Gold = Vec<String>;

    fn len(&self) -> usize {
        self.references.len()
    }

    fn gold(&self, example: usize) -> Result<Vec<String>, DataError> {
        Ok(self.references[example].clone())
    }

    fn fill(&self, examples: &[usize], _seen: &[M::Seen], into: &mut Batch) -> Result<(), DataError> {
        let rows: Vec<&[u32]> = examples.iter().map(|&example| self.ids(example)).collect();
        put_written(&rows, self.decoder.as_ref(), into);
        Ok(())
    }

    fn fingerprint(&self, example: usize) -> Result<String, DataError> {
        Ok(format!("Written({:?})", self.references[example]))
    }

    fn facts(&self, examples: &[usize]) -> Vec<Fact> {
        let tokens: usize = examples.iter().map(|&example| self.ids(example).len()).sum();
        let several = examples.iter().filter(|&&example| self.references[example].len() > 1).count();
        let mut facts = vec![Fact::new("tokens to write", FactValue::Count(tokens as u64))];
        if several > 0 {
            facts.push(Fact::part("several references", several, examples.len()));
        }
        facts
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::Nothing;
    use super::*;
    use crate::{ArrayData, Layout, OnBadExample};

    #[test]
    fn labels_are_as_wide_as_the_longest_of_the_batch() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jsonl");
        let lines =
            "{\"source\": \"x\", \"target\": [\"a man\", \"one man\"]}\n{\"source\": \"y\", \"target\": \"a\"}\n";
        std::fs::write(&path, lines).unwrap();
        let layout = Layout::text("source").labels(["target"]).target("--target-column", "target");
        let rows = TableRows::read(&path, &layout, true, OnBadExample::Fail).unwrap();
        let references = references(&rows).unwrap().unwrap();
        assert_eq!(references, [vec!["a man", "one man"], vec!["a"]]);
        let model = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/sentencepiece/tokenizers/t5");
        let tokenizer = Tokenizer::load(model).unwrap();
        let texts = WrittenTexts::encode(references, &tokenizer, 100).unwrap();
        let end = tokenizer.end_id().map(i64::from);
        let width = |examples: &[usize]| {
            let mut batch = Batch::default();
            Targets::<Nothing>::fill(&texts, examples, &[], &mut batch).unwrap();
            let ArrayData::I64(labels) = &batch.targets["labels"].data else { panic!("integers") };
            (batch.targets["labels"].shape.clone(), labels.clone())
        };
        let (shape, labels) = width(&[1]);
        assert_eq!((shape[0], labels.last().copied()), (1, end));
        let (both, labels) = width(&[1, 0]);
        assert!(both[1] > shape[1] && labels[both[1] - 1] == IGNORED, "{labels:?}");
        assert!(texts.cut().is_empty());
        let shift = |ids: &[i64]| std::iter::once(7).chain(ids.iter().copied()).take(ids.len()).collect();
        let decoder = DecoderInput { shift: Arc::new(shift), padding: 3 };
        let (texts, mut batch) = (texts.with_decoder(decoder), Batch::default());
        Targets::<Nothing>::fill(&texts, &[1, 0], &[], &mut batch).unwrap();
        let ArrayData::I64(read) = &batch.inputs["decoder_input_ids"].data else { panic!("integers") };
        assert_eq!((read[0], read[both[1] - 1], read[both[1]]), (7, 3, 7));
        assert_eq!(batch.extent.target.padded, read.len());
        let short = WrittenTexts::encode(vec![vec!["a man rides".to_owned()]], &tokenizer, 3).unwrap();
        assert_eq!((short.ids(0).len(), short.cut()), (3, &[0][..]));
    }
}
