//! Multi-head softmax attention (Vaswani et al. 2017, §3.2) on the projections' own layout.
//!
//! B batch, T tokens, Q queries (tokens that attend), H heads, K head size, D = H·K. Nothing is transposed in memory; the scores live in cache, and the
//! backward pass computes them again from each row's maximum and sum.

use super::{next_drop, packed, takes};
use crate::AttentionMask;
use crate::attention::AttentionOptions;
use crate::shim::{self, Drop};
use tch::Tensor;

/// The plain composition.
pub mod reference {
    use crate::attention::{AttentionOptions, scaled_dot_product};
    use tch::Tensor;

    /// Splits heads, attends, joins heads.
    pub fn attention(
        query: &Tensor,
        key: &Tensor,
        value: &Tensor,
        heads: i64,
        options: &AttentionOptions<'_>,
        train: bool,
    ) -> Tensor {
        let size = query.size()[2] / heads;
        let split = |x: &Tensor| {
            let [batch, tokens, width] = x.size()[..] else { panic!("projections have three dimensions") };
            x.reshape([batch, tokens, width / size, size]).transpose(1, 2) // [B, H, T, K]
        };
        let attended = scaled_dot_product(&split(query), &split(key), &split(value), options, train);
        attended.transpose(1, 2).reshape(query.size())
    }
}

/// `softmax(q kᵀ · scale + bias + mask) v` per head, with dropout on the probabilities when `train`.
///
/// `query` [B, Q, D], `key` and `value` [B, T, D] are what the projections give, heads side by side; returns [B, Q, D]. Keys
/// and values may have fewer heads, of the same size. With the mask of a packed batch, B is 1. A bias, fewer heads of keys, and
/// queries that may not look ahead take the plain composition on a CPU.
pub fn attention(
    query: &Tensor,
    key: &Tensor,
    value: &Tensor,
    heads: i64,
    options: &AttentionOptions<'_>,
    train: bool,
) -> Tensor {
    let reference = || reference::attention(query, key, value, heads, options, train);
    if options.mask.is_some_and(|mask| mask.packing().is_some()) {
        return packed::attention([query, key, value], heads, options, train).unwrap_or_else(reference);
    }
    let takes = takes(&[query, key, value])
        && query.dim() == 3
        && key.size() == value.size()
        && key.size()[2] == query.size()[2]
        && fits(options, key.size()[1]);
    if !takes {
        return reference();
    }
    let scale = options.scale.unwrap_or_else(|| 1.0 / ((query.size()[2] / heads) as f64).sqrt());
    scaled(query, key, value, options.mask, heads, scale, next_drop(options.dropout, train))
}

/// Whether the kernel computes attention of this kind.
pub(super) fn fits(options: &AttentionOptions<'_>, keys: i64) -> bool {
    options.bias.is_none()
        && options.softcap.is_none()
        && !options.mask.is_some_and(|mask| mask.depends_on_queries(keys))
}

