//! Token, position and segment embeddings whose sum is projected before the norm: transformers' `DebertaV2Embeddings`.
//!
//! B batch, T tokens, E embedding size, D hidden size. Tables stay in fp32; the output has the compute dtype.

use super::text_embeddings::WORD;
use crate::ModelError;
use crate::checkpoint::{Init, Weights};
use retune_kernels::dropout::dropout;
use retune_kernels::tch::{Kind, Tensor};
use retune_kernels::{Dense, LayerNorm, Table, Weight};

/// Sizes and settings, from config.json.
#[derive(Debug, Clone, Copy)]
pub struct ProjectedEmbeddingSizes {
    /// Rows of the token table.
    pub vocabulary: i64,
    /// The token of padding: it learns nothing.
    pub padding: Option<i64>,
    /// Rows of the position table; 0 = none.
    pub positions: i64,
    /// Rows of the segment table; 0 = none.
    pub types: i64,
    /// E.
    pub size: i64,
    /// D.
    pub hidden: i64,
    /// Added to variances.
    pub norm_epsilon: f64,
    /// After the norm.
    pub dropout: f64,
}

/// The tables, the projection and the norm.
#[derive(Debug)]
pub struct ProjectedEmbeddings {
    word: Table,
    position: Option<Weight>,
    token_type: Option<Weight>,
    projection: Option<Dense>,
    norm: LayerNorm,
    dropout: f64,
    kind: Kind,
}

impl ProjectedEmbeddings {
    /// `weights` points at `….embeddings`.
    ///
    /// # Errors
    /// A checkpoint that does not fit.
    pub fn load(weights: &Weights<'_>, sizes: &ProjectedEmbeddingSizes) -> Result<Self, ModelError> {
        let (e, d) = (sizes.size, sizes.hidden);
        let init = Init::Normal(weights.initializer_range());
        let table =
            |name: &str, rows: i64| (rows > 0).then(|| weights.at(name).exact("weight", &[rows, e], init)).transpose();
        let project = || weights.at("embed_proj").dense_with(e, d, false);
        Ok(Self {
            word: weights.at(WORD).table("weight", [sizes.vocabulary, e], init)?.with_padding(sizes.padding),
            position: table("position_embeddings", sizes.positions)?,
            token_type: table("token_type_embeddings", sizes.types)?,
            projection: (e != d).then(project).transpose()?,
            norm: weights.at("LayerNorm").layer_norm(d, sizes.norm_epsilon)?,
            dropout: sizes.dropout,
            kind: weights.compute_kind(),
        })
    }

    /// `input_ids` and `token_type_ids` [B, T]; `open` [B, T, 1] is 1 for tokens that are no padding, which becomes zero. Returns
    /// [B, T, D].
    pub fn forward(
        &self,
        input_ids: &Tensor,
        token_type_ids: Option<&Tensor>,
        open: Option<&Tensor>,
        train: bool,
    ) -> Tensor {
        let mut x = self.word.lookup(input_ids, train);
        if let Some(position) = &self.position {
            x += position.narrow(0, 0, input_ids.size()[1]);
        }
        x = match (&self.token_type, token_type_ids) {
            (Some(table), Some(types)) => x + Tensor::embedding(table, types, -1, false, false),
            (Some(table), None) => x + table.select(0, 0),
            (None, _) => x,
        };
        let x = self.projection.as_ref().map_or_else(|| x.shallow_clone(), |projection| projection.forward(&x, train));
        let x = self.norm.forward(&x.to_kind(self.kind));
        let x = open.map_or_else(|| x.shallow_clone(), |open| &x * open.to_kind(x.kind()));
        dropout(&x, self.dropout, train)
    }
}
