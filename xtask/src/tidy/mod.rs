//! `tidy`: the house rules that no compiler checks. Reads files only; reports everything at once.

mod circles;
mod code;
mod dependencies;
mod imports;
mod rules;
mod tasks;
mod tree;

use std::fmt;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;

use tree::Tree;

/// One breach of a rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Problem {
    /// From the top of the checkout, with `/`.
    path: String,
    /// From 1; 0 when it is about the whole file.
    line: usize,
    text: String,
    /// Whether it only deserves a look.
    warning: bool,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.warning { "warning" } else { "error" };
        match self.line {
            0 => write!(f, "{kind}: {}: {}", self.path, self.text),
            line => write!(f, "{kind}: {}:{line}: {}", self.path, self.text),
        }
    }
}

/// Checks the checkout at `root` and prints what is wrong.
pub(crate) fn run(root: &Path) -> Result<ExitCode> {
    let tree = Tree::read(root)?;
    let problems = problems(&tree);
    for problem in &problems {
        eprintln!("{problem}");
    }
    let errors = problems.iter().filter(|problem| !problem.warning).count();
    eprintln!("tidy: {} files, {errors} errors, {} warnings", tree.files.len(), problems.len() - errors);
    Ok(ExitCode::from(u8::from(errors > 0)))
}

fn problems(tree: &Tree) -> Vec<Problem> {
    let mut problems = Vec::new();
    for file in &tree.files {
        rules::check_file(file, &mut problems);
    }
    rules::check_readmes(tree, &mut problems);
    tasks::check(tree, &mut problems);
    dependencies::check(tree, &mut problems);
    circles::check(tree, &mut problems);
    problems.sort();
    problems
}
