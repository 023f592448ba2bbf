//! Who watches a run: progress bars, logs, event files. Observers read; at most they ask to stop.

use crate::evaluate::Scored;
use crate::files::write_text;
use crate::step::StepReport;
use crate::tfevents::EventWriter;
use anyhow::{Context, Result};
use serde_json::json;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
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
    events: EventWriter,
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |d| d.as_secs_f64())
}

impl FileLog {
    /// Opens both files of a run directory; what they hold beyond `step` is dropped, so that a resumed run has each
    /// step once.
    pub fn open(directory: &Path, step: u64) -> Result<Self> {
        let path = directory.join("log.jsonl");
        let kept: String = match std::fs::read_to_string(&path) {
            Ok(text) => text
                .lines()
                .filter(|line| {
                    let value: serde_json::Value = serde_json::from_str(line).unwrap_or_default();
                    value["step"].as_u64().is_some_and(|s| s <= step)
                })
                .map(|line| format!("{line}\n"))
                .collect(),
            Err(_) => String::new(),
        };
        write_text(&path, &kept)?;
        let log =
            OpenOptions::new().append(true).open(&path).with_context(|| format!("cannot write {}", path.display()))?;
        let existing = std::fs::read_dir(directory)?
            .flatten()
            .map(|e| e.path())
            .find(|p| p.file_name().is_some_and(|n| n.to_string_lossy().starts_with("events.out.tfevents.")));
        let events_path = existing.unwrap_or_else(|| directory.join(crate::tfevents::file_name(now())));
        let mut events =
            EventWriter::append(&events_path).with_context(|| format!("cannot write {}", events_path.display()))?;
        if step > 0 {
            events.restart(step + 1, now())?;
        }
        Ok(Self { log, events })
    }
}

impl Observer for FileLog {
    fn on_step(&mut self, r: &StepReport) -> Result<Control> {
        let line = json!({
            "step": r.step, "epoch": r.epoch, "loss": r.loss, "learning_rate": r.learning_rate,
            "gradient_norm": r.gradient_norm, "examples": r.examples, "tokens": r.tokens, "seconds": r.seconds,
        });
        writeln!(self.log, "{line}")?;
        for (tag, value) in
            [("train/loss", r.loss), ("train/learning_rate", r.learning_rate), ("train/gradient_norm", r.gradient_norm)]
        {
            self.events.scalar(r.step, tag, value as f32, now())?;
        }
        Ok(Control::Continue)
    }

    fn on_evaluation(&mut self, step: u64, scored: &Scored, improved: bool) -> Result<Control> {
        let line = json!({
            "step": step, "evaluation": "validation", "loss": scored.loss, "improved": improved,
            "metrics": scored.evaluation.metrics, "examples": scored.predictions.len(), "seconds": scored.seconds,
        });
        writeln!(self.log, "{line}")?;
        self.log.sync_data()?;
        for (name, value) in &scored.evaluation.metrics {
            self.events.scalar(step, &format!("validation/{name}"), *value as f32, now())?;
        }
        if let Some(loss) = scored.loss {
            self.events.scalar(step, "validation/loss", loss as f32, now())?;
        }
        self.events.flush()?;
        Ok(Control::Continue)
    }

    fn on_end(&mut self) -> Result<()> {
        self.events.flush()?;
        Ok(self.log.sync_data()?)
    }
}
