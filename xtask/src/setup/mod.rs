//! `setup`: libtorch for this checkout, from the nearest source that has the right version.

mod archive;
mod compiler;
mod folder;
mod install;
mod record;
mod unpack;
mod wheels;

#[cfg(test)]
mod tests;

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::ValueEnum;

use crate::project::{self, Libtorch, Project};
use folder::examine;

/// The version that `tch` is made for.
pub(crate) const VERSION: &str = "2.11.0";

/// Which build of libtorch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Device {
    /// Without GPU code.
    Cpu,
    /// With CUDA.
    Cuda,
}

impl Device {
    /// As users write it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Cuda => "cuda",
        }
    }
}

/// Everything set-up depends on, so that tests can stand in for it.
struct Setup<'a> {
    /// `libtorch` in the checkout.
    link: PathBuf,
    /// The user cache.
    cache: PathBuf,
    /// `LIBTORCH` as this process got it.
    variable: Option<OsString>,
    device: Option<Device>,
    /// Where the official archives lie.
    archives: &'a str,
    /// Ways to call pip.
    pip: &'a [&'a [&'a str]],
}

/// Makes libtorch be there; prints one line when it already was.
pub(crate) fn run(project: &Project, device: Option<Device>) -> Result<Libtorch> {
    compiler::check()?;
    let setup = Setup {
        link: project.link(),
        cache: project::cache_dir()?,
        variable: env::var_os("LIBTORCH").filter(|value| !value.is_empty()),
        device,
        archives: archive::BASE,
        pip: &[&["python3", "-m", "pip"], &["pip3"], &["pip"]],
    };
    let libtorch = setup.ensure()?;
    if device.is_none() && !folder::has_cuda(&libtorch.folder) && folder::has_nvidia_driver() {
        eprintln!("note: this machine has an NVIDIA driver; `cargo xtask setup --device cuda` fetches the CUDA build");
    }
    Ok(libtorch)
}

impl Setup<'_> {
    fn ensure(&self) -> Result<Libtorch> {
        // Cargo itself sets LIBTORCH to the link, which is no wish of the user's.
        let wish = self.variable.as_ref().filter(|value| !same_place(Path::new(value), &self.link));
        if let Some(value) = wish {
            let folder = PathBuf::from(value);
            match examine(&folder, self.device, &self.cache) {
                Ok(version) => {
                    install::link(&self.link, &folder)?;
                    eprintln!("libtorch {version} from LIBTORCH, {}", folder.display());
                    return Ok(Libtorch { folder, variable: None });
                }
                Err(reason) => {
                    eprintln!("LIBTORCH ({}) is not used: {reason}; unset it for `cargo build` too", folder.display())
                }
            }
        }
        // The caller's value is kept when it means the link, so that cargo sees no change and rebuilds nothing.
        let variable = match (&self.variable, wish) {
            (Some(_), None) => None,
            _ => Some(self.link.clone().into_os_string()),
        };
        let folder = self.linked_or_installed()?;
        Ok(Libtorch { folder, variable })
    }

    fn linked_or_installed(&self) -> Result<PathBuf> {
        if let Ok(version) = examine(&self.link, self.device, &self.cache) {
            let folder = self.link.canonicalize().with_context(|| format!("cannot follow {}", self.link.display()))?;
            eprintln!("libtorch {version} is set up, {}", folder.display());
            return Ok(folder);
        }
        let device = self.device.unwrap_or(Device::Cpu);
        let folder = self.cache.join(format!("libtorch-{VERSION}-{}", device.name()));
        if examine(&folder, Some(device), &self.cache).is_err() {
            let _lock = install::lock(&self.cache, &folder)?;
            // Another set-up may have done it while this one waited.
            if examine(&folder, Some(device), &self.cache).is_err() {
                self.fetch(device, &folder)?;
            }
        }
        install::link(&self.link, &folder)?;
        eprintln!("libtorch {VERSION} ({}) is set up, {}", device.name(), folder.display());
        Ok(folder)
    }

    /// Brings a new installation from the first source that works.
    fn fetch(&self, device: Device, folder: &Path) -> Result<()> {
        install::remove_remains(folder)?;
        let official = archive::install(self.archives, device, &self.cache, folder);
        let Err(official) = official else {
            return Ok(());
        };
        eprintln!("the official archive did not work ({official:#}); trying pip");
        let Err(wheels) = wheels::install(self.pip, device, &self.cache, folder) else {
            return Ok(());
        };
        bail!(
            "no source of libtorch {VERSION} works:\n  official archive: {official:#}\n  pip: {wheels:#}\n\
             connect to the network and run this again (it goes on where it stopped), or unpack libtorch {VERSION} \
             somewhere and set LIBTORCH to its folder"
        )
    }
}

/// Whether two paths are one entry of one folder, without following that entry.
fn same_place(left: &Path, right: &Path) -> bool {
    let place = |path: &Path| {
        let path = std::path::absolute(path).ok()?;
        let folder = path.parent()?.canonicalize().ok()?;
        Some(folder.join(path.file_name()?))
    };
    left == right || place(left).is_some_and(|left| place(right) == Some(left))
}
