//! The folder where this user's checkouts and runs keep what can be made again: libtorch, tokens.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// `RETUNE_CACHE`, else `retune` in the system's cache folder; absolute. `None` where neither is known.
pub fn user_cache() -> Option<PathBuf> {
    folder(|name| env::var_os(name).filter(|value| !value.is_empty()))
}

fn folder(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let below = |name: &str, rest: &str| Some(Path::new(&variable(name)?).join(rest));
    let folder = variable("RETUNE_CACHE")
        .map(PathBuf::from)
        .or_else(|| below("XDG_CACHE_HOME", "retune"))
        .or_else(|| below("HOME", ".cache/retune"))
        .or_else(|| below("LOCALAPPDATA", "retune"))?;
    std::path::absolute(folder).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_is_where_the_variables_say() {
        let of = |pairs: &[(&str, &str)]| {
            folder(|name| pairs.iter().find(|(key, _)| *key == name).map(|pair| OsString::from(pair.1)))
        };
        let all = [("RETUNE_CACHE", "/a"), ("XDG_CACHE_HOME", "/b"), ("HOME", "/c")];
        assert_eq!(of(&all).unwrap(), Path::new("/a"));
        assert_eq!(of(&all[1..]).unwrap(), Path::new("/b/retune"));
        assert_eq!(of(&all[2..]).unwrap(), Path::new("/c/.cache/retune"));
        assert_eq!(of(&[]), None);
    }
}
