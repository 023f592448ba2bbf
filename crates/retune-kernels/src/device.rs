//! Devices, threads and the optional CUDA half of libtorch.

use crate::{KernelError, shim};
use tch::Device;

/// Makes CUDA available where libtorch's CUDA library can be found, so that one binary serves both.
///
/// The library registers its kernels when it is loaded; nothing links against it. Returns why it is not there.
pub fn load_cuda() -> Result<(), String> {
    if tch::Cuda::is_available() {
        return Ok(());
    }
    #[cfg(unix)]
    {
        // SAFETY: a NUL-terminated literal; loading runs libtorch's own initialisers, which is what we want.
        let handle = unsafe { libc::dlopen(c"libtorch_cuda.so".as_ptr(), libc::RTLD_NOW | libc::RTLD_GLOBAL) };
        if handle.is_null() {
            // SAFETY: after a failed dlopen, dlerror returns a NUL-terminated string (or null, handled).
            let message = unsafe { libc::dlerror() };
            if message.is_null() {
                return Err("libtorch_cuda.so could not be loaded".to_owned());
            }
            // SAFETY: checked for null; valid until the next dl* call of this thread.
            return Err(unsafe { std::ffi::CStr::from_ptr(message) }.to_string_lossy().into_owned());
        }
    }
    if tch::Cuda::is_available() { Ok(()) } else { Err("libtorch sees no usable CUDA device".to_owned()) }
}

/// Resolves `auto`, `cpu`, `cuda` or `cuda:N`; the text says why `auto` fell back to the CPU.
pub fn resolve(flag: &str) -> Result<(Device, Option<String>), KernelError> {
    let error = |reason: String| KernelError::Device { device: flag.to_owned(), reason };
    match flag {
        "cpu" => Ok((Device::Cpu, None)),
        "auto" => Ok(match load_cuda() {
            Ok(()) => (Device::Cuda(0), None),
            Err(reason) => (Device::Cpu, Some(reason)),
        }),
        _ => {
            let index = match flag.strip_prefix("cuda") {
                Some("") => 0,
                Some(rest) => rest
                    .strip_prefix(':')
                    .and_then(|n| n.parse::<usize>().ok())
                    .ok_or_else(|| error("write cuda or cuda:N".to_owned()))?,
                None => return Err(error("known devices are auto, cpu, cuda, cuda:N".to_owned())),
            };
            load_cuda().map_err(error)?;
            if index as i64 >= tch::Cuda::device_count() {
                return Err(error(format!("there are {} CUDA devices", tch::Cuda::device_count())));
            }
            Ok((Device::Cuda(index), None))
        }
    }
}

/// Limits libtorch's compute threads; 0 leaves its default (the number of cores).
pub fn set_threads(threads: usize) -> usize {
    if threads > 0 {
        tch::set_num_threads(threads as i32);
    }
    tch::get_num_threads() as usize
}

/// Instruction set of libtorch's own kernels, such as `AVX512`.
pub fn cpu_capability() -> String {
    shim::cpu_capability()
}

/// The libtorch version this was built for.
pub const LIBTORCH_VERSION: &str = "2.11.0";
