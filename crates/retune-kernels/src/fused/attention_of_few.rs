//! Attention of few tokens to many, without their keys and values.
//!
//! With `k = W_k x + b_k` the score `q·k` is `(W_kᵀ q)·x + q·b_k`, and with `v = W_v x + b_v` the result `Σ p v` is
//! `W_v Σ p x + b_v Σ p`: where few tokens attend, it costs less to bring them to the hidden states than to project every
//! hidden state to a key and a value. A bias is the weight of one more column of `x`, which holds 1.
//!
//! B batch, T tokens, Q queries, H heads, K head size, D = H·K.

use super::{attention, next_drop, takes};
use crate::Dense;
use crate::attention::AttentionOptions;
use tch::Tensor;

/// With keys and values: of the other kernels, or plain where those are.
pub mod reference {
    use super::*;

    /// Projects keys and values, then attends.
    pub fn attention_of_few(
        query: &Tensor,
        x: &Tensor,
        projections: [&Dense; 2],
        heads: i64,
        options: &AttentionOptions<'_>,
        train: bool,
    ) -> Tensor {
        let [key, value] = projections.map(|dense| dense.forward(x, train));
        attention::attention(query, &key, &value, heads, options, train)
    }
}

/// Whether `queries` of `tokens` tokens are so few that their keys and values are not worth making. What replaces them
/// is smaller products, at perhaps half the speed.
pub fn is_few(queries: f64, tokens: f64, heads: f64, hidden: f64) -> bool {
    2.0 * queries * (hidden + heads * tokens) < tokens * hidden
}

/// `softmax(q kᵀ · scale + bias + mask) v` per head, with dropout on the probabilities when `train`; the projections of `x` are those
/// to keys and to values.
///
/// `query` [B, Q, D], `x` [B, T, D]; returns [B, Q, D]. Keys and values are made after all
/// beside an adapter at one of the projections, for many queries, for fewer heads of keys, with a bias, where queries may not
/// look ahead, and on a GPU.
pub fn attention_of_few(
    query: &Tensor,
    x: &Tensor,
    [key, value]: [&Dense; 2],
    heads: i64,
    options: &AttentionOptions<'_>,
    train: bool,
) -> Tensor {
    let ((batch, queries, width), (_, tokens, hidden)) =
        (query.size3().expect("[B, Q, D]"), x.size3().expect("[B, T, D]"));
    let few = is_few(queries as f64, tokens as f64, heads as f64, hidden as f64);
    let packed = options.mask.is_some_and(|mask| mask.packing().is_some());
    let suits = few && !packed && attention::fits(options, tokens) && takes(&[query, x]);
    let all_heads = |(weight, _): &(&Tensor, _)| weight.size()[0] == width;
    let parts = [key, value].map(|dense| dense.plain().filter(all_heads).filter(|_| suits));
    let [Some(key_parts), Some(value_parts)] = parts else {
        return reference::attention_of_few(query, x, [key, value], heads, options, train);
    };
    let size = width / heads;
    let per_head = |(weight, bias): (&Tensor, Option<&Tensor>)| {
        let bias =
            bias.map_or_else(|| weight.new_zeros([width], (weight.kind(), weight.device())), Tensor::shallow_clone);
        Tensor::cat(&[weight, &bias.unsqueeze(1)], 1).view([heads, size, hidden + 1])
    };
    let x = Tensor::cat(&[x, &x.new_ones([batch, tokens, 1], (x.kind(), x.device()))], 2);
    let query = query.reshape([batch * queries, heads, size]).transpose(0, 1); // [H, BQ, K]
    let query = query.bmm(&per_head(key_parts)); // [H, BQ, D + 1]
    let query = query.view([heads, batch, queries, hidden + 1]).transpose(0, 1).reshape([batch, -1, hidden + 1]);
    let scale = options.scale.unwrap_or_else(|| 1.0 / (size as f64).sqrt());
    let drop = next_drop(options.dropout, train);
    let attended = attention::scaled([&query, &x, &x], options.mask, None, 1, scale, drop); // [B, HQ, D + 1]
    let attended = attended.view([batch, heads, queries, hidden + 1]).transpose(0, 1);
    let attended = attended.reshape([heads, batch * queries, hidden + 1]);
    let attended = attended.bmm(&per_head(value_parts).transpose(1, 2)); // [H, BQ, K]
    attended.transpose(0, 1).reshape([batch, queries, width])
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use crate::AttentionMask;
    use tch::{Device, Kind};

    /// Query, x, weight and bias of the values, weight of the keys: the gradient of their bias is zero but for rounding.
    fn inputs(batch: i64, queries: i64, tokens: i64, width: i64, kind: Kind) -> Vec<Tensor> {
        let small = |seed, shape: &[i64]| {
            let scale = 1.0 / (width as f64).sqrt();
            (leaf(seed, shape, kind).detach() * scale).set_requires_grad(true)
        };
        vec![
            leaf(1, &[batch, queries, width], kind),
            leaf(2, &[batch, tokens, width], kind),
            small(3, &[width, width]),
            leaf(4, &[width], kind),
            small(5, &[width, width]),
        ]
    }

    fn run(t: &[Tensor], mask: Option<&AttentionMask>, heads: i64, p: f64, fused: bool) -> Tensor {
        let [value, key] = [(2, t[3].shallow_clone()), (4, t[3].detach() * 2.0)]
            .map(|(weight, bias)| Dense::new(t[weight].shallow_clone(), Some(bias.into())));
        let function = if fused { attention_of_few } else { reference::attention_of_few };
        let options = AttentionOptions { mask, dropout: p, ..Default::default() };
        function(&t[0], &t[1], [&key, &value], heads, &options, true)
    }

    #[test]
    fn equals_the_composition_in_fp64() {
        for kind in [Kind::Float, Kind::BFloat16] {
            for (batch, queries, tokens, heads, size) in [(3, 1, 28, 4, 32), (2, 2, 67, 2, 24), (2, 1, 130, 3, 20)] {
                assert!(is_few(queries as f64, tokens as f64, heads as f64, (heads * size) as f64));
                let lengths = Tensor::arange(batch, (Kind::Int64, Device::Cpu)).unsqueeze(1) * 7 + 3;
                let places = Tensor::arange(tokens, (Kind::Int64, Device::Cpu)).unsqueeze(0);
                let mask =
                    AttentionMask::padding(&places.lt_tensor(&lengths).to_kind(Kind::Int64), Device::Cpu).unwrap();
                for (mask, p) in [(None, 0.0), (Some(&mask), 0.0), (Some(&mask), 0.2)] {
                    let tensors = inputs(batch, queries, tokens, heads * size, kind);
                    agree(kind, &tensors, |t, fused| run(t, mask, heads, p, fused));
                }
            }
        }
    }
}
