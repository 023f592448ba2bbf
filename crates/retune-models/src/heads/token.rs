//! Token classification: dropout and a linear classifier on each token.
//!
//! Hugging Face's `…ForTokenClassification`. B batch, T tokens, D hidden size, L labels.

use super::dropout::dropout_of;
use super::transform::{Transform, TransformPlan, transformed};
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
    /// From D to D, before dropout and classifier, where there is one.
    pub transform: Option<TransformPlan>,
    /// Fields of config.json that may state the dropout; the first that is there counts.
    pub dropout: &'static [&'static str],
}

impl HeadPlan for TokenPlan {
    fn build(&self, weights: &Weights<'_>, config: &ModelConfig, body: &dyn Body) -> Result<Box<dyn Head>, ModelError> {
        let (head, d) = (weights.head(), body.width());
        Ok(Box::new(TokenHead {
            transform: self.transform.map(|plan| plan.build(&head, config, (d, d))).transpose()?,
            classifier: head.at("classifier").outputs(d, config.label_count())?,
            dropout: dropout_of(config, self.dropout)?,
        }))
    }
}

#[derive(Debug)]
struct TokenHead {
    transform: Option<Transform>,
    classifier: Dense,
    dropout: f64,
}

impl Head for TokenHead {
    fn reads(&self) -> Reads {
        Reads::All
    }

    /// `logits` [B, T, L].
    fn forward(&self, state: &State, train: bool) -> Result<Tensors, ModelError> {
        let hidden = transformed(self.transform.as_ref(), &state.hidden, train);
        let logits = self.classifier.forward(&dropout(&hidden, self.dropout, train), train);
        Ok(Tensors::from([("logits", logits.to_kind(Kind::Float))]))
    }
}
