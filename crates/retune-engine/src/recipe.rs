//! Everything that decides a run, with its defaults. Each field is a flag of `retune finetune` and a key of a recipe.

use crate::metric::operating_point::Rule;
use anyhow::{Context, Result, bail};
use retune_data::Batching;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// A resolved recipe: running it again repeats the run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct Recipe {
    /// What to learn.
    pub task: String,
    /// A checkpoint folder or a hub id.
    pub model: String,
    /// Branch, tag or commit of a hub id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// Random weights of the same configuration, for comparison.
    pub from_scratch: bool,
    /// Training data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub train: Option<PathBuf>,
    /// Validation data; without it, a stratified part of the training data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation: Option<PathBuf>,
    /// Test data, used once at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test: Option<PathBuf>,
    /// Share of the training data that validates when no file is given.
    pub validation_fraction: f64,
    /// Column with the text.
    pub text_column: String,
    /// Column with the second text of a pair.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text_pair_column: Option<String>,
    /// Column with the image: a path relative to the table, or bytes.
    pub image_column: String,
    /// Column (or several, separated by commas) with the label.
    pub label_column: String,
    /// Separates labels within one cell (several labels per example).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label_separator: Option<char>,
    /// Labels that are numbers count a model's named labels from this number, 0 or 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label_numbers: Option<u32>,
    /// Column whose equal values (a patient, an author) stay on one side of a split.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group_column: Option<String>,
    /// `auto`, `single-label`, `multi-label` or `regression`.
    pub problem: String,
    /// Run directory.
    pub output: PathBuf,
    /// `full`, `head`, `last:K`, `bitfit` or `lora`.
    pub method: String,
    /// Rank of LoRA matrices.
    pub lora_rank: i64,
    /// Numerator of LoRA's scale.
    pub lora_alpha: f64,
    /// Dropout before LoRA matrices.
    pub lora_dropout: f64,
    /// Dense layers to adapt; empty = the family's usual ones.
    pub lora_targets: Vec<String>,
    /// Passes over the training data.
    pub epochs: f64,
    /// Optimizer steps; wins over `epochs`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<u64>,
    /// Examples per micro-batch.
    pub batch_size: usize,
    /// examples or tokens: what micro-batches have equally many of.
    pub batch_by: String,
    /// Examples per batch of an evaluation.
    pub evaluation_batch_size: usize,
    /// Micro-batches per optimizer step.
    pub gradient_accumulation: usize,
    /// Peak learning rate; absent = the method's usual one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub learning_rate: Option<f64>,
    /// `linear`, `cosine` or `constant`.
    pub schedule: String,
    /// Share of the steps (below 1) or number of steps.
    pub warmup: f64,
    /// Decoupled weight decay; biases and norms are spared.
    pub weight_decay: f64,
    /// Learning-rate factor per layer below the top.
    pub layer_decay: f64,
    /// Largest global gradient norm; 0 = no clipping.
    pub clip: f64,
    /// Mass of the targets spread over all classes.
    pub label_smoothing: f64,
    /// `none` or `balanced`.
    pub class_weights: String,
    /// Overrides the model's dropout probabilities.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dropout: Option<f64>,
    /// `auto`, `fp32` or `bf16`.
    pub precision: String,
    /// `auto`, `cpu`, `cuda` or `cuda:N`.
    pub device: String,
    /// Compute threads; 0 = all cores.
    pub threads: usize,
    /// Longest input in tokens; absent = what tokenizer and model allow, at most 512.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_length: Option<usize>,
    /// Height and width of images in pixels; absent = what the model's processor says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_size: Option<usize>,
    /// Samples of 16-bit grey images that become black and white: `full`, `auto` or `LOW,HIGH`; absent = what the
    /// model's processor says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grey_range: Option<String>,
    /// What training does to images: `none`, `light`, `medium`, `strong`, `medical-light`, `medical`, `medical-strong`.
    pub augmentation: String,
    /// `fail`, or `skip`: rows and images that cannot be used are left out and listed.
    pub on_bad_example: String,
    /// Over the worst errors in the report: `none`, `gradient` or `rollout`.
    pub heat_maps: String,
    /// Of everything random.
    pub seed: u64,
    /// `epoch` or a number of steps.
    pub evaluate_every: String,
    /// Evaluations without improvement before stopping; 0 = never stop early.
    pub patience: usize,
    /// Metric that picks the best checkpoint; absent = the task's usual one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub best_by: Option<String>,
    /// The class that the operating point, sensitivity and specificity are about; absent = the second of two classes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub positive_class: Option<String>,
    /// How the validation split chooses a threshold: `specificity:X`, `sensitivity:X` or `threshold:X`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operating_point: Option<Rule>,
    /// Checkpoints to keep, best and last among them.
    pub keep_checkpoints: usize,
    /// Most disk space the run directory may take, such as `5GB`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk_budget: Option<String>,
    /// `majority`, or `all`: also the same architecture from random weights with the same budget.
    pub baselines: String,
    /// Peak learning rate of the baseline from random weights; absent = the usual one for that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub baseline_learning_rate: Option<f64>,
}

