//! Scaled dot-product attention (Vaswani et al. 2017, §3.2.1).
//!
//! B batch, H heads, T query tokens, S key tokens, K head size.

use crate::{AttentionMask, dropout};
use tch::Tensor;

/// `softmax(q kᵀ · scale + mask) v`.
///
/// `query` [B, H, T, K], `key` and `value` [B, H, S, K]; returns [B, H, T, K] in the dtype of `query`.
/// `scale` defaults to 1/√K. Dropout on the probabilities happens only when `train`.
pub fn scaled_dot_product(
    query: &Tensor,
    key: &Tensor,
    value: &Tensor,
    mask: Option<&AttentionMask>,
    scale: Option<f64>,
    dropout_probability: f64,
    train: bool,
) -> Tensor {
    let additive = mask.map(|mask| mask.additive(query.kind()));
    if !train || dropout_probability == 0.0 {
        return Tensor::scaled_dot_product_attention(query, key, value, additive, 0.0, false, scale, false);
    }
    // The fused path has no dropout on the CPU, and none that can be replayed elsewhere.
    let scale = scale.unwrap_or_else(|| 1.0 / (query.size()[3] as f64).sqrt());
    let mut scores = (query * scale).matmul(&key.transpose(-2, -1)); // [B, H, T, S]
    if let Some(additive) = additive {
        scores += additive;
    }
    let probabilities = dropout::dropout(&scores.softmax(-1, query.kind()), dropout_probability, train);
    probabilities.matmul(value)
}
