//! Loading a model for a purpose, from a checkpoint or from an adapter with its base.

use crate::adapter::{AdapterPlan, BaseModel};
use crate::checkpoint::{WeightsOptions, WeightsRoot};
use crate::labels::{self, Meaning};
use crate::registry::{self, Purpose};
use crate::{CheckpointFolder, LoadedModel, ModelError, ProblemType};
use retune_kernels::Precision;
use retune_kernels::tch::Device;
use serde_json::json;
use std::path::Path;

/// How to load a model.
#[derive(Debug, Clone)]
pub struct LoadOptions {
    /// Which head.
    pub purpose: Purpose,
    /// Class names and problem type of a new task; `None` keeps those of the checkpoint.
    pub labels: Option<(Vec<String>, ProblemType)>,
    /// Random weights of the same configuration.
    pub from_scratch: bool,
    /// Seed of fresh values.
    pub seed: u64,
    /// Compute precision.
    pub precision: Precision,
    /// Where to compute.
    pub device: Device,
    /// Overrides every dropout probability of the configuration.
    pub dropout: Option<f64>,
    /// A new adapter, for training.
    pub adapter: Option<AdapterPlan>,
    /// Whether the head may be missing or of another size (training), or must be there (evaluation, prediction).
    pub new_head: bool,
    /// The base model alone, as transformers' `AutoModel`: logits mean nothing, and there is a `pooler_output` where the
    /// checkpoint has a pooler.
    pub base_only: bool,
}

impl LoadOptions {
    /// Evaluation in fp32 on the CPU, everything as saved.
    pub fn new(purpose: Purpose) -> Self {
        Self {
            purpose,
            labels: None,
            from_scratch: false,
            seed: 0,
            precision: Precision::Fp32,
            device: Device::Cpu,
            dropout: None,
            adapter: None,
            new_head: false,
            base_only: false,
        }
    }
}

/// Where a model comes from: a full checkpoint, or an adapter folder with its base.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// `config.json` is in this folder.
    Checkpoint,
    /// `adapter_config.json` is, and names this base model.
    Adapter(BaseModel),
}

impl Source {
    /// Looks at a folder.
    pub fn of(folder: &Path) -> Result<Self, ModelError> {
        if !folder.join("adapter_config.json").is_file() {
            return Ok(Self::Checkpoint);
        }
        AdapterPlan::base_model(folder).map(Self::Adapter).ok_or_else(|| {
            ModelError::file(
                folder.join("adapter_config.json"),
                "does not name its base model (`base_model_name_or_path`)",
            )
        })
    }
}

impl LoadedModel {
    /// Loads a checkpoint folder.
    pub fn load(folder: &Path, options: &LoadOptions) -> Result<Self, ModelError> {
        let mut config = CheckpointFolder::config(folder)?;
        let had_labels = config.get("id2label").is_some();
        // A saved adapter brings the head that fits its labels.
        let brings_head = options.adapter.as_ref().is_some_and(AdapterPlan::is_saved);
        let meaning = match &options.labels {
            Some((names, problem)) if !brings_head => labels::meaning(&config, names, *problem),
            _ => Meaning::Same,
        };
        let checkpoint = if options.from_scratch { None } else { Some(CheckpointFolder::open(folder)?) };
        if let Some((names, problem)) = &options.labels {
            config.set_labels(names, *problem);
        }
        let mut effective = config.clone();
        if let Some(p) = options.dropout {
            effective.set_dropout(p)?;
        }
        let family = registry::family(&effective, options.purpose)?;
        let root = WeightsRoot::new(
            checkpoint,
            WeightsOptions {
                base_prefix: family.base_prefix(),
                new_prefixes: if options.new_head || options.base_only { family.head_prefixes() } else { Vec::new() },
                from_scratch: options.from_scratch,
                seed: options.seed,
                precision: options.precision,
                device: options.device,
                initializer_range: effective.number_or("initializer_range", 0.02)?,
                adapter: options.adapter.clone(),
            },
        )
        .with_spellings(family.spellings())
        .with_base_only(options.base_only)
        .with_other_labels(match &meaning {
            Meaning::Other(reason) if options.new_head => Some(reason.clone()),
            _ => None,
        });
        let model = family.build(&root.root(), &effective)?;
        let buffers = root.buffers();
        let (params, mut report) = root.finish()?;
        if let Meaning::Unnamed(note) = meaning
            && report.new.is_empty()
        {
            report.notes.push(note);
        }
        if !had_labels && options.labels.is_none() && !options.new_head && !options.base_only {
            report.notes.push("config.json names no labels; they are called LABEL_0, LABEL_1, …".to_owned());
        }
        family.adapt_config(&mut config);
        config.set("architectures", json!([family.architecture()]));
        config.set("dtype", json!("float32"));
        // The older name of the same field, which would contradict it.
        config.remove("torch_dtype");
        let adapter = options.adapter.clone();
        Ok(Self { model, params, report, config, adapter, purpose: options.purpose, buffers })
    }

    /// Loads an adapter folder on top of its base checkpoint.
    pub fn load_adapter(adapter: &Path, base: &Path, options: &LoadOptions) -> Result<Self, ModelError> {
        let plan = AdapterPlan::load(adapter)?;
        let mut options = LoadOptions { new_head: true, adapter: Some(plan.clone()), ..options.clone() };
        let own_config =
            adapter.join("config.json").is_file().then(|| CheckpointFolder::config(adapter)).transpose()?;
        if options.labels.is_none() {
            let config = own_config.map_or_else(|| CheckpointFolder::config(base), Ok)?;
            let rows = plan.head_rows().unwrap_or(config.label_count());
            let names = config.labels().filter(|names| names.len() as i64 == rows);
            let names = names.unwrap_or_else(|| (0..rows).map(|i| format!("LABEL_{i}")).collect());
            let problem = if rows == config.label_count() {
                config.problem_type()
            } else if rows == 1 {
                ProblemType::Regression
            } else {
                ProblemType::SingleLabelClassification
            };
            options.labels = Some((names, problem));
        }
        let mut loaded = Self::load(base, &options)?;
        let applied = plan.apply_saved_modules(&mut loaded.params)?;
        loaded.report.loaded += applied.len();
        loaded.report.new.retain(|new| !applied.contains(&new.name) && !new.name.contains(".lora_"));
        if let Some(new) = loaded.report.new.first() {
            return Err(ModelError::Adapter(format!(
                "neither the adapter nor its base model holds `{}`; the adapter was saved without its head",
                new.name
            )));
        }
        Ok(loaded)
    }
}
