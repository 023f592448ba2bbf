//! Multi-head self-attention with separate query, key, value and output projections.
//!
//! Vaswani et al. 2017, §3.2.2. B batch, T tokens, Q tokens that attend, D hidden size, H heads, K head size.

use super::{LayerNames, LayerSizes};
use crate::ModelError;
use crate::checkpoint::Weights;
use retune_kernels::tch::Tensor;
use retune_kernels::{AttentionMask, AttentionOptions, Dense, fused};

/// Projections and head layout.
#[derive(Debug)]
pub struct SelfAttention {
    query: Dense,
    key: Dense,
    value: Dense,
    output: Dense,
    heads: i64,
    dropout: f64,
}

impl SelfAttention {
    /// `weights` points at the layer.
    pub fn load(weights: &Weights<'_>, names: &LayerNames, sizes: &LayerSizes) -> Result<Self, ModelError> {
        let d = sizes.hidden;
        Ok(Self {
            query: weights.at(names.query).dense(d, d)?,
            key: weights.at(names.key).dense(d, d)?,
            value: weights.at(names.value).dense(d, d)?,
            output: weights.at(names.attention_output).dense(d, d)?,
            heads: sizes.heads,
            dropout: sizes.attention_dropout,
        })
    }

    /// `queries` [B, Q, D] attend to `x` [B, T, D], where `mask` is true. Returns [B, Q, D].
    pub fn forward(&self, queries: &Tensor, x: &Tensor, mask: Option<&AttentionMask>, train: bool) -> Tensor {
        let options = AttentionOptions { mask, dropout: self.dropout, ..AttentionOptions::default() };
        // All tokens attend.
        let joint =
            if queries.size() == x.size() { Dense::joint([&self.query, &self.key, &self.value], x) } else { None };
        let attended = match joint {
            Some([query, key, value]) => fused::attention(&query, &key, &value, self.heads, &options, train),
            None => {
                let query = self.query.forward(queries, train);
                fused::attention_of_few(&query, x, [&self.key, &self.value], self.heads, &options, train)
            }
        };
        self.output.forward(&attended, train)
    }
}
