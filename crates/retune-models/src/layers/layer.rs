//! Names and sizes of an encoder layer, whatever the order of its norms.

use super::{AttentionNames, AttentionSizes};
use retune_kernels::{Activation, fused};

/// Tensor names of a layer, relative to it.
#[derive(Debug, Clone, Copy)]
pub struct LayerNames {
    /// Attention.
    pub attention: AttentionNames,
    /// Norm of attention: behind it in a post-norm layer, before it in a pre-norm layer.
    pub attention_norm: &'static str,
    /// Feed-forward, up.
    pub intermediate: &'static str,
    /// Feed-forward, down.
    pub output: &'static str,
    /// Norm of the feed-forward network, on the same side as that of attention.
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
    /// After attention.
    pub hidden_dropout: f64,
    /// After the feed-forward network.
    pub feed_forward_dropout: f64,
    /// On attention probabilities.
    pub attention_dropout: f64,
}

impl LayerSizes {
    /// Sizes of its attention, where every projection has a bias.
    pub fn attention(&self) -> AttentionSizes {
        AttentionSizes {
            hidden: self.hidden,
            heads: self.heads,
            dropout: self.attention_dropout,
            query_value_bias: true,
            key_bias: true,
        }
    }

    /// Floating-point operations in the matrix products of one layer's forward pass that computes `queries` of `length`
    /// tokens; what an adapter, a bias on the scores or another device than the CPU adds for few queries is not counted.
    pub fn work(&self, queries: f64, length: f64) -> f64 {
        let (d, f, h) = (self.hidden as f64, self.intermediate as f64, self.heads as f64);
        // Query and output, feed-forward; then either keys and values, or queries and results brought there and back.
        let of_queries = 4.0 * queries * d * (d + f);
        match fused::attention_of_few::is_few(queries, length, h, d) {
            true => of_queries + 4.0 * queries * d * (d + h * length),
            false => of_queries + 4.0 * length * d * (d + queries),
        }
    }

    /// The same of `layers` layers, of which the last one computes only the `read` tokens that a head reads.
    pub fn stack_work(&self, layers: usize, read: f64, length: f64) -> f64 {
        let below = layers.saturating_sub(1) as f64;
        below * self.work(length, length) + self.work(read, length)
    }
}
