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
    /// `None` where every token is near to every other.
    mask: Option<AttentionMask>,
    /// [B, 1, T, T] in place of the mask, where some token, itself padding, has nothing but padding around it: it then attends to all
    /// alike.
    closed: Option<Tensor>,
}

impl Nearby {
    /// Of T `tokens` that see up to `reach` places to either side; `given` is Hugging Face's `attention_mask` [B, T], if there is
    /// padding.
    ///
    /// # Errors
    /// None that a caller could cause.
    pub fn new(tokens: i64, reach: i64, given: Option<&Tensor>, device: Device) -> Result<Self, ModelError> {
        if tokens - 1 <= reach {
            return Ok(Self::default());
        }
        let Some(lonely) = given.filter(|given| has_lonely(given, reach)) else {
            let mask =
                given.map_or_else(|| Ok(AttentionMask::open()), |given| AttentionMask::padding(given, device))?;
            return Ok(Self { mask: Some(mask.nearby(reach)?), closed: None });
        };
        let places = Tensor::arange(tokens, (Kind::Int64, device));
        let apart = (places.unsqueeze(0) - places.unsqueeze(1)).abs().gt(reach);
        let closed = lonely.to_device(device).eq(0).unsqueeze(1).unsqueeze(1).logical_or(&apart);
        let scores = Tensor::zeros(closed.size(), (Kind::Float, device)).masked_fill(&closed, APART);
        Ok(Self { mask: None, closed: Some(scores) })
    }

    /// With the mask of all layers.
    pub fn sees<'a>(&'a self, mask: Option<&'a AttentionMask>) -> Sees<'a> {
        match &self.closed {
            // Beside the mask, twice the lowest score would not be a number.
            Some(closed) => Sees { mask: None, bias: Some(closed), closed_rows: true },
            None => Sees { mask: self.mask.as_ref().or(mask), ..Sees::default() },
        }
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
        let nearby = |tokens, reach, given: Option<&[[i64; 4]]>| {
            let given = given.map(Tensor::from_slice2);
            Nearby::new(tokens, reach, given.as_ref(), Device::Cpu).unwrap()
        };
        let count = |open: Tensor| {
            Vec::<i64>::try_from(open.sum_dim_intlist([3i64].as_slice(), false, Kind::Int64).view([-1])).unwrap()
        };
        let seen = |nearby: &Nearby| count(nearby.sees(None).mask.unwrap().allowed((4, 4), Device::Cpu).unwrap());
        assert!(nearby(3, 2, None).sees(None).mask.is_none());
        assert_eq!(seen(&nearby(4, 1, None)), [2, 3, 3, 2]);
        // The last place has a token beside it, or nothing but padding.
        assert_eq!(seen(&nearby(4, 1, Some(&[[1, 1, 1, 0]]))), [2, 3, 2, 1]);
        let lonely = nearby(4, 1, Some(&[[1, 1, 0, 0], [1, 1, 1, 1]]));
        let all = AttentionMask::open();
        let sees = lonely.sees(Some(&all));
        assert!(sees.mask.is_none() && sees.closed_rows);
        assert_eq!(count(sees.bias.unwrap().ge(0.0)), [2, 2, 1, 0, 2, 3, 3, 2]);
    }
}
