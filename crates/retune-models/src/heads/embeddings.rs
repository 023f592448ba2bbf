//! One vector for each text: its tokens pooled (Reimers and Gurevych 2019), as sentence-transformers' `Pooling` and `Normalize`
//! do it over a base model.
//!
//! B batch, T tokens, D hidden size.

use crate::checkpoint::Weights;
use crate::{Body, Head, HeadPlan, ModelConfig, ModelError, Purpose, Reads, SentencePooling, State, Tensors};
use retune_kernels::tch::{Kind, Tensor};

/// How the names of base models end: such a class says nothing of what a model was made for.
pub const BASE_CLASS: &str = "Model";

/// A vector for each text. The class is that of the base model.
pub static SENTENCE_EMBEDDINGS: Purpose = Purpose {
    key: "sentence-embeddings",
    class_ending: BASE_CLASS,
    peft: Some("FEATURE_EXTRACTION"),
    fresh: false,
    labels: false,
};

/// Field of a configuration with the pooling, as a [`SentencePooling`] is written; without it tokens are averaged.
pub const POOLING: &str = "sentence_pooling";
/// Field of a configuration that says whether vectors have length 1; without it they keep their length.
pub const NORMALIZE: &str = "sentence_normalize";

/// Lengths of vectors are at least that, as PyTorch's `normalize` has it.
const LEAST_LENGTH: f64 = 1e-12;
/// At least so many tokens are averaged, as sentence-transformers has it.
const LEAST_TOKENS: f64 = 1e-9;

/// The head as data.
#[derive(Debug, Clone, Copy)]
pub struct EmbeddingPlan {
    /// Full path of the base model's pooler, which is kept as it is where the checkpoint has it: nothing reads it.
    pub pooler: Option<&'static str>,
}

impl HeadPlan for EmbeddingPlan {
    fn build(&self, weights: &Weights<'_>, config: &ModelConfig, body: &dyn Body) -> Result<Box<dyn Head>, ModelError> {
        let pooling = match config.get(POOLING) {
            None => SentencePooling::default(),
            Some(value) => value
                .as_str()
                .unwrap_or_default()
                .parse()
                .map_err(|problem| ModelError::Config { field: POOLING.to_owned(), problem })?,
        };
        let d = body.width();
        if let Some(pooler) = self.pooler.map(|path| weights.neck().at(path)).filter(|it| it.is_stored("weight")) {
            for (name, shape) in [("weight", &[d, d][..]), ("bias", &[d])] {
                pooler.fixed(name, Tensor::zeros(shape, (Kind::Float, weights.device())))?;
            }
        }
        Ok(Box::new(EmbeddingHead { pooling, normalize: config.flag_or(NORMALIZE, false)? }))
    }
}

#[derive(Debug)]
struct EmbeddingHead {
    pooling: SentencePooling,
    normalize: bool,
}

impl Head for EmbeddingHead {
    fn reads(&self) -> Reads {
        match self.pooling {
            SentencePooling::Cls => Reads::First(1),
            _ => Reads::All,
        }
    }

    /// `sentence_embedding` [B, D].
    fn forward(&self, state: &State, _train: bool) -> Result<Tensors, ModelError> {
        let hidden = state.hidden.to_kind(Kind::Float);
        let open = state.mask.as_ref().map(|mask| mask.to_device(hidden.device()).unsqueeze(-1)); // [B, T, 1]
        let pooled = match self.pooling {
            SentencePooling::Cls => hidden.select(1, 0),
            SentencePooling::Mean => mean(&hidden, open.as_ref()),
            SentencePooling::Max => {
                let seen = open.map_or_else(|| hidden.shallow_clone(), |open| hidden.masked_fill(&open.eq(0), -1e9));
                seen.amax([1i64].as_slice(), false)
            }
        };
        let vectors = if self.normalize {
            let lengths = pooled.norm_scalaropt_dim(2.0, [1i64].as_slice(), true).clamp_min(LEAST_LENGTH);
            pooled / lengths
        } else {
            pooled
        };
        Ok(Tensors::from([("sentence_embedding", vectors)]))
    }
}

/// The mean of the tokens that are no padding, [B, D].
fn mean(hidden: &Tensor, open: Option<&Tensor>) -> Tensor {
    let Some(open) = open else { return hidden.mean_dim([1i64].as_slice(), false, Kind::Float) };
    let open = open.to_kind(Kind::Float);
    let sum = |x: Tensor| x.sum_dim_intlist([1i64].as_slice(), false, Kind::Float);
    sum(hidden * &open) / sum(open).clamp_min(LEAST_TOKENS)
}
