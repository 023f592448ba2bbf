//! Token, position and segment embeddings with their norm, shared by the BERT-like families.
//!
//! B batch, T tokens, E embedding size. Tables stay in fp32; the output has the compute dtype.

use crate::ModelError;
use crate::checkpoint::{Init, Weights};
use retune_kernels::LayerNorm;
use retune_kernels::dropout::dropout;
use retune_kernels::tch::{Kind, Tensor};

/// How positions are numbered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PositionScheme {
    /// 0, 1, 2, … (BERT).
    Absolute,
    /// padding id + 1, + 2, … over tokens that are not padding (RoBERTa, fairseq).
    AfterPadding(i64),
}

/// Sizes and settings, from config.json.
#[derive(Debug, Clone, Copy)]
pub struct EmbeddingSizes {
    /// Rows of the token table.
    pub vocabulary: i64,
    /// Rows of the position table.
    pub positions: i64,
    /// Rows of the segment table; 0 = none.
    pub types: i64,
    /// E.
    pub size: i64,
    /// Added to variances.
    pub norm_epsilon: f64,
    /// After the norm.
    pub dropout: f64,
    /// How positions are numbered.
    pub scheme: PositionScheme,
}

/// The three tables and their norm.
#[derive(Debug)]
pub struct TextEmbeddings {
    word: Tensor,
    position: Tensor,
    token_type: Option<Tensor>,
    norm: LayerNorm,
    sizes: EmbeddingSizes,
    kind: Kind,
}

impl TextEmbeddings {
    /// `weights` points at `….embeddings`; `kind` is the dtype of the output.
    pub fn load(weights: &Weights<'_>, sizes: EmbeddingSizes, kind: Kind) -> Result<Self, ModelError> {
        let init = Init::Normal(weights.initializer_range());
        let table = |name: &str, rows: i64| weights.at(name).exact("weight", &[rows, sizes.size], init);
        Ok(Self {
            word: table("word_embeddings", sizes.vocabulary)?,
            position: table("position_embeddings", sizes.positions)?,
            token_type: (sizes.types > 0).then(|| table("token_type_embeddings", sizes.types)).transpose()?,
            norm: weights.at("LayerNorm").layer_norm(sizes.size, sizes.norm_epsilon)?,
            sizes,
            kind,
        })
    }

    /// `input_ids` and `token_type_ids` [B, T]; returns [B, T, E].
    pub fn forward(&self, input_ids: &Tensor, token_type_ids: Option<&Tensor>, train: bool) -> Tensor {
        let mut sum = Tensor::embedding(&self.word, input_ids, -1, false, false);
        if let Some(table) = &self.token_type {
            sum += match token_type_ids {
                Some(ids) => Tensor::embedding(table, ids, -1, false, false),
                None => table.get(0),
            };
        }
        sum += match self.sizes.scheme {
            PositionScheme::Absolute => self.position.narrow(0, 0, input_ids.size()[1]).unsqueeze(0),
            PositionScheme::AfterPadding(padding) => {
                let counted = input_ids.ne(padding).to_kind(Kind::Int64);
                let positions = counted.cumsum(1, Kind::Int64) * counted + padding;
                Tensor::embedding(&self.position, &positions, -1, false, false)
            }
        };
        dropout(&self.norm.forward(&sum).to_kind(self.kind), self.sizes.dropout, train)
    }
}
