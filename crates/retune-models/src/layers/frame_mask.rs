//! Which frames of a batch of sounds are no padding.

use retune_kernels::tch::Tensor;

/// int64 [B, T]: 1 for so many `frames` of each row, 0 behind them; T is `width`.
pub fn frame_mask(frames: impl ExactSizeIterator<Item = i64>, width: i64) -> Tensor {
    let rows = frames.len() as i64;
    let mask: Vec<i64> = frames.flat_map(|real| (0..width).map(move |frame| i64::from(frame < real))).collect();
    Tensor::from_slice(&mask).view([rows, width])
}
