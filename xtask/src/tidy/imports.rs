//! Which file of a crate needs which other one, read from paths that begin with `crate`, `super`, `self` or a child module.
//!
//! What a module only hands on (`pub use child::Name`) counts as the child's: whoever takes `Name` from the module needs
//! the child. Declaring or handing on a module needs nothing of it.

use std::collections::{BTreeMap, BTreeSet};

use super::code::code_only;
use super::rules::{first_test_line, is_test_file};
use super::tree::Tree;

/// The files of one crate by module path, such as `["task", "work"]`; the top is the empty path.
pub(super) struct Crate<'a> {
    files: BTreeMap<Vec<String>, &'a str>,
    /// What each module hands on: the name there, and the path that it stands for.
    handed: BTreeMap<Vec<String>, Vec<(String, Vec<String>)>>,
    /// The paths that each module uses.
    used: BTreeMap<Vec<String>, BTreeSet<Vec<String>>>,
}

impl<'a> Crate<'a> {
    /// Reads the sources below `folder`, such as `crates/retune-data/src/`.
    pub(super) fn read(tree: &'a Tree, folder: &str) -> Self {
        let mut it = Self { files: BTreeMap::new(), handed: BTreeMap::new(), used: BTreeMap::new() };
        let mut texts = Vec::new();
        for file in &tree.files {
            let Some(path) = file.path.strip_prefix(folder).and_then(|path| path.strip_suffix(".rs")) else { continue };
            if is_test_file(&file.path) || path.ends_with("_tests") {
                continue;
            }
            let mut module: Vec<String> = path.split('/').map(str::to_owned).collect();
            if matches!(module.last().map(String::as_str), Some("mod" | "lib" | "main")) {
                module.pop();
            }
            let code = code_only(&file.text);
            let end = first_test_line(&code).map_or(usize::MAX, |line| line - 1);
            texts.push((module.clone(), code.lines().take(end).collect::<Vec<_>>().join("\n")));
            it.files.insert(module, &file.path);
        }
        for (module, code) in texts {
            it.read_module(&module, &code);
        }
        it
    }

    fn read_module(&mut self, module: &[String], code: &str) {
        let mut rest = String::new();
        let mut used = BTreeSet::new();
        for statement in code.split_inclusive(';') {
            let at = statement.rfind("use ").filter(|&at| starts_statement(&statement[..at]));
            let Some(at) = at else {
                rest.push_str(statement);
                continue;
            };
            rest.push_str(&statement[..at]);
            let public = statement[..at].trim_end().ends_with("pub") || statement[..at].trim_end().ends_with(')');
            for (path, name) in leaves(statement[at + 4..].trim_end_matches(';')) {
                let Some(path) = self.absolute(module, &path) else { continue };
                if public {
                    self.handed.entry(module.to_vec()).or_default().push((name, path));
                } else {
                    used.insert(path);
                }
            }
        }
        used.extend(inline_paths(&rest).into_iter().filter_map(|path| self.absolute(module, &path)));
        self.used.insert(module.to_vec(), used);
    }

    /// A path from the top of the crate; `None` for one that leads elsewhere.
    fn absolute(&self, module: &[String], path: &[String]) -> Option<Vec<String>> {
        let (first, rest) = path.split_first()?;
        let mut base = module.to_vec();
        let mut rest = rest;
        match first.as_str() {
            "crate" => base.clear(),
            "self" => {}
            "super" => {
                base.pop()?;
                while let Some((next, more)) = rest.split_first().filter(|(next, _)| *next == "super") {
                    let _ = next;
                    base.pop()?;
                    rest = more;
                }
            }
            child => {
                base.push(child.to_owned());
                if !self.files.contains_key(&base) {
                    return None;
                }
            }
        }
        base.extend(rest.iter().cloned());
        Some(base)
    }

    /// The module that a path is defined in.
    fn home(&self, path: &[String], depth: usize) -> Option<Vec<String>> {
        let length = (0..=path.len()).rev().find(|&length| self.files.contains_key(&path[..length]))?;
        let (module, rest) = path.split_at(length);
        if let (Some(name), true) = (rest.first(), depth < 8)
            && let Some(handed) = self.handed.get(module)
        {
            let exact = handed.iter().find(|(it, _)| it == name);
            if let Some((_, target)) = exact {
                let whole: Vec<String> = target.iter().chain(&rest[1..]).cloned().collect();
                return self.home(&whole, depth + 1);
            }
        }
        Some(module.to_vec())
    }

    /// Which files each file needs. A file may need the module that it is a part of: those two are one concept.
    pub(super) fn needs(&self) -> BTreeMap<&'a str, BTreeSet<&'a str>> {
        let mut needs: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (module, used) in &self.used {
            let file = self.files[module];
            let homes = used.iter().filter_map(|path| self.home(path, 0));
            let others = homes.filter(|home| !module.starts_with(home)).map(|home| self.files[&home]);
            needs.entry(file).or_default().extend(others);
        }
        needs
    }
}

/// Whether what stands before `use` ends a statement, so that `use` begins one.
fn starts_statement(before: &str) -> bool {
    let before = before.trim_end();
    let before = before.strip_suffix("pub").unwrap_or(before).trim_end();
    before.is_empty() || before.ends_with([';', '}', '{', ']', ')'])
}

/// The full paths of a use tree, each with the name that it gets.
fn leaves(tree: &str) -> Vec<(Vec<String>, String)> {
    let tree = tree.trim();
    if let Some(open) = tree.find('{') {
        let close = tree.rfind('}').unwrap_or(tree.len());
        let prefix: Vec<String> =
            tree[..open].split("::").map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect();
        let mut all = Vec::new();
        for part in top_level(&tree[open + 1..close]) {
            for (path, name) in leaves(part) {
                let own = if path == ["self"] { Vec::new() } else { path };
                let name = if own.is_empty() { prefix.last().cloned().unwrap_or_default() } else { name };
                all.push((prefix.iter().cloned().chain(own).collect(), name));
            }
        }
        return all;
    }
    let (path, name) = tree.split_once(" as ").map_or((tree, None), |(path, name)| (path, Some(name.trim())));
    let path: Vec<String> =
        path.split("::").map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect();
    let name = name.map(str::to_owned).or_else(|| path.last().cloned()).unwrap_or_default();
    if path.is_empty() { Vec::new() } else { vec![(path, name)] }
}

/// The parts between commas that stand in no braces.
fn top_level(text: &str) -> Vec<&str> {
    let (mut depth, mut start, mut parts) = (0, 0, Vec::new());
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts.into_iter().filter(|part| !part.trim().is_empty()).collect()
}

/// Paths of two or more names that stand in code.
fn inline_paths(code: &str) -> Vec<Vec<String>> {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    let mut paths = Vec::new();
    for run in code.split(|c: char| !part(c) && c != ':') {
        let names: Vec<&str> = run.split("::").collect();
        let sound = names.len() > 1 && names.iter().all(|name| !name.is_empty() && name.chars().all(part));
        if sound && names[0].starts_with(|c: char| c.is_lowercase() || c == '_') {
            paths.push(names.into_iter().map(str::to_owned).collect());
        }
    }
    paths
}
