//! The product with the vocabulary: scores of all words, by the token table itself where both are tied (Press and Wolf 2017).
//!
//! E embedding size, V vocabulary.

use crate::checkpoint::{Init, Weights};
use crate::{Body, ModelConfig, ModelError};
use retune_kernels::tch::{Kind, Tensor};
use retune_kernels::{Beside, Linear, Lora, Weight, fused};

/// How its tensors are called.
#[derive(Debug, Clone, Copy)]
pub struct WordScoresPlan {
    /// Full path of the projection.
    pub path: &'static str,
    /// Full name under which its bias is stored, where that is another than the projection's own: both are one tensor.
    pub bias: Option<&'static str>,
    /// Whether it has a bias.
    pub has_bias: fn(&ModelConfig) -> Result<bool, ModelError>,
    /// Whether its weight is the token table.
    pub ties: fn(&ModelConfig) -> Result<bool, ModelError>,
}

impl WordScoresPlan {
    /// With a bias, tied unless `tie_word_embeddings` is false.
    pub const fn new(path: &'static str, bias: Option<&'static str>) -> Self {
        Self { path, bias, has_bias: |_| Ok(true), ties: |config| config.flag_or("tie_word_embeddings", true) }
    }
}

/// The projection.
#[derive(Debug)]
pub struct WordScores {
    weight: Weight, // [V, E], fp32 where it is the token table
    bias: Option<Weight>,
    tied: bool,
    beside: Option<Lora>,
}

impl WordScoresPlan {
    /// `head` points at the top. The token table is the one that the `body` names for it, and the weight too, unless config.json says that they
    /// are not tied, or the checkpoint holds both and they differ, as in transformers.
    ///
    /// # Errors
    /// A checkpoint that does not fit.
    pub fn build(&self, head: &Weights<'_>, config: &ModelConfig, body: &dyn Body) -> Result<WordScores, ModelError> {
        let (ties, has_bias) = ((self.ties)(config)?, (self.has_bias)(config)?);
        let table = body.score_table().and_then(|name| Some((name, head.made(name)?)));
        let Some((table_name, table)) = table else {
            let problem = "this family has no token table that words could be scored by".to_owned();
            return Err(ModelError::Config { field: "model_type".to_owned(), problem });
        };
        let [vocabulary, width] = table.size()[..] else { panic!("tables have two dimensions") };
        let own = head.at(self.path);
        let tied = ties && !own.differs("weight", table_name)?;
        let weight = match tied {
            true => table,
            false => own.compute("weight", &[vocabulary, width], Init::Normal(head.initializer_range()))?,
        };
        let zeros = Init::Constant(0.0);
        let bias = match self.bias.filter(|_| has_bias) {
            None => has_bias.then(|| own.compute("bias", &[vocabulary], zeros)).transpose()?,
            Some(name) if ties && !own.differs("bias", name)? => Some(head.compute(name, &[vocabulary], zeros)?),
            Some(name) => {
                // transformers stores it, and nothing reads it.
                if head.is_stored(name) {
                    head.fixed(name, Tensor::zeros([vocabulary], (Kind::Float, head.device())))?;
                }
                Some(own.compute("bias", &[vocabulary], zeros)?)
            }
        };
        let beside = own.beside_scores(tied.then_some(table_name), (width, vocabulary))?;
        Ok(WordScores { weight, bias, tied, beside })
    }
}

impl WordScores {
    /// `x` [.., E]; returns [.., V] in the dtype of `x`.
    pub fn forward(&self, x: &Tensor, train: bool) -> Tensor {
        let (weight, bias) = (self.weight.to_kind(x.kind()), self.bias.as_deref());
        match &self.beside {
            Some(beside) => beside.forward(x, Linear { weight: &weight, bias, transposed: false }, train),
            None => fused::linear(x, &weight, bias),
        }
    }

    /// Two factors of the scores of `x` [.., E] without a bias: [.., F] and [V, F], in the dtype of `x`. F is E, and more where
    /// something stands beside the weight.
    pub fn factors(&self, x: &Tensor, train: bool) -> (Tensor, Tensor) {
        let weight = self.weight.to_kind(x.kind());
        match &self.beside {
            Some(beside) => beside.factors(x, &weight, train),
            None => (x.shallow_clone(), weight),
        }
    }

    /// Multiplications of a token.
    pub fn work(&self) -> f64 {
        self.weight.numel() as f64
    }

    /// Whether the weight is the token table.
    pub fn is_tied(&self) -> bool {
        self.tied
    }

    /// E.
    pub fn width(&self) -> i64 {
        self.weight.size()[1]
    }

    /// V.
    pub fn vocabulary(&self) -> i64 {
        self.weight.size()[0]
    }
}
