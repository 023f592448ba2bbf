//! Fixed two-dimensional sine-cosine positions of masked autoencoders (He et al. 2021, §A.1).

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
