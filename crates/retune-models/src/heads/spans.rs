//! Extractive question answering: each token's score to be the first, and to be the last, of the answer.
//!
//! Hugging Face's `…ForQuestionAnswering`. B batch, T tokens, D hidden size.

use super::dropout::dropout_of;
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

/// Settings of the head; its tensors are called alike in all families.
#[derive(Debug, Clone, Copy)]
pub struct SpanPlan {
    /// Fields of config.json that may state the dropout; the first that is there counts.
    pub dropout: &'static [&'static str],
}

impl HeadPlan for SpanPlan {
    fn build(&self, weights: &Weights<'_>, config: &ModelConfig, body: &dyn Body) -> Result<Box<dyn Head>, ModelError> {
        Ok(Box::new(SpanHead {
            outputs: weights.head().at("qa_outputs").dense(body.width(), OUTPUTS)?,
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
    outputs: Dense,
    dropout: f64,
}

impl Head for SpanHead {
    fn reads(&self) -> Reads {
        Reads::All
    }

    /// `start_logits` and `end_logits` [B, T].
    fn forward(&self, state: &State, train: bool) -> Result<Tensors, ModelError> {
        let scores = self.outputs.forward(&dropout(&state.hidden, self.dropout, train), train).to_kind(Kind::Float);
        Ok(Tensors::from([
            ("start_logits", scores.select(-1, 0).contiguous()),
            ("end_logits", scores.select(-1, 1).contiguous()),
        ]))
    }
}
