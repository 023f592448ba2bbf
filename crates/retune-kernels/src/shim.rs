//! Safe wrappers over the C++ shim. The only place that declares foreign functions.

pub(crate) mod decoders;
pub(crate) mod device;

use crate::KernelError;
use std::ffi::{CStr, CString, c_char, c_double, c_int};
use tch::Tensor;

/// An `at::Tensor*`, opaque here: what `tch::Tensor::as_ptr` returns.
type RawTensor = std::ffi::c_void;

unsafe extern "C" {
    fn retune_error() -> *const c_char;
    fn retune_set_float32_matmul_precision(precision: *const c_char) -> c_int;
    fn retune_share_threads(threads: i64) -> c_int;
    fn retune_cpu_capability() -> *const c_char;
    fn retune_clear_gradient(leaf: *mut RawTensor) -> c_int;
    fn retune_dropout(out: *mut *mut RawTensor, input: *const RawTensor, p: c_double, seed: i64) -> c_int;
    fn retune_kernels_name() -> *const c_char;
    fn retune_norm(
        out: *mut *mut RawTensor,
        x: *const RawTensor,
        residual: *const RawTensor,
        weight: *const RawTensor,
        bias: *const RawTensor,
        epsilon: c_double,
        p: c_double,
        seed: i64,
        kind: i64,
    ) -> c_int;
    fn retune_linear(
        out: *mut *mut RawTensor,
        x: *const RawTensor,
        weight: *const RawTensor,
        bias: *const RawTensor,
        activation: i64,
    ) -> c_int;
    fn retune_attention(
        out: *mut *mut RawTensor,
        query: *const RawTensor,
        key: *const RawTensor,
        value: *const RawTensor,
        mask: *const RawTensor,
        bounds: *const RawTensor,
        heads: i64,
        scale: c_double,
        p: c_double,
        seed: i64,
    ) -> c_int;
    fn retune_embeddings(
        out: *mut *mut RawTensor,
        tables: *const *const RawTensor,
        indices: *const *const RawTensor,
        padding: i64,
        epsilon: c_double,
        p: c_double,
        seed: i64,
        bf16: c_int,
    ) -> c_int;
    fn retune_squared_norms(gradients: *const *const RawTensor, count: i64, squares: *mut c_double) -> c_int;
    fn retune_adamw(
        masters: *const *mut RawTensor,
        gradients: *const *const RawTensor,
        firsts: *const *mut RawTensor,
        seconds: *const *mut RawTensor,
        copies: *const *mut RawTensor,
        steps: *const AdamWStep,
        count: i64,
    ) -> c_int;
    fn retune_adamw_catch_up(
        weight: *const RawTensor,
        first: *const RawTensor,
        second: *const RawTensor,
        last: *const RawTensor,
        rows: *const RawTensor,
        row_map: *const RawTensor,
        past: *const AdamWStep,
        count: i64,
        done: i64,
    ) -> c_int;
    fn retune_decay_rest(whole: *const RawTensor, row_map: *const RawTensor, factors: *const f32, count: i64) -> c_int;
    fn retune_adamw_rows(
        weight: *const RawTensor,
        first: *const RawTensor,
        second: *const RawTensor,
        last: *const RawTensor,
        rows: *const RawTensor,
        gradients: *const RawTensor,
        step: *const AdamWStep,
        number: i64,
    ) -> c_int;
}

/// Gives the calling thread this many compute threads, whatever others have.
pub(crate) fn share_threads(threads: i64) -> Result<(), KernelError> {
    // SAFETY: a plain number.
    check(unsafe { retune_share_threads(threads) })
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

fn raw_or_null(tensor: Option<&Tensor>) -> *mut RawTensor {
    tensor.map_or(std::ptr::null_mut(), raw)
}

/// The tensor that `call` puts into its argument.
fn returned(call: impl FnOnce(&mut *mut RawTensor) -> c_int) -> Result<Tensor, KernelError> {
    let mut out: *mut RawTensor = std::ptr::null_mut();
    check(call(&mut out))?;
    // SAFETY: on success every function of the shim leaves an owned `at::Tensor*` in `out`, which `from_ptr` takes over.
    Ok(unsafe { Tensor::from_ptr(out.cast()) })
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
    // SAFETY: `input` is a live tensor.
    returned(|out| unsafe { retune_dropout(out, raw(input), p, seed) })
}

/// Instruction set of the fused kernels, such as `avx512bf16`.
pub(crate) fn kernels_name() -> &'static str {
    // SAFETY: a pointer to a static NUL-terminated string.
    unsafe { CStr::from_ptr(retune_kernels_name()) }.to_str().unwrap_or("unknown")
}

/// Which side of a norm dropout is on.
#[derive(Clone, Copy)]
pub(crate) enum NormKind {
    /// `norm(residual + dropout(x))`
    DropAddNorm = 0,
    /// `dropout(norm(x))`
    NormDrop = 1,
}

