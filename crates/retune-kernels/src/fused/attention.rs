//! Multi-head softmax attention (Vaswani et al. 2017, §3.2) on the projections' own layout.
//!
//! B batch, T tokens, Q queries (tokens that attend), H heads, K head size, D = H·K. Nothing is transposed in memory; the scores live in cache, and the
//! backward pass computes them again from each row's maximum and sum. Keys that no query of a block sees (behind it, of other
//! documents, outside the window) cost nothing.

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
/// and values may have fewer heads, of the same size. With the mask of a packed batch, B is 1. A bias, capped scores and queries
/// that see nothing take the plain composition on a CPU.
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
    let takes = takes(&[query, key, value]) && query.dim() == 3 && key.dim() == 3 && key.size() == value.size();
    if !adds_nothing(options) || !takes || !has_groups(query.size()[2], key.size()[2], heads) {
        return reference();
    }
    let (queries, keys) = (query.size()[1], key.size()[1]);
    let bounds = match options.mask.filter(|mask| mask.depends_on_queries(keys)) {
        None => None,
        // What a query that sees nothing gets would be another thing than in the composition.
        Some(_) if options.closed_rows => return reference(),
        Some(mask) => match mask.bounds((queries, keys)) {
            // The same holds for padding that sees padding alone; while a network learns, nothing reads what padding gets.
            Some(bounds) if train || !mask.closes_rows(&bounds) => Some(bounds),
            _ => return reference(),
        },
    };
    let scale = options.scale.unwrap_or_else(|| 1.0 / ((query.size()[2] / heads) as f64).sqrt());
    scaled([query, key, value], options.mask, bounds.as_ref(), heads, scale, next_drop(options.dropout, train))
}

/// Whether scores are what the kernel makes of them: without a bias, and without a cap.
fn adds_nothing(options: &AttentionOptions<'_>) -> bool {
    options.bias.is_none() && options.softcap.is_none()
}

/// Whether keys of this width are those of groups of heads.
fn has_groups(width: i64, of_keys: i64, heads: i64) -> bool {
    let size = width / heads;
    size > 0 && of_keys > 0 && of_keys % size == 0 && heads % (of_keys / size) == 0
}

/// Whether the kernel computes attention of this kind, the same for all queries.
pub(super) fn fits(options: &AttentionOptions<'_>, keys: i64) -> bool {
    adds_nothing(options) && !options.mask.is_some_and(|mask| mask.depends_on_queries(keys))
}

/// The kernel: `softmax(q kᵀ · scale + mask) v` per head of checked arguments; `bounds` are those of the mask, where what it lets see
/// depends on the query.
pub(super) fn scaled(
    projections: [&Tensor; 3],
    mask: Option<&AttentionMask>,
    bounds: Option<&Tensor>,
    heads: i64,
    scale: f64,
    drop: Drop,
) -> Tensor {
    let masks = (mask.and_then(AttentionMask::keys), bounds);
    shim::attention(projections, masks, heads, scale, drop).expect("checked arguments")
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

    /// Batches of 3 with what each query sees: causal, behind keys of before, in a window, nearby, in documents.
    fn masks_by_query(queries: i64, tokens: i64) -> Vec<AttentionMask> {
        let causal = |mask: AttentionMask| mask.causal(tokens - queries).unwrap();
        let mut all = vec![causal(AttentionMask::open()), causal(AttentionMask::open()).window(5).unwrap()];
        let index = Tensor::arange(tokens, (Kind::Int64, Device::Cpu)).unsqueeze(0);
        let row = Tensor::arange(3, (Kind::Int64, Device::Cpu)).unsqueeze(1);
        let open = index.lt_tensor(&(-&row * 2 + tokens)).to_kind(Kind::Int64);
        all.push(causal(AttentionMask::padding(&open, Device::Cpu).unwrap()));
        if queries == tokens {
            let documents = (index + &row * 3).divide_scalar_mode(7, "floor");
            all.push(AttentionMask::open().nearby(4).unwrap());
            all.push(AttentionMask::padding(&open, Device::Cpu).unwrap().nearby(9).unwrap());
            all.push(AttentionMask::open().documents(&documents).unwrap());
            all.push(causal(AttentionMask::open()).documents(&documents).unwrap());
            all.push(causal(AttentionMask::open()).documents(&documents).unwrap().window(3).unwrap());
        }
        all
    }

    #[test]
    fn masks_by_query_and_groups_of_heads() {
        for kind in [Kind::Float, Kind::BFloat16] {
            for (queries, tokens) in [(19, 19), (130, 130), (1, 40), (9, 80)] {
                for (heads, groups) in [(2, 2), (6, 2), (3, 1)] {
                    for mask in masks_by_query(queries, tokens).iter().map(Some).chain([None]) {
                        let shapes = [(queries, heads), (tokens, groups), (tokens, groups)];
                        let tensors: Vec<Tensor> =
                            (1..).zip(shapes).map(|(i, (rows, heads))| leaf(i, &[3, rows, heads * 24], kind)).collect();
                        agree(kind, &tensors, |t, fused| {
                            let function = if fused { attention } else { reference::attention };
                            let options = AttentionOptions { mask, dropout: 0.1, ..Default::default() };
                            function(&t[0], &t[1], &t[2], heads, &options, true)
                        });
                    }
                }
            }
        }
    }

    #[test]
    fn documents_that_are_torn_apart_take_the_composition() {
        let torn = Tensor::from_slice2(&[[1i64, 2, 1, 2]]);
        let mask = AttentionMask::open().documents(&torn).unwrap();
        assert!(mask.bounds((4, 4)).is_none());
        let t: Vec<Tensor> = (1..=3).map(|seed| leaf(seed, &[1, 4, 8], Kind::Float)).collect();
        let options = AttentionOptions { mask: Some(&mask), ..Default::default() };
        let y = attention(&t[0], &t[1], &t[2], 2, &options, false);
        assert_eq!(y, reference::attention(&t[0], &t[1], &t[2], 2, &options, false));
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
