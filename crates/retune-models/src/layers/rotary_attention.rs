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

/// Which tokens each token may attend to.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sees<'a> {
    /// Those that are no padding.
    pub mask: Option<&'a AttentionMask>,
    /// Added to scores, [1 or B, 1, T, T].
    pub bias: Option<&'a Tensor>,
    /// Whether the bias keeps some token from all of them.
    pub closed_rows: bool,
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

    /// The first Q tokens of `x` [B, T, D] attend at these angles to what they may see. Returns [B, Q, D].
    pub fn forward(&self, x: &Tensor, queries: i64, angles: &Angles, sees: Sees<'_>, train: bool) -> Tensor {
        let [batch, tokens, hidden] = x.size()[..] else { panic!("hidden states have three dimensions") };
        let (heads, size) = (self.sizes.heads, hidden / self.sizes.heads);
        let joint = self.query_key_value.forward(x, train).split(hidden, -1);
        let rotate = |x: &Tensor| angles.rotate(&x.reshape([batch, tokens, heads, size])).view([batch, tokens, hidden]);
        let (query, key) = (rotate(&joint[0]).narrow(1, 0, queries).contiguous(), rotate(&joint[1]));
        let bias = sees.bias.map(|bias| bias.narrow(2, 0, queries));
        let options = AttentionOptions {
            mask: sees.mask,
            bias: bias.as_ref(),
            dropout: self.sizes.dropout,
            closed_rows: sees.closed_rows,
            ..AttentionOptions::default()
        };
        self.output.forward(&fused::attention(&query, &key, &joint[2], heads, &options, train), train)
    }
}

/// What layers with local attention see of a batch.
#[derive(Debug, Default)]
pub struct Nearby {
    /// [1 or B, 1, T, T]; `None` where every token is near to every other.
    apart: Option<Tensor>,
    /// Whether that holds padding too, because some token, itself padding, has nothing else around it.
    closed_rows: bool,
}

impl Nearby {
    /// Of T `tokens` that see up to `reach` places to either side; `given` is Hugging Face's `attention_mask` [B, T], if there is
    /// padding.
    pub fn new(tokens: i64, reach: i64, given: Option<&Tensor>, device: Device) -> Self {
        if tokens - 1 <= reach {
            return Self::default();
        }
        let places = Tensor::arange(tokens, (Kind::Int64, device));
        let apart = (places.unsqueeze(0) - places.unsqueeze(1)).abs().gt(reach);
        let scores = |closed: &Tensor| Tensor::zeros(closed.size(), (Kind::Float, device)).masked_fill(closed, APART);
        match given.filter(|given| has_lonely(given, reach)) {
            None => Self { apart: Some(scores(&apart.view([1, 1, tokens, tokens]))), closed_rows: false },
            Some(given) => {
                let closed = given.to_device(device).eq(0).unsqueeze(1).unsqueeze(1);
                Self { apart: Some(scores(&closed.logical_or(&apart))), closed_rows: true }
            }
        }
    }

    /// With the mask of all layers.
    pub fn sees<'a>(&'a self, mask: Option<&'a AttentionMask>) -> Sees<'a> {
        // Twice the lowest score would not be a number.
        Sees { mask: mask.filter(|_| !self.closed_rows), bias: self.apart.as_ref(), closed_rows: self.closed_rows }
    }
}

/// Whether around some token there is nothing but padding.
fn has_lonely(given: &Tensor, reach: i64) -> bool {
    let [_, tokens] = given.size()[..] else { panic!("masks have two dimensions") };
    let before = given.ne(0).to_kind(Kind::Int64).cumsum(1, Kind::Int64).constant_pad_nd([1, 0]); // tokens before a place
    let places = Tensor::arange(tokens, (Kind::Int64, given.device()));
    let ends = [(&places + reach + 1).clamp_max(tokens), (&places - reach).clamp_min(0)];
    let [end, begin] = ends.map(|end| before.index_select(1, &end));
    (end - begin).min().int64_value(&[]) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_see_as_far_as_the_window_reaches() {
        assert!(Nearby::new(3, 2, None, Device::Cpu).apart.is_none());
        let seen = |nearby: &Nearby| {
            let open = nearby.apart.as_ref().unwrap().ge(0.0);
            Vec::<i64>::try_from(open.sum_dim_intlist([3i64].as_slice(), false, Kind::Int64).view([-1])).unwrap()
        };
        let plain = Nearby::new(4, 1, None, Device::Cpu);
        assert_eq!((seen(&plain), plain.closed_rows), (vec![2, 3, 3, 2], false));
        // The last place has a token beside it, or nothing but padding.
        let beside = Nearby::new(4, 1, Some(&Tensor::from_slice2(&[[1i64, 1, 1, 0]])), Device::Cpu);
        assert_eq!((seen(&beside), beside.closed_rows), (vec![2, 3, 3, 2], false));
        let lonely = Nearby::new(4, 1, Some(&Tensor::from_slice2(&[[1i64, 1, 0, 0], [1, 1, 1, 1]])), Device::Cpu);
        assert_eq!((seen(&lonely), lonely.closed_rows), (vec![2, 2, 1, 0, 2, 3, 3, 2], true));
        assert!(lonely.sees(Some(&AttentionMask::open())).mask.is_none());
    }
}
