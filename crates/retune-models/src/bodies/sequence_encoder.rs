//! The encoder of an encoder–decoder over texts: BART's, Marian's, T5's. Also without its decoder, under a head of its own.
//!
//! B batch, S tokens, D hidden size.

use super::Stack;
use crate::{Body, Mode, ModelError, Reads, State, Tensors};
use retune_kernels::tch::Tensor;
use std::ops::Range;

/// The encoder.
pub struct SequenceEncoder {
    stack: Stack,
    token_table: Option<String>,
}

impl SequenceEncoder {
    /// Over a stack whose layers are the blocks from 1 on.
    pub fn new(stack: Stack) -> Self {
        Self { stack, token_table: None }
    }

    /// The same where no decoder reads its table of tokens, which has this full name.
    #[must_use]
    pub fn alone_over(self, token_table: String) -> Self {
        Self { token_table: Some(token_table), ..self }
    }
}

impl Body for SequenceEncoder {
    fn blocks(&self) -> usize {
        self.stack.layers()
    }

    fn width(&self) -> i64 {
        self.stack.width()
    }

    /// `input_ids` [B, S], and `attention_mask` [B, S] where it is given.
    fn begin(&self, inputs: &Tensors, mode: &Mode) -> Result<State, ModelError> {
        let hidden = mode.block(0, |train| self.stack.embed(inputs.get("input_ids")?, 0, train))?;
        Ok(State { mask: inputs.optional("attention_mask").map(Tensor::shallow_clone), ..State::new(hidden) })
    }

    fn run(&self, from: State, blocks: Range<usize>, _reads: Reads, mode: &Mode) -> Result<State, ModelError> {
        let State { hidden: mut x, mask, beside } = from;
        if !blocks.is_empty() {
            let shared = self.stack.open(&x, mask.as_ref())?;
            for depth in blocks {
                x = mode.block(depth, |train| self.stack.layer(depth - 1, &x, &shared, None, None, train));
            }
        }
        Ok(State { hidden: x, mask, beside })
    }

    fn work(&self, tokens: f64, _reads: Reads) -> f64 {
        self.stack.work(tokens, None)
    }

    fn token_table(&self) -> Option<&str> {
        self.token_table.as_deref()
    }
}
