//! Speech recognition by connectionist temporal classification: dropout and a linear classifier on each frame.
//!
//! Hugging Face's `…ForCTC`. B batch, T frames, D hidden size, V pieces of the vocabulary.

use super::dropout::dropout_of;
use crate::checkpoint::Weights;
use crate::layers::FRAME_COUNTS;
use crate::{Body, Head, HeadPlan, ModelConfig, ModelError, Purpose, Reads, State, Tensors};
use retune_kernels::Dense;
use retune_kernels::dropout::dropout;
use retune_kernels::loss::{self, CtcReduction, SummedLoss};
use retune_kernels::tch::{Kind, Tensor};
use serde_json::Value;

/// What is said.
pub static SPEECH_RECOGNITION: Purpose =
    Purpose { key: "speech-recognition", class_ending: "ForCTC", peft: None, fresh: true, labels: false };

/// The output that says how many frames of each row are no padding, int64 \[B\].
pub const LOGIT_LENGTHS: &str = "logit_lengths";

/// The head as data; its tensors are called alike in all families.
#[derive(Debug, Clone, Copy)]
pub struct CtcPlan;

impl HeadPlan for CtcPlan {
    fn build(&self, weights: &Weights<'_>, config: &ModelConfig, body: &dyn Body) -> Result<Box<dyn Head>, ModelError> {
        Ok(Box::new(CtcHead {
            classifier: weights.head().at("lm_head").outputs(body.width(), config.size("vocab_size")?)?,
            dropout: dropout_of(config, &["final_dropout"])?,
        }))
    }
}

#[derive(Debug)]
struct CtcHead {
    classifier: Dense,
    dropout: f64,
}

impl Head for CtcHead {
    fn reads(&self) -> Reads {
        Reads::All
    }

    /// `logits` [B, T, V] and [`LOGIT_LENGTHS`] \[B\].
    fn forward(&self, state: &State, train: bool) -> Result<Tensors, ModelError> {
        let x = &state.hidden;
        let logits = self.classifier.forward(&dropout(x, self.dropout, train), train).to_kind(Kind::Float);
        let lengths = match (state.beside.optional(FRAME_COUNTS), &state.mask) {
            // As transformers counts them, but never more than there are.
            (Some(counts), _) => counts.clamp_max(x.size()[1]),
            (None, Some(mask)) => mask.sum_dim_intlist([1i64].as_slice(), false, Kind::Int64),
            (None, None) => Tensor::from_slice(&vec![x.size()[1]; x.size()[0] as usize]),
        };
        Ok(Tensors::from([("logits", logits), (LOGIT_LENGTHS, lengths)]))
    }
}

/// How the loss is computed, from config.json.
#[derive(Debug, Clone, Copy)]
pub struct CtcLoss {
    /// The piece that stands for nothing: that of padding.
    pub blank: i64,
    /// What the losses of rows are worth.
    pub reduction: CtcReduction,
    /// Whether a text that is longer than its frames counts nothing, instead of infinitely much.
    pub zero_infinity: bool,
}

impl CtcLoss {
    /// Reads `pad_token_id`, `ctc_loss_reduction` and `ctc_zero_infinity`.
    pub fn new(config: &ModelConfig) -> Result<Self, ModelError> {
        let reduction = match config.get("ctc_loss_reduction").and_then(Value::as_str) {
            None | Some("sum") => CtcReduction::Sum,
            Some("mean") => CtcReduction::Mean,
            Some(other) => {
                let problem = format!("is `{other}`; only `sum` and `mean` are known");
                return Err(ModelError::Config { field: "ctc_loss_reduction".to_owned(), problem });
            }
        };
        let zero_infinity = config.flag_or("ctc_zero_infinity", false)?;
        Ok(Self { blank: config.number_or("pad_token_id", 0.0)? as i64, reduction, zero_infinity })
    }

    /// The loss of `labels` [B, S], -100 behind their ends.
    pub fn summed(&self, outputs: &Tensors, labels: &Tensor) -> Result<SummedLoss, ModelError> {
        let (logits, lengths) = (outputs.get("logits")?, outputs.get(LOGIT_LENGTHS)?);
        Ok(loss::ctc(logits, lengths, labels, self.blank, self.reduction, self.zero_infinity)?)
    }
}
