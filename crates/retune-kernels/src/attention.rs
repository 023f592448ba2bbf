//! Scaled dot-product attention (Vaswani et al. 2017, §3.2.1), with what encoders, decoders and vision models add to it.
//!
//! B batch, H heads, G of them with keys of their own (Ainslie et al. 2023, grouped queries), T query tokens, S key tokens,
//! K head size.

use crate::{AttentionMask, dropout};
use tch::{Device, Kind, Tensor};

/// How queries attend.
#[derive(Debug, Clone, Copy, Default)]
pub struct AttentionOptions<'a> {
    /// Which keys they may attend to; all of them without a mask.
    pub mask: Option<&'a AttentionMask>,
    /// Added to the scores, [R, 1 or H, T, S]: R divides B, and of each R rows the r-th gets the r-th (windows of one image
    /// have biases of their own).
    pub bias: Option<&'a Tensor>,
    /// What scores are multiplied by; 1/√K where nothing is said.
    pub scale: Option<f64>,
    /// Keeps scores between -c and c: c · tanh(scores / c), before the mask (Gemma 2).
    pub softcap: Option<f64>,
    /// On the probabilities while training.
    pub dropout: f64,
    /// Whether the bias may keep a query from every key, all of which it then attends to alike: libtorch's fused path would give
    /// it another gradient than that of its result.
    pub closed_rows: bool,
}

/// `softmax(q kᵀ · scale + bias + mask) v`.
///
/// `query` [B, H, T, K], `key` and `value` [B, G, S, K], where G divides H; returns [B, H, T, K] in the dtype of `query`.
pub fn scaled_dot_product(
    query: &Tensor,
    key: &Tensor,
    value: &Tensor,
    options: &AttentionOptions<'_>,
    train: bool,
) -> Tensor {
    let (size, device) = (query.size(), query.device());
    let (rows, heads, queries, keys) = (size[0], size[1], size[2], key.size()[2]);
    let [key, value] = [key, value].map(|x| repeat_heads(x, heads));
    let p = if train { options.dropout } else { 0.0 };
    let groups = options.bias.map_or(1, |bias| bias.size()[0]);
    let mask = options.mask.filter(|mask| !mask.is_trivial());
    // libtorch's fused path has no dropout on the CPU. It keeps no scores, but wants the bias of each row, whose gradients
    // would be as large as the scores.
    let fused = options.softcap.is_none() && !(train && options.closed_rows);
    if (p == 0.0 || device != Device::Cpu) && (groups == 1 || !train) && fused {
        if p > 0.0 {
            dropout::seed_device();
        }
        let causal = options.bias.is_none() && queries == keys && mask.is_some_and(|mask| mask.is_only_causal(keys));
        let mask = mask.filter(|_| !causal);
        let repeat = |bias: &Tensor| {
            let bias = bias.to_kind(query.kind());
            if groups == 1 { bias } else { bias.repeat([rows / groups, 1, 1, 1]) }
        };
        let additive = added(mask, options.bias.map(repeat), (queries, keys), query);
        return Tensor::scaled_dot_product_attention(query, &key, &value, additive, p, causal, options.scale, false);
    }
    let scale = options.scale.unwrap_or_else(|| 1.0 / (size[3] as f64).sqrt());
    let mut scores = (query * scale).matmul(&key.transpose(-2, -1)); // [B, H, T, S]
    if let Some(bias) = options.bias {
        // Broadcast over the groups: a copy of the bias for each of them would be as large as the scores.
        let mut grouped = scores.view([rows / groups, groups, heads, queries, keys]);
        grouped += bias.to_kind(scores.kind());
        scores = grouped.view([rows, heads, queries, keys]);
    }
    if let Some(cap) = options.softcap {
        scores = (scores / cap).tanh() * cap;
    }
    if let Some(additive) = added(mask, None, (queries, keys), query) {
        scores += additive;
    }
    let probabilities = dropout::dropout(&scores.softmax(-1, query.kind()), p, train);
    probabilities.matmul(&value)
}

/// [B, G, S, K] → [B, H, S, K]: each head of keys serves several of queries, one after another.
pub(crate) fn repeat_heads(x: &Tensor, heads: i64) -> Tensor {
    let [rows, groups, keys, size] = x.size()[..] else { panic!("keys have four dimensions") };
    if groups == heads {
        return x.shallow_clone();
    }
    let repeated = x.unsqueeze(2).expand([rows, groups, heads / groups, keys, size], false);
    repeated.reshape([rows, heads, keys, size])
}

/// What is added to scores: the bias where attention is allowed, and the lowest finite number elsewhere.
fn added(
    mask: Option<&AttentionMask>,
    bias: Option<Tensor>,
    (queries, keys): (i64, i64),
    like: &Tensor,
) -> Option<Tensor> {
    let Some(allowed) = mask.and_then(|mask| mask.allowed((queries, keys), like.device())) else { return bias };
    let lowest = match like.kind() {
        Kind::Half => -65504.0,
        // Finite in bf16 too.
        _ => -3.0e38,
    };
    let bias = bias.unwrap_or_else(|| Tensor::zeros_like(&allowed).to_kind(like.kind()));
    Some(bias.masked_fill(&allowed.logical_not(), lowest))
}

#[cfg(test)]
mod tests;
