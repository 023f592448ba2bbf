//! What can be typed: the commands and their flags.

use crate::flags::{RecipeFlags, UseFlags};
use clap::{Args, Parser, Subcommand};
use retune_engine::embed::EmbedOptions;
use retune_engine::predict::PredictOptions;
use std::path::PathBuf;

/// Fine-tune a pretrained transformer on your data, and prove that it got better.
#[derive(Debug, Parser)]
#[command(
    name = "retune",
    version,
    max_term_width = 110,
    after_help = "Settings: RETUNE_LOG filters log lines, as in RETUNE_LOG=retune_engine=debug."
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// Log more; twice for everything
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    /// Only errors and results
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Train a model on your data; without arguments, a quickstart with data that is built in
    #[command(
        after_help = "With --task NAME (and --method NAME) this help lists only what that task (and method) reads."
    )]
    Finetune(Box<FinetuneArguments>),
    /// Measure a model on a labelled file
    Evaluate(EvaluateArguments),
    /// Answer for each example of a file or of the standard input, one JSON object a line
    Predict(PredictArguments),
    /// A vector for each text of a file or of the standard input
    Embed(EmbedArguments),
    /// Go on with a prompt, chat, or make another text of one, on the terminal
    Generate(GenerateArguments),
    /// Fold a LoRA adapter into its base model
    Merge(MergeArguments),
    /// Raw outputs for named inputs, both safetensors with Hugging Face's names
    Forward(ForwardArguments),
    /// What is in a model or in a run
    Inspect {
        /// Checkpoint folder, run folder or hub id
        #[arg(value_name = "MODEL_OR_RUN")]
        path: PathBuf,
        /// What the model does [default: as it was trained]
        #[arg(long)]
        task: Option<String>,
    },
    /// Device, libtorch, threads, speeds, caches and disk
    Doctor {
        /// auto, cpu, cuda or cuda:N
        #[arg(long, default_value = "auto")]
        device: String,
    },
}

/// `retune finetune`.
#[derive(Debug, Default, Args)]
#[command(allow_negative_numbers = true)]
pub(crate) struct FinetuneArguments {
    /// TOML file with the flags below as keys; a flag wins over it
    #[arg(value_name = "RECIPE.toml")]
    pub(crate) recipe: Option<PathBuf>,
    /// Continue the run in the output folder from its last checkpoint
    #[arg(long, conflicts_with = "overwrite")]
    pub(crate) resume: bool,
    /// Replace the run in the output folder
    #[arg(long)]
    pub(crate) overwrite: bool,
    #[command(flatten)]
    pub(crate) flags: RecipeFlags,
}

/// What a saved model computes on.
#[derive(Debug, Args)]
struct HardwareArguments {
    /// auto, fp32 or bf16
    #[arg(long, default_value = "auto")]
    precision: String,
    /// auto, cpu, cuda or cuda:N
    #[arg(long, default_value = "auto")]
    device: String,
    /// Compute threads; 0 = all cores
    #[arg(long, value_name = "N", default_value_t = 0)]
    threads: usize,
}

/// How a finished model is used.
#[derive(Debug, Args)]
pub(crate) struct ModelArguments {
    /// Folder of the model or of a run, or a hub id
    #[arg(long, value_name = "DIR|HUB_ID")]
    model: PathBuf,
    /// What the model does [default: as it was trained]
    #[arg(long)]
    task: Option<String>,
    #[command(flatten)]
    overrides: UseFlags,
    /// Examples per batch; 1 answers each line as it comes
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..))]
    batch_size: u32,
    #[command(flatten)]
    hardware: HardwareArguments,
}

impl From<ModelArguments> for PredictOptions {
    fn from(it: ModelArguments) -> Self {
        Self {
            model: it.model,
            task: it.task,
            overrides: it.overrides.0,
            batch_size: it.batch_size as usize,
            precision: it.hardware.precision,
            device: it.hardware.device,
            threads: it.hardware.threads,
            files: None,
        }
    }
}

/// `retune evaluate`.
#[derive(Debug, Args)]
#[command(allow_negative_numbers = true)]
pub(crate) struct EvaluateArguments {
    #[command(flatten)]
    pub(crate) model: ModelArguments,
    /// Labelled data
    #[arg(long, value_name = "FILE")]
    pub(crate) data: PathBuf,
    /// Where the metrics go, as JSON [default: standard output]
    #[arg(long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

/// `retune predict`.
#[derive(Debug, Args)]
#[command(allow_negative_numbers = true)]
pub(crate) struct PredictArguments {
    #[command(flatten)]
    pub(crate) model: ModelArguments,
    /// Examples [default: standard input, one text or JSON object a line]
    #[arg(long, value_name = "FILE")]
    pub(crate) input: Option<PathBuf>,
    /// Where the predictions go, one JSON object a line [default: standard output]
    #[arg(long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

/// `retune embed`.
#[derive(Debug, Args)]
pub(crate) struct EmbedArguments {
    /// Folder of the model or of a run, or a hub id
    #[arg(long, value_name = "DIR|HUB_ID")]
    model: PathBuf,
    /// Texts: a table, or [default: standard input, one text or JSON object a line]
    #[arg(long, value_name = "FILE")]
    pub(crate) input: Option<PathBuf>,
    /// Where the vectors go: a NumPy array (.npy), a tensor `embeddings` (.safetensors), else one JSON object a line
    /// [default: standard output]
    #[arg(long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Column with the text
    #[arg(long, value_name = "COLUMN", default_value = "text")]
    text_column: String,
    /// Longest text in tokens [default: as the model says]
    #[arg(long, value_name = "TOKENS", value_parser = clap::value_parser!(u32).range(1..))]
    max_length: Option<u32>,
    /// Texts that cannot be used: fail, or skip them and say so in their place
    #[arg(long, value_name = "fail|skip")]
    on_bad_example: Option<String>,
    /// Texts per batch; 1 answers each line as it comes
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..))]
    batch_size: u32,
    #[command(flatten)]
    hardware: HardwareArguments,
}

