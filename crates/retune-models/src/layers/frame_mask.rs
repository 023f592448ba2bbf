//! Which frames of a batch of sounds are no padding, also behind layers that make fewer of them.

use crate::{ModelError, State};
use retune_kernels::tch::{Device, Kind, Tensor};

/// How many frames of each row are no padding, int64 \[B\], beside a state whose frames were made of others.
pub const FRAME_COUNTS: &str = "frame_counts";

/// int64 [B, T]: 1 for so many `frames` of each row, 0 behind them; T is `width`.
pub fn frame_mask(frames: impl ExactSizeIterator<Item = i64>, width: i64) -> Tensor {
    let rows = frames.len() as i64;
    let mask: Vec<i64> = frames.flat_map(|real| (0..width).map(move |frame| i64::from(frame < real))).collect();
    Tensor::from_slice(&mask).view([rows, width])
}

/// What a state has beside hidden states that a strided layer has made `frames` of each row of; the hidden states are still those
/// before it. Frames that are no padding are counted as transformers does: with a kernel, a stride and zeros on either side.
/// `input` is what a model reads.
///
/// # Errors
/// Rows of which no frame can be made.
pub fn fewer_frames(
    state: State,
    frames: i64,
    (kernel, stride, around): (i64, i64, i64),
    input: &str,
) -> Result<State, ModelError> {
    let State { hidden, mask, mut beside } = state;
    let [batch, before, _] = hidden.size()[..] else { panic!("hidden states have three dimensions") };
    let counts = match (beside.optional(FRAME_COUNTS), &mask) {
        (Some(counts), _) => counts.to_device(Device::Cpu),
        (None, Some(mask)) => mask.sum_dim_intlist([1i64].as_slice(), false, Kind::Int64).to_device(Device::Cpu),
        (None, None) => Tensor::full([batch], before, (Kind::Int64, Device::Cpu)),
    };
    let counts = Vec::<i64>::try_from(counts)?.into_iter();
    let counts: Vec<i64> = counts.map(|count| (count + 2 * around - kernel).div_euclid(stride) + 1).collect();
    if let Some(row) = counts.iter().position(|&count| count < 1).or((frames < 1).then_some(0)) {
        let problem = format!("row {row} is so short that no frame can be made of it");
        return Err(ModelError::InputShape { name: input.to_owned(), shape: hidden.size(), problem });
    }
    let mask = mask.map(|_| frame_mask(counts.iter().copied(), frames));
    beside.insert(FRAME_COUNTS, Tensor::from_slice(&counts));
    Ok(State { hidden, mask, beside })
}
