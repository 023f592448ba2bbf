//! Sequence classification by decoders: a linear classifier on the last token that is no padding, which has seen all others.
//!
//! transformers' `GenericForSequenceClassification`. B batch, D hidden size, L labels.

use crate::bodies::LAST;
use crate::checkpoint::Weights;
use crate::{Body, Head, HeadPlan, ModelConfig, ModelError, Reads, State, Tensors};
use retune_kernels::Dense;
use retune_kernels::tch::{Kind, Tensor};

/// The head as data; its tensors are called alike in all families.
#[derive(Debug, Clone, Copy)]
pub struct LastTokenPlan;

impl HeadPlan for LastTokenPlan {
    fn build(&self, weights: &Weights<'_>, config: &ModelConfig, body: &dyn Body) -> Result<Box<dyn Head>, ModelError> {
        let score = weights.head().at("score").outputs_with(body.width(), config.label_count(), false)?;
        Ok(Box::new(LastTokenHead(score)))
    }
}

#[derive(Debug)]
struct LastTokenHead(Dense);

impl Head for LastTokenHead {
    fn reads(&self) -> Reads {
        Reads::All
    }

    /// `logits` [B, L].
    fn forward(&self, state: &State, train: bool) -> Result<Tensors, ModelError> {
        let read = last_token(state)?;
        Ok(Tensors::from([("logits", self.0.forward(&read, train).to_kind(Kind::Float))]))
    }
}

/// The hidden states that rows are classified by, [B, D].
pub(super) fn last_token(state: &State) -> Result<Tensor, ModelError> {
    let rows = Tensor::arange(state.hidden.size()[0], (Kind::Int64, state.hidden.device()));
    let last = state.beside.get(LAST)?.argmax(-1, false);
    Ok(state.hidden.index(&[Some(&rows), Some(&last)]))
}
