//! libtorch from PyTorch's own archives.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use retune_data::hub::download_file;

use super::folder::BUILD_VERSION;
use super::install::Staging;
use super::unpack::{open, unpack};
use super::{Device, VERSION};
use crate::progress::Bar;

/// Where they lie.
pub(super) const BASE: &str = "https://download.pytorch.org/libtorch";

/// Downloads and unpacks the archive for this machine into `place`.
pub(super) fn install(base: &str, device: Device, cache: &Path, place: &Path) -> Result<()> {
    let path = path(device, std::env::consts::OS, std::env::consts::ARCH)
        .with_context(|| format!("there is none for {} on this kind of machine", device.name()))?;
    let url = format!("{base}/{path}");
    eprintln!("fetching {url}");
    let name = path.rsplit('/').next().unwrap_or(&path).replace("%2B", "+");
    // The same name is given to the CPU and to the CUDA archive of some systems.
    let file = cache.join("downloads").join(device.name()).join(name);
    let progress = Bar::default();
    download_file(&url, &file, &progress)?;
    let unpacked = unpack_archive(&file, device, place, &progress);
    // Used or damaged, nobody needs it any more.
    fs::remove_file(&file).with_context(|| format!("cannot remove {}", file.display()))?;
    unpacked
}

fn unpack_archive(file: &Path, device: Device, place: &Path, progress: &Bar) -> Result<()> {
    let mut archive = open(file)?;
    let mut version = String::new();
    archive
        .by_name(&format!("libtorch/{BUILD_VERSION}"))
        .with_context(|| format!("{} has no {BUILD_VERSION}", file.display()))?
        .read_to_string(&mut version)?;
    let version = version.trim();
    ensure!(version.starts_with(VERSION), "{} is version {version}, and {VERSION} is needed", file.display());
    let staging = Staging::begin(place)?;
    let inside = |name: &str| {
        let name = name.strip_prefix("libtorch/")?;
        (name != BUILD_VERSION).then(|| PathBuf::from(name))
    };
    let label = file.file_name().map_or_else(|| "libtorch".into(), |n| n.to_string_lossy());
    unpack(&mut archive, &label, &staging.folder, None, &inside, progress)?;
    staging.finish(version, device)
}

/// The archive's address below [`BASE`], where PyTorch makes one.
fn path(device: Device, system: &str, processor: &str) -> Option<String> {
    let path = match (system, processor, device) {
        ("linux", "x86_64", Device::Cpu) => {
            format!("cpu/libtorch-shared-with-deps-{VERSION}%2Bcpu.zip")
        }
        ("linux", "x86_64", Device::Cuda) => {
            format!("cu130/libtorch-shared-with-deps-{VERSION}%2Bcu130.zip")
        }
        ("macos", "aarch64", Device::Cpu) => format!("cpu/libtorch-macos-arm64-{VERSION}.zip"),
        ("windows", "x86_64", Device::Cpu) => {
            format!("cpu/libtorch-win-shared-with-deps-{VERSION}%2Bcpu.zip")
        }
        ("windows", "x86_64", Device::Cuda) => {
            format!("cu130/libtorch-win-shared-with-deps-{VERSION}%2Bcu130.zip")
        }
        _ => return None,
    };
    Some(path)
}
