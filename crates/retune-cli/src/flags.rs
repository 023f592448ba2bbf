//! The flags of `retune finetune` that stand for keys of a recipe, one to one.

use clap::Args;
use serde::Serialize;
use std::path::PathBuf;

/// Every field is named as the recipe's key; what is not given stays out of the table.
#[derive(Debug, Clone, Default, Args, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct RecipeFlags {
    /// What to learn, such as text-classification
    #[arg(long, help_heading = "Data and model")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) task: Option<String>,
    /// Checkpoint folder or hub id
    #[arg(long, value_name = "DIR|HUB_ID", help_heading = "Data and model")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) model: Option<String>,
    /// Branch, tag or commit of the hub id
    #[arg(long, help_heading = "Data and model")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) revision: Option<String>,
    /// Random weights of the same configuration, for comparison
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", help_heading = "Data and model")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) from_scratch: Option<bool>,
    /// Training data (CSV, TSV, JSON, JSON lines, Parquet; for images also a folder of class folders)
    #[arg(long, value_name = "FILE", help_heading = "Data and model")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) train: Option<PathBuf>,
    /// Validation data; without it, a part of the training data
    #[arg(long, value_name = "FILE", help_heading = "Data and model")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) validation: Option<PathBuf>,
    /// Test data, used once at the end
    #[arg(long, value_name = "FILE", help_heading = "Data and model")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) test: Option<PathBuf>,
    /// Share of the training data that validates when no file is given [default: 0.1]
    #[arg(long, value_name = "SHARE", help_heading = "Data and model")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) validation_fraction: Option<f64>,
    /// Column with the text [default: text]
    #[arg(long, value_name = "COLUMN", help_heading = "Data and model")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) text_column: Option<String>,
    /// Column with the second text of a pair
    #[arg(long, value_name = "COLUMN", help_heading = "Data and model")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) text_pair_column: Option<String>,
    /// Column with the image, a path relative to the table or bytes; in a folder of class folders there is none [default: image]
    #[arg(long, value_name = "COLUMN", help_heading = "Data and model")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) image_column: Option<String>,
    /// Column with the label; several, separated by commas, for several labels per example [default: label]
    #[arg(long, value_name = "COLUMN", help_heading = "Data and model")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) label_column: Option<String>,
    /// Character between labels within one cell
    #[arg(long, value_name = "CHARACTER", help_heading = "Data and model")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) label_separator: Option<char>,
    /// Labels that are numbers count the model's named labels from 0 or from 1; without it they are understood only where the
    /// order of the names was not chosen here
    #[arg(long, value_name = "0|1", help_heading = "Data and model", value_parser = clap::value_parser!(u32).range(0..=1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) label_numbers: Option<u32>,
    /// Column whose equal values (a patient, an author) stay on one side of a split
    #[arg(long, value_name = "COLUMN", help_heading = "Data and model")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) group_column: Option<String>,
    /// auto, single-label, multi-label or regression [default: auto]
    #[arg(long, help_heading = "Data and model")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) problem: Option<String>,
    /// Longest input in tokens
    #[arg(long, value_name = "TOKENS", help_heading = "Data and model")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) max_length: Option<u32>,
    /// Height and width of images [default: as the model's preprocessor_config.json says]
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u32).range(1..), help_heading = "Data and model")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) image_size: Option<u32>,
    /// Samples of 16-bit grey images that become black and white: full (0 to 65535), auto (each image's own) or LOW,HIGH;
    /// the saved model remembers it [default: as the model's preprocessor_config.json says, else full]
    #[arg(long, value_name = "RANGE", help_heading = "Data and model")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) grey_range: Option<String>,
    /// Random changes of training images: none, light, medium, strong, medical-light, medical or medical-strong; the
    /// medical ones never flip [default: light]
    #[arg(long, value_name = "PRESET", help_heading = "Data and model")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) augmentation: Option<String>,
    /// Rows and images that cannot be used: `fail` before anything is computed, or `skip` them and list them [default: fail]
    #[arg(long, value_name = "fail|skip", help_heading = "Data and model")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) on_bad_example: Option<String>,

    /// Folder of the run [default: runs/TASK-METHOD, numbered when taken]
    #[arg(long, value_name = "DIR", help_heading = "The run")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) output: Option<PathBuf>,
    /// Seed of everything random [default: 42]
    #[arg(long, value_parser = clap::value_parser!(u64).range(..=i64::MAX as u64), help_heading = "The run")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) seed: Option<u64>,
    /// `epoch` or a number of steps [default: epoch]
    #[arg(long, value_name = "epoch|N", help_heading = "The run")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) evaluate_every: Option<String>,
    /// Evaluations without improvement before stopping; 0 = never stop early [default: 0]
    #[arg(long, value_name = "N", help_heading = "The run")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) patience: Option<u32>,
    /// Metric that picks the best checkpoint
    #[arg(long, value_name = "METRIC", help_heading = "The run")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) best_by: Option<String>,
    /// Class that the operating point, sensitivity and specificity are about [default: the second of two classes]
    #[arg(long, value_name = "NAME", help_heading = "The run")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) positive_class: Option<String>,
    /// How the validation split chooses a decision threshold, such as specificity:0.95, sensitivity:0.9 or threshold:0.3;
    /// it is applied to the test split, and kept for `evaluate` and `predict`
    #[arg(long, value_name = "RULE:X", help_heading = "The run")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) operating_point: Option<String>,
    /// Checkpoints to keep, best and last among them [default: 2]
    #[arg(long, value_name = "N", help_heading = "The run")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) keep_checkpoints: Option<u32>,
    /// Most disk space the run may take, such as 5GB
    #[arg(long, value_name = "SIZE", help_heading = "The run")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) disk_budget: Option<String>,
    /// Over the pictures of the worst errors in the report: none, gradient (activation times gradient) or rollout (of
    /// attention; not for Swin and ConvNeXt) [default: none]
    #[arg(long, value_name = "none|gradient|rollout", help_heading = "The run")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) heat_maps: Option<String>,
    /// `majority`, or `all`: also the same model from random weights with the same budget [default: majority]
    #[arg(long, help_heading = "The run")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) baselines: Option<String>,
    /// Peak learning rate of the baseline from random weights [default: 5e-4]
    #[arg(long, value_name = "X", help_heading = "The run")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) baseline_learning_rate: Option<f64>,

    /// full, head, last:K, bitfit or lora [default: full]
    #[arg(long, help_heading = "Method")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) method: Option<String>,
    /// Rank of LoRA matrices [default: 8]
    #[arg(long, value_name = "N", help_heading = "Method")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) lora_rank: Option<u32>,
    /// Numerator of LoRA's scale [default: 16]
    #[arg(long, value_name = "X", help_heading = "Method")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) lora_alpha: Option<f64>,
    /// Dropout before LoRA matrices [default: 0]
    #[arg(long, value_name = "P", help_heading = "Method")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) lora_dropout: Option<f64>,
    /// Dense layers to adapt, such as query,value
    #[arg(long, value_name = "NAMES", value_delimiter = ',', help_heading = "Method")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) lora_targets: Option<Vec<String>>,

    /// Passes over the training data [default: 3]
    #[arg(long, value_name = "N", help_heading = "Training")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) epochs: Option<f64>,
    /// Optimizer steps; wins over epochs
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(..=i64::MAX as u64), help_heading = "Training")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) steps: Option<u64>,
    /// Examples per micro-batch [default: 32]
    #[arg(long, value_name = "N", help_heading = "Training")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) batch_size: Option<u32>,
    /// examples: equally many in each micro-batch; tokens: as many micro-batches, of about equally many tokens, so that
    /// steps take equally long [default: examples]
    #[arg(long, help_heading = "Training")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) batch_by: Option<String>,
    /// Examples per batch of an evaluation [default: 32]
    #[arg(long, value_name = "N", help_heading = "Training")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) evaluation_batch_size: Option<u32>,
    /// Micro-batches per optimizer step [default: 1]
    #[arg(long, value_name = "N", help_heading = "Training")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) gradient_accumulation: Option<u32>,
    /// Peak learning rate [default: the method's usual one]
    #[arg(long, value_name = "X", help_heading = "Training")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) learning_rate: Option<f64>,
    /// linear, cosine or constant [default: linear]
    #[arg(long, help_heading = "Training")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) schedule: Option<String>,
    /// Share of the steps (below 1) or number of steps [default: 0.06]
    #[arg(long, value_name = "X", help_heading = "Training")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) warmup: Option<f64>,
    /// Decoupled weight decay [default: 0.01]
    #[arg(long, value_name = "X", help_heading = "Training")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) weight_decay: Option<f64>,
    /// Learning-rate factor per layer below the top [default: 1]
    #[arg(long, value_name = "X", help_heading = "Training")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) layer_decay: Option<f64>,
    /// Largest global gradient norm; 0 = no clipping [default: 1]
    #[arg(long, value_name = "X", help_heading = "Training")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) clip: Option<f64>,
    /// Mass of the targets spread over all classes [default: 0]
    #[arg(long, value_name = "X", help_heading = "Training")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) label_smoothing: Option<f64>,
    /// none or balanced [default: none]
    #[arg(long, help_heading = "Training")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) class_weights: Option<String>,
    /// Overrides the model's dropout probabilities
    #[arg(long, value_name = "P", help_heading = "Training")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) dropout: Option<f64>,

    /// auto, fp32 or bf16 [default: auto]
    #[arg(long, help_heading = "Hardware")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) precision: Option<String>,
    /// auto, cpu, cuda or cuda:N [default: auto]
    #[arg(long, help_heading = "Hardware")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) device: Option<String>,
    /// Compute threads; 0 = all cores [default: 0]
    #[arg(long, value_name = "N", help_heading = "Hardware")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) threads: Option<u32>,
}
