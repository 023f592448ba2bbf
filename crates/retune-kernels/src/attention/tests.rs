//! Attention against loops in fp64, and its gradients against autograd over the plain formula in fp64.

use super::*;
use crate::fused::testing::{agree, leaf_on, test_device};
use crate::{Packing, fused};

/// Which keys a query may attend to, said plainly.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Rule {
    All,
    Causal(i64),
    Padded,
    PaddedCausal(i64),
}

const LENGTHS: [i64; 4] = [5, 1, 7, 3];

fn allows(rule: Rule, row: usize, query: i64, key: i64) -> bool {
    let real = key < LENGTHS[row];
    match rule {
        Rule::All => true,
        Rule::Causal(past) => key <= past + query,
        Rule::Padded => real,
        Rule::PaddedCausal(past) => real && key <= past + query,
    }
}

fn padding(keys: i64) -> Tensor {
    let lengths = Tensor::from_slice(&LENGTHS).unsqueeze(1);
    Tensor::arange(keys, (Kind::Int64, Device::Cpu)).unsqueeze(0).lt_tensor(&lengths).to_kind(Kind::Int64)
}

fn mask(rule: Rule, keys: i64) -> AttentionMask {
    let padded = || AttentionMask::padding(&padding(keys), test_device()).unwrap();
    match rule {
        Rule::All => AttentionMask::open(),
        Rule::Causal(past) => AttentionMask::open().causal(past).unwrap(),
        Rule::Padded => padded(),
        Rule::PaddedCausal(past) => padded().causal(past).unwrap(),
    }
}

/// The formula, with one score for each pair.
fn plain(t: &[Tensor], rule: Rule, scale: f64) -> Tensor {
    let [query, key, value] = [&t[0], &t[1], &t[2]];
    let size = query.size();
    let (rows, heads, queries, keys) = (size[0], size[1], size[2], key.size()[2]);
    let share = heads / key.size()[1];
    let mut out = Vec::new();
    for row in 0..rows {
        for head in 0..heads {
            let of = |x: &Tensor| x.get(row).get(head / share);
            let mut scores = query.get(row).get(head).matmul(&of(key).tr()) * scale;
            if let Some(bias) = t.get(3) {
                let bias = bias.get(row % bias.size()[0]);
                scores += bias.get(if bias.size()[0] == 1 { 0 } else { head });
            }
            let open: Vec<bool> =
                (0..queries).flat_map(|i| (0..keys).map(move |j| allows(rule, row as usize, i, j))).collect();
            let open = Tensor::from_slice(&open).view([queries, keys]).to_device(query.device());
            let scores = scores.masked_fill(&open.logical_not(), f64::NEG_INFINITY);
            out.push(scores.softmax(-1, None::<Kind>).matmul(&of(value)));
        }
    }
    Tensor::stack(&out, 0).view(size.as_slice())
}

fn compare(
    kind: Kind,
    [heads, groups, queries, keys]: [i64; 4],
    rule: Rule,
    bias: Option<[i64; 2]>,
    scale: Option<f64>,
) {
    let leaf = |seed, shape: &[i64]| leaf_on(test_device(), seed, shape, kind);
    let mut inputs =
        vec![leaf(1, &[4, heads, queries, 8]), leaf(2, &[4, groups, keys, 8]), leaf(3, &[4, groups, keys, 8])];
    inputs.extend(bias.map(|[rows, heads]| leaf(4, &[rows, heads, queries, keys])));
    let mask = mask(rule, keys);
    for train in [false, true] {
        agree(kind, &inputs, |t, ours| {
            if !ours {
                return plain(t, rule, scale.unwrap_or(1.0 / 8f64.sqrt()));
            }
            let options = AttentionOptions { mask: Some(&mask), bias: t.get(3), scale, ..Default::default() };
            scaled_dot_product(&t[0], &t[1], &t[2], &options, train)
        });
    }
}

#[test]
fn equals_the_formula() {
    for kind in [Kind::Float, Kind::BFloat16] {
        for rule in [Rule::All, Rule::Causal(0), Rule::Padded, Rule::PaddedCausal(0)] {
            for (heads, groups) in [(4, 4), (4, 2), (3, 1)] {
                compare(kind, [heads, groups, 7, 7], rule, None, None);
                for bias in [[1, 1], [1, heads], [2, heads], [4, heads]] {
                    compare(kind, [heads, groups, 7, 7], rule, Some(bias), Some(0.4));
                }
            }
        }
    }
}

