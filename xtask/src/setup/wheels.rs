//! libtorch out of the Python wheels, for machines that reach a package index but not PyTorch's archives.

use std::fs;
use std::io::{IsTerminal, stderr};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use super::install::Staging;
use super::record::Record;
use super::unpack::{open, unpack};
use super::{Device, VERSION};
use crate::child;
use crate::progress::Bar;

/// On Linux x86-64 the wheel's CPU library also refers to these two; they are small, the rest of CUDA is not.
const REFERRED: [(&str, &str); 2] =
    [("nvidia-cuda-runtime==13.0.96", "libcudart.so.13"), ("nvidia-cuda-cupti==13.0.85", "libcupti.so.13")];

/// What is taken out of the wheels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// The CPU library of a CUDA wheel and the few files it refers to (Linux x86-64).
    CpuOfCuda,
    /// All of torch's libraries; nothing beside them.
    Torch,
    /// All of torch's libraries and all of CUDA's.
    Cuda,
}

impl Extent {
    fn here(device: Device) -> Self {
        match device {
            Device::Cuda => Self::Cuda,
            Device::Cpu if cfg!(all(target_os = "linux", target_arch = "x86_64")) => Self::CpuOfCuda,
            Device::Cpu => Self::Torch,
        }
    }
}

/// Downloads the wheels with pip and unpacks them into `place`.
pub(super) fn install(pip: &[&[&str]], device: Device, cache: &Path, place: &Path) -> Result<()> {
    let extent = Extent::here(device);
    let folder = cache.join("downloads").join(format!("wheels-{VERSION}-{}", device.name()));
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    download(pip, extent, &folder)?;
    let made = unpack_wheels(&folder, extent, device, place);
    // Used or damaged, nobody needs them any more.
    fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    made
}

/// The first way to call pip that answers.
fn working<'a>(pip: &[&'a [&'a str]]) -> Option<&'a [&'a str]> {
    pip.iter().copied().find(|command| {
        let [program, arguments @ ..] = command else {
            return false;
        };
        Command::new(program)
            .args(arguments)
            .arg("--version")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    })
}

fn download(pip: &[&[&str]], extent: Extent, folder: &Path) -> Result<()> {
    let command =
        working(pip).context("there is no pip: install it (`apt-get install python3-pip` on Debian and Ubuntu)")?;
    eprintln!("fetching torch {VERSION} with {}", command.join(" "));
    let mut wanted = vec![format!("torch=={VERSION}")];
    if extent == Extent::CpuOfCuda {
        wanted.extend(REFERRED.iter().map(|(package, _)| (*package).to_owned()));
    }
    if extent != Extent::Cuda {
        // Torch's libraries are wanted, not what Python needs around them.
        wanted.push("--no-deps".to_owned());
    }
    let plain = pip_download(command, folder, &wanted, &[])?;
    if plain.success() {
        return Ok(());
    }
    // There may be no wheel for this very Python; the libraries in all of them are the same.
    let platform = match std::env::consts::ARCH {
        "x86_64" if cfg!(target_os = "linux") => "manylinux_2_28_x86_64",
        "aarch64" if cfg!(target_os = "linux") => "manylinux_2_28_aarch64",
        _ => bail!("pip ended with {plain}"),
    };
    let other = ["--python-version", "3.12", "--implementation", "cp", "--abi", "cp312", "--abi", "none"];
    let tags = [platform, "manylinux_2_27_x86_64", "manylinux2014_x86_64", "manylinux_2_25_x86_64", "any"];
    let mut arguments = other.map(str::to_owned).to_vec();
    for tag in tags {
        arguments.extend(["--platform".to_owned(), tag.to_owned()]);
    }
    let explicit = pip_download(command, folder, &wanted, &arguments)?;
    ensure!(explicit.success(), "pip ended with {explicit}");
    Ok(())
}

fn pip_download(pip: &[&str], folder: &Path, wanted: &[String], more: &[String]) -> Result<std::process::ExitStatus> {
    let mut command = Command::new(pip[0]);
    command
        .args(&pip[1..])
        .args(["download", "--only-binary=:all:", "--no-input", "--disable-pip-version-check"])
        .args(more);
    if !stderr().is_terminal() {
        command.args(["--progress-bar", "off"]);
    }
    command
        .arg("--dest")
        .arg(folder)
        .args(wanted)
        // Standard output belongs to the command that is being set up for.
        .stdout(stderr());
    child::run(&mut command)
}

fn unpack_wheels(folder: &Path, extent: Extent, device: Device, place: &Path) -> Result<()> {
    let progress = Bar::default();
    let staging = Staging::begin(place)?;
    for wheel in wheels(folder)? {
        let label = wheel.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
        if !label.starts_with("torch-") && !label.starts_with("nvidia_") {
            continue;
        }
        let mut archive = open(&wheel)?;
        let record = Record::read(&mut archive).with_context(|| format!("in {label}"))?;
        let to = |name: &str| destination(name, extent);
        unpack(&mut archive, &label, &staging.folder, Some(&record), &to, &progress)
            .with_context(|| format!("in {label}"))?;
    }
    if extent == Extent::CpuOfCuda {
        // The wheel's own libtorch.so pulls CUDA in; the linker takes this text for it instead.
        let script = staging.folder.join("lib/libtorch.so");
        fs::write(&script, "INPUT(libtorch_cpu.so)\n").with_context(|| format!("cannot write {}", script.display()))?;
    }
    check_files(&staging.folder, extent)?;
    staging.finish(VERSION, device)
}

fn wheels(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut wheels = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == "whl") {
            wheels.push(path);
        }
    }
    wheels.sort();
    Ok(wheels)
}

