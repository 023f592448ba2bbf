//! A bias on attention scores by relative position, in buckets that grow with the distance (Raffel et al. 2020, §2.1), one table
//! for all layers: transformers' `relative_attention_bias`.
//!
//! T tokens, H heads.

use crate::ModelError;
use crate::checkpoint::{Init, Weights};
use retune_kernels::Weight;
use retune_kernels::tch::{Device, Kind, Tensor};
use std::sync::{Mutex, PoisonError};

/// Buckets in use, half of them for places before.
pub const BUCKETS: i64 = 32;
/// Places further away than this share one bucket.
const FARTHEST: f64 = 128.0;

/// The table with the buckets of the last length that came.
#[derive(Debug)]
pub struct BucketedPositionBias {
    table: Weight, // [buckets, H]
    buckets: Mutex<Option<(i64, Tensor)>>,
}

impl BucketedPositionBias {
    /// `weights` points at the table, which has at least [`BUCKETS`] `rows`.
    pub fn load(weights: &Weights<'_>, rows: i64, heads: i64) -> Result<Self, ModelError> {
        let table = weights.exact("weight", &[rows, heads], Init::Normal(weights.initializer_range()))?;
        Ok(Self { table, buckets: Mutex::default() })
    }

    /// The bias between T `tokens`, [1, H, T, T].
    pub fn of(&self, tokens: i64) -> Tensor {
        let mut cached = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let known = cached.take().filter(|(length, _)| *length == tokens);
        let (_, buckets) = cached.insert(known.unwrap_or_else(|| (tokens, buckets(tokens, self.table.device()))));
        self.table.index_select(0, buckets).view([tokens, tokens, -1]).permute([2, 0, 1]).unsqueeze(0)
    }
}

/// The bucket of each pair of places, \[T²\]: keys before a query, and itself, in the first half, keys behind it in the second.
fn buckets(tokens: i64, device: Device) -> Tensor {
    let places = Tensor::arange(tokens, (Kind::Int64, device));
    let ahead = places.unsqueeze(0) - places.unsqueeze(1); // of keys, seen from queries
    let half = BUCKETS / 2;
    let exact = half / 2;
    let distance = ahead.abs();
    // The same operations in the same precision as transformers', so that no place falls on the other side of a border.
    let far =
        (distance.to_kind(Kind::Float) / exact as f64).log() / (FARTHEST / exact as f64).ln() * (half - exact) as f64;
    let far = (far.clamp_min(0.0).to_kind(Kind::Int64) + exact).clamp_max(half - 1);
    let within = distance.where_self(&distance.lt(exact), &far);
    (within + ahead.gt(0).to_kind(Kind::Int64) * half).view([-1])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of transformers' `MPNetEncoder.relative_position_bucket`.
    #[test]
    fn buckets_grow_with_the_distance() {
        let of_first = buckets(200, Device::Cpu).view([200, 200]);
        let at = |query: i64, key: i64| of_first.int64_value(&[query, key]);
        assert_eq!([0, 1, 7, 8, 12, 16, 32, 64, 127, 128, 199].map(|key| at(0, key)), EXPECTED);
        assert_eq!([0, 1, 7, 8, 12, 16, 32, 64, 127, 128, 199].map(|query| at(query, 0) + half(query)), EXPECTED);
    }

    fn half(distance: i64) -> i64 {
        if distance > 0 { BUCKETS / 2 } else { 0 }
    }

    const EXPECTED: [i64; 11] = [0, 17, 23, 24, 25, 26, 28, 30, 31, 31, 31];
}
