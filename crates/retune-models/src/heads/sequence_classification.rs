//! Sequence classification on the first token: a transform, dropout, a linear classifier.
//!
//! BERT calls the transform its pooler; RoBERTa, ELECTRA and DistilBERT have it in the head. B batch, D hidden size.

use crate::ModelError;
use crate::checkpoint::Weights;
use retune_kernels::dropout::dropout;
use retune_kernels::tch::{Kind, Tensor};
use retune_kernels::{Activation, Dense};

/// Names and settings of the head.
#[derive(Debug, Clone, Copy)]
pub struct HeadNames {
    /// Full path of the transform.
    pub transform: &'static str,
    /// After the transform.
    pub activation: Activation,
    /// Whether dropout also comes before the transform.
    pub dropout_before: bool,
    /// Full path of the classifier.
    pub classifier: &'static str,
}

/// The head.
#[derive(Debug)]
pub struct SequenceClassificationHead {
    transform: Dense,
    classifier: Dense,
    names: HeadNames,
    dropout: f64,
}

impl SequenceClassificationHead {
    /// `weights` points at the top; `depth` is that of the head.
    pub fn load(
        weights: &Weights<'_>,
        names: HeadNames,
        hidden: i64,
        labels: i64,
        dropout: f64,
    ) -> Result<Self, ModelError> {
        Ok(Self {
            transform: weights.at(names.transform).dense(hidden, hidden)?,
            classifier: weights.at(names.classifier).outputs(hidden, labels)?,
            names,
            dropout,
        })
    }

    /// `hidden` [B, T, D]; returns fp32 logits [B, labels].
    pub fn forward(&self, hidden: &Tensor, train: bool) -> Tensor {
        let first = hidden.select(1, 0); // [B, D]
        let first = if self.names.dropout_before { dropout(&first, self.dropout, train) } else { first };
        let pooled = self.transform(&first, train);
        self.classifier.forward(&dropout(&pooled, self.dropout, train), train).to_kind(Kind::Float)
    }

    /// The transform of first tokens [B, D], same shape.
    pub fn transform(&self, first: &Tensor, train: bool) -> Tensor {
        self.names.activation.forward(&self.transform.forward(first, train))
    }
}
