//! Sizes and settings of decoder layers, and of layers of an encoder that a decoder reads. D hidden size, H heads, G heads of keys, K head size.

use super::NormKind;
use retune_kernels::Activation;

/// Sizes and settings of decoder layers, from config.json.
#[derive(Debug, Clone)]
pub struct DecoderSizes {
    /// D.
    pub hidden: i64,
    /// H.
    pub heads: i64,
    /// G.
    pub key_heads: i64,
    /// K.
    pub head_size: i64,
    /// Width of the feed-forward network.
    pub intermediate: i64,
    /// Of the feed-forward network.
    pub activation: Activation,
    /// All norms.
    pub norm: NormKind,
    /// Added to variances.
    pub norm_epsilon: f64,
    /// Whether the projections to queries and values have a bias, and where they are in one with the keys, all of it.
    pub query_bias: bool,
    /// Whether the projection to keys has one.
    pub key_bias: bool,
    /// Whether the projection after attention has one.
    pub output_bias: bool,
    /// Whether the feed-forward network has some.
    pub network_bias: bool,
    /// Whether weights are stored [in, out].
    pub transposed: bool,
    /// What scores are multiplied by.
    pub scale: f64,
    /// Whether scores are also divided by the number of the layer, from 1.
    pub scale_by_layer: bool,
    /// Keeps scores between -c and c.
    pub softcap: Option<f64>,
    /// Whether attention and feed-forward read the same input.
    pub parallel: bool,
    /// Whether norms stand behind the residuals in place of before the branches (Vaswani et al. 2017).
    pub post_norm: bool,
    /// After attention and feed-forward.
    pub hidden_dropout: f64,
    /// On attention probabilities.
    pub attention_dropout: f64,
    /// Inside the feed-forward network, behind its activation.
    pub network_dropout: f64,
}

impl DecoderSizes {
    /// Whether norms multiply by 1 + weight.
    pub(super) fn norm_plus_one(&self) -> bool {
        self.norm == NormKind::RmsPlusOne
    }

    /// Floating-point operations in the matrix products of one layer's forward pass over so many tokens, each of which sees `seen` on
    /// average, `gated` networks included.
    pub fn work(&self, tokens: f64, seen: f64, gated: bool) -> f64 {
        let (d, f) = (self.hidden as f64, self.intermediate as f64);
        let (q, k) = ((self.heads * self.head_size) as f64, (self.key_heads * self.head_size) as f64);
        let network = if gated { 3.0 } else { 2.0 } * d * f;
        2.0 * tokens * (2.0 * d * (q + k) + network + 2.0 * q * seen)
    }

    /// The same of attention to so many tokens of another text.
    pub fn cross_work(&self, tokens: f64, others: f64) -> f64 {
        let (d, q) = (self.hidden as f64, (self.heads * self.head_size) as f64);
        2.0 * (2.0 * d * q * (tokens + others) + 2.0 * q * tokens * others)
    }
}
