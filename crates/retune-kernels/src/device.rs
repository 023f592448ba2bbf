//! Devices, threads and the optional CUDA half of libtorch.

use crate::KernelError;
use crate::shim::{self, device::RawArriving};
use std::ffi::CStr;
use std::sync::OnceLock;
use tch::{Device, Tensor};

/// Makes CUDA available where a driver and libtorch's CUDA library can be found, so that one binary serves both.
///
/// The library registers its kernels when it is loaded; nothing links against it. Call this before the first backward pass and
/// anything else that asks libtorch for a GPU: it looks for the library once. Returns why it is not there.
pub fn load_cuda() -> Result<(), String> {
    static LOADED: OnceLock<Result<(), String>> = OnceLock::new();
    let load = || {
        #[cfg(unix)]
        {
            // The driver first: it is small, and libtorch's half takes seconds to load.
            load_library(c"libcuda.so.1").map_err(|why| format!("no NVIDIA driver ({why})"))?;
            load_library(c"libtorch_cuda.so")?;
        }
        if !tch::Cuda::is_available() {
            return Err(
                "libtorch sees no usable CUDA device, or looked for one before its CUDA library was loaded".to_owned()
            );
        }
        shim::device::prepare_cuda().map_err(|error| error.to_string())
    };
    LOADED.get_or_init(load).clone()
}

#[cfg(unix)]
fn load_library(name: &CStr) -> Result<(), String> {
    // SAFETY: a NUL-terminated string; loading runs the library's own initialisers, which is what we want.
    let handle = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW | libc::RTLD_GLOBAL) };
    if !handle.is_null() {
        return Ok(());
    }
    // SAFETY: after a failed dlopen, dlerror returns a NUL-terminated string (or null, handled).
    let message = unsafe { libc::dlerror() };
    if message.is_null() {
        return Err(format!("{} could not be loaded", name.to_string_lossy()));
    }
    // SAFETY: checked for null; valid until the next dl* call of this thread.
    Err(unsafe { CStr::from_ptr(message) }.to_string_lossy().into_owned())
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

/// What the maker of a GPU calls it, such as `NVIDIA H100`; `None` for the CPU, and where that is not known.
pub fn product_name(device: Device) -> Option<String> {
    match device {
        Device::Cuda(index) => Some(shim::device::device_name(index)).filter(|name| !name.is_empty()),
        _ => None,
    }
}

/// Where tests and benchmarks run: the CPU, or what `RETUNE_DEVICE` names.
pub fn of_environment() -> Result<Device, KernelError> {
    let flag = std::env::var("RETUNE_DEVICE");
    Ok(resolve(flag.as_deref().unwrap_or("cpu"))?.0)
}

/// `tensor` on `device`. A GPU gets it when it needs it: the host does not wait.
pub fn send(tensor: &Tensor, device: Device) -> Result<Tensor, KernelError> {
    match device {
        Device::Cuda(index) if tensor.device() == Device::Cpu => shim::device::send(tensor, index),
        _ => Ok(tensor.f_to_device(device)?),
    }
}

/// Numbers that a device has yet to compute, on their way to the host.
#[derive(Debug)]
pub struct Arrival {
    raw: RawArriving,
    count: usize,
}

impl Arrival {
    /// Of the values `tensor` will have when all that is under way on its device is done.
    pub fn of(tensor: &Tensor) -> Result<Self, KernelError> {
        Ok(Self { raw: RawArriving::new(tensor)?, count: tensor.numel() })
    }

    /// Whether [`Self::wait`] would not wait; on the CPU always.
    pub fn is_there(&self) -> Result<bool, KernelError> {
        self.raw.is_there()
    }

    /// The values, as soon as they are there.
    pub fn wait(&self) -> Result<Vec<f64>, KernelError> {
        self.raw.read(self.count)
    }
}

/// Most bytes that tensors took on a GPU at once; `None` for the CPU.
pub fn peak_bytes(device: Device) -> Option<u64> {
    match device {
        Device::Cuda(index) => shim::device::device_peak(index).ok(),
        _ => None,
    }
}

/// Lets [`peak_bytes`] begin anew, with no more than tensors take now.
pub(crate) fn forget_peak(device: Device) -> Result<(), KernelError> {
    match device {
        Device::Cuda(index) => shim::device::reset_device_peak(index),
        _ => Ok(()),
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