impl Default for Recipe {
    fn default() -> Self {
        Self {
            task: crate::task::USUAL_TASK.to_owned(),
            model: String::new(),
            revision: None,
            from_scratch: false,
            train: None,
            validation: None,
            test: None,
            validation_fraction: 0.1,
            text_column: "text".to_owned(),
            text_pair_column: None,
            image_column: "image".to_owned(),
            label_column: "label".to_owned(),
            label_separator: None,
            label_numbers: None,
            group_column: None,
            problem: "auto".to_owned(),
            output: PathBuf::new(),
            method: "full".to_owned(),
            lora_rank: 8,
            lora_alpha: 16.0,
            lora_dropout: 0.0,
            lora_targets: Vec::new(),
            epochs: 3.0,
            steps: None,
            batch_size: 32,
            batch_by: "examples".to_owned(),
            evaluation_batch_size: 32,
            gradient_accumulation: 1,
            learning_rate: None,
            schedule: "linear".to_owned(),
            warmup: 0.06,
            weight_decay: 0.01,
            layer_decay: 1.0,
            clip: 1.0,
            label_smoothing: 0.0,
            class_weights: "none".to_owned(),
            dropout: None,
            precision: "auto".to_owned(),
            device: "auto".to_owned(),
            threads: 0,
            max_length: None,
            image_size: None,
            grey_range: None,
            augmentation: "light".to_owned(),
            on_bad_example: "fail".to_owned(),
            heat_maps: "none".to_owned(),
            seed: 42,
            evaluate_every: "epoch".to_owned(),
            patience: 0,
            best_by: None,
            positive_class: None,
            operating_point: None,
            keep_checkpoints: 2,
            disk_budget: None,
            baselines: "majority".to_owned(),
            baseline_learning_rate: None,
        }
    }
}

impl Recipe {
    /// Reads a recipe file; problems name line and column.
    pub fn read(path: &Path) -> Result<toml::Table> {
        let text =
            std::fs::read_to_string(path).with_context(|| format!("cannot read the recipe {}", path.display()))?;
        let table = text.parse().with_context(|| format!("the recipe {} is not valid TOML", path.display()))?;
        Ok(table)
    }

    /// Makes a recipe of keys; unknown keys and wrong types are errors.
    pub fn from_table(table: toml::Table) -> Result<Self> {
        Self::deserialize(table).context("the recipe does not fit")
    }

    /// The recipe that made a model, which every saved model carries. One that cannot be read is an error: the model's
    /// columns and lengths would be guessed.
    pub fn beside(model: &Path) -> Result<Option<Self>> {
        let path = model.join("recipe.toml");
        if !path.is_file() {
            return Ok(None);
        }
        let read = || Self::from_table(Self::read(&path)?);
        read().map(Some).with_context(|| format!("{}: mend it, or move it away to go on without", path.display()))
    }

    /// As TOML.
    pub fn to_toml(&self) -> String {
        toml::to_string_pretty(self).expect("a recipe holds only TOML values")
    }

    /// Columns with labels, as readers take them: only they know whether commas separate columns or belong to a name.
    pub fn label_columns(&self) -> Vec<String> {
        vec![self.label_column.clone()]
    }

