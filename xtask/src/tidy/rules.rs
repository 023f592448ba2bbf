//! The rules about single files.

use super::Problem;
use super::code::code_only;
use super::tree::{Source, Tree};

/// Lines without tests from which a file deserves a look, and from which it is refused.
const LONG: usize = 400;
const TOO_LONG: usize = 600;
const CPP: [&str; 12] = ["cpp", "cc", "cxx", "c", "h", "hpp", "hxx", "cu", "cuh", "C", "inl", "ipp"];
const KERNELS: &str = "crates/retune-kernels/";
const MODELS: &str = "crates/retune-models/src/";

/// Checks what concerns one file alone.
pub(super) fn check_file(file: &Source, problems: &mut Vec<Problem>) {
    let ending = file.path.rsplit('.').next().unwrap_or("");
    if matches!(ending, "rs" | "md") {
        trailing_space(file, problems);
    }
    if ending == "rs" {
        rust(file, problems);
    }
    if CPP.contains(&ending) && !file.path.starts_with(KERNELS) {
        problems.push(error(file, 0, "C and C++ live in crates/retune-kernels only"));
    }
}

/// Every crate has a README.md.
pub(super) fn check_readmes(tree: &Tree, problems: &mut Vec<Problem>) {
    for manifest in &tree.files {
        let Some(folder) = manifest.path.strip_suffix("/Cargo.toml") else {
            continue;
        };
        if tree.get(&format!("{folder}/README.md")).is_none() {
            problems.push(error(manifest, 0, "this crate has no README.md"));
        }
    }
}

pub(super) fn error(file: &Source, line: usize, text: &str) -> Problem {
    Problem { path: file.path.clone(), line, text: text.to_owned(), warning: false }
}

fn trailing_space(file: &Source, problems: &mut Vec<Problem>) {
    for (number, line) in (1..).zip(file.text.lines()) {
        if line.ends_with([' ', '\t']) {
            problems.push(error(file, number, "trailing space"));
        }
    }
}

fn rust(file: &Source, problems: &mut Vec<Problem>) {
    // What build scripts include! cannot open with an inner comment; it lies beside the crates, in none.
    let included = file.path.starts_with("crates/") && file.path.matches('/').count() == 1;
    let opening = if included { "//" } else { "//!" };
    let text = file.text.trim_start();
    // A crate may take its README for its own description.
    if !text.starts_with(opening) && !text.starts_with("#![doc = include_str!(") {
        problems.push(error(file, 1, "a file opens with `//!`: say what it is"));
    }
    let code = code_only(&file.text);
    let tests_begin = first_test_line(&code).unwrap_or(usize::MAX);
    let is_test_file = is_test_file(&file.path);
    let length = code.lines().count().min(tests_begin.saturating_sub(1));
    if length > LONG && !is_test_file {
        problems.push(Problem {
            warning: length <= TOO_LONG,
            ..error(
                file,
                0,
                &format!("{length} lines without tests: split it (warned from {LONG}, refused from {TOO_LONG})"),
            )
        });
    }
    for (number, line) in (1..).zip(code.lines()) {
        let mut say = |text: &str| problems.push(error(file, number, text));
        for unfinished in ["dbg!", "todo!", "unimplemented!"] {
            if has_word(line, unfinished) {
                say(&format!("{unfinished} is not for a finished file"));
            }
        }
        if has_word(line, "unsafe") && !file.path.starts_with(KERNELS) {
            say("unsafe code lives in crates/retune-kernels only");
        }
        // What tests do is their own affair from here on.
        if is_test_file || number >= tests_begin {
            continue;
        }
        if chooses_by_model_type(line)
            && file.path.starts_with("crates/")
            && !file.path.starts_with(&format!("{MODELS}registry"))
        {
            say("only the registry of retune-models chooses by model_type");
        }
        if opens_files(line) && file.path.starts_with(MODELS) && !file.path.starts_with(&format!("{MODELS}checkpoint"))
        {
            say("only checkpoint/ of retune-models touches files");
        }
    }
}

/// Whether a file holds nothing but tests.
pub(super) fn is_test_file(path: &str) -> bool {
    path.contains("/tests/") || path.ends_with("/tests.rs")
}

/// The line, from 1, on which the tests at the end of a file begin.
pub(super) fn first_test_line(code: &str) -> Option<usize> {
    let mut lines = (1..).zip(code.lines()).peekable();
    while let Some((number, line)) = lines.next() {
        let condition = line.trim();
        if condition.starts_with("#[cfg(") && has_word(condition, "test") {
            // `mod tests;` in a line of its own names a file of tests and ends nothing.
            let next = lines.peek().map_or("", |(_, next)| next.trim());
            if has_word(next, "mod") && next.ends_with('{') {
                return Some(number);
            }
        }
    }
    None
}

fn chooses_by_model_type(line: &str) -> bool {
    has_word(line, "model_type")
        && (has_word(line, "match") || has_word(line, "matches!") || line.contains("==") || line.contains("!="))
}

fn opens_files(line: &str) -> bool {
    has_word(line, "std::fs") || line.contains("File::open") || line.contains("File::create")
}

