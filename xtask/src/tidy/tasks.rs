//! Only engine/task knows task names: elsewhere a task is a value, so that a new one changes nothing there.

use super::Problem;
use super::code::{code_only, strings};
use super::rules::{error, first_test_line, is_test_file};
use super::tree::{Source, Tree};

const HOME: &str = "crates/retune-engine/src/task/";
/// A head's purpose may be called as a task is: there is a task for nearly every head.
const HEADS: &str = "crates/retune-models/src/heads/";
/// A run of one certain task.
const QUICKSTART: &str = "crates/retune-cli/src/quickstart.rs";

/// Finds task names as string literals where none belongs. Help texts are comments, and free.
pub(super) fn check(tree: &Tree, problems: &mut Vec<Problem>) {
    let home: Vec<&Source> = tree.files.iter().filter(|file| file.path.starts_with(HOME)).collect();
    let names: Vec<&str> = home.iter().flat_map(|file| names(file)).collect();
    if let (Some(first), true) = (home.first(), names.is_empty()) {
        problems.push(error(first, 0, "no `ENTRY: Entry` with the name of a task is here or beside; tidy reads them"));
    }
    let concerned = |file: &&Source| {
        let ours = file.path.starts_with("crates/") || file.path.starts_with("xtask/");
        let free = [HOME, HEADS].iter().any(|home| file.path.starts_with(home))
            || file.path == QUICKSTART
            || is_test_file(&file.path);
        file.path.ends_with(".rs") && ours && !free
    };
    for file in tree.files.iter().filter(concerned) {
        let tests_begin = first_test_line(&code_only(&file.text)).unwrap_or(usize::MAX);
        for (line, text) in strings(&file.text) {
            if line < tests_begin && names.contains(&text) {
                problems.push(error(file, line, "only engine/task names a task; take the name from there as a value"));
            }
        }
    }
}

/// The names in the entries of tasks that a file declares.
fn names(file: &Source) -> Vec<&str> {
    let code = code_only(&file.text);
    let mut inside = false;
    let mut lines = Vec::new();
    for (number, line) in (1..).zip(code.lines()) {
        inside |= line.contains("ENTRY: Entry");
        if inside && line.trim_start().starts_with("name:") {
            lines.push(number);
            inside = false;
        }
    }
    strings(&file.text).into_iter().filter(|(line, _)| lines.contains(line)).map(|(_, name)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_with(path: &str, text: &str) -> Vec<String> {
        let source = |path: &str, text: &str| Source { path: path.to_owned(), text: text.to_owned() };
        let entry = |name: &str| {
            format!(
                "//! T.\nconst Z: &str = \"z\";\npub static ENTRY: Entry = Entry {{\n    name: \"{name}\",\n    key: \"z\",\n}};\n"
            )
        };
        let (one, two) = (entry("text-x"), entry("image-y"));
        let home = |name: &str, text: &str| source(&format!("{HOME}{name}.rs"), text);
        let tree = Tree { files: vec![home("x", &one), home("y", &two), source(path, text)] };
        let mut problems = Vec::new();
        check(&tree, &mut problems);
        problems.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_task_name_outside_its_home_is_found() {
        for text in ["//! A.\nif task == \"image-y\" {\n", "//! A.\nlet it = [\"z\", \"text-x\"];\n"] {
            let problems = check_with("crates/retune-engine/src/a.rs", text);
            assert_eq!(problems.len(), 1, "{text}");
            assert!(
                problems[0].starts_with("error: crates/retune-engine/src/a.rs:2: only engine/task"),
                "{problems:?}"
            );
        }
        assert_eq!(check_with("xtask/src/a.rs", "f(\"text-x\")").len(), 1);
    }

    #[test]
    fn homes_tests_and_help_are_free() {
        let name = "f(\"text-x\");\n";
        let paths =
            ["src/task/a.rs", "src/report/tests.rs", "tests/runs/a.rs"].map(|it| format!("crates/retune-engine/{it}"));
        for path in paths.iter().map(String::as_str).chain([
            QUICKSTART,
            "crates/retune-models/src/heads/a.rs",
            "benches/a.rs",
            "crates/a/README.md",
        ]) {
            assert_eq!(check_with(path, name), [""; 0], "{path}");
        }
        let free =
            "/// such as \"text-x\"\nf(\"z\", \"text-x y\");\n#[cfg(test)]\nmod tests {\n    f(\"text-x\");\n}\n";
        assert_eq!(check_with("crates/retune-cli/src/flags.rs", free), [""; 0]);
    }

    #[test]
    fn a_list_that_cannot_be_read_is_said() {
        let home = Source { path: format!("{HOME}mod.rs"), text: "//! T.\nconst NAMES: u8 = 1;\n".to_owned() };
        let mut problems = Vec::new();
        check(&Tree { files: vec![home] }, &mut problems);
        assert_eq!(problems.len(), 1);
    }
}