/// Dropout of one kernel call.
#[derive(Clone, Copy)]
pub(crate) struct Drop {
    pub(crate) p: f64,
    pub(crate) seed: u64,
}

pub(crate) fn norm(
    x: &Tensor,
    residual: Option<&Tensor>,
    (weight, bias, epsilon): (&Tensor, &Tensor, f64),
    drop: Drop,
    kind: NormKind,
) -> Result<Tensor, KernelError> {
    let (residual, seed) = (raw_or_null(residual), drop.seed as i64);
    // SAFETY: live tensors, or null where the shim allows it; it checks shapes and dtypes.
    returned(|out| unsafe {
        retune_norm(out, raw(x), residual, raw(weight), raw(bias), epsilon, drop.p, seed, kind as i64)
    })
}

/// `activation` is -1 for the identity, otherwise the number of shim/kernels.h.
pub(crate) fn linear(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    activation: i64,
) -> Result<Tensor, KernelError> {
    // SAFETY: live tensors, or null where the shim allows it; it checks shapes and dtypes.
    returned(|out| unsafe { retune_linear(out, raw(x), raw(weight), raw_or_null(bias), activation) })
}

pub(crate) fn attention(
    [query, key, value]: [&Tensor; 3],
    (mask, bounds): (Option<&Tensor>, Option<&Tensor>),
    heads: i64,
    scale: f64,
    drop: Drop,
) -> Result<Tensor, KernelError> {
    let (mask, bounds, seed) = (raw_or_null(mask), raw_or_null(bounds), drop.seed as i64);
    // SAFETY: live tensors, or null where the shim allows it; it checks shapes and dtypes, and bounds lie within the keys.
    returned(|out| unsafe {
        retune_attention(out, raw(query), raw(key), raw(value), mask, bounds, heads, scale, drop.p, seed)
    })
}

/// Tables and indices of one embedding call; the shim checks shapes, dtypes and the range of the indices.
pub(crate) struct Embeddings<'a> {
    pub(crate) word: &'a Tensor,
    pub(crate) position: &'a Tensor,
    pub(crate) token_type: Option<&'a Tensor>,
    pub(crate) norm: (&'a Tensor, &'a Tensor, f64),
    pub(crate) ids: &'a Tensor,
    pub(crate) types: Option<&'a Tensor>,
    pub(crate) positions: Option<&'a Tensor>,
    /// Row map, and the rows that `word` lacks.
    pub(crate) rest: Option<(&'a Tensor, &'a Tensor)>,
    /// The row of words, and of positions that are given, which gets no gradient.
    pub(crate) padding: Option<i64>,
    pub(crate) bf16: bool,
}

pub(crate) fn embeddings(e: &Embeddings<'_>, drop: Drop) -> Result<Tensor, KernelError> {
    let (weight, bias, epsilon) = e.norm;
    let (row_map, rest) = (raw_or_null(e.rest.map(|r| r.0)), raw_or_null(e.rest.map(|r| r.1)));
    let tables = [raw(e.word), raw(e.position), raw(weight), raw(bias), raw_or_null(e.token_type), rest];
    let indices = [raw(e.ids), raw_or_null(e.types), raw_or_null(e.positions), row_map];
    let (tables, indices) = (tables.map(<*mut RawTensor>::cast_const), indices.map(<*mut RawTensor>::cast_const));
    // SAFETY: arrays of the lengths the shim reads, of live tensors, or null where it allows that.
    returned(|out| unsafe {
        let bf16 = c_int::from(e.bf16);
        let padding = e.padding.unwrap_or(-1);
        retune_embeddings(out, tables.as_ptr(), indices.as_ptr(), padding, epsilon, drop.p, drop.seed as i64, bf16)
    })
}

/// Sum of squares of each tensor, in f64.
pub(crate) fn squared_norms(gradients: &[&Tensor]) -> Result<Vec<f64>, KernelError> {
    let pointers: Vec<_> = gradients.iter().map(|g| raw(g).cast_const()).collect();
    let mut squares = vec![0.0; gradients.len()];
    // SAFETY: both arrays hold `gradients.len()` elements and every pointer is a live tensor.
    check(unsafe { retune_squared_norms(pointers.as_ptr(), pointers.len() as i64, squares.as_mut_ptr()) })?;
    Ok(squares)
}

/// The arithmetic of one AdamW step: `AdamWStep` of shim/adamw.h.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub(crate) struct AdamWStep {
    /// Learning rate / (1 - β₁ᵗ).
    pub(crate) step_size: f32,
    /// 1 - learning rate · decay.
    pub(crate) keep: f32,
    /// √(1 - β₂ᵗ).
    pub(crate) correction2_sqrt: f32,
    pub(crate) beta1: f32,
    pub(crate) beta2: f32,
    pub(crate) epsilon: f32,
    /// Of the gradient.
    pub(crate) scale: f32,
}

