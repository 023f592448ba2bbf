//! Fixed sine-cosine positions: two-dimensional ones of masked autoencoders (He et al. 2021, §A.1), and those of Whisper.

use retune_kernels::tch::{Device, Tensor};

/// A table [1, 1 + h·w, `size`] with a zero row for the class token; `size` is a multiple of 4.
///
/// The first half of each row encodes the column and the second one the row, each as sines, then cosines.
pub fn sincos_positions(grid: (i64, i64), size: i64, device: Device) -> Tensor {
    let quarter = size / 4;
    let mut values = vec![0f32; size as usize];
    for row in 0..grid.0 {
        for column in 0..grid.1 {
            for place in [column, row] {
                let angle = |i: i64| place as f64 / 10_000f64.powf(i as f64 / quarter as f64);
                values.extend((0..quarter).map(|i| angle(i).sin() as f32));
                values.extend((0..quarter).map(|i| angle(i).cos() as f32));
            }
        }
    }
    Tensor::from_slice(&values).view([1, 1 + grid.0 * grid.1, size]).to_device(device)
}

/// Positions [h·w, `size`] of a map's places: sines and cosines of the row, then those of the column, as `size` is a multiple
/// of 4.
///
/// transformers' `build_2d_sinusoidal_position_embedding`.
pub fn rows_and_columns(grid: (i64, i64), size: i64, temperature: f64, device: Device) -> Tensor {
    let quarter = size / 4;
    let mut values = Vec::with_capacity((grid.0 * grid.1 * size) as usize);
    for row in 0..grid.0 {
        for column in 0..grid.1 {
            for place in [row, column] {
                let angle = |i: i64| place as f64 / temperature.powf(i as f64 / quarter as f64);
                values.extend((0..quarter).map(|i| angle(i).sin() as f32));
                values.extend((0..quarter).map(|i| angle(i).cos() as f32));
            }
        }
    }
    Tensor::from_slice(&values).view([grid.0 * grid.1, size]).to_device(device)
}

/// A table [`length`, `size`]: sines, then cosines, of places at frequencies from 1 to 1/10000, as `size` is even.
///
/// transformers' `sinusoids` in `modeling_whisper.py`.
pub fn whisper_sinusoids(length: i64, size: i64, device: Device) -> Tensor {
    let half = size / 2;
    let step = 10_000f64.ln() / (half - 1).max(1) as f64;
    let angle = |place: i64, i: i64| place as f64 * (-step * i as f64).exp();
    let row = |place: i64| {
        let sines = (0..half).map(move |i| angle(place, i).sin() as f32);
        sines.chain((0..half).map(move |i| angle(place, i).cos() as f32))
    };
    let values: Vec<f32> = (0..length).flat_map(row).collect();
    Tensor::from_slice(&values).view([length, 2 * half]).to_device(device)
}
