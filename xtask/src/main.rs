//! `cargo xtask`: the chores of this workspace, from libtorch to the checks before a merge.
//!
//! Builds on a machine without libtorch, since it is what brings libtorch.

mod bench;
mod child;
mod ci;
mod finetune;
mod progress;
mod project;
mod setup;
mod tidy;
mod weights;

use std::env;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use project::Project;
use setup::Device;

#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", about = "The chores of this workspace")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Find or fetch libtorch and link it into this checkout; a second run does nothing
    Setup {
        /// The build of libtorch; without it, whichever is there, else the CPU one
        #[arg(long)]
        device: Option<Device>,
    },
    /// Download and verify a model, and print its folder
    Weights {
        /// NAME, ORG/NAME or ORG/NAME@REVISION on the hub
        id: String,
        /// A branch, a tag, refs/pr/N or a commit
        #[arg(long)]
        revision: Option<String>,
    },
    /// Set up, build and run `retune finetune`; without arguments, the quickstart
    #[command(disable_help_flag = true)]
    Finetune {
        /// Handed to `retune finetune`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Set up and run every test
    #[command(disable_help_flag = true)]
    Test {
        /// Handed to `cargo test --workspace`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Set up and run the benchmarks
    Bench(bench::Options),
    /// Make the parity fixtures again
    Fixtures {
        /// A Python that has torch and transformers
        #[arg(long, default_value = "python3")]
        python: String,
        /// Handed to the script
        #[arg(last = true)]
        arguments: Vec<String>,
    },
    /// Check the house rules that no compiler checks
    Tidy,
    /// fmt, tidy, clippy, tests, docs: cheapest first, stopping at the first failure
    Ci,
}

fn main() -> ExitCode {
    match run(parse(env::args().collect())) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(if weights::is_usage(&error) { 2 } else { 1 })
        }
    }
}

/// Reads the command line, or ends the process with advice.
fn parse(line: Vec<String>) -> Command {
    let mut command = Arguments::parse_from(&line).command;
    if let Command::Finetune { arguments } | Command::Test { arguments } = &mut command {
        // Word for word: the parser takes a leading `--` for its own.
        *arguments = line.into_iter().skip(2).collect();
    }
    command
}

fn run(command: Command) -> Result<ExitCode> {
    let project = Project::find()?;
    match command {
        Command::Setup { device } => {
            setup::run(&project, device)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Weights { id, revision } => weights::run(&id, revision.as_deref()),
        Command::Finetune { arguments } => finetune::run(&project, &arguments),
        Command::Test { arguments } => {
            let libtorch = setup::run(&project, None)?;
            let mut cargo = project.cargo(&libtorch, "test");
            if !names_packages(&arguments) {
                cargo.arg("--workspace");
            }
            child::become_child(cargo.args(arguments))
        }
        Command::Bench(options) => bench::run(&project, &options),
        Command::Fixtures { python, arguments } => bench::fixtures(&project, &python, &arguments),
        Command::Tidy => tidy::run(&project.root),
        Command::Ci => ci::run(&project),
    }
}

/// Whether the arguments for cargo choose packages themselves.
fn names_packages(arguments: &[String]) -> bool {
    arguments.iter().take_while(|argument| *argument != "--").any(|argument| {
        argument == "--package"
            || argument.starts_with("--package=")
            || (argument.starts_with("-p") && !argument.starts_with("--"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Arguments::command().debug_assert();
    }

    #[test]
    fn what_belongs_to_others_is_handed_on() {
        let parse = |line: &str| parse(line.split(' ').map(str::to_owned).collect());
        let Command::Finetune { arguments } = parse("xtask finetune r.toml --epochs 1 --help") else {
            panic!("not finetune");
        };
        assert_eq!(arguments, ["r.toml", "--epochs", "1", "--help"]);
        let Command::Test { arguments } = parse("xtask test -p xtask -- --nocapture") else {
            panic!("not test");
        };
        assert!(names_packages(&arguments));
        let Command::Test { arguments } = parse("xtask test -- -p") else {
            panic!("not test");
        };
        assert_eq!(arguments, ["--", "-p"]);
        assert!(!names_packages(&arguments));
    }
}
