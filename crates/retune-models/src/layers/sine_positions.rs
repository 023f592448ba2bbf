//! Sines and cosines for the places of a map of which only a part may be there (Carion et al. 2020), transformers
//! `DetrSinePositionEmbedding`.
//!
//! B batch, h and w map, D size, half of it for each axis.

use retune_kernels::tch::{Kind, Tensor};
use std::f64::consts::TAU;

const TEMPERATURE: f64 = 10_000.0;
/// Keeps a quotient of nothing defined, as there.
const EPSILON: f64 = 1e-6;

/// Positions [B, h·w, D] in fp32; places count along what `mask` [B, h, w] says is there, from 1 less `before` on, and end at a full
/// turn, less as much.
pub fn sine_positions(mask: &Tensor, size: i64, before: f64) -> Tensor {
    let (half, mask) = (size / 2, mask.to_kind(Kind::Float));
    let along = |dim: i64| {
        let counted = mask.cumsum(dim, Kind::Float);
        let last = counted.narrow(dim, counted.size()[dim as usize] - 1, 1);
        (&counted - before) / (last + EPSILON) * TAU
    };
    let waves = |places: Tensor| waves(&places, half);
    Tensor::cat(&[waves(along(1)), waves(along(2))], 3).flatten(1, 2)
}

/// Sines and cosines of turned places [..], alternating, [.., `size`].
pub fn waves(places: &Tensor, size: i64) -> Tensor {
    let steps = Tensor::arange(size, (Kind::Float, places.device()));
    let exponents = steps.divide_scalar_mode(2.0, "floor") * 2.0 / size as f64;
    let steps = exponents.full_like(TEMPERATURE).pow(&exponents);
    let turned = places.unsqueeze(-1) / &steps;
    let every = |from: i64| turned.slice(-1, from, None, 2);
    Tensor::stack(&[&every(0).sin(), &every(1).cos()], -1).flatten(-2, -1)
}

/// The same [.., `size`] for middles [.., 2] as shares of the picture, x then y: a full turn is the whole picture.
pub fn sines_of(middles: &Tensor, size: i64) -> Tensor {
    let along = |axis: i64| waves(&(middles.select(-1, axis) * TAU), size / 2);
    Tensor::cat(&[along(1), along(0)], -1)
}
