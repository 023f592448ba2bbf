//! One post-LayerNorm encoder layer, shared by BERT, RoBERTa, XLM-R, ELECTRA and DistilBERT.
//!
//!   y = LN(x + Drop(Attention(x)))      z = LN(y + Drop(FeedForward(y)))
//!
//! Vaswani et al. 2017, §3.1. Shapes: B batch, T tokens, Q of them that are computed, D hidden size.

use super::{FeedForward, SelfAttention};
use crate::ModelError;
use crate::checkpoint::Weights;
use retune_kernels::fused::{self, dropout_residual_norm};
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
    /// Matrix-product FLOPs of one layer's forward pass that computes `queries` of `length` tokens; what an adapter, a
    /// bias on the scores or another device than the CPU adds for few queries is not counted.
    pub fn forward_flops(&self, queries: f64, length: f64) -> f64 {
        let (d, f, h) = (self.hidden as f64, self.intermediate as f64, self.heads as f64);
        // Query and output, feed-forward; then either keys and values, or queries and results brought there and back.
        let of_queries = 4.0 * queries * d * (d + f);
        match fused::attention_of_few::is_few(queries, length, h, d) {
            true => of_queries + 4.0 * queries * d * (d + h * length),
            false => of_queries + 4.0 * length * d * (d + queries),
        }
    }

    /// The same of `layers` layers, of which the last one computes only the `read` tokens that a head reads.
    pub fn stack_flops(&self, layers: usize, read: f64, length: f64) -> f64 {
        let below = layers.saturating_sub(1) as f64;
        below * self.forward_flops(length, length) + self.forward_flops(read, length)
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

    /// Computes `queries` [B, Q, D], tokens of `x` [B, T, D], which they attend to where `mask` is true; all of `x`, or
    /// those whose results are read. Returns [B, Q, D].
    pub fn forward(&self, queries: &Tensor, x: &Tensor, mask: Option<&AttentionMask>, train: bool) -> Tensor {
        let attended = self.attention.forward(queries, x, mask, train);
        let y = dropout_residual_norm(&attended, queries, &self.attention_norm, self.dropout, train);
        let transformed = self.feed_forward.forward(&y, train);
        dropout_residual_norm(&transformed, &y, &self.feed_forward_norm, self.dropout, train)
    }
}
