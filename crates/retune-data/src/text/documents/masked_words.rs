//! The hidden tokens of blocks as targets.

use super::Blocks;
use super::seen::BlockSeen;
use crate::{Along, Array, Batch, DataError, IGNORED, Targets};

/// What stood where a token is hidden: `labels` `[B, T]` i64, [`IGNORED`] everywhere else.
#[derive(Debug, Clone, Copy)]
pub struct MaskedWords {
    /// Number of blocks.
    pub blocks: usize,
}

impl Targets<Blocks> for MaskedWords {
    /// What is right is drawn with the inputs.
    type Gold = ();

    fn len(&self) -> usize {
        self.blocks
    }

    fn gold(&self, _example: usize) -> Result<(), DataError> {
        Ok(())
    }

    fn fill(&self, _examples: &[usize], seen: &[BlockSeen], into: &mut Batch) -> Result<(), DataError> {
        const MASK: &str = "attention_mask";
        let shape = into.inputs.get(MASK).map(|mask| mask.shape.clone()).expect("blocks have a mask");
        let mut values = vec![IGNORED; shape.iter().product()];
        for (row, seen) in seen.iter().enumerate() {
            for masked in &seen.masked {
                values[row * shape[1] + masked.at] = masked.id.map_or(IGNORED, i64::from);
            }
        }
        let labels = Array::integers(&shape, values).along(Along { mask: MASK, fill: IGNORED });
        into.targets.insert("labels".to_owned(), labels);
        Ok(())
    }

    fn fingerprint(&self, _example: usize) -> Result<String, DataError> {
        Ok(String::new())
    }
}
