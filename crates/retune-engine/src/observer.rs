//! Who watches a run: progress bars, logs, event files. Observers read; at most they ask to stop.

use crate::evaluate::Scored;
use crate::files::write_text;
use crate::step::StepReport;
use crate::tfevents::EventWriter;
use anyhow::{Context, Result};
use serde_json::json;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// An observer's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control {
    /// Go on.
    Continue,
    /// Write a checkpoint and stop.
    Stop,
}

/// What is known when a run starts.
#[derive(Debug, Clone)]
pub struct RunFacts {
    /// What is being trained, for a person: `fine-tuning`, `from random weights`.
    pub title: String,
    /// Steps in all.
    pub total_steps: u64,
    /// Steps already done.
    pub first_step: u64,
    /// Steps per epoch.
    pub steps_per_epoch: u64,
    /// Keys of the metrics of the task, the one that chooses the model and then the more telling ones first.
    pub metrics: Vec<&'static str>,
}

/// Watches a run.
pub trait Observer: Send {
    /// Something worth a line.
    fn on_message(&mut self, _message: &str) {}
    /// Work other than training: `done` of `total` of something.
    fn on_progress(&mut self, _what: &str, _done: usize, _total: usize) {}
    /// Before the first step.
    fn on_start(&mut self, _facts: &RunFacts) -> Result<()> {
        Ok(())
    }
    /// After each optimizer step.
    fn on_step(&mut self, _report: &StepReport) -> Result<Control> {
        Ok(Control::Continue)
    }
    /// After each validation.
    fn on_evaluation(&mut self, _step: u64, _scored: &Scored, _improved: bool) -> Result<Control> {
        Ok(Control::Continue)
    }
    /// After the last step.
    fn on_end(&mut self) -> Result<()> {
        Ok(())
    }
}

/// `log.jsonl` and the TensorBoard event file.
pub struct FileLog {
    log: File,
    log_path: PathBuf,
    events: EventWriter,
    events_path: PathBuf,
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |d| d.as_secs_f64())
}

impl FileLog {
    /// Opens both files of a run directory; what they hold beyond `step` is dropped, so that a resumed run has each
    /// step once.
    pub fn open(directory: &Path, step: u64) -> Result<Self> {
        let log_path = directory.join("log.jsonl");
        let kept: String = match std::fs::read(&log_path) {
            // A crash may have left anything behind the last whole line.
            Ok(bytes) => String::from_utf8_lossy(&bytes)
                .lines()
                .filter(|line| {
                    let value: serde_json::Value = serde_json::from_str(line).unwrap_or_default();
                    value["step"].as_u64().is_some_and(|s| s <= step)
                })
                .map(|line| format!("{line}\n"))
                .collect(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", log_path.display())),
        };
        write_text(&log_path, &kept)?;
        let log = OpenOptions::new().append(true).open(&log_path).with_context(|| not_written(&log_path))?;
        let existing = std::fs::read_dir(directory)?
            .flatten()
            .map(|e| e.path())
            .find(|p| p.file_name().is_some_and(|n| n.to_string_lossy().starts_with("events.out.tfevents.")));
        let events_path = existing.unwrap_or_else(|| directory.join(crate::tfevents::file_name(now())));
        let mut events = EventWriter::append(&events_path).with_context(|| not_written(&events_path))?;
        if step > 0 {
            events.restart(step + 1, now()).with_context(|| not_written(&events_path))?;
        }
        Ok(Self { log, log_path, events, events_path })
    }

    fn log(&mut self, write: impl FnOnce(&mut File) -> io::Result<()>) -> Result<()> {
        write(&mut self.log).with_context(|| not_written(&self.log_path))
    }

    fn events(&mut self, write: impl FnOnce(&mut EventWriter) -> io::Result<()>) -> Result<()> {
        write(&mut self.events).with_context(|| not_written(&self.events_path))
    }
}

fn not_written(path: &Path) -> String {
    format!("{} could not be written", path.display())
}

impl Observer for FileLog {
    fn on_step(&mut self, r: &StepReport) -> Result<Control> {
        let line = json!({
            "step": r.step, "epoch": r.epoch, "loss": r.loss, "learning_rate": r.learning_rate,
            "gradient_norm": r.gradient_norm, "examples": r.examples, "tokens": r.tokens, "seconds": r.seconds,
        });
        self.log(|log| writeln!(log, "{line}"))?;
        self.events(|events| {
            events.scalar(r.step, "train/loss", r.loss as f32, now())?;
            events.scalar(r.step, "train/learning_rate", r.learning_rate as f32, now())?;
            events.scalar(r.step, "train/gradient_norm", r.gradient_norm as f32, now())
        })?;
        Ok(Control::Continue)
    }

    fn on_evaluation(&mut self, step: u64, scored: &Scored, improved: bool) -> Result<Control> {
        let line = json!({
            "step": step, "evaluation": "validation", "loss": scored.loss, "improved": improved,
            "metrics": scored.evaluation.metrics, "examples": scored.judged.len(), "seconds": scored.seconds,
        });
        self.log(|log| writeln!(log, "{line}").and_then(|()| log.sync_data()))?;
        self.events(|events| {
            for (name, value) in &scored.evaluation.metrics {
                events.scalar(step, &format!("validation/{name}"), *value as f32, now())?;
            }
            if let Some(loss) = scored.loss {
                events.scalar(step, "validation/loss", loss as f32, now())?;
            }
            events.flush()
        })?;
        Ok(Control::Continue)
    }

    fn on_end(&mut self) -> Result<()> {
        self.events(EventWriter::flush)?;
        self.log(|log| log.sync_data())
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    const STEP: StepReport = StepReport {
        step: 1,
        epoch: 0.1,
        loss: 0.7,
        learning_rate: 1e-3,
        gradient_norm: 1.0,
        examples: 8,
        tokens: 99,
        padded: 99,
        flops: 0.0,
        seconds: 0.1,
    };

    #[test]
    fn the_file_that_finds_the_disk_full_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let full = || OpenOptions::new().write(true).open("/dev/full").unwrap();

        let mut files = FileLog::open(folder.path(), 0).unwrap();
        files.log = full();
        let message = format!("{:#}", files.on_step(&STEP).unwrap_err());
        assert!(message.contains("log.jsonl could not be written: No space left"), "{message}");

        let mut files = FileLog::open(folder.path(), 0).unwrap();
        files.events = EventWriter::over(full());
        files.on_step(&STEP).unwrap();
        let message = format!("{:#}", files.on_end().unwrap_err());
        assert!(message.contains("events.out.tfevents.") && message.contains("could not be written: No"), "{message}");
    }

    #[test]
    fn a_log_cut_by_a_crash_goes_on_behind_its_last_whole_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.jsonl");
        std::fs::write(&path, b"{\"step\":1}\n{\"step\":2}\n{\"ste\xff").unwrap();
        FileLog::open(folder.path(), 1).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{\"step\":1}\n");
    }
}
