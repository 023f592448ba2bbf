//! Word, position and segment embeddings, their sum, norm and dropout in one pass (the input layer of BERT-like encoders).
//!
//! B batch, T tokens, E embedding size. Tables are fp32; the output has the compute dtype.

use super::{next_drop, switched_on};
use crate::{LayerNorm, Table, dropout, shim};
use tch::{Kind, Tensor};

/// The tables of one layer.
#[derive(Debug, Clone, Copy)]
pub struct EmbeddingTables<'a> {
    /// [V, E], whole or compact. Its row of padding gets no gradient, nor does the position of that number where positions are
    /// given: those that count from the padding id on give it to padding.
    pub word: &'a Table,
    /// [P, E].
    pub position: &'a Tensor,
    /// [S, E].
    pub token_type: Option<&'a Tensor>,
    /// Over E.
    pub norm: &'a LayerNorm,
}

/// Which rows of them: int64 [B, T] each.
#[derive(Debug, Clone, Copy)]
pub struct EmbeddingIndices<'a> {
    /// Token ids.
    pub ids: &'a Tensor,
    /// Segments; `None` is segment 0.
    pub types: Option<&'a Tensor>,
    /// Positions; `None` counts 0, 1, 2, … in each row.
    pub positions: Option<&'a Tensor>,
}

/// The plain composition.
pub mod reference {
    use super::*;

    /// `dropout(norm(word + type + position))` as `kind`.
    pub fn text_embeddings(
        tables: EmbeddingTables<'_>,
        indices: EmbeddingIndices<'_>,
        p: f64,
        kind: Kind,
        train: bool,
    ) -> Tensor {
        let mut sum = tables.word.lookup(indices.ids, train);
        if let Some(table) = tables.token_type {
            sum += match indices.types {
                Some(types) => Tensor::embedding(table, types, -1, false, false),
                None => table.get(0),
            };
        }
        sum += match indices.positions {
            Some(positions) => {
                Tensor::embedding(tables.position, positions, tables.word.padding().unwrap_or(-1), false, false)
            }
            None => tables.position.narrow(0, 0, indices.ids.size()[1]).unsqueeze(0),
        };
        dropout::dropout(&tables.norm.plain(&sum).to_kind(kind), p, train)
    }
}

fn takes(tables: &EmbeddingTables<'_>, kind: Kind) -> bool {
    let (weight, bias, _) = tables.norm.parts();
    let plain = |t: &Tensor| t.device() == tch::Device::Cpu && t.kind() == Kind::Float && t.is_contiguous();
    switched_on()
        && matches!(kind, Kind::Float | Kind::BFloat16)
        && tables.word.fits_kernel()
        && tables.word.width() <= super::norm::WIDEST
        && [Some(tables.position), tables.token_type, Some(weight), Some(bias)].into_iter().flatten().all(plain)
}

