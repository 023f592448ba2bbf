//! Extractive question answering: each token's score to be the first, and to be the last, of the answer.
//!
//! Hugging Face's `…ForQuestionAnswering`. B batch, T tokens, D hidden size.

use super::dropout::dropout_of;
use super::transform::{Transform, TransformPlan, transformed};
use crate::checkpoint::Weights;
use crate::{Body, Head, HeadPlan, ModelConfig, ModelError, Purpose, Reads, State, Tensors};
use retune_kernels::Dense;
use retune_kernels::dropout::dropout;
use retune_kernels::tch::Kind;

/// Begin and end.
const OUTPUTS: i64 = 2;

/// The part of a text that answers a question.
pub static QUESTION_ANSWERING: Purpose = Purpose {
    key: "question-answering",
    class_ending: "ForQuestionAnswering",
    peft: Some("QUESTION_ANS"),
    fresh: true,
    labels: false,
};

/// Names and settings of the head.
#[derive(Debug, Clone, Copy)]
pub struct SpanPlan {
    /// From D to D, before dropout and projection, where there is one.
    pub transform: Option<TransformPlan>,
    /// Full path of the projection to begin and end.
    pub outputs: &'static str,
    /// Fields of config.json that may state the dropout; the first that is there counts.
    pub dropout: &'static [&'static str],
}

impl HeadPlan for SpanPlan {
    fn build(&self, weights: &Weights<'_>, config: &ModelConfig, body: &dyn Body) -> Result<Box<dyn Head>, ModelError> {
        let (head, d) = (weights.head(), body.width());
        Ok(Box::new(SpanHead {
            transform: self.transform.map(|plan| plan.build(&head, config, (d, d))).transpose()?,
            outputs: head.at(self.outputs).dense(d, OUTPUTS)?,
            dropout: dropout_of(config, self.dropout)?,
        }))
    }

    /// Hugging Face makes as many outputs as there are labels; labels of an earlier head would break its class.
    fn settle(&self, config: &mut ModelConfig) {
        if config.label_count() != OUTPUTS {
            ["id2label", "label2id", "num_labels"].iter().for_each(|field| config.remove(field));
        }
    }
}

#[derive(Debug)]
struct SpanHead {
    transform: Option<Transform>,
    outputs: Dense,
    dropout: f64,
}

impl Head for SpanHead {
    fn reads(&self) -> Reads {
        Reads::All
    }

    /// `start_logits` and `end_logits` [B, T].
    fn forward(&self, state: &State, train: bool) -> Result<Tensors, ModelError> {
        let hidden = transformed(self.transform.as_ref(), &state.hidden, train);
        let scores = self.outputs.forward(&dropout(&hidden, self.dropout, train), train).to_kind(Kind::Float);
        Ok(Tensors::from([
            ("start_logits", scores.select(-1, 0).contiguous()),
            ("end_logits", scores.select(-1, 1).contiguous()),
        ]))
    }
}
