//! Blocks that were made noisy, and what is to be written for them. B rows, T tokens of the longest.

use std::path::Path;

use super::blocks::Blocks;
use super::draws;
use super::noise::{NoiseOptions, Noisy};
use crate::target::{DecoderInput, put_written};
use crate::{Array, Batch, DataError, Fact, Medium, Pass, Seen, Targets, Units};

/// Tells these draws from others.
const DRAWS: u64 = 0x6e6f_6973;

/// Blocks whose noise is drawn anew in each pass, and always the same where nothing is learnt; without noise as they are.
pub struct NoisedBlocks {
    /// The blocks, of which none hides words.
    pub blocks: Blocks,
    /// How they are made noisy.
    pub noise: Option<NoiseOptions>,
}

/// What became of a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoisedSeen {
    /// Tokens that are read, special ones included.
    pub read: Vec<u32>,
    /// Tokens to write, special ones included.
    pub written: Vec<u32>,
}

impl Seen for NoisedSeen {}

impl NoisedBlocks {
    fn row(&self, block: usize, pass: Option<Pass>, bytes: &mut Vec<u8>) -> Result<NoisedSeen, DataError> {
        let inner = &self.blocks.0;
        let mut text = Vec::with_capacity(inner.length(block));
        inner.text(block, bytes, |id, _| text.push(id))?;
        let mut random = draws::of_row(pass, block as u64, inner.hashes[block], DRAWS);
        let Noisy { read, written } = match &self.noise {
            Some(noise) => noise.draw(&text, &mut random),
            None => Noisy { read: text, written: Vec::new() },
        };
        let framed = |ids: Vec<u32>| -> Vec<u32> {
            inner.frame.before.iter().map(|it| it.0).chain(ids).chain(inner.frame.after.iter().map(|it| it.0)).collect()
        };
        Ok(NoisedSeen { read: framed(read), written: framed(written) })
    }
}

impl Medium for NoisedBlocks {
    type Seen = NoisedSeen;

    fn examples(&self) -> usize {
        self.blocks.examples()
    }

    /// Of the block before any of it is taken out.
    fn length(&self, row: usize) -> usize {
        self.blocks.0.length(row)
    }

    /// `input_ids` and `attention_mask` `[B, T]` i64, padded on the right.
    fn fill(&self, rows: &[usize], pass: Option<Pass>, into: &mut Batch) -> Result<Vec<NoisedSeen>, DataError> {
        let mut bytes = Vec::new();
        let seen: Vec<NoisedSeen> =
            rows.iter().map(|&row| self.row(row, pass, &mut bytes)).collect::<Result<_, DataError>>()?;
        let width = seen.iter().map(|seen| seen.read.len()).max().unwrap_or(0);
        let (shape, size) = ([rows.len(), width], rows.len() * width);
        let mut ids = vec![i64::from(self.blocks.documents().tokenizer().pad_id()); size];
        let mut mask = vec![0; size];
        for (index, seen) in seen.iter().enumerate() {
            let begin = index * width;
            for (into, &id) in ids[begin..].iter_mut().zip(&seen.read) {
                *into = i64::from(id);
            }
            mask[begin..begin + seen.read.len()].fill(1);
        }
        into.inputs.insert("input_ids".to_owned(), Array::integers(&shape, ids));
        into.inputs.insert("attention_mask".to_owned(), Array::integers(&shape, mask));
        into.extent.input = Units { real: seen.iter().map(|seen| seen.read.len()).sum(), padded: size };
        Ok(seen)
    }

    fn seen(&self, row: usize) -> Result<NoisedSeen, DataError> {
        self.row(row, None, &mut Vec::new())
    }

    fn hash(&self, example: usize) -> u64 {
        Medium::hash(&self.blocks, example)
    }

    fn size(&self, example: usize) -> usize {
        Medium::size(&self.blocks, example)
    }

    fn unit(&self) -> &'static str {
        Medium::unit(&self.blocks)
    }

    fn facts(&self, examples: &[usize]) -> Vec<Fact> {
        Medium::facts(&self.blocks, examples)
    }

    fn varies(&self) -> bool {
        self.noise.is_some()
    }

    fn remarks(&self, file: &Path) -> Vec<String> {
        Medium::remarks(&self.blocks, file)
    }
}

/// What noisy blocks are to become again: `labels` and `decoder_input_ids` as those of [`crate::WrittenTexts`].
pub struct Restored {
    /// Number of blocks.
    pub blocks: usize,
    /// What the decoder reads.
    pub decoder: DecoderInput,
}

impl Targets<NoisedBlocks> for Restored {
    /// What is right is drawn with the inputs.
    type Gold = ();

    fn len(&self) -> usize {
        self.blocks
    }

    fn gold(&self, _example: usize) -> Result<(), DataError> {
        Ok(())
    }

    fn fill(&self, _examples: &[usize], seen: &[NoisedSeen], into: &mut Batch) -> Result<(), DataError> {
        let rows: Vec<&[u32]> = seen.iter().map(|seen| seen.written.as_slice()).collect();
        put_written(&rows, Some(&self.decoder), into);
        Ok(())
    }

    fn fingerprint(&self, _example: usize) -> Result<String, DataError> {
        Ok(String::new())
    }
}
