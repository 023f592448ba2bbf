//! How a body continues texts token by token.

use crate::cache::Cache;
use crate::{ModelError, State, Tensors};
use retune_kernels::tch::Tensor;

/// A body that keeps what it knows of a text, so that each new token costs one step. R rows, T new tokens.
pub trait Continues: Sync {
    /// Inputs that stand for these, with what an encoder made of them, so that it reads them once for all that its decoder is asked;
    /// nothing where there is no encoder, or it has read them.
    ///
    /// # Errors
    /// As [`Self::cache`].
    fn read(&self, _inputs: &Tensors) -> Result<Option<Tensors>, ModelError> {
        Ok(None)
    }
    /// A cache before the first token. A body that reads another text, or a sound, does so here: it is among the `inputs`.
    ///
    /// # Errors
    /// Inputs that are missing or do not fit.
    fn cache(&self, inputs: &Tensors) -> Result<Cache, ModelError>;
    /// Longest text that there are positions for, where there is an end.
    fn longest(&self) -> Option<i64>;
    /// The state behind the last block of new tokens `input_ids` [R, T], int64; `attention_mask` [R, T] says which of them are no
    /// padding, which stands before a text. The first call brings whole prompts. No graph is to be recorded.
    ///
    /// # Errors
    /// Texts that are too long.
    fn go_on(&self, input_ids: &Tensor, attention_mask: &Tensor, cache: &mut Cache) -> Result<State, ModelError>;
}
