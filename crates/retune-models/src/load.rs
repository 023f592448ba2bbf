//! Loading a model for a purpose, from a checkpoint or from an adapter with its base.

use crate::adapter::{BaseModel, LoraPlan};
use crate::checkpoint::{GivenTensor, SentenceModules, WeightsOptions, WeightsRoot};
use crate::head_meaning::{self, Meaning};
use crate::heads::{NORMALIZE, POOLING, SENTENCE_EMBEDDINGS};
use crate::{CheckpointFolder, Family, LoadedModel, ModelConfig, ModelError, Network, ProblemType, Purpose, registry};
use retune_kernels::Precision;
use retune_kernels::tch::Device;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;

/// The head that a task wants.
#[derive(Debug, Clone)]
pub struct NewHead {
    /// What it is for.
    pub purpose: &'static Purpose,
    /// Names of its outputs; `None` keeps those of the checkpoint.
    pub labels: Option<Vec<String>>,
    /// What the named outputs mean, where Hugging Face's configuration says it.
    pub problem: Option<ProblemType>,
    /// Other fields of config.json that the task sets.
    pub fields: Vec<(&'static str, Value)>,
    /// A tensor that is never trained, which the task brings in the place of the checkpoint's.
    pub given: Option<Arc<GivenTensor>>,
    /// Why the checkpoint's outputs mean something else than the task's, where the task knows it: they start anew.
    pub anew: Option<String>,
    /// The language of a checkpoint that has adapters for several: its own are used, where there are any, and saved under its name.
    pub language: Option<String>,
}

impl NewHead {
    /// A head for a purpose, with everything else as the checkpoint has it.
    pub fn of(purpose: &'static Purpose) -> Self {
        Self { purpose, labels: None, problem: None, fields: Vec::new(), given: None, anew: None, language: None }
    }

    /// The same with names of its outputs.
    #[must_use]
    pub fn labels(self, names: Vec<String>) -> Self {
        Self { labels: Some(names), ..self }
    }

    /// The same with a meaning of the named outputs.
    #[must_use]
    pub fn problem(self, problem: ProblemType) -> Self {
        Self { problem: Some(problem), ..self }
    }

    /// The same with a tensor that the task brings.
    #[must_use]
    pub fn given(self, tensor: Arc<GivenTensor>) -> Self {
        Self { given: Some(tensor), ..self }
    }

    /// The same, its outputs started anew for this reason, if there is one.
    #[must_use]
    pub fn anew(self, reason: Option<String>) -> Self {
        Self { anew: reason, ..self }
    }

    /// The same for a language, if one is named.
    #[must_use]
    pub fn language(self, language: Option<String>) -> Self {
        Self { language, ..self }
    }

    /// The same with another field of config.json.
    #[must_use]
    pub fn field(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.fields.push((name, value.into()));
        self
    }
}

impl From<&'static Purpose> for NewHead {
    fn from(purpose: &'static Purpose) -> Self {
        Self::of(purpose)
    }
}

/// How to load a model.
#[derive(Debug, Clone)]
pub struct LoadOptions {
    /// Which head; `None` for the base model alone, as transformers' `AutoModel`, with a `pooler_output` where the checkpoint
    /// has a pooler.
    pub head: Option<NewHead>,
    /// The path of the only part that is in the checkpoint, where all others start anew.
    pub only: Option<String>,
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
    pub adapter: Option<LoraPlan>,
    /// Whether the head may be missing or of another size (training), or must be there (evaluation, prediction).
    pub new_head: bool,
}

impl LoadOptions {
    /// Evaluation in fp32 on the CPU, everything as saved.
    pub fn new(head: impl Into<NewHead>) -> Self {
        Self { head: Some(head.into()), ..Self::base() }
    }

    /// The same for the base model alone.
    pub fn base() -> Self {
        Self {
            head: None,
            only: None,
            from_scratch: false,
            seed: 0,
            precision: Precision::Fp32,
            device: Device::Cpu,
            dropout: None,
            adapter: None,
            new_head: false,
        }
    }