/// `dropout(norm(word + type + position))` [B, T, E] as `kind`.
///
/// # Panics
/// On an index outside its table, as libtorch's own lookup does.
pub fn text_embeddings(
    tables: EmbeddingTables<'_>,
    indices: EmbeddingIndices<'_>,
    p: f64,
    kind: Kind,
    train: bool,
) -> Tensor {
    if !takes(&tables, kind) {
        return reference::text_embeddings(tables, indices, p, kind, train);
    }
    let mut compact = tables.word.compact();
    if let Some(compact) = compact.as_mut() {
        compact
            .catch_up(tables.word.whole(), Some(indices.ids))
            .unwrap_or_else(|error| panic!("text embeddings: {error}"));
    }
    let compact = compact.as_ref();
    let call = shim::Embeddings {
        word: compact.map_or(tables.word.whole(), |c| &c.leaf),
        position: tables.position,
        token_type: tables.token_type,
        norm: tables.norm.parts(),
        ids: indices.ids,
        types: indices.types,
        positions: indices.positions,
        padding: tables.word.padding(),
        rest: compact.map(|c| (&c.row_map, tables.word.whole())),
        bf16: kind == Kind::BFloat16,
    };
    shim::embeddings(&call, next_drop(p, train)).unwrap_or_else(|error| panic!("text embeddings: {error}"))
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    fn ids(seed: u64, shape: [i64; 2], below: i64) -> Tensor {
        let numbers = crate::random::uniform(seed, (shape[0] * shape[1]) as usize);
        let numbers: Vec<i64> = numbers.iter().map(|u| (u * below as f64) as i64).collect();
        Tensor::from_slice(&numbers).reshape(shape)
    }

    /// `options`: whether segments and positions are given, and whether only part of the vocabulary learns; rows of `padding`
    /// get no gradient.
    fn compare(
        kind: Kind,
        shape: [i64; 2],
        width: i64,
        p: f64,
        [types, positions, compact]: [bool; 3],
        padding: Option<i64>,
    ) {
        // Every third id is unknown to the compact leaf.
        let rows: Vec<i64> = (0..50).filter(|row| row % 3 != 0 || !compact).collect();
        let inputs = [
            leaf(1, &[rows.len() as i64, width], Kind::Float),
            leaf(2, &[40, width], Kind::Float),
            leaf(3, &[2, width], Kind::Float),
            leaf(4, &[width], Kind::Float),
            leaf(5, &[width], Kind::Float),
        ];
        let whole = leaf(9, &[50, width], Kind::Float).detach();
        let (id, segment, place) = (ids(6, shape, 50), ids(7, shape, 2), ids(8, shape, 40));
        agree(kind, &inputs, |t, fused| {
            let norm = LayerNorm::new(t[3].shallow_clone(), t[4].shallow_clone(), 1e-12);
            let mut table = Table::new(if compact { whole.to_kind(t[0].kind()) } else { t[0].shallow_clone() })
                .with_padding(padding);
            if compact {
                let _ = table.keep_rows(&rows, true).unwrap();
                let mut part = table.compact();
                part.as_mut().unwrap().leaf = t[0].shallow_clone();
            }
            run(&table, t, &norm, &id, types.then_some(&segment), positions.then_some(&place), p, kind, fused)
        });
    }

    #[expect(clippy::too_many_arguments, reason = "a test's plumbing")]
    fn run(
        word: &Table,
        t: &[Tensor],
        norm: &LayerNorm,
        ids: &Tensor,
        types: Option<&Tensor>,
        positions: Option<&Tensor>,
        p: f64,
        kind: Kind,
        fused: bool,
    ) -> Tensor {
        let tables = EmbeddingTables { word, position: &t[1], token_type: Some(&t[2]), norm };
        let indices = EmbeddingIndices { ids, types, positions };
        if fused {
            text_embeddings(tables, indices, p, kind, true)
        } else {
            reference::text_embeddings(tables, indices, p, t[0].kind(), true)
        }
    }

    #[test]
    fn equals_the_composition_in_fp64() {
        for kind in [Kind::Float, Kind::BFloat16] {
            for options in [[false, false, false], [true, false, false], [true, true, false], [false, true, true]] {
                for padding in [None, Some(1)] {
                    compare(kind, [4, 25], 48, 0.1, options, padding);
                    compare(kind, [1, 1], 21, 0.0, options, padding);
                    compare(kind, [0, 7], 16, 0.1, options, padding);
                }
            }
        }
    }

    #[test]
    fn the_row_of_padding_gets_no_gradient() {
        for compact in [false, true] {
            let whole = leaf(1, &[6, 8], Kind::Float);
            let mut word = Table::new(whole.shallow_clone()).with_padding(Some(1));
            let leaf_of_word = if compact { word.keep_rows(&[1, 4, 5], true).unwrap() } else { whole };
            let t = [Tensor::new(), leaf(2, &[6, 8], Kind::Float), leaf(3, &[2, 8], Kind::Float)];
            let norm = LayerNorm::new(leaf(4, &[8], Kind::Float), leaf(5, &[8], Kind::Float), 1e-5);
            let (id, place) = (Tensor::from_slice2(&[[4i64, 5, 1]]), Tensor::from_slice2(&[[2i64, 3, 1]]));
            let y = run(&word, &t, &norm, &id, None, Some(&place), 0.0, Kind::Float, true);
            (y * leaf(6, &[1, 3, 8], Kind::Float).detach()).sum(Kind::Float).backward();
            let learns = |table: &Tensor| {
                let sums =
                    table.grad().to_dense(None, false).abs().sum_dim_intlist([1i64].as_slice(), false, Kind::Float);
                Vec::<f32>::try_from(sums).unwrap().into_iter().map(|sum| sum > 0.0).collect::<Vec<_>>()
            };
            let rows: &[bool] = if compact { &[false, true, true] } else { &[false, false, false, false, true, true] };
            assert_eq!(learns(&leaf_of_word), rows);
            assert_eq!(learns(&t[1]), [false, false, true, true, false, false]);
        }
    }

    #[test]
    #[should_panic(expected = "input id 50 is outside")]
    fn an_id_outside_the_table_is_refused() {
        let t: Vec<Tensor> = [50, 40, 2].iter().map(|&rows| leaf(1, &[rows, 8], Kind::Float)).collect();
        let norm = LayerNorm::new(leaf(4, &[8], Kind::Float), leaf(5, &[8], Kind::Float), 1e-5);
        let id = Tensor::from_slice(&[50i64]).reshape([1, 1]);
        let _ = run(&Table::new(t[0].shallow_clone()), &t, &norm, &id, None, None, 0.0, Kind::Float, true);
    }
}