#[test]
fn keys_may_be_more_or_fewer_than_queries() {
    for (queries, keys) in [(2, 7), (9, 7), (1, 7)] {
        // A lone query that sees one key has no gradient but that of rounding.
        let least = if queries == 1 { 2 } else { 0 };
        for rule in [Rule::All, Rule::Padded, Rule::Causal(least), Rule::PaddedCausal(3), Rule::Causal(keys - 1)] {
            compare(Kind::Float, [4, 2, queries, keys], rule, None, None);
            compare(Kind::Float, [4, 4, queries, keys], rule, Some([1, 4]), None);
        }
    }
}

/// On the projections' layout, where the fused kernel steps aside for what it cannot do.
#[test]
fn joined_heads_equal_split_ones() {
    let leaf = |seed, shape: &[i64]| leaf_on(test_device(), seed, shape, Kind::Float);
    for (groups, rule, bias) in [
        (4, Rule::Causal(0), false),
        (4, Rule::PaddedCausal(0), true),
        (2, Rule::Padded, false),
        (4, Rule::Padded, true),
        (4, Rule::Causal(6), false),
    ] {
        let mut inputs = vec![leaf(1, &[4, 7, 32]), leaf(2, &[4, 7, 8 * groups]), leaf(3, &[4, 7, 8 * groups])];
        inputs.extend(bias.then(|| leaf(4, &[1, 4, 7, 7])));
        let mask = mask(rule, 7);
        agree(Kind::Float, &inputs, |t, ours| {
            if ours {
                let options = AttentionOptions { mask: Some(&mask), bias: t.get(3), ..Default::default() };
                return fused::attention(&t[0], &t[1], &t[2], 4, &options, true);
            }
            let split = |x: &Tensor| x.view([4, 7, -1, 8]).transpose(1, 2);
            let mut split: Vec<Tensor> = t[..3].iter().map(split).collect();
            split.extend(t.get(3).map(Tensor::shallow_clone));
            plain(&split, rule, 1.0 / 8f64.sqrt()).transpose(1, 2).reshape([4, 7, 32])
        });
    }
}

/// Packed sequences attend to what came before in their own.
#[test]
fn packed_sequences_may_be_causal() {
    for kind in [Kind::Float, Kind::BFloat16] {
        for groups in [4, 2] {
            let leaf = |seed, heads: i64| leaf_on(test_device(), seed, &[4, 7, 8 * heads], kind);
            let inputs = [leaf(1, 4), leaf(2, groups), leaf(3, groups)];
            agree(kind, &inputs, |t, ours| {
                let real = padding(7).to_device(test_device()).unsqueeze(2);
                if ours {
                    let packing = Packing::new(&padding(7), test_device()).unwrap().unwrap();
                    let packed = [0, 1, 2].map(|i| packing.pack(&t[i]));
                    let mask = AttentionMask::packed(packing).causal(0).unwrap();
                    let options = AttentionOptions { mask: Some(&mask), ..Default::default() };
                    let y = fused::attention(&packed[0], &packed[1], &packed[2], 4, &options, true);
                    return mask.packing().unwrap().unpack(&y);
                }
                let split = |x: &Tensor| x.view([4, 7, -1, 8]).transpose(1, 2);
                let split: Vec<Tensor> = t.iter().map(split).collect();
                let y = plain(&split, Rule::PaddedCausal(0), 1.0 / 8f64.sqrt()).transpose(1, 2);
                y.reshape([4, 7, 32]) * real.to_kind(t[0].kind())
            });
        }
    }
}

#[test]
fn bounded_scores_are_bounded_before_the_mask() {
    let leaf = |seed| leaf_on(test_device(), seed, &[2, 3, 5, 4], Kind::Float);
    let mask = AttentionMask::open().causal(0).unwrap();
    agree(Kind::Float, &[leaf(1), leaf(2), leaf(3)], |t, ours| {
        if ours {
            let options = AttentionOptions { mask: Some(&mask), softcap: Some(0.7), ..Default::default() };
            return scaled_dot_product(&t[0], &t[1], &t[2], &options, true);
        }
        let scores = ((t[0].matmul(&t[1].transpose(2, 3)) * 0.5) / 0.7).tanh() * 0.7;
        let ahead = scores.ones_like().triu(1).to_kind(Kind::Bool);
        scores.masked_fill(&ahead, f64::NEG_INFINITY).softmax(-1, scores.kind()).matmul(&t[2])
    });
}
