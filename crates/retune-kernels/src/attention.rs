//! Scaled dot-product attention (Vaswani et al. 2017, §3.2.1).
//!
//! B batch, H heads, T query tokens, S key tokens, K head size.

use crate::{AttentionMask, dropout};
use tch::{Device, Tensor};

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
    let additive = mask.map(|mask| mask.additive((query.size()[2], key.size()[2]), query.kind()));
    let p = if train { dropout_probability } else { 0.0 };
    // libtorch's fused path has no dropout on the CPU.
    if p == 0.0 || query.device() != Device::Cpu {
        if p > 0.0 {
            dropout::seed_device();
        }
        return Tensor::scaled_dot_product_attention(query, key, value, additive, p, false, scale, false);
    }
    let scale = scale.unwrap_or_else(|| 1.0 / (query.size()[3] as f64).sqrt());
    let mut scores = (query * scale).matmul(&key.transpose(-2, -1)); // [B, H, T, S]
    if let Some(additive) = additive {
        scores += additive;
    }
    let probabilities = dropout::dropout(&scores.softmax(-1, query.kind()), p, train);
    probabilities.matmul(value)
}