    /// `disk-budget` in bytes.
    pub fn disk_budget_bytes(&self) -> Result<Option<u64>> {
        let Some(text) = &self.disk_budget else { return Ok(None) };
        let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic()).trim();
        let unit = text[text.trim_end_matches(|c: char| c.is_ascii_alphabetic()).len()..].to_ascii_uppercase();
        let factor = match unit.as_str() {
            "" | "B" => 1.0,
            "K" | "KB" => 1e3,
            "M" | "MB" => 1e6,
            "G" | "GB" => 1e9,
            "T" | "TB" => 1e12,
            _ => bail!("disk-budget `{text}`: write a number with KB, MB, GB or TB"),
        };
        let number: f64 = digits.parse().with_context(|| format!("disk-budget `{text}`: not a number"))?;
        Ok(Some((number * factor) as u64))
    }

    /// `batch-by`.
    pub fn batching(&self) -> Batching {
        if self.batch_by == "tokens" { Batching::Tokens } else { Batching::Examples }
    }

    /// Whether the same architecture is also trained from random weights, for comparison.
    pub fn trains_baseline(&self) -> bool {
        self.baselines == "all" && !self.from_scratch
    }

    /// Lists every problem at once.
    pub fn validate(&self) -> Result<()> {
        let mut problems: Vec<String> = Vec::new();
        let mut demand = |holds: bool, problem: String| {
            if !holds {
                problems.push(problem);
            }
        };
        let share = |x: f64| (0.0..1.0).contains(&x);
        demand(!self.model.is_empty(), "model: give a checkpoint folder or a hub id (--model)".to_owned());
        demand(self.train.is_some(), "train: give a training file (--train)".to_owned());
        demand(!self.output.as_os_str().is_empty(), "output: give a folder for the run (--output)".to_owned());
        demand(self.batch_size > 0, "batch-size: must be at least 1".to_owned());
        demand(self.evaluation_batch_size > 0, "evaluation-batch-size: must be at least 1".to_owned());
        demand(self.gradient_accumulation > 0, "gradient-accumulation: must be at least 1".to_owned());
        let fraction = self.validation_fraction;
        demand(share(fraction) && fraction > 0.0, format!("validation-fraction: {fraction} is not between 0 and 1"));
        let epochs = self.epochs;
        demand(epochs > 0.0 && epochs.is_finite(), format!("epochs: {epochs} is not above 0"));
        demand(self.steps != Some(0), "steps: must be at least 1".to_owned());
        for (name, rate) in
            [("learning-rate", self.learning_rate), ("baseline-learning-rate", self.baseline_learning_rate)]
        {
            let rate = rate.unwrap_or(1.0);
            demand(rate > 0.0 && rate.is_finite(), format!("{name}: {rate} is not above 0"));
        }
        for (name, value) in [("warmup", self.warmup), ("weight-decay", self.weight_decay), ("clip", self.clip)] {
            demand(value >= 0.0 && value.is_finite(), format!("{name}: {value} is negative or not a number"));
        }
        let decay = self.layer_decay;
        demand(decay > 0.0 && decay <= 1.0, format!("layer-decay: {decay} is not in (0, 1]"));
        demand(share(self.label_smoothing), format!("label-smoothing: {} is not in [0, 1)", self.label_smoothing));
        demand(self.dropout.is_none_or(share), format!("dropout: {:?} is not in [0, 1)", self.dropout));
        for (name, value, known) in [
            ("class-weights", &self.class_weights, &["none", "balanced"][..]),
            ("batch-by", &self.batch_by, &["examples", "tokens"]),
            ("schedule", &self.schedule, &["linear", "cosine", "constant"]),
            ("precision", &self.precision, &["auto", "fp32", "bf16"]),
            ("problem", &self.problem, &["auto", "single-label", "multi-label", "regression"]),
            ("heat-maps", &self.heat_maps, crate::heat_map::CHOICES),
            ("baselines", &self.baselines, &["majority", "all"]),
        ] {
            demand(known.contains(&value.as_str()), format!("{name}: `{value}` is not one of {}", known.join(", ")));
        }
        let every = &self.evaluate_every;
        demand(
            every == "epoch" || every.parse::<u64>().is_ok_and(|n| n > 0),
            format!("evaluate-every: `{every}` is neither `epoch` nor a number of steps"),
        );
        demand(self.keep_checkpoints > 0, "keep-checkpoints: must be at least 1".to_owned());
        let named = self.label_column.split(',').any(|name| !name.trim().is_empty());
        demand(named, "label-column: name at least one column".to_owned());
        if let Err(error) = crate::method::Method::parse(&self.method) {
            demand(false, format!("method: {error:#}"));
        }
        if let Err(error) = self.disk_budget_bytes() {
            demand(false, format!("{error:#}"));
        }
        if let Some(metric) = &self.best_by {
            demand(crate::metric::direction(metric).is_some(), format!("best-by: `{metric}` is not a metric"));
        }
        problems.extend(crate::misplaced::misplaced(self));
        match problems.as_slice() {
            [] => Ok(()),
            [one] => bail!("{one}"),
            many => bail!("{} problems:\n  {}", many.len(), many.join("\n  ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_problems_are_listed_at_once() {
        let recipe = Recipe { batch_size: 0, schedule: "magic".into(), method: "last:x".into(), ..Recipe::default() };
        let text = recipe.validate().unwrap_err().to_string();
        for part in ["model:", "train:", "output:", "batch-size:", "schedule: `magic`", "method:"] {
            assert!(text.contains(part), "{part} is missing in {text}");
        }
    }

    #[test]
    fn toml_round_trips_and_unknown_keys_are_refused() {
        let recipe = Recipe { train: Some("a b.csv".into()), steps: Some(7), ..Recipe::default() };
        let again = Recipe::from_table(recipe.to_toml().parse().unwrap()).unwrap();
        assert_eq!(recipe, again);
        let unknown = Recipe::from_table("learning_rate = 1".parse().unwrap()).unwrap_err();
        assert!(format!("{unknown:#}").contains("learning_rate"), "{unknown:#}");
    }

    #[test]
    fn disk_budgets() {
        let budget = |text: &str| Recipe { disk_budget: Some(text.into()), ..Recipe::default() }.disk_budget_bytes();
        assert_eq!(budget("5GB").unwrap(), Some(5_000_000_000));
        assert_eq!(budget("1.5 mb").unwrap(), Some(1_500_000));
        assert!(budget("much").is_err());
    }
}
