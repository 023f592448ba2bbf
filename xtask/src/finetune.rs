//! `finetune`: from a fresh checkout to a running training in one command.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result};

use crate::child;
use crate::project::Libtorch;
use crate::project::Project;
use crate::setup::{self, Device};

/// Sets up, builds, and becomes `retune finetune ARGUMENTS` in the caller's folder.
pub(crate) fn run(project: &Project, arguments: &[String]) -> Result<ExitCode> {
    let libtorch = setup::run(project, device(arguments))?;
    match build(project, &libtorch)? {
        Ok(binary) => child::become_child(Command::new(binary).arg("finetune").args(arguments)),
        Err(code) => Ok(code),
    }
}

/// Builds `retune` for release and says where it is, or how the build failed.
pub(crate) fn build(project: &Project, libtorch: &Libtorch) -> Result<std::result::Result<PathBuf, ExitCode>> {
    let mut cargo = project.cargo(libtorch, "build");
    cargo
        .args(["--release", "--package", "retune-cli", "--bin", "retune"])
        .args(["--message-format", "json-render-diagnostics"])
        .stdout(Stdio::piped());
    if has_make() {
        cargo.args(["--features", "jemalloc"]);
    } else {
        eprintln!("note: without `make`, retune is built without jemalloc and takes more memory");
    }
    let mut running = cargo.spawn().context("cannot run cargo")?;
    let mut binary = None;
    if let Some(messages) = running.stdout.take() {
        for line in BufReader::new(messages).lines() {
            // Where the binary lies depends on the user's cargo settings, so cargo is asked.
            binary = executable(&line.context("cannot read what cargo says")?).or(binary);
        }
    }
    let status = running.wait().context("cannot wait for cargo")?;
    if !status.success() {
        return Ok(Err(child::code(status)));
    }
    Ok(Ok(binary.context("cargo built no program called retune")?))
}

/// Whether jemalloc can be built: where there is no `make`, the C library's allocator serves.
fn has_make() -> bool {
    let version = Command::new("make").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    cfg!(all(target_os = "linux", target_env = "gnu")) && version.is_ok_and(|status| status.success())
}

/// The path of `retune` in one line of cargo's messages, if it is there.
fn executable(message: &str) -> Option<PathBuf> {
    let message: serde_json::Value = serde_json::from_str(message).ok()?;
    if message.get("reason")? != "compiler-artifact" || message.pointer("/target/name")? != "retune" {
        return None;
    }
    Some(PathBuf::from(message.get("executable")?.as_str()?))
}

/// The libtorch that `--device` asks for; any will do otherwise.
fn device(arguments: &[String]) -> Option<Device> {
    let mut values = arguments.iter().enumerate().filter_map(|(at, argument)| {
        if argument == "--device" {
            return arguments.get(at + 1).map(String::as_str);
        }
        argument.strip_prefix("--device=")
    });
    values.any(|value| value.starts_with("cuda")).then_some(Device::Cuda)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_gpu_asks_for_the_large_build() {
        let asks = |line: &str| {
            let words: Vec<_> = line.split(' ').map(str::to_owned).collect();
            device(&words)
        };
        assert_eq!(asks("--train cuda.csv --device cpu"), None);
        assert_eq!(asks("--device auto"), None);
        assert_eq!(asks("--steps 3 --device cuda:1"), Some(Device::Cuda));
        assert_eq!(asks("--device=cuda"), Some(Device::Cuda));
        assert_eq!(asks("--device"), None);
    }

    #[test]
    fn cargo_says_where_the_program_is() {
        let line = r#"{"reason":"compiler-artifact","target":{"name":"retune"},"executable":"/t/release/retune"}"#;
        assert_eq!(executable(line), Some(PathBuf::from("/t/release/retune")));
        for other in [
            "plain text",
            r#"{"reason":"build-finished","success":true}"#,
            r#"{"reason":"compiler-artifact","target":{"name":"retune"},"executable":null}"#,
            r#"{"reason":"compiler-artifact","target":{"name":"other"},"executable":"/t/other"}"#,
        ] {
            assert_eq!(executable(other), None, "{other}");
        }
    }
}
