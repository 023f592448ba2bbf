//! The settings of every run: its data and model, how it goes, and how it optimizes.

use super::settings::{
    ABOVE_ZERO, AT_LEAST_ONE, DATA, FACTOR, HARDWARE, METHOD, NOT_NEGATIVE, PART, Plain, RUN, SHARE, Section, Settings,
    TRAINING, settings,
};
use crate::task::{USUAL_TASK, is_preset};
use anyhow::{Context, Result, bail, ensure};
use std::path::PathBuf;

/// The sections of every recipe, in the order in which they are written.
pub(super) const COMMON: [&Section; 3] = [DataSettings::SECTION, RunSettings::SECTION, OptimizationSettings::SECTION];

settings! {
    /// What is learnt, from what, with which model.
    pub struct DataSettings, under DATA {
        /// What to learn, such as text-classification
        task: String = USUAL_TASK.to_owned();
        /// Checkpoint folder or hub id
        model: String, value("DIR|HUB_ID");
        /// Branch, tag or commit of the hub id
        revision: Option<String>;
        /// Random weights of the same configuration, for comparison
        from_scratch: bool;
        /// Training data (CSV, TSV, JSON, JSON lines, Parquet; for images also a folder of class folders)
        train: Option<PathBuf>, value("FILE");
        /// Validation data; without it, a part of the training data
        validation: Option<PathBuf>, value("FILE"), overfit(Plain::Absent);
        /// Test data, used once at the end
        test: Option<PathBuf>, value("FILE"), neutral(), overfit(Plain::Absent);
        /// Share of the training data that validates when no file is given
        validation_fraction: f64 = 0.1, value("SHARE"), range(PART);
        /// Column whose equal values (a patient, an author) stay on one side of a split
        group_column: Option<String>, value("COLUMN"), at_use();
        /// Rows and images that cannot be used: `fail` before anything is computed, or `skip` them and list them
        on_bad_example: String = "fail".to_owned(), value("fail|skip"), one_of(&["fail", "skip"]), at_use();
    }
}

settings! {
    /// How a run goes, what it leaves behind, and what it runs on.
    pub struct RunSettings, under RUN {
        /// Folder of the run
        output: PathBuf, value("DIR"), usual("runs/TASK-METHOD, numbered when taken"), neutral();
        /// Seed of everything random
        seed: u64 = 42;
        /// `epoch` or a number of steps
        evaluate_every: String = "epoch".to_owned(), value("epoch|N"), word(), reads(epoch_or_steps),
            overfit_unless(Plain::Word("20"), &[]);
        /// Checkpoints to keep, best and last among them
        keep_checkpoints: usize = 2, value("N"), range(AT_LEAST_ONE), neutral();
        /// Most disk space the run may take, such as 5GB
        disk_budget: Option<String>, value("SIZE"), reads(disk_space), neutral();
        /// A check: the first N training examples alone are learnt as they are, and evaluated; it ends when their loss is nearly
        /// nothing, and says so where that is not reached
        overfit: Option<u64>, value("N"), range(AT_LEAST_ONE);
        /// Over the pictures of the worst errors in the report: none, gradient (activation times gradient) or rollout (of
        /// attention; not for Swin and ConvNeXt)
        heat_maps: String = "none".to_owned(), value("none|gradient|rollout"), one_of(&["none", "gradient", "rollout"]);
        /// `majority`, or `all`: also the same model from random weights with the same budget
        baselines: String = "majority".to_owned(), one_of(&["majority", "all"]), neutral(),
            overfit(Plain::Word("majority"));
        /// Peak learning rate of the baseline from random weights
        baseline_learning_rate: Option<f64>, value("X"), usual("5e-4"), range(ABOVE_ZERO), neutral();
        /// auto, fp32 or bf16
        precision: String = "auto".to_owned(), under(HARDWARE), one_of(&["auto", "fp32", "bf16"]);
        /// auto, cpu, cuda or cuda:N
        device: String = "auto".to_owned(), under(HARDWARE);
        /// Compute threads; 0 = all cores
        threads: usize = 0, value("N"), under(HARDWARE);
    }
}