impl From<EmbedArguments> for EmbedOptions {
    fn from(it: EmbedArguments) -> Self {
        let length = it.max_length.map(|length| ("max-length".to_owned(), i64::from(length).into()));
        let bad = it.on_bad_example.map(|what| ("on-bad-example".to_owned(), what.into()));
        Self {
            model: it.model,
            text_column: it.text_column,
            overrides: length.into_iter().chain(bad).collect(),
            batch_size: it.batch_size as usize,
            precision: it.hardware.precision,
            device: it.hardware.device,
            threads: it.hardware.threads,
        }
    }
}

/// `retune generate`.
#[derive(Debug, Args)]
#[command(allow_negative_numbers = true)]
pub(crate) struct GenerateArguments {
    #[command(flatten)]
    pub(crate) model: ModelArguments,
    /// A text to go on with, or that another is to be made of [default: each line of the standard input]
    #[arg(long, value_name = "TEXT", conflicts_with = "chat")]
    pub(crate) prompt: Option<String>,
    /// Chat: each line of the standard input is what the user says next
    #[arg(long)]
    pub(crate) chat: bool,
    /// What the system says before a chat
    #[arg(long, value_name = "TEXT", requires = "chat")]
    pub(crate) system: Option<String>,
    /// Of drawn tokens
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
}

/// `retune merge`.
#[derive(Debug, Args)]
pub(crate) struct MergeArguments {
    /// Folder of the adapter or of a run, or a hub id
    #[arg(value_name = "ADAPTER")]
    pub(crate) adapter: PathBuf,
    /// Where the merged model goes
    #[arg(long, value_name = "DIR")]
    pub(crate) output: PathBuf,
    /// What the model does [default: as it was trained]
    #[arg(long)]
    pub(crate) task: Option<String>,
}

/// `retune forward`.
#[derive(Debug, Args)]
pub(crate) struct ForwardArguments {
    /// Folder of the model or of a run, or a hub id; of a base model without a head come its hidden states
    #[arg(long, value_name = "DIR|HUB_ID")]
    pub(crate) model: PathBuf,
    /// What the model does [default: as it was trained]
    #[arg(long)]
    pub(crate) task: Option<String>,
    /// Named inputs
    #[arg(long, value_name = "FILE.safetensors")]
    pub(crate) inputs: PathBuf,
    /// Where the named outputs go
    #[arg(long, value_name = "FILE.safetensors")]
    pub(crate) outputs: PathBuf,
    /// auto, fp32 or bf16
    #[arg(long, default_value = "fp32")]
    pub(crate) precision: String,
    /// auto, cpu, cuda or cuda:N
    #[arg(long, default_value = "auto")]
    pub(crate) device: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn negative_numbers_are_values_and_modes_exclude_each_other() {
        let parse = |line: &str| Cli::try_parse_from(line.split_whitespace());
        let cli = parse("retune finetune r.toml --learning-rate -1 --lora-targets query,value --from-scratch").unwrap();
        let Command::Finetune(it) = cli.command else { panic!("not finetune") };
        let expected = "learning-rate = -1.0\nlora-targets = ['query', 'value']\nfrom-scratch = true";
        assert_eq!(it.flags.0, expected.parse().unwrap());
        assert!(parse("retune finetune --resume --overwrite").is_err());
        assert!(parse("retune evaluate --model m").is_err());
        let refused = |line: &str| parse(line).unwrap_err().to_string();
        for (line, part) in [
            ("retune finetune --batch-size many", "`many` is not a whole number"),
            ("retune finetune --batch-size -1", "-1 is negative"),
            ("retune finetune --label-separator ab", "a single character"),
            ("retune finetune --from-scratch=perhaps", "true, false"),
            ("retune finetune --seed 1 --seed 2", "--seed"),
        ] {
            let said = refused(line);
            assert!(said.contains(part), "{line}: {said}");
        }
    }

    #[test]
    fn a_model_is_used_with_the_settings_that_allow_it() {
        let parse = |line: &str| Cli::try_parse_from(line.split_whitespace());
        let cli = parse("retune predict --model m --text-column review --max-length 9 --label-separator | --threads 2");
        let Command::Predict(it) = cli.unwrap().command else { panic!("not predict") };
        let options = PredictOptions::from(it.model);
        let expected = "text-column = 'review'\nmax-length = 9\nlabel-separator = '|'";
        assert_eq!((options.overrides, options.threads), (expected.parse().unwrap(), 2));
        assert!(parse("retune predict --model m --epochs 3").is_err());
    }
}
