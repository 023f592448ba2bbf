//! The next word at each place of blocks as targets.

use super::Blocks;
use super::seen::BlockSeen;
use crate::{Along, Array, ArrayData, Batch, DataError, IGNORED, Targets};

/// The tokens themselves: `labels` `[B, T]` i64 as transformers has them, which are shifted where the loss is computed.
/// [`IGNORED`] stands at the first token of a document in a block, which nothing comes before, on padding, and on what is not
/// to be learnt ([`super::Documents::with_learnt`]).
pub struct NextWords {
    /// The blocks.
    pub blocks: Blocks,
}

impl NextWords {
    /// Which places of a block count, in order.
    pub fn places(&self, seen: &BlockSeen) -> Vec<usize> {
        let documents = self.blocks.documents();
        let mut places = Vec::new();
        for (number, piece) in seen.pieces.iter().enumerate() {
            // What frames a block belongs to its first and last document.
            let begin = if number == 0 { 0 } else { piece.at.start };
            let end = if number + 1 == seen.pieces.len() { seen.length } else { piece.at.end };
            let learnt = documents.learnt(piece.document);
            let counts = |place: &usize| match learnt {
                None => true,
                Some(ranges) => {
                    let token = (place - piece.at.start + piece.from) as u32;
                    piece.at.contains(place) && ranges.iter().any(|range| range.contains(&token))
                }
            };
            places.extend((begin + 1..end).filter(counts));
        }
        places
    }
}

impl Targets<Blocks> for NextWords {
    /// What is right is the input.
    type Gold = ();

    fn len(&self) -> usize {
        crate::Medium::examples(&self.blocks)
    }

    fn gold(&self, _example: usize) -> Result<(), DataError> {
        Ok(())
    }

    fn fill(&self, _examples: &[usize], seen: &[BlockSeen], into: &mut Batch) -> Result<(), DataError> {
        const MASK: &str = "attention_mask";
        let ids = into.inputs.get("input_ids").expect("blocks have tokens");
        let ArrayData::I64(tokens) = &ids.data else { panic!("tokens are integers") };
        let shape = ids.shape.clone();
        let mut values = vec![IGNORED; tokens.len()];
        for (row, seen) in seen.iter().enumerate() {
            for place in self.places(seen) {
                values[row * shape[1] + place] = tokens[row * shape[1] + place];
            }
        }
        let labels = Array::integers(&shape, values).along(Along { mask: MASK, fill: IGNORED });
        into.targets.insert("labels".to_owned(), labels);
        Ok(())
    }

    /// Which tokens of the block count.
    fn fingerprint(&self, example: usize) -> Result<String, DataError> {
        Ok(format!("{:?}", self.places(&crate::Medium::seen(&self.blocks, example)?)))
    }
}
