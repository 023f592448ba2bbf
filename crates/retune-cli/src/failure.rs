//! From what went wrong to what is printed and to the exit code.

use crate::interrupt;
use retune_engine::{EngineError, said};
use std::any::Any;
use std::path::Path;

/// The message of a failed run, and its exit code.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) code: u8,
    pub(crate) message: String,
}

impl Failure {
    /// About arguments or input.
    pub(crate) fn input(error: &anyhow::Error) -> Self {
        Self { code: 2, message: format!("error: {}", said(error)) }
    }

    /// While running.
    pub(crate) fn failed(error: &anyhow::Error) -> Self {
        Self { code: 1, message: format!("error: {}", without_frames(&said(error))) }
    }

    /// A panic, mostly out of libtorch.
    pub(crate) fn panicked(payload: &(dyn Any + Send)) -> Self {
        let text = payload.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("an unknown panic");
        // tch unwraps: the message is a debug text, with its line ends escaped.
        let text = text.trim_start_matches("called `Result::unwrap()` on an `Err` value: ");
        let text = text.trim_start_matches("Torch(\"").trim_end_matches("\")");
        let first = text.split("\\n").next().and_then(|it| it.lines().next()).unwrap_or_default();
        Self { code: 1, message: format!("error: {first}\n(RUST_BACKTRACE=1 shows where)") }
    }

    /// Adds how to go on, if the run left a checkpoint.
    pub(crate) fn with_resume_hint(mut self, output: &Path) -> Self {
        if self.code == 1 && has_checkpoint(output) {
            self.message += &format!("\ncontinue with: {}", resume_command(output));
        }
        self
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Input(error) => Self::input(&error),
            EngineError::Failed(error) => Self::failed(&error),
            EngineError::Interrupted { step, output } => Self {
                code: interrupt::CODE,
                message: format!("stopped after step {step}\ncontinue with: {}", resume_command(&output)),
            },
        }
    }
}

fn resume_command(output: &Path) -> String {
    let recipe = output.join("recipe.toml");
    if recipe.is_file() {
        format!("retune finetune {} --resume", quoted(&recipe))
    } else {
        format!("retune finetune … --resume --output {}", quoted(output))
    }
}

/// The path as a shell takes it.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_alphanumeric() || "/._-+=:,@".contains(c);
    if text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

fn has_checkpoint(output: &Path) -> bool {
    let entries = std::fs::read_dir(output.join("checkpoints"));
    entries.is_ok_and(|mut it| it.any(|e| e.is_ok_and(|e| e.file_name().to_string_lossy().starts_with("step-"))))
}

/// Drops the C++ stack that libtorch appends to its messages.
fn without_frames(text: &str) -> String {
    let noise = |line: &&str| !line.starts_with("Exception raised from ") && !line.starts_with("frame #");
    text.lines().filter(noise).collect::<Vec<_>>().join("\n").trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::anyhow;

    #[test]
    fn each_kind_has_its_code_and_keeps_its_chain() {
        let error = anyhow!("line 3\n  line 4").context("data.csv");
        let failure = Failure::from(EngineError::Input(error));
        assert_eq!((failure.code, failure.message.as_str()), (2, "error: data.csv: line 3\n  line 4"));
        let failure =
            Failure::from(EngineError::Failed(anyhow!("no space\nException raised from f at x.cpp:1\nframe #0: f")));
        assert_eq!((failure.code, failure.message.as_str()), (1, "error: no space"));
        let failure = Failure::from(EngineError::Interrupted { step: 7, output: "a b".into() });
        assert_eq!(failure.code, 130);
        assert!(failure.message.contains("step 7") && failure.message.contains("'a b'"), "{}", failure.message);
    }

    #[test]
    fn a_panic_says_its_first_line() {
        let text =
            r#"called `Result::unwrap()` on an `Err` value: Torch("CUDA out of memory\nframe #0: f")"#.to_owned();
        let failure = Failure::panicked(&text);
        assert_eq!(failure.code, 1);
        assert!(failure.message.starts_with("error: CUDA out of memory\n("), "{}", failure.message);
        assert!(Failure::panicked(&7u8).message.contains("unknown panic"));
    }

    #[test]
    fn only_a_run_with_a_checkpoint_can_be_continued() {
        let folder = tempfile::tempdir().unwrap();
        let hint = |code| Failure { code, message: String::new() }.with_resume_hint(folder.path()).message;
        assert_eq!(hint(1), "");
        std::fs::create_dir_all(folder.path().join("checkpoints/step-00000001")).unwrap();
        std::fs::write(folder.path().join("recipe.toml"), "").unwrap();
        assert!(hint(1).contains("recipe.toml --resume"));
        assert_eq!(hint(2), "");
    }
}
