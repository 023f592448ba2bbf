//! Token, position and segment embeddings with their norm, shared by the BERT-like families.
//!
//! B batch, T tokens, E embedding size. Tables stay in fp32; the output has the compute dtype.

use crate::ModelError;
use crate::checkpoint::{Init, Weights};
use retune_kernels::fused::{EmbeddingIndices, EmbeddingTables, text_embeddings};
use retune_kernels::tch::{Kind, Tensor};
use retune_kernels::{LayerNorm, Table, Weight};

/// Path of the token table below the embeddings.
pub const WORD: &str = "word_embeddings";

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
    /// The token of padding: it learns nothing, nor does a position of its own.
    pub padding: Option<i64>,
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

impl EmbeddingSizes {
    /// Longest input that there are positions for.
    pub fn longest(&self) -> usize {
        let reserved = match self.scheme {
            PositionScheme::Absolute => 0,
            PositionScheme::AfterPadding(padding) => padding + 1,
        };
        (self.positions - reserved).max(0) as usize
    }
}

/// The three tables and their norm.
#[derive(Debug)]
pub struct TextEmbeddings {
    word: Table,
    position: Weight,
    token_type: Option<Weight>,
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
            word: weights.at(WORD).table("weight", [sizes.vocabulary, sizes.size], init)?.with_padding(sizes.padding),
            position: table("position_embeddings", sizes.positions)?,
            token_type: (sizes.types > 0).then(|| table("token_type_embeddings", sizes.types)).transpose()?,
            norm: weights.at("LayerNorm").layer_norm(sizes.size, sizes.norm_epsilon)?,
            sizes,
            kind,
        })
    }

    /// `input_ids` and `token_type_ids` [B, T]; returns [B, T, E].
    pub fn forward(&self, input_ids: &Tensor, token_type_ids: Option<&Tensor>, train: bool) -> Tensor {
        let positions = match self.sizes.scheme {
            PositionScheme::Absolute => None,
            PositionScheme::AfterPadding(padding) => {
                let counted = input_ids.ne(padding).to_kind(Kind::Int64);
                Some(counted.cumsum(1, Kind::Int64) * counted + padding)
            }
        };
        let tables = EmbeddingTables {
            word: &self.word,
            position: &self.position,
            token_type: self.token_type.as_deref(),
            norm: &self.norm,
        };
        let indices = EmbeddingIndices { ids: input_ids, types: token_type_ids, positions: positions.as_ref() };
        text_embeddings(tables, indices, self.sizes.dropout, self.kind, train)
    }
}
