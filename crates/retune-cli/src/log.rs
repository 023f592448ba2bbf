//! Log lines of the libraries on standard error, above the progress bars.

use anyhow::{Context, Result, anyhow};
use indicatif::MultiProgress;
use std::io::{self, IsTerminal, Write};
use tracing_subscriber::EnvFilter;

/// The variable that filters log lines.
const VARIABLE: &str = "RETUNE_LOG";

/// Starts logging; the variable wins over the flags.
pub(crate) fn start(verbose: u8, quiet: bool, bars: MultiProgress) -> Result<()> {
    let filter = match std::env::var(VARIABLE) {
        Ok(text) if !text.is_empty() => EnvFilter::try_new(&text).with_context(|| format!("{VARIABLE}={text}"))?,
        _ => EnvFilter::try_new(directives(verbose, quiet))?,
    };
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(io::stderr().is_terminal())
        .without_time()
        .with_writer(move || Above(bars.clone()))
        .try_init()
        .map_err(|error| anyhow!("cannot start logging: {error}"))
}

fn directives(verbose: u8, quiet: bool) -> String {
    let level = match (quiet, verbose) {
        (true, _) => return "error".to_owned(),
        (false, 0) => return "warn".to_owned(),
        (false, 1) => "info",
        (false, 2..) => "trace",
    };
    let crates = ["cli", "data", "engine", "kernels", "models"];
    crates.iter().fold("warn".to_owned(), |text, name| format!("{text},retune_{name}={level}"))
}

/// Standard error, with the bars out of the way.
struct Above(MultiProgress);

impl Write for Above {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.suspend(|| io::stderr().write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_level_is_a_filter() {
        let levels = [(0, true), (0, false), (1, false), (2, false), (9, false)];
        for (verbose, quiet) in levels {
            EnvFilter::try_new(directives(verbose, quiet)).unwrap();
        }
        assert!(directives(1, false).contains("retune_engine=info"));
    }
}