settings! {
    /// What learns, how fast, and when that is enough.
    pub struct OptimizationSettings, under TRAINING {
        /// Values for all that is not said otherwise: `small-data` for a few hundred pictures with boxes or masks; for speech
        /// `ctc-minutes`, `ctc-hours` and `ctc-tens-of-hours` (models that write frame by frame, such as Wav2Vec2) or `seq2seq-minutes`,
        /// `seq2seq-hours` and `seq2seq-tens-of-hours` (Whisper, Moonshine), by how much is transcribed
        preset: Option<String>, value("NAME"), reads(is_preset);
        /// full, head, last:K, bitfit, lora or adapters
        method: String = "full".to_owned(), under(METHOD);
        /// Passes over the training data
        epochs: f64 = 3.0, value("N"), range(ABOVE_ZERO);
        /// Optimizer steps; wins over epochs
        steps: Option<u64>, value("N"), range(AT_LEAST_ONE), overfit_unless(Plain::Count(600), &["epochs"]);
        /// Examples per micro-batch
        batch_size: usize = 32, value("N"), range(AT_LEAST_ONE);
        /// Examples per batch of an evaluation
        evaluation_batch_size: usize = 32, value("N"), range(AT_LEAST_ONE), neutral();
        /// Micro-batches per optimizer step
        gradient_accumulation: usize = 1, value("N"), range(AT_LEAST_ONE);
        /// Compute blocks again in the backward pass in place of keeping what it needs: the same weights, less memory, a third more
        /// work
        gradient_checkpointing: bool, neutral();
        /// Peak learning rate
        learning_rate: Option<f64>, value("X"), usual("the method's usual one"), range(ABOVE_ZERO);
        /// Peak learning rate of a pretrained backbone: of the part that is called so, else of all below the head
        backbone_learning_rate: Option<f64>, value("X"), usual("that of all others"), range(ABOVE_ZERO);
        /// linear, cosine or constant
        schedule: String = "linear".to_owned(), one_of(&["linear", "cosine", "constant"]);
        /// Share of the steps (below 1) or number of steps
        warmup: f64 = 0.06, value("X"), range(NOT_NEGATIVE);
        /// Steps at first in which a new head learns alone, before it moves the pretrained weights
        head_warmup: u64 = 0, value("STEPS"), under(METHOD);
        /// Decoupled weight decay
        weight_decay: f64 = 0.01, value("X"), range(NOT_NEGATIVE), overfit(Plain::Number(0.0));
        /// Learning-rate factor per layer below the top
        layer_decay: f64 = 1.0, value("X"), range(FACTOR);
        /// Decay of an exponential moving average of the weights, such as 0.999: the averages are evaluated and saved
        ema: Option<f64>, value("DECAY"), range(PART);
        /// Largest global gradient norm; 0 = no clipping
        clip: f64 = 1.0, value("X"), range(NOT_NEGATIVE);
        /// Overrides the model's dropout probabilities
        dropout: Option<f64>, value("P"), range(SHARE), overfit(Plain::Number(0.0));
        /// Evaluations without improvement before stopping; 0 = never stop early
        patience: usize = 0, value("N"), under(RUN), overfit(Plain::Count(0));
        /// Metric that picks the best checkpoint
        best_by: Option<String>, value("METRIC"), under(RUN);
    }
}

fn epoch_or_steps(text: &str) -> Result<(), String> {
    let holds = text == "epoch" || text.parse::<u64>().is_ok_and(|steps| steps > 0);
    if holds { Ok(()) } else { Err(format!("`{text}` is neither `epoch` nor a number of steps")) }
}

fn disk_space(text: &str) -> Result<(), String> {
    bytes(text).map(drop).map_err(|error| format!("{error:#}"))
}

/// A size such as `5GB` in bytes.
fn bytes(text: &str) -> Result<u64> {
    let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor = match text[number.len()..].to_ascii_uppercase().as_str() {
        "" | "B" => 1.0,
        "K" | "KB" => 1e3,
        "M" | "MB" => 1e6,
        "G" | "GB" => 1e9,
        "T" | "TB" => 1e12,
        _ => bail!("`{text}`: write a number with KB, MB, GB or TB"),
    };
    let number: f64 = number.trim().parse().with_context(|| format!("`{text}`: not a number"))?;
    ensure!(number >= 0.0 && number.is_finite(), "`{text}`: not a size");
    Ok((number * factor) as u64)
}

impl RunSettings {
    /// `disk-budget` in bytes.
    pub fn disk_budget_bytes(&self) -> Result<Option<u64>> {
        self.disk_budget.as_deref().map(bytes).transpose().context("disk-budget")
    }

    /// Optimizer steps between evaluations; absent where an epoch lies between them.
    pub fn steps_between_evaluations(&self) -> Option<u64> {
        self.evaluate_every.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::method::METHODS;

    #[test]
    fn disk_budgets() {
        let budget =
            |text: &str| RunSettings { disk_budget: Some(text.into()), ..RunSettings::default() }.disk_budget_bytes();
        assert_eq!(budget("5GB").unwrap(), Some(5_000_000_000));
        assert_eq!(budget("1.5 mb").unwrap(), Some(1_500_000));
        assert!(budget("much").is_err() && budget("-1GB").is_err() && disk_space("5 parsecs").is_err());
    }

    #[test]
    fn evaluations_come_by_epochs_or_by_steps() {
        assert_eq!(RunSettings::default().steps_between_evaluations(), None);
        let every = |text: &str| RunSettings { evaluate_every: text.into(), ..RunSettings::default() };
        assert_eq!(every("50").steps_between_evaluations(), Some(50));
        assert!(epoch_or_steps("50").is_ok() && epoch_or_steps("0").is_err() && epoch_or_steps("often").is_err());
    }

    #[test]
    fn the_help_names_every_method() {
        let method = OptimizationSettings::SECTION.settings.iter().find(|it| it.key == "method").unwrap();
        for entry in METHODS {
            assert!(method.help.contains(entry.written), "{} is missing in: {}", entry.written, method.help);
        }
    }
}
