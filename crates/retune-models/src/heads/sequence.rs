//! Sequence classification: pooling, a transform, dropout, a linear classifier.
//!
//! Hugging Face's `…ForSequenceClassification`. BERT calls the transform its pooler; RoBERTa, ELECTRA, DistilBERT and others have
//! it in the head. B batch, T tokens, D hidden size.

use super::dropout::dropout_of;
use super::last_token::last_token;
use super::transform::{Transform, TransformPlan};
use crate::bodies::LAST;
use crate::checkpoint::Weights;
use crate::{Body, Head, HeadPlan, ModelConfig, ModelError, Purpose, Reads, State, Tensors};
use retune_kernels::Dense;
use retune_kernels::dropout::dropout;
use retune_kernels::tch::{Kind, Tensor};

/// One class, several, or numbers for each text.
pub static SEQUENCE_CLASSIFICATION: Purpose = Purpose {
    key: "sequence-classification",
    class_ending: "ForSequenceClassification",
    peft: Some("SEQ_CLS"),
    fresh: true,
    labels: true,
};

/// What of a text's hidden states [B, T, D] is classified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextPooling {
    /// The first token.
    First,
    /// The mean of all tokens that are no padding.
    Mean,
    /// The last token that ends texts (`eos_token_id`). transformers wants as many of them in each row of a batch; here each row is what
    /// it would be alone.
    LastEnd,
}

/// Names and settings of the head.
#[derive(Debug, Clone, Copy)]
pub struct SequencePlan {
    /// Reads what is classified.
    pub pooling: fn(&ModelConfig) -> Result<TextPooling, ModelError>,
    /// From D to D.
    pub transform: TransformPlan,
    /// Whether the transform is the base model's pooler, which is no part of the head.
    pub is_pooler: bool,
    /// Full path of the classifier.
    pub classifier: &'static str,
    /// Fields of config.json that may state the dropout before the transform; the first that is there counts.
    pub dropout_before: &'static [&'static str],
    /// The same of the dropout before the classifier.
    pub dropout: &'static [&'static str],
}

/// The usual [`SequencePlan::pooling`].
pub fn first_token(_: &ModelConfig) -> Result<TextPooling, ModelError> {
    Ok(TextPooling::First)
}

impl HeadPlan for SequencePlan {
    fn build(&self, weights: &Weights<'_>, config: &ModelConfig, body: &dyn Body) -> Result<Box<dyn Head>, ModelError> {
        let d = body.width();
        // Checkpoints of masked language models have no pooler.
        let transform = if self.is_pooler { weights.neck() } else { weights.head() };
        Ok(Box::new(SequenceHead {
            pooling: (self.pooling)(config)?,
            transform: self.transform.build(&transform, config, (d, d))?,
            classifier: weights.head().at(self.classifier).outputs(d, config.label_count())?,
            dropout_before: dropout_of(config, self.dropout_before)?,
            dropout: dropout_of(config, self.dropout)?,
        }))
    }
}

#[derive(Debug)]
struct SequenceHead {
    pooling: TextPooling,
    transform: Transform,
    classifier: Dense,
    dropout_before: f64,
    dropout: f64,
}

impl Head for SequenceHead {
    fn reads(&self) -> Reads {
        match self.pooling {
            TextPooling::First => Reads::First(1),
            TextPooling::Mean | TextPooling::LastEnd => Reads::All,
        }
    }

    /// `logits` [B, labels].
    fn forward(&self, state: &State, train: bool) -> Result<Tensors, ModelError> {
        let read = match self.pooling {
            TextPooling::First => state.hidden.select(1, 0), // [B, D]
            TextPooling::Mean => mean(state),
            TextPooling::LastEnd => last_end(state)?,
        };
        let pooled = self.transform.forward(&dropout(&read, self.dropout_before, train), train);
        let logits = self.classifier.forward(&dropout(&pooled, self.dropout, train), train);
        Ok(Tensors::from([("logits", logits.to_kind(Kind::Float))]))
    }
}

/// The last token of each row that ends it, [B, D].
fn last_end(state: &State) -> Result<Tensor, ModelError> {
    let ends = state.beside.get(LAST)?.sum_dim_intlist([1i64].as_slice(), false, Kind::Int64);
    if ends.min().int64_value(&[]) == 0 {
        return Err(ModelError::NoEnd { row: ends.argmin(0, false).int64_value(&[]) + 1 });
    }
    last_token(state)
}

/// The mean of the tokens that are no padding, [B, D].
fn mean(state: &State) -> Tensor {
    let hidden = &state.hidden;
    let Some(mask) = &state.mask else { return hidden.mean_dim([1i64].as_slice(), false, hidden.kind()) };
    let open = mask.to_device(hidden.device()).to_kind(Kind::Float).unsqueeze(-1); // [B, T, 1]
    let sum = |x: Tensor| x.sum_dim_intlist([1i64].as_slice(), false, Kind::Float);
    (sum(hidden.to_kind(Kind::Float) * &open) / sum(open)).to_kind(hidden.kind())
}
