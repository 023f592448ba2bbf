//! Which crates may not reach libtorch: read from the manifests and from Cargo.lock.

use std::collections::{BTreeMap, BTreeSet};

use super::Problem;
use super::tree::Tree;

/// Crates that build on a machine without libtorch, with the manifest of each.
const WITHOUT_LIBTORCH: [(&str, &str); 2] =
    [("retune-data", "crates/retune-data/Cargo.toml"), ("xtask", "xtask/Cargo.toml")];
const LIBTORCH: [&str; 2] = ["tch", "torch-sys"];

/// Checks that none of them depends on libtorch, by whatever detour.
pub(super) fn check(tree: &Tree, problems: &mut Vec<Problem>) {
    let mut error = |path: &str, text: String| {
        problems.push(Problem { path: path.to_owned(), line: 0, text, warning: false });
    };
    let graph = match tree.get("Cargo.lock") {
        Some(lock) => packages(&lock.text),
        None => {
            return error("Cargo.lock", "is missing: build once, and commit it".to_owned());
        }
    };
    for (name, manifest) in WITHOUT_LIBTORCH {
        if let Some(path) = path_to_libtorch(&graph, name) {
            let path = path.join(" → ");
            error(manifest, format!("must build without libtorch, and reaches it: {path}"));
        }
        // A manifest may be ahead of the lock file.
        let text = tree.get(manifest).map_or("", |file| &file.text);
        for dependency in LIBTORCH {
            let named = text.lines().any(|line| {
                let line = line.trim();
                line.strip_prefix(dependency).is_some_and(|rest| rest.trim_start().starts_with(['=', '.']))
            });
            if named {
                error(manifest, format!("must build without libtorch, and names {dependency}"));
            }
        }
    }
}

/// The packages of a Cargo.lock and the names each depends on.
fn packages(lock: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut graph: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut package = String::new();
    let mut in_dependencies = false;
    for line in lock.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix("name = ") {
            package = unquoted(name).to_owned();
            graph.entry(package.clone()).or_default();
        } else if line == "dependencies = [" {
            in_dependencies = true;
        } else if line == "]" {
            in_dependencies = false;
        } else if in_dependencies {
            // Where two versions are locked, the version follows the name.
            let entry = unquoted(line.trim_end_matches(','));
            let name = entry.split(' ').next().unwrap_or(entry);
            graph.entry(package.clone()).or_default().insert(name.to_owned());
        }
    }
    graph
}

fn unquoted(text: &str) -> &str {
    text.trim_matches('"')
}

/// One way from a package to libtorch, if there is any.
fn path_to_libtorch<'a>(graph: &'a BTreeMap<String, BTreeSet<String>>, start: &'a str) -> Option<Vec<&'a str>> {
    let mut seen = BTreeSet::from([start]);
    let mut paths = vec![vec![start]];
    while let Some(path) = paths.pop() {
        let last = *path.last()?;
        if LIBTORCH.contains(&last) {
            return Some(path);
        }
        for next in graph.get(last).into_iter().flatten() {
            if seen.insert(next) {
                let mut longer = path.clone();
                longer.push(next);
                paths.push(longer);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::tree::Source;

    fn check_with(lock: Option<&str>, manifest: &str) -> Vec<String> {
        let source = |path: &str, text: &str| Source { path: path.to_owned(), text: text.to_owned() };
        let mut files = vec![source("xtask/Cargo.toml", manifest)];
        files.extend(lock.map(|lock| source("Cargo.lock", lock)));
        let mut problems = Vec::new();
        check(&Tree { files }, &mut problems);
        problems.iter().map(ToString::to_string).collect()
    }

    fn lock(packages: &[(&str, &[&str])]) -> String {
        let mut text = String::new();
        for (name, dependencies) in packages {
            text += &format!("[[package]]\nname = \"{name}\"\nversion = \"1.0.0\"\ndependencies = [\n");
            for dependency in *dependencies {
                text += &format!(" \"{dependency}\",\n");
            }
            text += "]\n\n";
        }
        text
    }

    #[test]
    fn a_detour_to_libtorch_is_found_and_named() {
        let bad = lock(&[
            ("xtask", &["anyhow", "helper 1.0.0"]),
            ("helper", &["xtask", "tch"]),
            ("anyhow", &[]),
            ("tch", &["torch-sys"]),
            ("torch-sys", &[]),
        ]);
        let problems = check_with(Some(&bad), "");
        assert_eq!(problems.len(), 1);
        assert!(problems[0].contains("xtask → helper → tch"), "{problems:?}");
        let good = lock(&[("xtask", &["anyhow"]), ("retune-cli", &["tch"]), ("tch", &[])]);
        assert_eq!(check_with(Some(&good), "[dependencies]\ntchotchke = \"1\"\n"), [""; 0]);
    }

    #[test]
    fn a_manifest_ahead_of_the_lock_file_is_found() {
        let empty = lock(&[("xtask", &[])]);
        for line in ["tch.workspace = true", "tch = \"0.24\"", "torch-sys = { version = \"0.24\" }"] {
            assert_eq!(check_with(Some(&empty), line).len(), 1, "{line}");
        }
        assert_eq!(check_with(None, "").len(), 1);
    }
}