    fn purpose(&self) -> Option<&'static Purpose> {
        self.head.as_ref().map(|head| head.purpose)
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
        BaseModel::of_adapter(folder)?.map(Self::Adapter).ok_or_else(|| {
            ModelError::file(
                folder.join("adapter_config.json"),
                "does not name its base model (`base_model_name_or_path`)",
            )
        })
    }
}

/// Whether the outputs of the checkpoint's head are those of this one.
fn meaning(config: &ModelConfig, options: &LoadOptions) -> Meaning {
    let Some(head) = &options.head else { return Meaning::Same };
    let made_for = registry::purposes_of_class(config);
    if let Some(class) = config.architecture()
        && !made_for.is_empty()
        && !made_for.contains(&head.purpose)
    {
        return Meaning::Other(format!("it is the head of {class}"));
    }
    if let Some(reason) = &head.anew {
        return Meaning::Other(reason.clone());
    }
    // A saved adapter brings the head that fits its labels.
    let brings_head = options.adapter.as_ref().is_some_and(LoraPlan::is_saved);
    match &head.labels {
        Some(names) if !brings_head => {
            head_meaning::meaning(config, names, head.problem.unwrap_or(ProblemType::SingleLabelClassification))
        }
        _ => Meaning::Same,
    }
}

/// Makes a configuration what will be saved: that of the family and of the head that it is used with.
fn settle(config: &mut ModelConfig, family: &dyn Family, head: Option<&NewHead>) -> Result<(), ModelError> {
    if let Some(becomes) = registry::becomes(registry::family(config)?, head.map(|head| head.purpose)) {
        (becomes.change)(config);
        config.set("model_type", family.model_type().into());
    }
    if let Some(head) = head {
        if let Some(names) = &head.labels {
            config.set_labels(names, head.problem);
        }
        head.fields.iter().for_each(|(name, value)| config.set(name, value.clone()));
        registry::head(family, head.purpose)?.settle(config);
    }
    Ok(())
}

/// What sentence-transformers wrote beside a model goes into its configuration.
fn read_modules(folder: &Path, config: &mut ModelConfig) -> Result<(), ModelError> {
    if let Some(modules) = SentenceModules::of(folder)? {
        config.set(POOLING, json!(modules.pooling.name()));
        config.set(NORMALIZE, json!(modules.normalize));
    }
    Ok(())
}

/// Standard deviation of fresh matrices, by either of its names.
fn initializer_range(config: &ModelConfig) -> Result<f64, ModelError> {
    config.number_or("initializer_range", config.number_or("init_std", 0.02)?)
}

