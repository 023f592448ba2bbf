//! No circles: within a crate, files that need each other are one concept cut in two, or one that knows too much.

use std::collections::{BTreeMap, BTreeSet};

use super::Problem;
use super::imports::Crate;
use super::tree::Tree;

/// Finds groups of files that all need each other, directly or through others.
pub(super) fn check(tree: &Tree, problems: &mut Vec<Problem>) {
    let folders: BTreeSet<String> = tree
        .files
        .iter()
        .filter_map(|file| file.path.split_once("/src/").map(|(head, _)| format!("{head}/src/")))
        .filter(|folder| folder.starts_with("crates/") || folder.starts_with("xtask/"))
        .collect();
    for folder in folders {
        let needs = Crate::read(tree, &folder).needs();
        for circle in circles(&needs) {
            let short: Vec<&str> =
                circle.iter().map(|file| file.strip_prefix(folder.as_str()).unwrap_or(file)).collect();
            problems.push(Problem {
                path: circle[0].to_owned(),
                line: 0,
                text: format!("{} files need each other in a circle: {}", circle.len(), short.join(", ")),
                warning: false,
            });
        }
    }
}

/// Strongly connected groups of more than one file.
fn circles<'a>(needs: &BTreeMap<&'a str, BTreeSet<&'a str>>) -> Vec<Vec<&'a str>> {
    let reached: BTreeMap<&str, BTreeSet<&str>> = needs.keys().map(|&file| (file, reachable(needs, file))).collect();
    let mut groups: BTreeSet<Vec<&str>> = BTreeSet::new();
    for (&file, reach) in &reached {
        if reach.contains(file) {
            groups.insert(reach.iter().filter(|other| reached[*other].contains(file)).copied().collect());
        }
    }
    groups.into_iter().filter(|group| group.len() > 1).collect()
}

fn reachable<'a>(needs: &BTreeMap<&'a str, BTreeSet<&'a str>>, from: &str) -> BTreeSet<&'a str> {
    let mut seen = BTreeSet::new();
    let mut open: Vec<&str> = needs[from].iter().copied().collect();
    while let Some(file) = open.pop() {
        if seen.insert(file) {
            open.extend(needs.get(file).into_iter().flatten());
        }
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::super::tree::Source;
    use super::*;

    fn found(files: &[(&str, &str)]) -> Vec<String> {
        let source = |(path, text): &(&str, &str)| Source {
            path: format!("crates/a/src/{path}"),
            text: format!("//! A.\n{text}"),
        };
        let mut problems = Vec::new();
        check(&Tree { files: files.iter().map(source).collect() }, &mut problems);
        problems.iter().map(|problem| problem.text.clone()).collect()
    }

    #[test]
    fn files_that_need_each_other_are_named() {
        let files = [
            ("lib.rs", "mod a;\nmod b;\nmod c;\n"),
            ("a.rs", "use crate::b::B;\npub struct A;\n"),
            ("b.rs", "pub struct B;\nfn f() -> u8 { super::c::g() }\n"),
            ("c.rs", "use std::fmt;\nuse crate::{a::A, b};\n"),
        ];
        assert_eq!(found(&files), ["3 files need each other in a circle: a.rs, b.rs, c.rs"]);
        assert_eq!(found(&files[..3]), [""; 0]);
    }

    #[test]
    fn what_is_handed_on_is_needed_where_it_is_defined() {
        let files = [
            ("lib.rs", "mod a;\nmod b;\npub use a::A;\npub use b::{B, C as D};\n"),
            ("a.rs", "use crate::B;\npub struct A;\n"),
            ("b.rs", "pub struct B;\npub struct C;\n"),
        ];
        assert_eq!(found(&files), [""; 0]);
        let both = [files[0], files[1], ("b.rs", "use crate::A;\npub struct B;\n")];
        assert_eq!(found(&both), ["2 files need each other in a circle: a.rs, b.rs"]);
    }

    #[test]
    fn a_module_and_its_children_are_one_concept_and_tests_are_free() {
        let parent = ("task/mod.rs", "mod a;\npub trait Task {}\n");
        let child = ("task/a.rs", "use super::Task;\n#[cfg(test)]\nmod tests {\n    use crate::task::f;\n}\n");
        assert_eq!(found(&[("lib.rs", "mod task;\n"), parent, child]), [""; 0]);
        let user = ("task/mod.rs", "mod a;\npub trait Task {}\nfn f() { a::g() }\n");
        assert_eq!(found(&[("lib.rs", "mod task;\n"), user, child]), [""; 0]);
        let sibling = ("task/b.rs", "fn f() { super::a::g() }\npub struct B;\n");
        let a = ("task/a.rs", "use super::b::B;\n");
        assert_eq!(found(&[("lib.rs", "mod task;\n"), user, a, sibling]).len(), 1);
    }
}
