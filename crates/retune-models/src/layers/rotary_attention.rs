//! Self-attention with rotary positions and one projection for queries, keys and values, to all tokens or to those nearby:
//! transformers' `ModernBertAttention`.
//!
//! B batch, T tokens, Q first tokens that are computed, D hidden size, H heads, K head size.

use super::rotary::Angles;
use crate::ModelError;
use crate::checkpoint::Weights;
use retune_kernels::tch::{Device, Kind, Tensor};
use retune_kernels::{AttentionMask, AttentionOptions, Dense, fused};

/// Score of a pair of tokens that are too far from each other: the lowest that stays finite in bf16.
const APART: f64 = -3.0e38;

/// Sizes and settings, from config.json.
#[derive(Debug, Clone, Copy)]
pub struct RotaryAttentionSizes {
    /// D.
    pub hidden: i64,
    /// H.
    pub heads: i64,
    /// Whether the projections have a bias.
    pub bias: bool,
    /// On attention probabilities.
    pub dropout: f64,
}

/// The projections.
#[derive(Debug)]
pub struct RotaryAttention {
    query_key_value: Dense,
    output: Dense,
    sizes: RotaryAttentionSizes,
}

impl RotaryAttention {
    /// `weights` points at `….attn`.
    ///
    /// # Errors
    /// A checkpoint that does not fit.
    pub fn load(weights: &Weights<'_>, sizes: &RotaryAttentionSizes) -> Result<Self, ModelError> {
        let d = sizes.hidden;
        Ok(Self {
            query_key_value: weights.at("Wqkv").dense_with(d, 3 * d, sizes.bias)?,
            output: weights.at("Wo").dense_with(d, d, sizes.bias)?,
            sizes: *sizes,
        })
    }

    /// The first Q tokens of `x` [B, T, D] attend to all of it, at these angles, where `mask` is true, with `bias` [1, 1, T, T] on
    /// the scores. Returns [B, Q, D].
    pub fn forward(
        &self,
        x: &Tensor,
        queries: i64,
        angles: &Angles,
        mask: Option<&AttentionMask>,
        bias: Option<&Tensor>,
        train: bool,
    ) -> Tensor {
        let [batch, tokens, hidden] = x.size()[..] else { panic!("hidden states have three dimensions") };
        let (heads, size) = (self.sizes.heads, hidden / self.sizes.heads);
        let joint = self.query_key_value.forward(x, train).split(hidden, -1);
        let rotate = |x: &Tensor| {
            let apart = x.reshape([batch, tokens, heads, size]).to_kind(Kind::Float);
            angles.rotate(&apart).to_kind(x.kind()).view([batch, tokens, hidden])
        };
        let (query, key) = (rotate(&joint[0]).narrow(1, 0, queries).contiguous(), rotate(&joint[1]));
        let bias = bias.map(|bias| bias.narrow(2, 0, queries));
        let options =
            AttentionOptions { mask, bias: bias.as_ref(), dropout: self.sizes.dropout, ..AttentionOptions::default() };
        self.output.forward(&fused::attention(&query, &key, &joint[2], heads, &options, train), train)
    }
}

/// What keeps T `tokens` from attending to those more than `reach` places away, [1, 1, T, T]; `None` where none is.
pub fn nearby(tokens: i64, reach: i64, device: Device) -> Option<Tensor> {
    if tokens - 1 <= reach {
        return None;
    }
    let places = Tensor::arange(tokens, (Kind::Int64, device));
    let apart = (places.unsqueeze(0) - places.unsqueeze(1)).abs().gt(reach);
    Some(Tensor::zeros([1, 1, tokens, tokens], (Kind::Float, device)).masked_fill(&apart, APART))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_see_as_far_as_the_window_reaches() {
        assert!(nearby(3, 2, Device::Cpu).is_none());
        let bias = nearby(4, 1, Device::Cpu).unwrap();
        let seen = bias.ge(0.0).sum_dim_intlist([3i64].as_slice(), false, Kind::Int64).view([-1]);
        assert_eq!(Vec::<i64>::try_from(seen).unwrap(), [2, 3, 3, 2]);
    }
}
