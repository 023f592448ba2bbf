//! The checkout this program belongs to, and how cargo is called in it.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// A libtorch that can be built against.
#[derive(Debug)]
pub(crate) struct Libtorch {
    /// Its folder.
    pub(crate) folder: PathBuf,
    /// What `LIBTORCH` must be for the children; nothing when the caller's value is right.
    pub(crate) variable: Option<OsString>,
}

/// The checkout.
pub(crate) struct Project {
    /// Its top folder, absolute.
    pub(crate) root: PathBuf,
}

impl Project {
    /// Finds the checkout, whatever folder the caller is in.
    pub(crate) fn find() -> Result<Self> {
        // Cargo says it at run time; a binary that was copied or kept knows it from its build.
        let manifest =
            env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = manifest.parent().context("the manifest of xtask has no folder above it")?.to_owned();
        ensure!(
            root.join("Cargo.toml").is_file(),
            "{} is no longer the checkout this program was built in: run it as `cargo xtask`",
            root.display()
        );
        Ok(Self { root })
    }

    /// Where this checkout expects libtorch.
    pub(crate) fn link(&self) -> PathBuf {
        self.root.join("libtorch")
    }

    /// `cargo COMMAND` for this checkout with that libtorch, in the caller's folder.
    pub(crate) fn cargo(&self, libtorch: &Libtorch, command: &str) -> Command {
        let mut cargo = self.plain_cargo(command);
        if let Some(value) = &libtorch.variable {
            cargo.env("LIBTORCH", value);
        }
        cargo
    }

    /// The same for commands that compile nothing.
    pub(crate) fn plain_cargo(&self, command: &str) -> Command {
        let program = env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
        let mut cargo = Command::new(program);
        cargo.arg(command).arg("--manifest-path").arg(self.root.join("Cargo.toml"));
        cargo
    }
}

/// Where installations are kept for all checkouts of this user.
pub(crate) fn cache_dir() -> Result<PathBuf> {
    retune_data::user_cache().context("no folder for the cache: set RETUNE_CACHE (or HOME)")
}
