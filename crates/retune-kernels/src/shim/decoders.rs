//! What decoders train with, and the loss over a vocabulary.

use super::{RawTensor, check, raw, raw_or_null, returned};
use crate::KernelError;
use std::ffi::{c_double, c_int};
use tch::{Device, Kind, Tensor};

unsafe extern "C" {
    fn retune_rms_norm(
        out: *mut *mut RawTensor,
        x: *const RawTensor,
        weight: *const RawTensor,
        epsilon: c_double,
        offset: c_double,
        bf16: c_int,
    ) -> c_int;
    fn retune_gated(
        out: *mut *mut RawTensor,
        gate: *const RawTensor,
        up: *const RawTensor,
        gate_first: c_int,
        activation: i64,
    ) -> c_int;
    fn retune_gated_linear(
        out: *mut *mut RawTensor,
        gate: *const RawTensor,
        up: *const RawTensor,
        weight: *const RawTensor,
        gate_first: c_int,
        activation: i64,
    ) -> c_int;
    fn retune_rotary(
        out: *mut *mut RawTensor,
        x: *const RawTensor,
        cos: *const RawTensor,
        sin: *const RawTensor,
    ) -> c_int;
    fn retune_cross_entropy(
        scores: *mut RawTensor,
        bias: *const RawTensor,
        targets: *const RawTensor,
        smoothing: c_double,
        gradient: c_int,
        smoothed: *mut RawTensor,
        plain: *mut RawTensor,
        correct: *mut RawTensor,
    ) -> c_int;
    fn retune_known_gradients(
        out: *mut *mut RawTensor,
        sum: *const RawTensor,
        first: *const RawTensor,
        second: *const RawTensor,
        of_first: *const RawTensor,
        of_second: *const RawTensor,
    ) -> c_int;
}

/// The factor is `offset` + weight; the result is bf16 or else fp32.
pub(crate) fn rms_norm(
    x: &Tensor,
    weight: &Tensor,
    epsilon: f64,
    offset: f64,
    bf16: bool,
) -> Result<Tensor, KernelError> {
    // SAFETY: live tensors, whose shapes and dtypes the caller has checked.
    returned(|out| unsafe { retune_rms_norm(out, raw(x), raw(weight), epsilon, offset, c_int::from(bf16)) })
}

/// `activation` is a number of shim/kernels.h, not that of the identity. Without `up`, `gate` holds both.
pub(crate) fn gated(
    gate: &Tensor,
    up: Option<&Tensor>,
    gate_first: bool,
    activation: i64,
) -> Result<Tensor, KernelError> {
    // SAFETY: live tensors, whose shapes and dtypes the caller has checked.
    returned(|out| unsafe { retune_gated(out, raw(gate), raw_or_null(up), c_int::from(gate_first), activation) })
}

/// The same times `weight`ᵀ [D, F].
pub(crate) fn gated_linear(
    gate: &Tensor,
    up: Option<&Tensor>,
    weight: &Tensor,
    gate_first: bool,
    activation: i64,
) -> Result<Tensor, KernelError> {
    let (up, first) = (raw_or_null(up), c_int::from(gate_first));
    // SAFETY: live tensors, whose shapes and dtypes the caller has checked.
    returned(|out| unsafe { retune_gated_linear(out, raw(gate), up, raw(weight), first, activation) })
}

/// `x` [B, T, H, K], contiguous `cos` and `sin` [1 or B, T, 1, R] in fp32.
pub(crate) fn rotary(x: &Tensor, cos: &Tensor, sin: &Tensor) -> Result<Tensor, KernelError> {
    // SAFETY: live tensors, whose shapes, dtypes and layout the caller has checked.
    returned(|out| unsafe { retune_rotary(out, raw(x), raw(cos), raw(sin)) })
}

/// Smoothed and plain losses \[N\] and whether the highest score is the target's, of `scores` [N, V] in whose place their gradient
/// stands afterwards, if it is wanted.
pub(crate) fn cross_entropy(
    scores: &Tensor,
    bias: Option<&Tensor>,
    targets: &Tensor,
    smoothing: f64,
    gradient: bool,
) -> Result<[Tensor; 3], KernelError> {
    let count = [scores.size()[0]];
    let [smoothed, plain, correct] =
        [Kind::Float, Kind::Float, Kind::Bool].map(|kind| Tensor::empty(count, (kind, Device::Cpu)));
    // SAFETY: live tensors, or null where the shim allows it; it checks shapes, dtypes, layout and the range of the targets.
    check(unsafe {
        retune_cross_entropy(
            raw(scores),
            raw_or_null(bias),
            raw(targets),
            smoothing,
            c_int::from(gradient),
            raw(&smoothed),
            raw(&plain),
            raw(&correct),
        )
    })?;
    Ok([smoothed, plain, correct])
}

/// `sum`, whose gradients for two `inputs` are known already: of their shapes, `None` where an input learns nothing.
pub(crate) fn with_known_gradients(
    sum: &Tensor,
    inputs: [&Tensor; 2],
    gradients: [Option<&Tensor>; 2],
) -> Result<Tensor, KernelError> {
    let [of_first, of_second] = gradients.map(raw_or_null);
    // SAFETY: live tensors, or null where the shim allows it.
    returned(|out| unsafe {
        retune_known_gradients(out, raw(sum), raw(inputs[0]), raw(inputs[1]), of_first, of_second)
    })
}
