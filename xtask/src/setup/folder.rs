//! Whether a folder is a libtorch that can be used.

use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::fs;
use std::path::Path;

use super::{Device, VERSION};

/// Written into an installation as the last thing.
pub(super) const MARKER: &str = ".complete";
/// Holds the version, as the official archives have it.
pub(super) const BUILD_VERSION: &str = "build-version";

/// The version of the libtorch in `folder`, or why it will not do.
///
/// What lies directly in `cache` was put there by set-up and counts only with its marker.
pub(super) fn examine(folder: &Path, device: Option<Device>, cache: &Path) -> Result<String, String> {
    let version = fs::read_to_string(folder.join(BUILD_VERSION)).map_err(|_| {
        if folder.is_dir() {
            format!("it has no {BUILD_VERSION}, so it is no libtorch folder")
        } else {
            "there is no such folder".to_owned()
        }
    })?;
    let version = version.trim();
    let rest = version.strip_prefix(VERSION);
    if !rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('+')) {
        return Err(format!("it is version {version}, and {VERSION} is needed"));
    }
    if !folder.join("include/torch/csrc/api/include/torch/torch.h").is_file() {
        return Err("it has no C++ headers".to_owned());
    }
    if !has_library(folder, "torch_cpu") {
        return Err("it has no libtorch_cpu in its lib folder".to_owned());
    }
    if device == Some(Device::Cuda) && !has_cuda(folder) {
        return Err("it has no CUDA".to_owned());
    }
    let real = folder.canonicalize().map_err(|error| error.to_string())?;
    let ours = cache.canonicalize().is_ok_and(|cache| real.parent() == Some(&cache));
    if ours && !real.join(MARKER).is_file() {
        return Err("its installation was interrupted".to_owned());
    }
    Ok(version.to_owned())
}

/// Whether it is the CUDA build.
pub(super) fn has_cuda(folder: &Path) -> bool {
    has_library(folder, "torch_cuda")
}

fn has_library(folder: &Path, name: &str) -> bool {
    let file = format!("{DLL_PREFIX}{name}{DLL_SUFFIX}");
    folder.join("lib").join(file).is_file()
}

/// Whether a GPU could be used if the build had CUDA.
pub(super) fn has_nvidia_driver() -> bool {
    Path::new("/proc/driver/nvidia/version").exists()
}
