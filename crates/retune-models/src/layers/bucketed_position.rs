//! A bias on attention scores by relative position, in buckets that grow with the distance (Raffel et al. 2020, §2.1), one table
//! for all layers: transformers' `relative_attention_bias`.
//!
//! T tokens, Q queries, S keys, H heads.

use crate::ModelError;
use crate::checkpoint::{Init, Weights};
use retune_kernels::Weight;
use retune_kernels::tch::{Device, Kind, Tensor};
use std::sync::{Mutex, PoisonError};

/// How places fall into buckets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Buckets {
    /// How many are in use.
    pub count: i64,
    /// Places as far away as this share the last one.
    pub farthest: i64,
    /// Whether half of them are for keys that stand behind a query; else those share the bucket of the query's own place.
    pub both_sides: bool,
}

impl Buckets {
    /// Of one side, and how many of these hold one distance only.
    fn of_side(&self) -> (i64, i64) {
        let side = if self.both_sides { self.count / 2 } else { self.count };
        (side, side / 2)
    }

    /// Whether they are enough to tell distances apart, and the farthest place lies beyond those with a bucket of their own.
    pub fn are_useful(&self) -> bool {
        let (_, exact) = self.of_side();
        exact > 0 && self.farthest > exact
    }

    /// The bucket of each pair of a query and a key, \[Q · S\]: queries stand behind `past` keys.
    fn of(&self, queries: i64, past: i64, device: Device) -> Tensor {
        let places = |first, count| Tensor::arange_start(first, first + count, (Kind::Int64, device));
        let ahead = places(0, past + queries).unsqueeze(0) - places(past, queries).unsqueeze(1); // of keys, seen from queries
        let (side, exact) = self.of_side();
        let distance = if self.both_sides { ahead.abs() } else { -ahead.clamp_max(0) };
        // The same operations in the same precision as transformers', so that no place falls on the other side of a border.
        let far = (distance.to_kind(Kind::Float) / exact as f64).log() / (self.farthest as f64 / exact as f64).ln()
            * (side - exact) as f64;
        let far = (far.clamp_min(0.0).to_kind(Kind::Int64) + exact).clamp_max(side - 1);
        let within = distance.where_self(&distance.lt(exact), &far);
        let behind = if self.both_sides { side } else { 0 };
        (within + ahead.gt(0).to_kind(Kind::Int64) * behind).view([-1])
    }
}

/// Queries, keys before them, and the bucket of each pair.
type Known = (i64, i64, Tensor);

/// The table with the buckets of the last lengths that came.
#[derive(Debug)]
pub struct BucketedPositionBias {
    table: Weight, // [buckets, H]
    buckets: Buckets,
    known: Mutex<Option<Known>>,
}

impl BucketedPositionBias {
    /// `weights` points at the table, which has at least as many `rows` as there are buckets.
    ///
    /// # Errors
    /// A checkpoint that does not fit.
    pub fn load(weights: &Weights<'_>, rows: i64, heads: i64, buckets: Buckets) -> Result<Self, ModelError> {
        let table = weights.exact("weight", &[rows, heads], Init::Normal(weights.initializer_range()))?;
        Ok(Self { table, buckets, known: Mutex::default() })
    }

    /// The bias between T `tokens`, [1, H, T, T].
    pub fn of(&self, tokens: i64) -> Tensor {
        self.after(0, tokens)
    }

    /// The bias of Q `queries` that stand behind `past` keys, to these and their own, [1, H, Q, `past` + Q].
    pub fn after(&self, past: i64, queries: i64) -> Tensor {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let same = known.take().filter(|(q, p, _)| (*q, *p) == (queries, past));
        let made = || (queries, past, self.buckets.of(queries, past, self.table.device()));
        let (_, _, buckets) = known.insert(same.unwrap_or_else(made));
        self.table.index_select(0, buckets).view([queries, past + queries, -1]).permute([2, 0, 1]).unsqueeze(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: Buckets = Buckets { count: 32, farthest: 128, both_sides: true };
    const PLACES: [i64; 11] = [0, 1, 7, 8, 12, 16, 32, 64, 127, 128, 199];

    /// Values of transformers' `T5Attention._relative_position_bucket`.
    #[test]
    fn buckets_grow_with_the_distance() {
        let of = |buckets: Buckets| buckets.of(200, 0, Device::Cpu).view([200, 200]);
        let both = of(BOTH);
        let expected = [0, 17, 23, 24, 25, 26, 28, 30, 31, 31, 31];
        let half = |distance: i64| if distance > 0 { 16 } else { 0 };
        assert_eq!(PLACES.map(|key| both.int64_value(&[0, key])), expected);
        assert_eq!(PLACES.map(|query| both.int64_value(&[query, 0]) + half(query)), expected);
        let back = of(Buckets { both_sides: false, ..BOTH });
        assert_eq!(PLACES.map(|query| back.int64_value(&[query, 0])), [0, 1, 7, 8, 12, 16, 21, 26, 31, 31, 31]);
        assert!(PLACES.iter().all(|&key| back.int64_value(&[0, key]) == 0));
    }

    #[test]
    fn queries_behind_others_have_the_buckets_of_their_places() {
        for buckets in [BOTH, Buckets { both_sides: false, ..BOTH }] {
            let whole = buckets.of(30, 0, Device::Cpu).view([30, 30]);
            assert_eq!(buckets.of(4, 26, Device::Cpu).view([4, 30]), whole.narrow(0, 26, 4));
        }
        assert!(BOTH.are_useful() && !Buckets { count: 3, ..BOTH }.are_useful());
        assert!(!Buckets { farthest: 8, ..BOTH }.are_useful());
    }
}
