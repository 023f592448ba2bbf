//! One post-LayerNorm encoder layer, shared by BERT, RoBERTa, XLM-R, ELECTRA, DistilBERT, ALBERT, MPNet and KWT.
//!
//!   y = LN(x + Drop(Attention(x)))      z = LN(y + Drop(FeedForward(y)))
//!
//! Vaswani et al. 2017, §3.1. Shapes: B batch, T tokens, Q of them that are computed, D hidden size.

use super::{Attention, AttentionSizes, FeedForward, LayerNames, LayerSizes};
use crate::ModelError;
use crate::checkpoint::Weights;
use retune_kernels::fused::dropout_residual_norm;
use retune_kernels::tch::Tensor;
use retune_kernels::{AttentionMask, LayerNorm};

/// Attention and feed-forward with their residuals.
#[derive(Debug)]
pub struct PostNormLayer {
    attention: Attention,
    attention_norm: LayerNorm,
    feed_forward: FeedForward,
    feed_forward_norm: LayerNorm,
    /// After attention, after the feed-forward network.
    dropout: (f64, f64),
}

impl PostNormLayer {
    /// `weights` points at `….layer.<index>`.
    pub fn load(weights: &Weights<'_>, names: &LayerNames, sizes: &LayerSizes) -> Result<Self, ModelError> {
        Self::load_with(weights, names, sizes, &sizes.attention())
    }

    /// The same with attention of its own, whose projections may lack a bias.
    pub fn load_with(
        weights: &Weights<'_>,
        names: &LayerNames,
        sizes: &LayerSizes,
        attention: &AttentionSizes,
    ) -> Result<Self, ModelError> {
        Ok(Self {
            attention: Attention::load(weights, &names.attention, attention)?,
            attention_norm: weights.at(names.attention_norm).layer_norm(sizes.hidden, sizes.norm_epsilon)?,
            feed_forward: FeedForward::load(weights, names, sizes)?,
            feed_forward_norm: weights.at(names.output_norm).layer_norm(sizes.hidden, sizes.norm_epsilon)?,
            dropout: (sizes.hidden_dropout, sizes.feed_forward_dropout),
        })
    }

    /// Computes `queries` [B, Q, D], tokens of `x` [B, T, D], which they attend to where `mask` is true, with `bias`
    /// [1, H, T, T] on the scores; all of `x`, or the first tokens, whose results are read. Returns [B, Q, D].
    pub fn forward(
        &self,
        queries: &Tensor,
        x: &Tensor,
        mask: Option<&AttentionMask>,
        bias: Option<&Tensor>,
        train: bool,
    ) -> Tensor {
        let attended = self.attention.forward(queries, x, mask, bias, train);
        let y = dropout_residual_norm(&attended, queries, &self.attention_norm, self.dropout.0, train);
        let transformed = self.feed_forward.forward(&y, train);
        dropout_residual_norm(&transformed, &y, &self.feed_forward_norm, self.dropout.1, train)
    }
}
