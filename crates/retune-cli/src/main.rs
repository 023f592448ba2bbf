//! The `retune` program: arguments in, engine called, results out. Nothing about models or tensors is decided here.

mod arguments;
mod commands;
mod conclusion;
mod failure;
mod flags;
mod help;
mod interrupt;
mod log;
mod output;
mod quickstart;
mod resolve;
mod terminal;

use arguments::{Cli, Command};
use clap::{CommandFactory, FromArgMatches};
use commands::Screen;
use failure::Failure;
use indicatif::MultiProgress;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook};
use std::process::ExitCode;

/// Serves the C++ side as well: its functions take the names of the C library's.
#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
    let matches = help::narrowed(Cli::command(), &words).get_matches();
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    if std::env::var_os("RUST_BACKTRACE").is_none() {
        // A panic is reported like any other failure.
        set_hook(Box::new(|_| {}));
    }
    let outcome = catch_unwind(AssertUnwindSafe(|| run(cli)));
    let failure = match outcome {
        Ok(Ok(())) => return ExitCode::SUCCESS,
        Ok(Err(failure)) => failure,
        Err(payload) => Failure::panicked(payload.as_ref()),
    };
    let _ = writeln!(std::io::stderr(), "{}", failure.message);
    ExitCode::from(failure.code)
}

fn run(cli: Cli) -> Result<(), Failure> {
    let screen = Screen { style: terminal::Style::detect(cli.quiet), bars: MultiProgress::new() };
    log::start(cli.verbose, cli.quiet, screen.bars.clone()).map_err(|error| Failure::input(&error))?;
    interrupt::listen().map_err(|error| Failure::failed(&error))?;
    match cli.command {
        Command::Finetune(arguments) => commands::finetune(&arguments, &screen),
        Command::Evaluate(arguments) => commands::evaluate(arguments, &screen),
        Command::Predict(arguments) => commands::predict(arguments, &screen),
        Command::Embed(arguments) => commands::embed(arguments, &screen),
        Command::Generate(arguments) => commands::generate(arguments),
        Command::Merge(arguments) => commands::merge(&arguments, &screen),
        Command::Forward(arguments) => commands::forward(&arguments),
        Command::Inspect { path, task } => commands::inspect(&path, task.as_deref()),
        Command::Doctor { device } => commands::doctor(&device),
    }
}
