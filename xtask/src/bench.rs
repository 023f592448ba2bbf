//! `bench` and `fixtures`: the commands that may bring in a Python with the peers' libraries.

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Result, ensure};
use clap::Args;

use crate::project::Project;
use crate::setup::{self, Device};
use crate::{child, finetune, weights};

/// Which benchmarks.
#[derive(Args)]
pub(crate) struct Options {
    /// One criterion suite of the benches crate, or `finetune`: whole trainings beside a peer's; all criterion suites
    /// without it
    #[arg(long)]
    suite: Option<String>,
    /// Where to run; benchmarks read it as RETUNE_DEVICE
    #[arg(long)]
    device: Option<Device>,
    /// A Python with torch and transformers, for `--suite finetune`
    #[arg(long, value_name = "PYTHON")]
    peer: Option<String>,
    /// Handed to the side-by-side script; without --model, --train and --eval it takes the quickstart's, without --mode
    /// it measures both of the peer's modes
    #[arg(last = true, requires = "peer")]
    arguments: Vec<String>,
}

const FINETUNE: &str = "finetune";
const SIDE_BY_SIDE: &str = "scripts/bench_side_by_side.py";
const FIXTURES: &str = "scripts/make_fixtures.py";
const QUICKSTART_MODEL: &str = "sentence-transformers/all-MiniLM-L6-v2";

/// Runs the criterion suites, or the side-by-side comparison.
pub(crate) fn run(project: &Project, options: &Options) -> Result<ExitCode> {
    let side_by_side = options.suite.as_deref() == Some(FINETUNE);
    ensure!(!side_by_side || options.peer.is_some(), "--suite finetune needs --peer PYTHON");
    ensure!(side_by_side || options.peer.is_none(), "--peer belongs to --suite finetune");
    let libtorch = setup::run(project, options.device)?;
    if let (true, Some(python)) = (side_by_side, &options.peer) {
        return match finetune::build(project, &libtorch)? {
            Ok(binary) => compare(project, options, &binary, python),
            Err(code) => Ok(code),
        };
    }
    let mut cargo = project.cargo(&libtorch, "bench");
    cargo.args(["--package", "benches"]);
    if let Some(suite) = &options.suite {
        cargo.args(["--bench", suite]);
    }
    if let Some(device) = options.device {
        cargo.env("RETUNE_DEVICE", device.name());
    }
    Ok(child::code(child::run(&mut cargo)?))
}

/// Whole trainings of both programs, alternating; the script writes the tables.
fn compare(project: &Project, options: &Options, binary: &Path, python: &str) -> Result<ExitCode> {
    let given = |flag: &str| options.arguments.iter().any(|a| a == flag || a.starts_with(&format!("{flag}=")));
    let data = |file: &str| project.root.join("fixtures/sentiment").join(file).into_os_string();
    let mut defaults: Vec<OsString> = Vec::new();
    if !given("--model") {
        let snapshot = weights::fetch(QUICKSTART_MODEL, None)?;
        defaults.extend(["--model".into(), snapshot.dir.into_os_string()]);
    }
    for (flag, file) in [("--train", "train.csv"), ("--eval", "test.csv")] {
        if !given(flag) {
            defaults.extend([flag.into(), data(file)]);
        }
    }
    if let Some(device) = options.device {
        defaults.extend(["--device".into(), device.name().into()]);
    }
    let modes: &[&[&str]] = if given("--mode") { &[&[]] } else { &[&["--mode", "default"], &["--mode", "tuned"]] };
    for mode in modes {
        let mut script = Command::new(python);
        script.arg(project.root.join(SIDE_BY_SIDE)).arg("--retune").arg(binary);
        script.args(&defaults).args(*mode).args(&options.arguments);
        let status = child::run(&mut script)?;
        if !status.success() {
            return Ok(child::code(status));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs the script that makes the parity fixtures.
pub(crate) fn fixtures(project: &Project, python: &str, arguments: &[String]) -> Result<ExitCode> {
    let script = project.root.join(FIXTURES);
    ensure!(script.is_file(), "this checkout has no {FIXTURES}");
    child::become_child(Command::new(python).arg(script).args(arguments))
}
