//! Ctrl-C: the first one stops training after the running step, with a checkpoint; anything else ends at once.

use anyhow::{Context, Result};
use retune_engine::observer::RunFacts;
use retune_engine::step::StepReport;
use retune_engine::{Control, Observer};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

/// The exit code of an interrupted program.
pub(crate) const CODE: u8 = 130;

static TRAINING: AtomicBool = AtomicBool::new(false);
static REQUESTED: AtomicBool = AtomicBool::new(false);
static UNFINISHED: Mutex<Option<PathBuf>> = Mutex::new(None);

/// Starts to listen for SIGINT and SIGTERM.
pub(crate) fn listen() -> Result<()> {
    ctrlc::set_handler(|| {
        if TRAINING.load(SeqCst) && !REQUESTED.swap(true, SeqCst) {
            eprintln!("\nstopping after this step, with a checkpoint; Ctrl-C again stops at once");
            return;
        }
        if let Ok(Some(path)) = UNFINISHED.lock().map(|mut unfinished| unfinished.take()) {
            let _ = std::fs::remove_file(path);
        }
        // Destructors of libtorch must not run while its threads compute.
        signal_hook::low_level::exit(CODE.into());
    })
    .context("cannot listen for Ctrl-C")
}

/// Names a file that is to vanish when the program is interrupted now.
pub(crate) fn set_unfinished(path: Option<&Path>) {
    if let Ok(mut unfinished) = UNFINISHED.lock() {
        *unfinished = path.map(Path::to_owned);
    }
}

/// Asks the loop to stop when Ctrl-C was pressed.
pub(crate) struct StopSignal;

impl StopSignal {
    fn answer() -> Control {
        if REQUESTED.load(SeqCst) { Control::Stop } else { Control::Continue }
    }
}

impl Observer for StopSignal {
    fn on_start(&mut self, _facts: &RunFacts) -> Result<()> {
        TRAINING.store(true, SeqCst);
        Ok(())
    }

    fn on_step(&mut self, _report: &StepReport) -> Result<Control> {
        Ok(Self::answer())
    }

    fn on_evaluation(&mut self, _: u64, _: &retune_engine::evaluate::Scored, _: bool) -> Result<Control> {
        Ok(Self::answer())
    }

    fn on_end(&mut self) -> Result<()> {
        TRAINING.store(false, SeqCst);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_stops_the_loop() {
        let mut signal = StopSignal;
        assert_eq!(signal.on_step(&StepReport::default()).unwrap(), Control::Continue);
        REQUESTED.store(true, SeqCst);
        assert_eq!(signal.on_step(&StepReport::default()).unwrap(), Control::Stop);
        REQUESTED.store(false, SeqCst);
    }
}