/// One tensor of an AdamW step.
pub(crate) struct AdamWTensor<'a> {
    pub(crate) master: &'a Tensor,
    pub(crate) gradient: &'a Tensor,
    pub(crate) first: &'a Tensor,
    pub(crate) second: &'a Tensor,
    pub(crate) copy: Option<&'a Tensor>,
}

/// The pointers that both optimizer functions take.
struct AdamWPointers {
    masters: Vec<*mut RawTensor>,
    gradients: Vec<*const RawTensor>,
    firsts: Vec<*mut RawTensor>,
    seconds: Vec<*mut RawTensor>,
    copies: Vec<*mut RawTensor>,
}

impl AdamWPointers {
    /// Of tensors whose shapes agree.
    fn new(tensors: &[AdamWTensor<'_>]) -> Result<Self, KernelError> {
        for t in tensors {
            let size = t.master.size();
            if t.gradient.size() != size || t.first.size() != size || t.second.size() != size {
                return Err(KernelError::Shim(format!("AdamW: shapes differ from the parameter's {size:?}")));
            }
        }
        Ok(Self {
            masters: tensors.iter().map(|t| raw(t.master)).collect(),
            gradients: tensors.iter().map(|t| raw(t.gradient).cast_const()).collect(),
            firsts: tensors.iter().map(|t| raw(t.first)).collect(),
            seconds: tensors.iter().map(|t| raw(t.second)).collect(),
            copies: tensors.iter().map(|t| raw_or_null(t.copy)).collect(),
        })
    }
}

/// One step of tensors on the CPU, each with its settings.
pub(crate) fn adamw(tensors: &[AdamWTensor<'_>], steps: &[AdamWStep]) -> Result<(), KernelError> {
    assert_eq!(tensors.len(), steps.len());
    let AdamWPointers { masters, gradients, firsts, seconds, copies } = AdamWPointers::new(tensors)?;
    // SAFETY: all arrays hold `tensors.len()` elements, all pointers are live tensors of equal shape (checked above);
    // dtype and layout are checked by the shim.
    check(unsafe {
        retune_adamw(
            masters.as_ptr(),
            gradients.as_ptr(),
            firsts.as_ptr(),
            seconds.as_ptr(),
            copies.as_ptr(),
            steps.as_ptr(),
            tensors.len() as i64,
        )
    })
}

/// A table [U, E], its moments, and the step each row is at (int64 [U]).
pub(crate) struct AdamWTable<'a> {
    pub(crate) weight: &'a Tensor,
    pub(crate) first: &'a Tensor,
    pub(crate) second: &'a Tensor,
    pub(crate) last: &'a Tensor,
}

/// Replays what rows have missed of `past`, whose last step is number `done`. `ids`: which rows, through `row_map`;
/// `None` is all of them.
pub(crate) fn adamw_catch_up(
    table: &AdamWTable<'_>,
    ids: Option<(&Tensor, Option<&Tensor>)>,
    past: &[AdamWStep],
    done: i64,
) -> Result<(), KernelError> {
    let (rows, row_map) = (raw_or_null(ids.map(|i| i.0)), raw_or_null(ids.and_then(|i| i.1)));
    let (weight, last) = (raw(table.weight), raw(table.last));
    // SAFETY: live tensors (or null where allowed) and a slice with its length; the shim checks shapes, dtypes and ids.
    check(unsafe {
        let (first, second) = (raw(table.first), raw(table.second));
        retune_adamw_catch_up(weight, first, second, last, rows, row_map, past.as_ptr(), past.len() as i64, done)
    })
}

/// Multiplies the rows of `whole` that `row_map` leaves out by each factor in turn.
pub(crate) fn decay_rest(whole: &Tensor, row_map: &Tensor, factors: &[f32]) -> Result<(), KernelError> {
    // SAFETY: live tensors and a slice with its length; the shim checks shapes and dtype.
    check(unsafe { retune_decay_rest(raw(whole), raw(row_map), factors.as_ptr(), factors.len() as i64) })
}

/// One step of `rows`, each named once and up to date, with gradients [n, E].
pub(crate) fn adamw_rows(
    table: &AdamWTable<'_>,
    rows: &Tensor,
    gradients: &Tensor,
    step: &AdamWStep,
    number: i64,
) -> Result<(), KernelError> {
    let (weight, last) = (raw(table.weight), raw(table.last));
    // SAFETY: live tensors and a live struct; rows come from a sparse gradient of the table's own shape.
    check(unsafe {
        let (first, second) = (raw(table.first), raw(table.second));
        retune_adamw_rows(weight, first, second, last, raw(rows), raw(gradients), step, number)
    })
}
