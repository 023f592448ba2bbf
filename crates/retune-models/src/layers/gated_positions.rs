//! The relative positions of WavLM: a bias for each distance, in buckets that grow with it (Raffel et al. 2020), and a gate that
//! each frame opens or closes (Chen et al. 2022, §3.1).
//!
//! Hugging Face's `WavLMAttention`. B batch, T frames, D hidden size, H heads, K head size.

use crate::ModelError;
use crate::checkpoint::{Init, Weights};
use retune_kernels::tch::{Kind, Tensor};
use retune_kernels::{Dense, Weight};

/// The bias of all layers, which the first one holds.
#[derive(Debug)]
pub struct BucketedPositions {
    table: Weight, // [buckets, H]
    farthest: i64,
}

impl BucketedPositions {
    /// `weights` points at `….rel_attn_embed`; all distances from `farthest` on share a bucket.
    pub fn load(weights: &Weights<'_>, buckets: i64, farthest: i64, heads: i64) -> Result<Self, ModelError> {
        let init = Init::Normal(weights.initializer_range());
        Ok(Self { table: weights.exact("weight", &[buckets, heads], init)?, farthest })
    }

    /// For so many frames, [H, T, T].
    pub fn at(&self, frames: i64) -> Tensor {
        let buckets: Vec<i64> = (0..frames)
            .flat_map(|query| (0..frames).map(move |key| key - query))
            .map(|distance| bucket(distance, self.table.size()[0], self.farthest))
            .collect();
        let places = Tensor::from_slice(&buckets).to_device(self.table.device());
        self.table.index_select(0, &places).view([frames, frames, -1]).permute([2, 0, 1])
    }
}

/// Half of the buckets are for what lies ahead; of each half, half are for one distance each, the others for more and more.
fn bucket(distance: i64, buckets: i64, farthest: i64) -> i64 {
    let (half, away) = (buckets / 2, distance.abs());
    let exact = half / 2;
    let ahead = if distance > 0 { half } else { 0 };
    if away < exact {
        return ahead + away;
    }
    // In single precision, as the tables were trained.
    let scale = ((farthest as f64 / exact as f64).ln()) as f32;
    let grown = (away as f32 / exact as f32).ln() / scale * (half - exact) as f32;
    ahead + (exact + grown as i64).min(half - 1)
}

/// The gate of one layer.
#[derive(Debug)]
pub struct PositionGate {
    constant: Weight, // [1, H, 1, 1]
    projection: Dense,
    heads: i64,
}

impl PositionGate {
    /// `weights` points at `….attention`.
    pub fn load(weights: &Weights<'_>, hidden: i64, heads: i64) -> Result<Self, ModelError> {
        Ok(Self {
            constant: weights.exact("gru_rel_pos_const", &[1, heads, 1, 1], Init::Constant(1.0))?,
            projection: weights.at("gru_rel_pos_linear").dense(hidden / heads, 8)?,
            heads,
        })
    }

    /// `positions` [H, T, T] as each frame of `x` [B, T, D] lets them through, [B, H, T, T].
    pub fn forward(&self, x: &Tensor, positions: &Tensor, train: bool) -> Tensor {
        let [batch, frames, hidden] = x.size()[..] else { panic!("hidden states have three dimensions") };
        let split = x.view([batch, frames, self.heads, hidden / self.heads]).transpose(1, 2);
        let projected = self.projection.forward(&split, train).to_kind(Kind::Float);
        let projected = projected.view([batch, self.heads, frames, 2, 4]);
        let gates = projected.sum_dim_intlist([-1i64].as_slice(), false, Kind::Float).sigmoid();
        let (first, second) = (gates.narrow(3, 0, 1), gates.narrow(3, 1, 1));
        let gate = first * (second * &*self.constant - 1.0) + 2.0;
        gate * positions.unsqueeze(0)
    }
}

#[cfg(test)]
mod tests {
    use super::bucket;

    #[test]
    fn buckets_grow_with_the_distance() {
        let of = |distance| bucket(distance, 320, 800);
        assert_eq!([0, -1, -79, 1, 79].map(of), [0, 1, 79, 161, 239]);
        // 80 + 80·ln(200/80)/ln(800/80) = 111.8
        assert_eq!([-80, -200, -799, -800, -5000, 200].map(of), [80, 111, 159, 159, 159, 271]);
    }
}