/// The kernel: `softmax(q kᵀ · scale + mask) v` per head of checked arguments.
pub(super) fn scaled(
    query: &Tensor,
    key: &Tensor,
    value: &Tensor,
    mask: Option<&AttentionMask>,
    heads: i64,
    scale: f64,
    drop: Drop,
) -> Tensor {
    let keys = mask.and_then(AttentionMask::keys);
    shim::attention([query, key, value], keys, heads, scale, drop).expect("checked arguments")
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use tch::{Device, Kind};

    fn inputs(batch: i64, tokens: i64, width: i64, kind: Kind) -> Vec<Tensor> {
        (1..=3).map(|seed| leaf(seed, &[batch, tokens, width], kind)).collect()
    }

    fn compare(kind: Kind, [batch, tokens, heads, size]: [i64; 4], mask: Option<&AttentionMask>, p: f64) {
        agree(kind, &inputs(batch, tokens, heads * size, kind), |t, fused| {
            let function = if fused { attention } else { reference::attention };
            function(&t[0], &t[1], &t[2], heads, &AttentionOptions { mask, dropout: p, ..Default::default() }, true)
        });
    }

    /// 1 where row `b` has a token: lengths from 1 to T, padding right, left, or only one token open.
    fn masks(batch: i64, tokens: i64) -> Vec<AttentionMask> {
        let index = Tensor::arange(tokens, (Kind::Int64, Device::Cpu)).unsqueeze(0);
        let row = Tensor::arange(batch, (Kind::Int64, Device::Cpu)).unsqueeze(1);
        let length = (row * 7).remainder(tokens) + 1;
        let single = index.eq_tensor(&(&length - 1));
        let open = [index.lt_tensor(&length), index.ge_tensor(&(-&length + tokens)), single];
        open.iter().map(|open| AttentionMask::padding(&open.to_kind(Kind::Int64), Device::Cpu).unwrap()).collect()
    }

    #[test]
    fn equals_the_composition_in_fp64() {
        for kind in [Kind::Float, Kind::BFloat16] {
            for p in [0.0, 0.1] {
                compare(kind, [3, 28, 4, 32], None, p);
                compare(kind, [2, 1, 2, 32], None, p);
                compare(kind, [2, 129, 2, 64], None, p);
                compare(kind, [1, 70, 3, 5], None, p);
                for (batch, tokens) in [(4, 19), (3, 64), (2, 67)] {
                    for mask in masks(batch, tokens) {
                        compare(kind, [batch, tokens, 3, 32], Some(&mask), p);
                    }
                }
            }
        }
        compare(Kind::Float, [0, 5, 2, 8], None, 0.1);
    }

    #[test]
    fn fewer_queries_than_keys() {
        for kind in [Kind::Float, Kind::BFloat16] {
            for (queries, tokens) in [(1, 28), (2, 65), (70, 130), (9, 3)] {
                for mask in masks(3, tokens).iter().map(Some).chain([None]) {
                    let mut tensors = inputs(3, tokens, 64, kind);
                    tensors[0] = leaf(5, &[3, queries, 64], kind);
                    agree(kind, &tensors, |t, fused| {
                        let function = if fused { attention } else { reference::attention };
                        let options = AttentionOptions { mask, dropout: 0.1, ..Default::default() };
                        function(&t[0], &t[1], &t[2], 2, &options, true)
                    });
                }
            }
        }
    }

    #[test]
    fn takes_slices_of_one_product() {
        let joined = leaf(1, &[3, 11, 96], Kind::Float);
        let parts = |joined: &Tensor| joined.split(32, 2);
        let sliced = parts(&joined);
        let copied: Vec<Tensor> = sliced.iter().map(Tensor::contiguous).collect();
        let run = |t: &[Tensor]| attention(&t[0], &t[1], &t[2], 4, &AttentionOptions::default(), false);
        let (a, b) = (run(&sliced), run(&copied));
        assert_eq!(a, b);
        let direction = leaf(2, &[3, 11, 32], Kind::Float).detach();
        let gradient =
            |y: Tensor| Tensor::run_backward(&[(y * &direction).sum(Kind::Float)], &[&joined], true, false).remove(0);
        assert_eq!(gradient(a), gradient(b));
    }

    #[test]
    fn a_nan_is_not_hidden() {
        let t = inputs(1, 5, 8, Kind::Float);
        let bad = &t[0] * f64::NAN;
        assert!(
            attention(&bad, &t[1], &t[2], 1, &AttentionOptions::default(), false).isnan().all().int64_value(&[]) == 1
        );
    }

    #[test]
    fn does_not_depend_on_threads() {
        let t = inputs(3, 40, 64, Kind::BFloat16);
        on_threads(|| {
            crate::dropout::set_stream(8);
            let options = AttentionOptions { dropout: 0.1, ..Default::default() };
            let y = attention(&t[0], &t[1], &t[2], 2, &options, true);
            let mut all = Tensor::run_backward(&[y.square().sum(Kind::Float)], &[&t[0], &t[1], &t[2]], false, false);
            all.push(y.detach());
            all
        });
    }
}
