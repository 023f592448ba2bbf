//! Safe wrappers over the C++ shim. The only place that declares foreign functions.

use crate::KernelError;
use std::ffi::{CStr, CString, c_char, c_double, c_float, c_int};
use tch::Tensor;

/// An `at::Tensor*`, opaque here: what `tch::Tensor::as_ptr` returns.
type RawTensor = std::ffi::c_void;

unsafe extern "C" {
    fn retune_error() -> *const c_char;
    fn retune_set_float32_matmul_precision(precision: *const c_char) -> c_int;
    fn retune_cpu_capability() -> *const c_char;
    fn retune_clear_gradient(leaf: *mut RawTensor) -> c_int;
    fn retune_dropout(out: *mut *mut RawTensor, input: *const RawTensor, p: c_double, seed: i64) -> c_int;
    fn retune_squared_norms(gradients: *const *const RawTensor, count: i64, squares: *mut c_double) -> c_int;
    fn retune_adamw(
        masters: *const *mut RawTensor,
        gradients: *const *const RawTensor,
        firsts: *const *mut RawTensor,
        seconds: *const *mut RawTensor,
        copies: *const *mut RawTensor,
        learning_rates: *const c_float,
        decays: *const c_float,
        count: i64,
        step: i64,
        beta1: c_double,
        beta2: c_double,
        epsilon: c_double,
        scale: c_double,
    ) -> c_int;
}

fn check(status: c_int) -> Result<(), KernelError> {
    if status == 0 {
        return Ok(());
    }
    // SAFETY: the shim returns a pointer to a thread-local, NUL-terminated string that lives until its next failure.
    let message = unsafe { CStr::from_ptr(retune_error()) }.to_string_lossy();
    Err(KernelError::Shim(message.lines().next().unwrap_or_default().to_owned()))
}

fn raw(tensor: &Tensor) -> *mut RawTensor {
    tensor.as_ptr() as *mut RawTensor
}

/// libtorch's fp32 matrix-product policy: `highest`, `high` or `medium`.
pub(crate) fn set_float32_matmul_precision(precision: &str) -> Result<(), KernelError> {
    let precision = CString::new(precision).expect("a literal without NUL");
    // SAFETY: a valid NUL-terminated string that outlives the call.
    check(unsafe { retune_set_float32_matmul_precision(precision.as_ptr()) })
}

/// Instruction set libtorch's own kernels use, such as `AVX512`.
pub(crate) fn cpu_capability() -> String {
    // SAFETY: a pointer to a static NUL-terminated string.
    unsafe { CStr::from_ptr(retune_cpu_capability()) }.to_string_lossy().into_owned()
}

/// Drops the gradient of a leaf.
pub(crate) fn clear_gradient(leaf: &Tensor) -> Result<(), KernelError> {
    // SAFETY: a live tensor; no reference into its gradient is held by Rust.
    check(unsafe { retune_clear_gradient(raw(leaf)) })
}

pub(crate) fn dropout(input: &Tensor, p: f64, seed: i64) -> Result<Tensor, KernelError> {
    let mut out: *mut RawTensor = std::ptr::null_mut();
    // SAFETY: `input` is a live tensor; on success `out` is an owned `at::Tensor*`, which `from_ptr` takes over.
    unsafe {
        check(retune_dropout(&mut out, raw(input), p, seed))?;
        Ok(Tensor::from_ptr(out.cast()))
    }
}

/// Sum of squares of each tensor, in f64.
pub(crate) fn squared_norms(gradients: &[Tensor]) -> Result<Vec<f64>, KernelError> {
    let pointers: Vec<_> = gradients.iter().map(|g| raw(g).cast_const()).collect();
    let mut squares = vec![0.0; gradients.len()];
    // SAFETY: both arrays hold `gradients.len()` elements and every pointer is a live tensor.
    check(unsafe { retune_squared_norms(pointers.as_ptr(), pointers.len() as i64, squares.as_mut_ptr()) })?;
    Ok(squares)
}

/// One tensor of an AdamW step.
pub(crate) struct AdamWTensor<'a> {
    pub(crate) master: &'a Tensor,
    pub(crate) gradient: &'a Tensor,
    pub(crate) first: &'a Tensor,
    pub(crate) second: &'a Tensor,
    pub(crate) copy: Option<&'a Tensor>,
    pub(crate) learning_rate: f32,
    pub(crate) decay: f32,
}

/// Settings of an AdamW step that all tensors share.
pub(crate) struct AdamWScalars {
    pub(crate) step: i64,
    pub(crate) beta1: f64,
    pub(crate) beta2: f64,
    pub(crate) epsilon: f64,
    pub(crate) scale: f64,
}

pub(crate) fn adamw(tensors: &[AdamWTensor<'_>], scalars: &AdamWScalars) -> Result<(), KernelError> {
    for t in tensors {
        let size = t.master.size();
        if t.gradient.size() != size || t.first.size() != size || t.second.size() != size {
            return Err(KernelError::Shim(format!("AdamW: shapes differ from the parameter's {size:?}")));
        }
    }
    let masters: Vec<_> = tensors.iter().map(|t| raw(t.master)).collect();
    let gradients: Vec<_> = tensors.iter().map(|t| raw(t.gradient).cast_const()).collect();
    let firsts: Vec<_> = tensors.iter().map(|t| raw(t.first)).collect();
    let seconds: Vec<_> = tensors.iter().map(|t| raw(t.second)).collect();
    let copies: Vec<_> = tensors.iter().map(|t| t.copy.map_or(std::ptr::null_mut(), raw)).collect();
    let learning_rates: Vec<_> = tensors.iter().map(|t| t.learning_rate).collect();
    let decays: Vec<_> = tensors.iter().map(|t| t.decay).collect();
    // SAFETY: all arrays hold `tensors.len()` elements, all pointers are live tensors of equal shape (checked above);
    // dtype and layout are checked by the shim.
    check(unsafe {
        retune_adamw(
            masters.as_ptr(),
            gradients.as_ptr(),
            firsts.as_ptr(),
            seconds.as_ptr(),
            copies.as_ptr(),
            learning_rates.as_ptr(),
            decays.as_ptr(),
            tensors.len() as i64,
            scalars.step,
            scalars.beta1,
            scalars.beta2,
            scalars.epsilon,
            scalars.scale,
        )
    })
}