/// Whether `word` stands in `line` as a word of its own.
fn has_word(line: &str, word: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| !line[..at].ends_with(part) && !line[at + word.len()..].starts_with(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, text: &str) -> Vec<String> {
        let file = Source { path: path.to_owned(), text: text.to_owned() };
        let mut problems = Vec::new();
        check_file(&file, &mut problems);
        problems.iter().map(ToString::to_string).collect()
    }

    /// Exactly one problem, at this line, with these words in it.
    fn refused(path: &str, text: &str, line: &str, words: &str) {
        let problems = check(path, text);
        assert_eq!(problems.len(), 1, "{path}: {problems:?}");
        assert!(problems[0].starts_with(&format!("error: {path}{line}: ")), "{problems:?}");
        assert!(problems[0].contains(words), "{problems:?}");
    }

    const ENGINE: &str = "crates/retune-engine/src/a.rs";
    const LAYER: &str = "crates/retune-models/src/layers/a.rs";

    #[test]
    fn a_good_file_passes() {
        let text =
            "//! About unsafe, todo!() and dbg!.\n#![deny(unsafe_code)]\nfn f() { g(\"unsafe model_type ==\"); }\n";
        assert_eq!(check(ENGINE, text), [""; 0]);
        assert_eq!(check("README.md", "# Title\n"), [""; 0]);
    }

    #[test]
    fn each_rule_finds_its_breach() {
        refused(ENGINE, "fn f() {}\n", ":1", "opens with");
        refused(ENGINE, "//! A.\nfn f() { todo!() }\n", ":2", "todo!");
        refused(ENGINE, "//! A.\n\nfn f() { dbg!(1); }\n", ":3", "dbg!");
        refused(ENGINE, "//! A.\nlet x = unsafe { y };\n", ":2", "unsafe");
        refused(ENGINE, "//! A. \nfn f() {}\n", ":1", "trailing space");
        refused("docs/a.md", "a\nb\t\n", ":2", "trailing space");
        refused(LAYER, "//! A.\nuse std::fs;\n", ":2", "touches files");
        refused(LAYER, "//! A.\nmatch config.model_type.as_str() {\n", ":2", "registry");
        refused(ENGINE, "//! A.\nif model_type == name {\n", ":2", "registry");
        refused("crates/retune-engine/shim/a.cpp", "int x;\n", "", "C++");
    }

    #[test]
    fn each_rule_has_its_home() {
        let breach = "//! A.\nlet x = unsafe { y };\n";
        assert_eq!(check("crates/retune-kernels/src/a.rs", breach), [""; 0]);
        assert_eq!(check("crates/retune-kernels/shim/a.cpp", "int x;\n"), [""; 0]);
        let files = "//! A.\nuse std::fs::File;\n";
        assert_eq!(check("crates/retune-models/src/checkpoint/a.rs", files), [""; 0]);
        let shared = "// Included by build scripts.\nfn main() {}\n";
        assert_eq!(check("crates/shared.rs", shared), [""; 0]);
        let readme = "#![doc = include_str!(\"../README.md\")]\n";
        assert_eq!(check("crates/retune-engine/src/lib.rs", readme), [""; 0]);
        let choice = "//! A.\nmatch model_type {\n";
        assert_eq!(check("crates/retune-models/src/registry.rs", choice), [""; 0]);
        let tests = "//! A.\n#[cfg(test)]\nmod tests {\n    use std::fs;\n}\n";
        assert_eq!(check(LAYER, tests), [""; 0]);
        assert_eq!(check("crates/retune-models/src/layers/tests.rs", files), [""; 0]);
    }

    #[test]
    fn long_files_are_warned_of_then_refused_and_tests_do_not_count() {
        let file = |lines: usize| format!("//! A.\n{}", "fn f() {}\n".repeat(lines - 1));
        assert_eq!(check(ENGINE, &file(400)), [""; 0]);
        assert!(check(ENGINE, &file(401))[0].starts_with("warning: "));
        assert!(check(ENGINE, &file(600))[0].starts_with("warning: "));
        assert!(check(ENGINE, &file(601))[0].starts_with("error: "));
        let tests = format!("{}#[cfg(test)]\nmod tests {{\n{}}}\n", file(400), "x\n".repeat(500));
        assert_eq!(check(ENGINE, &tests), [""; 0]);
        let named = format!("#[cfg(test)]\nmod tests;\n{}", "fn f() {}\n".repeat(600));
        assert_eq!(check(ENGINE, &format!("//! A.\n{named}")).len(), 1);
    }

    #[test]
    fn a_crate_without_a_readme_is_named() {
        let source = |path: &str| Source { path: path.to_owned(), text: String::new() };
        let files = ["Cargo.toml", "a/Cargo.toml", "a/README.md", "b/Cargo.toml"];
        let tree = Tree { files: files.map(source).into() };
        let mut problems = Vec::new();
        check_readmes(&tree, &mut problems);
        assert_eq!(problems.len(), 1);
        assert_eq!(problems[0].path, "b/Cargo.toml");
    }
}
