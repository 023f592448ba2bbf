//! A C++ compiler is needed for the shim to libtorch; better said before the download than after.

use std::env;
use std::ffi::OsStr;
use std::path::Path;

use anyhow::{Result, bail};

/// An error with advice when there is no C++ compiler.
pub(super) fn check() -> Result<()> {
    // On Windows the compiler is found through the registry, by the build itself.
    if cfg!(windows) {
        return Ok(());
    }
    let chosen = env::var("CXX").ok().filter(|value| !value.trim().is_empty());
    let path = env::var_os("PATH").unwrap_or_default();
    if let Some(missing) = missing(chosen.as_deref(), &path) {
        let advice = if cfg!(target_os = "macos") {
            "run `xcode-select --install`"
        } else {
            "install one (`apt-get install g++` on Debian and Ubuntu)"
        };
        bail!("no C++ compiler: {missing}; {advice}, or set CXX to yours");
    }
    Ok(())
}

/// What was looked for in vain, if nothing was found.
fn missing(chosen: Option<&str>, path: &OsStr) -> Option<String> {
    // CXX may carry arguments, or a wrapper before the compiler.
    let names = match chosen {
        Some(line) => vec![line.split_whitespace().next().unwrap_or(line)],
        None => vec!["c++", "g++", "clang++"],
    };
    let found = |name: &str| {
        name.contains('/') && Path::new(name).is_file()
            || env::split_paths(path).any(|folder| folder.join(name).is_file())
    };
    if names.iter().any(|name| found(name)) {
        return None;
    }
    Some(match chosen {
        Some(line) => format!("CXX is \"{line}\", which does not exist"),
        None => format!("none of {} is on the PATH", names.join(", ")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_compiler_is_found_by_name_or_by_path() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().as_os_str();
        assert!(missing(None, path).unwrap().contains("g++"));
        std::fs::write(folder.path().join("clang++"), "").unwrap();
        assert_eq!(missing(None, path), None);
        assert!(missing(Some("my-c++ -O2"), path).unwrap().contains("my-c++"));
        let own = folder.path().join("clang++");
        assert_eq!(missing(own.to_str(), OsStr::new("")), None);
    }
}