impl LoadedModel {
    /// Loads a checkpoint folder.
    ///
    /// # Errors
    /// A folder that cannot be read, or that does not hold such a model.
    pub fn load(folder: &Path, options: &LoadOptions) -> Result<Self, ModelError> {
        let mut config = CheckpointFolder::config(folder)?;
        let purpose = options.purpose();
        if purpose == Some(&SENTENCE_EMBEDDINGS) {
            read_modules(folder, &mut config)?;
        }
        let had_labels = config.get("id2label").is_some();
        let label_notes = config.label_notes();
        let asks_for_labels = options.head.as_ref().is_some_and(|head| head.purpose.labels && head.labels.is_none());
        if let Some(problem) = config.label_problem().filter(|_| asks_for_labels) {
            return Err(ModelError::file(folder.join("config.json"), problem));
        }
        let family = registry::family_for(&config, purpose)?;
        let meaning = meaning(&config, options);
        let mut checkpoint = if options.from_scratch { None } else { Some(CheckpointFolder::open(folder)?) };
        let language = options.head.as_ref().and_then(|head| head.language.clone());
        if let (Some(checkpoint), Some(language)) = (&mut checkpoint, &language) {
            checkpoint.speak(language)?;
        }
        let stored_prefixes = registry::stored_prefixes(registry::family(&config)?, family);
        settle(&mut config, family, options.head.as_ref())?;
        let mut effective = config.clone();
        if let Some(p) = options.dropout {
            effective.set_dropout(p)?;
        }
        let names = family.names();
        let root = WeightsRoot::new(
            checkpoint,
            WeightsOptions {
                base_prefix: names.base_prefix(),
                stored_prefixes,
                new_head: options.new_head && registry::may_be_new(family, purpose)?,
                headless: purpose.is_none(),
                only: options.only.clone(),
                from_scratch: options.from_scratch,
                seed: options.seed,
                precision: options.precision,
                device: options.device,
                initializer_range: initializer_range(&effective)?,
                adapter: options.adapter.clone(),
            },
        )
        .with_names(names)
        .with_given(options.head.as_ref().and_then(|head| head.given.clone()))
        .with_other_labels(match &meaning {
            Meaning::Other(reason) if options.new_head => Some(reason.clone()),
            _ => None,
        });
        let network = Network::build(&root, family, &effective, purpose)?;
        let buffers = root.buffers();
        let (params, mut report) = root.finish()?;
        if let Meaning::Unnamed(note) = meaning
            && report.new.is_empty()
        {
            report.notes.push(note);
        }
        if asks_for_labels {
            report.notes.extend(label_notes);
        }
        if !had_labels && asks_for_labels && !options.new_head {
            report.notes.push("config.json names no labels; they are called LABEL_0, LABEL_1, …".to_owned());
        }
        let class = match purpose {
            Some(purpose) => family.architecture(&config, purpose),
            None => format!("{}Model", family.class()),
        };
        config.set("architectures", json!([class]));
        config.set("dtype", json!("float32"));
        // The older name of the same field, which would contradict it.
        config.remove("torch_dtype");
        let adapter = options.adapter.clone();
        Ok(Self { network, params, report, config, adapter, purpose, buffers, language })
    }

    /// Loads an adapter folder on top of its base checkpoint.
    ///
    /// # Errors
    /// As [`Self::load`]; an adapter that cannot be used, or that was saved without its head.
    pub fn load_adapter(adapter: &Path, base: &Path, options: &LoadOptions) -> Result<Self, ModelError> {
        let plan = LoraPlan::load(adapter)?;
        let mut options = LoadOptions { new_head: true, adapter: Some(plan.clone()), ..options.clone() };
        let own_config =
            adapter.join("config.json").is_file().then(|| CheckpointFolder::config(adapter)).transpose()?;
        if let (Some(head), Some(modules)) = (options.head.as_mut(), SentenceModules::of(adapter)?) {
            *head = head.clone().field(POOLING, modules.pooling.name()).field(NORMALIZE, modules.normalize);
        }
        let mut note = None;
        if let Some(head) = options.head.as_mut().filter(|head| head.purpose.labels && head.labels.is_none()) {
            let own = own_config.is_some();
            let config = own_config.map_or_else(|| CheckpointFolder::config(base), Ok)?;
            if let Some(problem) = config.label_problem() {
                let folder = if own { adapter } else { base };
                return Err(ModelError::file(folder.join("config.json"), problem));
            }
            let rows = plan.head_rows().unwrap_or(config.label_count());
            let names = config.labels().filter(|names| names.len() as i64 == rows);
            note = match (&names, own) {
                (_, true) => None,
                (Some(_), false) => Some("the adapter names no labels; they are called as those of its base model"),
                (None, false) => {
                    Some("neither the adapter nor its base model names its labels; they are called LABEL_0, LABEL_1, …")
                }
            };
            head.labels = Some(names.unwrap_or_else(|| (0..rows).map(|i| format!("LABEL_{i}")).collect()));
            head.problem = Some(if rows == config.label_count() {
                config.problem_type()
            } else if rows == 1 {
                ProblemType::Regression
            } else {
                ProblemType::SingleLabelClassification
            });
        }
        let mut loaded = Self::load(base, &options)?;
        loaded.report.notes.extend(note.map(str::to_owned));
        let applied = {
            let names = registry::family(&loaded.config)?.names();
            plan.apply_saved_modules(&mut loaded.params, &loaded.buffers, names)?
        };
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
