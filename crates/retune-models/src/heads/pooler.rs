//! What a base model of BERT's kind makes of the first token: `pooler_output`, which not all heads read.
//!
//! Hugging Face's `BertPooler`. B batch, D hidden size.

use crate::checkpoint::Weights;
use crate::{Head, ModelError, Reads, State, Tensors};
use retune_kernels::tch::Kind;
use retune_kernels::{Activation, Dense};

/// A projection of the first token and tanh.
#[derive(Debug)]
pub struct Pooler(Dense);

impl Pooler {
    /// `weights` points at the projection; `None` where the checkpoint has none. `hidden` is D.
    ///
    /// # Errors
    /// A checkpoint that does not fit.
    pub fn load(weights: &Weights<'_>, hidden: i64) -> Result<Option<Self>, ModelError> {
        weights.is_stored("weight").then(|| weights.dense(hidden, hidden).map(Self)).transpose()
    }
}

impl Head for Pooler {
    fn reads(&self) -> Reads {
        Reads::First(1)
    }

    /// `pooler_output` [B, D].
    fn forward(&self, state: &State, train: bool) -> Result<Tensors, ModelError> {
        let pooled = Activation::Tanh.forward(&self.0.forward(&state.hidden.select(1, 0), train));
        Ok(Tensors::from([("pooler_output", pooled.to_kind(Kind::Float))]))
    }
}
