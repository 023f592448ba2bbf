//! One post-LayerNorm encoder layer, shared by BERT, RoBERTa, XLM-R, ELECTRA and DistilBERT.
//!
//!   y = LN(x + Drop(Attention(x)))      z = LN(y + Drop(FeedForward(y)))
//!
//! Vaswani et al. 2017, §3.1. Shapes: B batch, T tokens, D hidden size.

use super::{FeedForward, SelfAttention};
use crate::ModelError;
use crate::checkpoint::Weights;
use retune_kernels::fused::dropout_residual_norm;
use retune_kernels::tch::Tensor;
use retune_kernels::{Activation, AttentionMask, LayerNorm};

/// Tensor names of a layer, relative to it.
#[derive(Debug, Clone, Copy)]
pub struct LayerNames {
    /// Query projection.
    pub query: &'static str,
    /// Key projection.
    pub key: &'static str,
    /// Value projection.
    pub value: &'static str,
    /// Projection after attention.
    pub attention_output: &'static str,
    /// Norm after attention.
    pub attention_norm: &'static str,
    /// Feed-forward, up.
    pub intermediate: &'static str,
    /// Feed-forward, down.
    pub output: &'static str,
    /// Norm after the feed-forward network.
    pub output_norm: &'static str,
}

/// Sizes and settings of a layer, from config.json.
#[derive(Debug, Clone, Copy)]
pub struct LayerSizes {
    /// D.
    pub hidden: i64,
    /// H.
    pub heads: i64,
    /// Width of the feed-forward network.
    pub intermediate: i64,
    /// Of the feed-forward network.
    pub activation: Activation,
    /// Added to variances.
    pub norm_epsilon: f64,
    /// After attention and feed-forward.
    pub hidden_dropout: f64,
    /// On attention probabilities.
    pub attention_dropout: f64,
}

impl LayerSizes {
    /// Matrix-product FLOPs of one layer's forward pass over `length` tokens.
    pub fn forward_flops(&self, length: f64) -> f64 {
        let (d, f) = (self.hidden as f64, self.intermediate as f64);
        2.0 * length * (4.0 * d * d + 2.0 * d * f) + 4.0 * length * length * d
    }
}

/// Attention and feed-forward with their residuals.
#[derive(Debug)]
pub struct EncoderLayer {
    attention: SelfAttention,
    attention_norm: LayerNorm,
    feed_forward: FeedForward,
    feed_forward_norm: LayerNorm,
    dropout: f64,
}

impl EncoderLayer {
    /// `weights` points at `….layer.<index>`.
    pub fn load(weights: &Weights<'_>, names: &LayerNames, sizes: &LayerSizes) -> Result<Self, ModelError> {
        Ok(Self {
            attention: SelfAttention::load(weights, names, sizes)?,
            attention_norm: weights.at(names.attention_norm).layer_norm(sizes.hidden, sizes.norm_epsilon)?,
            feed_forward: FeedForward::load(weights, names, sizes)?,
            feed_forward_norm: weights.at(names.output_norm).layer_norm(sizes.hidden, sizes.norm_epsilon)?,
            dropout: sizes.hidden_dropout,
        })
    }

    /// `x` [B, T, D]; `mask` is true where a token may be attended to. Returns [B, T, D].
    pub fn forward(&self, x: &Tensor, mask: Option<&AttentionMask>, train: bool) -> Tensor {
        let attended = self.attention.forward(x, mask, train);
        let y = dropout_residual_norm(&attended, x, &self.attention_norm, self.dropout, train);
        let transformed = self.feed_forward.forward(&y, train);
        dropout_residual_norm(&transformed, &y, &self.feed_forward_norm, self.dropout, train)
    }
}
