//! Token classification: dropout and a linear classifier on each token.
//!
//! Hugging Face's `…ForTokenClassification`. B batch, T tokens, D hidden size, L labels.

use super::dropout::{dropout_of, state_dropout};
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

/// Names and settings of the head.
#[derive(Debug, Clone, Copy)]
pub struct TokenPlan {
    /// From D to D, before dropout and classifier, where there is one.
    pub transform: Option<TransformPlan>,
    /// Full path of the classifier.
    pub classifier: &'static str,
    /// Field of config.json by which the classifier may have no bias.
    pub bias: Option<&'static str>,
    /// Fields of config.json that may state the dropout; the first that is there counts.
    pub dropout: &'static [&'static str],
    /// The dropout where none of them is there.
    pub usual_dropout: f64,
}

impl TokenPlan {
    /// A linear layer of the usual name, with a bias, behind the dropout that one of these fields states.
    pub const fn new(dropout: &'static [&'static str]) -> Self {
        Self { transform: None, classifier: "classifier", bias: None, dropout, usual_dropout: 0.0 }
    }

    /// The head of most decoders, transformers' `GenericForTokenClassification`.
    pub const GENERIC: Self = Self {
        classifier: "score",
        bias: Some("token_classification_bias"),
        usual_dropout: 0.1,
        ..Self::new(&["classifier_dropout", "hidden_dropout"])
    };
}

impl HeadPlan for TokenPlan {
    fn build(&self, weights: &Weights<'_>, config: &ModelConfig, body: &dyn Body) -> Result<Box<dyn Head>, ModelError> {
        let (head, d) = (weights.head(), body.width());
        let bias = self.bias.map_or(Ok(true), |field| config.flag_or(field, true))?;
        Ok(Box::new(TokenHead {
            transform: self.transform.map(|plan| plan.build(&head, config, (d, d))).transpose()?,
            classifier: head.at(self.classifier).outputs_with(d, config.label_count(), bias)?,
            dropout: dropout_of(config, self.dropout)?,
        }))
    }

    fn settle(&self, config: &mut ModelConfig) {
        state_dropout(config, self.dropout, self.usual_dropout);
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
