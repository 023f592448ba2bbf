//! The part of the shim that GPUs need.

use super::{AdamWPointers, AdamWStep, AdamWTensor, RawTensor, check, raw, returned};
use crate::KernelError;
use std::ffi::{CStr, c_char, c_double, c_int};
use tch::Tensor;

/// An `Arrival*` of shim/device.cpp.
type RawArrival = std::ffi::c_void;

unsafe extern "C" {
    fn retune_prepare_cuda() -> c_int;
    fn retune_device_name(device: i64, name: *mut c_char, size: i64);
    fn retune_norm_on_device(device: i64, width: i64) -> c_int;
    fn retune_reset_device_peak(device: i64) -> c_int;
    fn retune_send(out: *mut *mut RawTensor, tensor: *const RawTensor, device: i64) -> c_int;
    fn retune_arrival_new(out: *mut *mut RawArrival, tensor: *const RawTensor) -> c_int;
    fn retune_arrival_there(arrival: *const RawArrival) -> c_int;
    fn retune_arrival_read(arrival: *const RawArrival, values: *mut c_double, count: i64) -> c_int;
    fn retune_arrival_free(arrival: *mut RawArrival);
    fn retune_device_peak(device: i64, bytes: *mut i64) -> c_int;
    fn retune_packed_attention(
        out: *mut *mut RawTensor,
        query: *const RawTensor,
        key: *const RawTensor,
        value: *const RawTensor,
        query_starts: *const RawTensor,
        key_starts: *const RawTensor,
        longest_query: i64,
        longest_key: i64,
        causal: c_int,
        p: c_double,
        scale: c_double,
    ) -> c_int;
    fn retune_adamw_device(
        norms: *mut *mut RawTensor,
        masters: *const *mut RawTensor,
        gradients: *const *const RawTensor,
        firsts: *const *mut RawTensor,
        seconds: *const *mut RawTensor,
        copies: *const *mut RawTensor,
        steps: *const AdamWStep,
        count: i64,
        scale: *const RawTensor,
        clip: c_double,
    ) -> c_int;
}

/// Convolutions on a GPU in fp32 where fp32 is asked for, not in TF32; attention that plans nothing for a length.
pub(crate) fn prepare_cuda() -> Result<(), KernelError> {
    // SAFETY: sets switches.
    check(unsafe { retune_prepare_cuda() })
}

/// What the maker of GPU `device` calls it; empty where that is not known.
pub(crate) fn device_name(device: usize) -> String {
    let mut name: [c_char; 256] = [0; 256];
    // SAFETY: a buffer of the size that is passed; what is written there ends with a zero.
    let name = unsafe {
        retune_device_name(device as i64, name.as_mut_ptr(), name.len() as i64);
        CStr::from_ptr(name.as_ptr())
    };
    name.to_string_lossy().into_owned()
}

/// Whether [`super::norm`] of rows of this width runs on GPU `device`.
pub(crate) fn norm_on_device(device: usize, width: i64) -> bool {
    // SAFETY: plain numbers.
    unsafe { retune_norm_on_device(device as i64, width) == 1 }
}

/// One step of tensors on a GPU, each with its settings, without waiting for it. Gradients are multiplied by the scalar
/// `scale` and by the factor that clips their global norm to `clip` (0 = never) instead of that of their settings. Returns
/// the norm of each scaled gradient, fp64 \[count\], on the device; where one is not finite, nothing changes.
pub(crate) fn adamw_device(
    tensors: &[AdamWTensor<'_>],
    steps: &[AdamWStep],
    scale: &Tensor,
    clip: f64,
) -> Result<Tensor, KernelError> {
    assert_eq!(tensors.len(), steps.len());
    let AdamWPointers { masters, gradients, firsts, seconds, copies } = AdamWPointers::new(tensors)?;
    // SAFETY: as in `adamw`; the shim checks devices, too.
    returned(|out| unsafe {
        retune_adamw_device(
            out,
            masters.as_ptr(),
            gradients.as_ptr(),
            firsts.as_ptr(),
            seconds.as_ptr(),
            copies.as_ptr(),
            steps.as_ptr(),
            tensors.len() as i64,
            raw(scale),
            clip,
        )
    })
}

/// A copy on GPU `device` that the host does not wait for.
pub(crate) fn send(tensor: &Tensor, device: usize) -> Result<Tensor, KernelError> {
    // SAFETY: a live tensor, which is copied to page-locked memory before the call returns.
    returned(|out| unsafe { retune_send(out, raw(tensor), device as i64) })
}

/// Most bytes that tensors took on GPU `device` at once.
pub(crate) fn device_peak(device: usize) -> Result<u64, KernelError> {
    let mut bytes = 0;
    // SAFETY: a valid pointer to a number.
    check(unsafe { retune_device_peak(device as i64, &mut bytes) })?;
    Ok(bytes as u64)
}

/// Forgets the peak, and gives unused memory of GPU `device` back to it.
pub(crate) fn reset_device_peak(device: usize) -> Result<(), KernelError> {
    // SAFETY: a plain number.
    check(unsafe { retune_reset_device_peak(device as i64) })
}

/// The two starts are int32 [B + 1] on the device of the others; `causal` wants as many queries as keys.
pub(crate) fn packed_attention(
    [query, key, value]: [&Tensor; 3],
    [query_starts, key_starts]: [&Tensor; 2],
    [longest_query, longest_key]: [i64; 2],
    causal: bool,
    p: f64,
    scale: f64,
) -> Result<Tensor, KernelError> {
    // SAFETY: live tensors; libtorch checks shapes, dtypes and devices.
    returned(|out| unsafe {
        retune_packed_attention(
            out,
            raw(query),
            raw(key),
            raw(value),
            raw(query_starts),
            raw(key_starts),
            longest_query,
            longest_key,
            c_int::from(causal),
            p,
            scale,
        )
    })
}

/// Owner of an `Arrival*`.
#[derive(Debug)]
pub(crate) struct RawArriving(*mut RawArrival);

impl RawArriving {
    pub(crate) fn new(tensor: &Tensor) -> Result<Self, KernelError> {
        let mut out = std::ptr::null_mut();
        // SAFETY: a live tensor and a valid pointer, which on success holds an owned `Arrival*`.
        check(unsafe { retune_arrival_new(&mut out, raw(tensor)) })?;
        Ok(Self(out))
    }

    /// Whether reading would not wait.
    pub(crate) fn is_there(&self) -> Result<bool, KernelError> {
        // SAFETY: an owned `Arrival*`.
        match unsafe { retune_arrival_there(self.0) } {
            -1 => check(1).map(|()| false),
            there => Ok(there == 1),
        }
    }

    /// All `count` values.
    pub(crate) fn read(&self, count: usize) -> Result<Vec<f64>, KernelError> {
        let mut values = vec![0.0; count];
        // SAFETY: an owned `Arrival*` and a buffer of the length that is passed; the shim compares it.
        check(unsafe { retune_arrival_read(self.0, values.as_mut_ptr(), count as i64) })?;
        Ok(values)
    }
}

impl std::ops::Drop for RawArriving {
    fn drop(&mut self) {
        // SAFETY: owned, and freed once.
        unsafe { retune_arrival_free(self.0) }
    }
}
