//! Token classification: dropout and a linear classifier on each token.
//!
//! Hugging Face's `…ForTokenClassification`. B batch, T tokens, D hidden size, L labels.

use super::dropout::dropout_of;
use crate::checkpoint::Weights;
use crate::{Body, Head, HeadPlan, ModelConfig, ModelError, Purpose, Reads, State, Tensors};
use retune_kernels::Dense;
use retune_kernels::dropout::dropout;
use retune_kernels::tch::Kind;

/// A class for each token.
pub static TOKEN_CLASSIFICATION: Purpose = Purpose {
    key: "token-classification",
    class_ending: "ForTokenClassification",
    peft: Some("TOKEN_CLS"),
    fresh: true,
    labels: true,
};

/// Settings of the head; its tensors are called alike in all families.
#[derive(Debug, Clone, Copy)]
pub struct TokenPlan {
    /// Fields of config.json that may state the dropout; the first that is there counts.
    pub dropout: &'static [&'static str],
}

impl HeadPlan for TokenPlan {
    fn build(&self, weights: &Weights<'_>, config: &ModelConfig, body: &dyn Body) -> Result<Box<dyn Head>, ModelError> {
        Ok(Box::new(TokenHead {
            classifier: weights.head().at("classifier").outputs(body.width(), config.label_count())?,
            dropout: dropout_of(config, self.dropout)?,
        }))
    }
}

#[derive(Debug)]
struct TokenHead {
    classifier: Dense,
    dropout: f64,
}

impl Head for TokenHead {
    fn reads(&self) -> Reads {
        Reads::All
    }

    /// `logits` [B, T, L].
    fn forward(&self, state: &State, train: bool) -> Result<Tensors, ModelError> {
        let logits = self.classifier.forward(&dropout(&state.hidden, self.dropout, train), train);
        Ok(Tensors::from([("logits", logits.to_kind(Kind::Float))]))
    }
}
