//! Sequence classification on the first token: a transform, dropout, a linear classifier.
//!
//! Hugging Face's `…ForSequenceClassification`. BERT calls the transform its pooler; RoBERTa, ELECTRA and DistilBERT have it
//! in the head. B batch, D hidden size.

use super::dropout::dropout_of;
use crate::checkpoint::Weights;
use crate::{Body, Head, HeadPlan, ModelConfig, ModelError, Purpose, Reads, State, Tensors};
use retune_kernels::dropout::dropout;
use retune_kernels::tch::Kind;
use retune_kernels::{Activation, Dense};

/// One class, several, or numbers for each text.
pub static SEQUENCE_CLASSIFICATION: Purpose = Purpose {
    key: "sequence-classification",
    class_ending: "ForSequenceClassification",
    peft: Some("SEQ_CLS"),
    fresh: true,
    labels: true,
};

/// Names and settings of the head.
#[derive(Debug, Clone, Copy)]
pub struct SequencePlan {
    /// Full path of the transform.
    pub transform: &'static str,
    /// Whether the transform is the base model's pooler, which is no part of the head.
    pub is_pooler: bool,
    /// After the transform.
    pub activation: Activation,
    /// Whether dropout also comes before the transform.
    pub dropout_before: bool,
    /// Full path of the classifier.
    pub classifier: &'static str,
    /// Fields of config.json that may state the dropout; the first that is there counts.
    pub dropout: &'static [&'static str],
}

impl HeadPlan for SequencePlan {
    fn build(&self, weights: &Weights<'_>, config: &ModelConfig, body: &dyn Body) -> Result<Box<dyn Head>, ModelError> {
        let d = body.width();
        // Checkpoints of masked language models have no pooler.
        let transform = if self.is_pooler { weights.neck() } else { weights.head() };
        Ok(Box::new(SequenceHead {
            transform: transform.at(self.transform).dense(d, d)?,
            classifier: weights.head().at(self.classifier).outputs(d, config.label_count())?,
            activation: self.activation,
            dropout_before: self.dropout_before,
            dropout: dropout_of(config, self.dropout)?,
        }))
    }
}

#[derive(Debug)]
struct SequenceHead {
    transform: Dense,
    classifier: Dense,
    activation: Activation,
    dropout_before: bool,
    dropout: f64,
}

impl Head for SequenceHead {
    fn reads(&self) -> Reads {
        Reads::First(1)
    }

    /// `logits` [B, labels].
    fn forward(&self, state: &State, train: bool) -> Result<Tensors, ModelError> {
        let first = state.hidden.select(1, 0); // [B, D]
        let first = if self.dropout_before { dropout(&first, self.dropout, train) } else { first };
        let pooled = self.activation.forward(&self.transform.forward(&first, train));
        let logits = self.classifier.forward(&dropout(&pooled, self.dropout, train), train);
        Ok(Tensors::from([("logits", logits.to_kind(Kind::Float))]))
    }
}
