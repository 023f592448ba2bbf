//! `ci`: the one gate. Cheapest stage first; the first failure ends it.

use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::Result;

use crate::project::Project;
use crate::{child, setup, tidy};

/// How one stage ended.
struct Stage {
    name: &'static str,
    seconds: f64,
    passed: bool,
}

/// Runs all stages and prints a line for each that ran.
pub(crate) fn run(project: &Project) -> Result<ExitCode> {
    let mut done = Vec::new();
    let result = stages(project, &mut done);
    eprintln!();
    for stage in &done {
        let verdict = if stage.passed { "ok    " } else { "FAILED" };
        eprintln!("{verdict} {:<7} {:7.1} s", stage.name, stage.seconds);
    }
    result
}

fn stages(project: &Project, done: &mut Vec<Stage>) -> Result<ExitCode> {
    let mut stage = |name: &'static str, work: &mut dyn FnMut() -> Result<ExitCode>| {
        eprintln!("── {name}");
        let begun = Instant::now();
        let result = work();
        let passed = matches!(&result, Ok(code) if *code == ExitCode::SUCCESS);
        let seconds = begun.elapsed().as_secs_f64();
        done.push(Stage { name, seconds, passed });
        result.map(|code| (!passed).then_some(code))
    };
    let run = |command: &mut Command| Ok(child::code(child::run(command)?));

    let mut format = project.plain_cargo("fmt");
    format.args(["--all", "--check"]);
    if let Some(code) = stage("fmt", &mut || run(&mut format))? {
        return Ok(code);
    }
    if let Some(code) = stage("tidy", &mut || tidy::run(&project.root))? {
        return Ok(code);
    }
    let mut libtorch = None;
    if let Some(code) = stage("setup", &mut || {
        libtorch = Some(setup::run(project, None)?);
        Ok(ExitCode::SUCCESS)
    })? {
        return Ok(code);
    }
    let Some(libtorch) = libtorch else {
        return Ok(ExitCode::FAILURE);
    };

    let mut clippy = project.cargo(&libtorch, "clippy");
    clippy.args(["--workspace", "--all-targets", "--", "-D", "warnings"]);
    let mut test = project.cargo(&libtorch, "test");
    test.arg("--workspace");
    let mut document = project.cargo(&libtorch, "doc");
    document.args(["--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-Dwarnings");
    for (name, command) in [("clippy", &mut clippy), ("test", &mut test), ("doc", &mut document)] {
        if let Some(code) = stage(name, &mut || run(command))? {
            return Ok(code);
        }
    }
    Ok(ExitCode::SUCCESS)
}