/// Where a file of a wheel goes, if it is wanted.
pub(super) fn destination(name: &str, extent: Extent) -> Option<PathBuf> {
    if let Some(header) = name.strip_prefix("torch/include/") {
        return Some(Path::new("include").join(header));
    }
    let (folder, file) = name.rsplit_once('/')?;
    let wanted = if folder == "torch/lib" {
        match extent {
            Extent::CpuOfCuda => matches!(file, "libtorch_cpu.so" | "libc10.so") || file.starts_with("libgomp"),
            // The Python binding cannot be linked into a program that is not Python.
            _ => is_library(file) && !file.contains("torch_python"),
        }
    } else if folder.starts_with("nvidia/") && folder.ends_with("/lib") {
        match extent {
            Extent::CpuOfCuda => REFERRED.iter().any(|(_, library)| *library == file),
            Extent::Torch => false,
            Extent::Cuda => is_library(file),
        }
    } else {
        false
    };
    wanted.then(|| Path::new("lib").join(file))
}

fn is_library(file: &str) -> bool {
    file.ends_with(".so")
        || file.contains(".so.")
        || file.ends_with(".dylib")
        || file.ends_with(".dll")
        || file.ends_with(".lib")
}

/// Says which file a link would fail for, before it does.
fn check_files(folder: &Path, extent: Extent) -> Result<()> {
    let mut needed = vec!["include/torch/csrc/api/include/torch/torch.h".to_owned()];
    let library = |name: &str| {
        let (prefix, suffix) = (std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
        format!("lib/{prefix}{name}{suffix}")
    };
    needed.extend(["torch", "torch_cpu", "c10"].map(library));
    match extent {
        Extent::CpuOfCuda => needed.extend(REFERRED.map(|(_, file)| format!("lib/{file}"))),
        Extent::Cuda => needed.extend(["torch_cuda", "c10_cuda"].map(library)),
        Extent::Torch => {}
    }
    let missing: Vec<_> = needed.iter().filter(|file| !folder.join(file).is_file()).map(String::as_str).collect();
    ensure!(missing.is_empty(), "the wheels do not have {}", missing.join(", "));
    Ok(())
}
