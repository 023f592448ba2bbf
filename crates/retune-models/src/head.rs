//! What makes outputs of a body's hidden states.

use crate::{ModelError, Reads, State, Tensors};
use retune_kernels::tch::Tensor;

/// A head.
pub trait Head: Sync {
    /// What it reads of the body's result.
    fn reads(&self) -> Reads;
    /// Its outputs, by Hugging Face's names, in fp32.
    ///
    /// # Errors
    /// A state without what it needs.
    fn forward(&self, state: &State, train: bool) -> Result<Tensors, ModelError>;
    /// What its outputs are products of, where they are too large to be held at once; `None`: it has outputs only.
    fn factors(&self, _state: &State, _train: bool) -> Option<Tensors> {
        None
    }
    /// Whether it reads the embedding table that `input_ids` index: then training needs all of its rows.
    fn reads_token_table(&self) -> bool {
        false
    }
    /// How much of each of T `tokens` it reads, \[T\]; the sum is 1.
    fn shares(&self, tokens: i64) -> Tensor {
        even_shares(self.reads(), tokens)
    }
    /// Floating-point operations of one example, as [`crate::Body::work`] counts them, where it is worth counting.
    fn work(&self, _size: f64) -> f64 {
        0.0
    }
}

/// The same share of each token that is read, 0 of the others.
pub(crate) fn even_shares(reads: Reads, tokens: i64) -> Tensor {
    let count = match reads {
        Reads::First(count) => count,
        Reads::All | Reads::Stages => tokens,
    };
    let of = |token: i64| if token < count { 1.0 / count as f32 } else { 0.0 };
    Tensor::from_slice(&(0..tokens).map(of).collect::<Vec<f32>>())
}
