//! What can be typed: the commands and their flags.

use crate::flags::RecipeFlags;
use clap::{Args, Parser, Subcommand};
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
    Finetune(Box<FinetuneArguments>),
    /// Measure a model on a labelled file
    Evaluate(EvaluateArguments),
    /// Answer for each example of a file or of the standard input, one JSON object a line
    Predict(PredictArguments),
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

/// How a finished model is used.
#[derive(Debug, Args)]
pub(crate) struct ModelArguments {
    /// Folder of the model or of a run, or a hub id
    #[arg(long, value_name = "DIR|HUB_ID")]
    model: PathBuf,
    /// What the model does [default: as it was trained]
    #[arg(long)]
    task: Option<String>,
    /// Column with the text [default: as in training]
    #[arg(long, value_name = "COLUMN")]
    text_column: Option<String>,
    /// Column with the second text of a pair [default: as in training]
    #[arg(long, value_name = "COLUMN")]
    text_pair_column: Option<String>,
    /// Column with the image [default: as in training]
    #[arg(long, value_name = "COLUMN")]
    image_column: Option<String>,
    /// Rows and images that cannot be used: `fail` or `skip` [default: as in training]
    #[arg(long, value_name = "fail|skip")]
    on_bad_example: Option<String>,
    /// Column with the label [default: as in training]
    #[arg(long, value_name = "COLUMN")]
    label_column: Option<String>,
    /// Character between labels within one cell [default: as in training]
    #[arg(long, value_name = "CHARACTER")]
    label_separator: Option<char>,
    /// Labels that are numbers count the model's named labels from 0 or from 1 [default: as in training]
    #[arg(long, value_name = "0|1", value_parser = clap::value_parser!(u32).range(0..=1))]
    label_numbers: Option<u32>,
    /// Examples per batch; 1 answers each line as it comes
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..))]
    batch_size: u32,
    /// Longest input in tokens [default: as in training]
    #[arg(long, value_name = "TOKENS")]
    max_length: Option<usize>,
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

impl From<ModelArguments> for PredictOptions {
    fn from(it: ModelArguments) -> Self {
        Self {
            model: it.model,
            task: it.task,
            text_column: it.text_column,
            text_pair_column: it.text_pair_column,
            image_column: it.image_column,
            on_bad_example: it.on_bad_example,
            label_column: it.label_column,
            label_separator: it.label_separator,
            label_numbers: it.label_numbers,
            batch_size: it.batch_size as usize,
            max_length: it.max_length,
            precision: it.precision,
            device: it.device,
            threads: it.threads,
        }
    }
}

/// `retune evaluate`.
#[derive(Debug, Args)]
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
        assert_eq!(it.flags.learning_rate, Some(-1.0));
        assert_eq!(it.flags.lora_targets.as_deref(), Some(&["query".to_owned(), "value".to_owned()][..]));
        assert_eq!(it.flags.from_scratch, Some(true));
        assert!(parse("retune finetune --resume --overwrite").is_err());
        assert!(parse("retune evaluate --model m").is_err());
    }
}
