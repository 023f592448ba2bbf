//! What every model can do.

use crate::explain::{Explanation, Score, refused};
use crate::{Mode, ModelError, Tensors};
use retune_kernels::tch::Tensor;

/// Anything that can be trained here.
pub trait Model: Sync {
    /// Runs the model on named inputs.
    fn forward(&self, inputs: &Tensors, mode: &Mode) -> Result<Tensors, ModelError>;
    /// What the blocks below `mode.first_trained_depth` return, without a graph, and what else the others need: inputs
    /// [B, ..] that [`Model::forward`] takes in place of these, to the same effect. The hidden states are called
    /// [`Tensors::hidden_states_name`]; with an `attention_mask` they are [B, T, ..] of that mask. `None`: not supported.
    ///
    /// # Errors
    /// As [`Model::forward`].
    fn frozen(&self, _inputs: &Tensors, _mode: &Mode) -> Result<Option<Tensors>, ModelError> {
        Ok(None)
    }
    /// Number of encoder blocks; depths run from 0 (embeddings) to this plus one (head).
    fn blocks(&self) -> usize;
    /// Multiply-adds times two of one forward pass over one example, matrix products (and convolutions) only.
    ///
    /// `length` counts tokens of a text, patches of an image.
    fn forward_flops(&self, length: usize) -> f64;
    /// Longest input the model was made for; `None` for images, whose positions are interpolated.
    fn max_length(&self) -> Option<usize>;
    /// The heat maps that it can draw.
    fn explanations(&self) -> &'static [Explanation] {
        &[]
    }
    /// Which places of the inputs `score` rests on, [B, h, w]; larger is more. Parameters may be frozen, and keep their
    /// gradients.
    ///
    /// # Errors
    /// A heat map that is not among [`Model::explanations`], or inputs that do not fit.
    fn explain(&self, _inputs: &Tensors, how: Explanation, _score: Score<'_>) -> Result<Tensor, ModelError> {
        Err(refused(self.explanations(), how))
    }
    /// Name of the embedding table that `input_ids` index, where nothing else reads that table.
    fn token_table(&self) -> Option<&str> {
        None
    }
    /// Rows of the token embedding, for models that take tokens.
    fn vocabulary_size(&self) -> Option<usize>;
}
