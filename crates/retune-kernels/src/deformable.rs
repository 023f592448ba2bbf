//! Multi-scale deformable attention (Zhu et al. 2020, §4.1): each query looks at a few places of each map, between its points.
//!
//! B batch, T places of all maps, Q queries, H heads, K head size, L maps, P places for each query and map.

use tch::{Kind, Tensor};

/// Bilinear, with zeros outside, and places that are shares of the whole map.
const BILINEAR: i64 = 0;
const ZEROS: i64 = 0;

/// How a map is read at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sampling {
    /// Between the four points around it; outside there is nothing.
    Bilinear,
    /// At the nearest point; places learn nothing then (Lv et al. 2024, §3.2).
    Nearest,
}

/// What queries see: `value` [B, T, H, K] at `locations` [B, Q, H, L, P, 2] (x, then y, as shares of a map), each as much as
/// `weights` [B, Q, H, L, P] say. `levels` are height and width of the maps, one after another in T. Returns [B, Q, H·K].
pub fn deformable_attention(
    value: &Tensor,
    levels: &[(i64, i64)],
    locations: &Tensor,
    weights: &Tensor,
    sampling: Sampling,
) -> Tensor {
    let [batch, _, heads, size] = value.size()[..] else { panic!("values are [B, T, H, K]") };
    let [_, queries, _, maps, points, _] = locations.size()[..] else { panic!("locations are [B, Q, H, L, P, 2]") };
    let rows = batch * heads;
    let value = value.permute([0, 2, 3, 1]).reshape([rows, size, -1]); // [B·H, K, T]
    let locations = locations.permute([0, 2, 3, 1, 4, 5]).reshape([rows, maps, queries, points, 2]);
    let mut start = 0;
    let of_map = |(level, &(height, width)): (i64, &(i64, i64))| {
        let map = value.narrow(2, start, height * width);
        start += height * width;
        let at = locations.select(1, level); // [B·H, Q, P, 2]
        match sampling {
            Sampling::Bilinear => {
                let grid = at * 2.0 - 1.0;
                map.reshape([rows, size, height, width]).grid_sampler(&grid, BILINEAR, ZEROS, false)
            }
            Sampling::Nearest => {
                let along = |axis: i64, side: i64| {
                    (at.select(-1, axis) * side as f64 + 0.5).to_kind(Kind::Int64).clamp(0, side - 1)
                };
                let places = along(1, height) * width + along(0, width);
                let places = places.reshape([rows, 1, queries * points]).expand([rows, size, queries * points], false);
                map.gather(2, &places, false).reshape([rows, size, queries, points])
            }
        }
    };
    let seen: Vec<Tensor> = (0i64..).zip(levels).map(of_map).collect(); // each [B·H, K, Q, P]
    let seen = Tensor::stack(&seen, 3).flatten(3, 4);
    let weights = weights.transpose(1, 2).reshape([rows, 1, queries, maps * points]);
    let all = (seen * weights).sum_dim_intlist([-1i64].as_slice(), false, None::<Kind>);
    all.reshape([batch, heads * size, queries]).transpose(1, 2).contiguous()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_between_and_at_points() {
        // A map of 2 × 2 with a head of one number, then one of 1 × 1.
        let value = Tensor::from_slice(&[1.0f32, 2.0, 3.0, 4.0, 10.0]).view([1, 5, 1, 1]);
        let levels = [(2, 2), (1, 1)];
        let of = |x: f32, y: f32, weights: [f32; 2], sampling| {
            let locations = Tensor::from_slice(&[x, y, 0.5, 0.5]).view([1, 1, 1, 2, 1, 2]);
            let weights = Tensor::from_slice(&weights).view([1, 1, 1, 2, 1]);
            deformable_attention(&value, &levels, &locations, &weights, sampling).double_value(&[0, 0, 0])
        };
        let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-5, "{a} {b}");
        near(of(0.5, 0.5, [1.0, 0.0], Sampling::Bilinear), 2.5);
        near(of(0.25, 0.75, [1.0, 0.0], Sampling::Bilinear), 3.0);
        near(of(0.5, 0.25, [0.5, 0.25], Sampling::Bilinear), 0.5 * 1.5 + 2.5);
        // Half of what is around the corner is outside.
        near(of(0.25, 0.0, [1.0, 0.0], Sampling::Bilinear), 0.5);
        // x · 2 + ½ is cut off, and kept inside.
        near(of(0.2, 0.3, [1.0, 0.0], Sampling::Nearest), 3.0);
        near(of(7.0, -7.0, [1.0, 0.0], Sampling::Nearest), 2.0);
    }
}
