//! `bench` and `fixtures`: the commands that may bring in a Python with the peers' libraries.

use std::process::{Command, ExitCode};

use anyhow::{Result, ensure};
use clap::Args;

use crate::project::Project;
use crate::setup::{self, Device};
use crate::{child, finetune};

/// Which benchmarks.
#[derive(Args)]
pub(crate) struct Options {
    /// One suite of the benches crate; all without it
    #[arg(long)]
    suite: Option<String>,
    /// Where to run; benchmarks read it as RETUNE_DEVICE
    #[arg(long)]
    device: Option<Device>,
    /// A Python with torch and transformers, to be measured side by side
    #[arg(long, value_name = "PYTHON")]
    peer: Option<String>,
    /// Handed to the side-by-side script, which needs at least --model, --train and --eval
    #[arg(last = true, requires = "peer")]
    arguments: Vec<String>,
}

const SIDE_BY_SIDE: &str = "scripts/bench_side_by_side.py";
const FIXTURES: &str = "scripts/make_fixtures.py";

/// Runs the criterion suites, then the peer if one is named.
pub(crate) fn run(project: &Project, options: &Options) -> Result<ExitCode> {
    let script = project.root.join(SIDE_BY_SIDE);
    ensure!(
        options.peer.is_none() || script.is_file(),
        "--peer needs {SIDE_BY_SIDE}, which this checkout does not have"
    );
    let libtorch = setup::run(project, options.device)?;
    let mut cargo = project.cargo(&libtorch, "bench");
    cargo.args(["--package", "benches"]);
    if let Some(suite) = &options.suite {
        cargo.args(["--bench", suite]);
    }
    if let Some(device) = options.device {
        cargo.env("RETUNE_DEVICE", device.name());
    }
    let status = child::run(&mut cargo)?;
    let Some(python) = options.peer.as_ref().filter(|_| status.success()) else {
        return Ok(child::code(status));
    };
    let binary = match finetune::build(project, &libtorch)? {
        Ok(binary) => binary,
        Err(code) => return Ok(code),
    };
    let mut peer = Command::new(python);
    peer.arg(script).arg("--retune").arg(binary);
    if let Some(device) = options.device {
        peer.args(["--device", device.name()]);
    }
    child::become_child(peer.args(&options.arguments))
}

/// Runs the script that makes the parity fixtures.
pub(crate) fn fixtures(project: &Project, python: &str, arguments: &[String]) -> Result<ExitCode> {
    let script = project.root.join(FIXTURES);
    ensure!(script.is_file(), "this checkout has no {FIXTURES}");
    child::become_child(Command::new(python).arg(script).args(arguments))
}
