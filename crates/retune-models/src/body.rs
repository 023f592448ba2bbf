//! What lies below a head.

use crate::explain::Explains;
use crate::item_texts::ItemTexts;
use crate::{Continues, Mode, ModelError, Reads, State, Tensors};
use retune_kernels::tch::Tensor;
use std::ops::Range;

/// Embeddings and blocks. Block 0 is the embeddings; blocks of several stacks are numbered on from one to the next.
pub trait Body: Sync {
    /// Number of blocks above the embeddings: depths run from 1 to this.
    fn blocks(&self) -> usize;
    /// D of what the last block returns.
    fn width(&self) -> i64;
    /// Block 0.
    ///
    /// # Errors
    /// Inputs that are missing or do not fit.
    fn begin(&self, inputs: &Tensors, mode: &Mode) -> Result<State, ModelError>;
    /// Runs the blocks of these depths. Of the last block's result only what is read need be there.
    ///
    /// # Errors
    /// A state that does not fit.
    fn run(&self, from: State, blocks: Range<usize>, reads: Reads, mode: &Mode) -> Result<State, ModelError>;
    /// What Hugging Face calls by this name, of the state behind the last block.
    fn last_hidden_state(&self, state: &State) -> Tensor {
        state.hidden.shallow_clone()
    }
    /// What Hugging Face returns beside it, by its names.
    fn other_states(&self, _state: &State) -> Tensors {
        Tensors::default()
    }
    /// Floating-point operations of one example's matrix products and convolutions, twice its multiply-adds; `size` counts
    /// tokens of a text, patches of an image, frames of a sound.
    fn work(&self, size: f64, reads: Reads) -> f64;
    /// The same of what a decoder does beside, which writes `target` tokens over a `source`; the head reads those.
    fn target_work(&self, _source: f64, _target: f64) -> Option<f64> {
        None
    }
    /// Whether block 0 costs enough that what it returns is worth keeping where it is frozen: a table is not.
    fn begin_is_costly(&self) -> bool {
        false
    }
    /// Name of the embedding table that `input_ids` index, where nothing else in the body reads that table.
    fn token_table(&self) -> Option<&str> {
        None
    }
    /// Name of the embedding table that scores of words may be tied to.
    fn score_table(&self) -> Option<&str> {
        self.token_table()
    }
    /// How it continues texts token by token, if it does.
    fn continues(&self) -> Option<&dyn Continues> {
        None
    }
    /// How it makes vectors of items of their texts, if it does.
    fn item_texts(&self) -> Option<&dyn ItemTexts> {
        None
    }
    /// How it draws heat maps, if it does.
    fn explains(&self) -> Option<&dyn Explains> {
        None
    }
}
