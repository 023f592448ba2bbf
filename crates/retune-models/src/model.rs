//! Loading a model for a purpose, and saving it as Hugging Face would.

use crate::adapter::{self, BaseModel};
use crate::checkpoint::{WeightsOptions, WeightsRoot, read_tensors, write_json, write_params};
use crate::explain::{Explanation, Score, refused};
use crate::head_meaning::{self, Meaning};
use crate::registry::{self, Purpose};
use crate::trace::{self, BlockOutput};
use crate::{LoraPlan, CheckpointFolder, Inputs, LoadReport, ModelConfig, ModelError, ProblemType};
use retune_kernels::tch::{Device, Tensor};
use retune_kernels::{Params, Precision};
use serde_json::json;
use std::path::Path;

/// How a forward pass runs.
#[derive(Debug, Clone, Copy)]
pub struct Mode {
    /// Dropout on, graph recorded.
    pub train: bool,
    /// Blocks below this depth run as in evaluation and without a graph: nothing there is trained.
    pub first_trained_depth: usize,
    /// Whether hidden states are wanted. Without them the last layer computes only the tokens that the head reads.
    pub hidden_states: bool,
}

impl Mode {
    /// No dropout; the caller decides about the graph.
    pub fn evaluation() -> Self {
        Self { train: false, first_trained_depth: 0, hidden_states: false }
    }

    /// Training of everything from `first_trained_depth` up.
    pub fn training(first_trained_depth: usize) -> Self {
        Self { train: true, first_trained_depth, hidden_states: false }
    }

    /// The same with hidden states.
    #[must_use]
    pub fn with_hidden_states(self) -> Self {
        Self { hidden_states: true, ..self }
    }

    /// Runs block `depth`: with dropout only if it trains, without a graph if nothing at or below it does.
    pub fn block<T: BlockOutput>(&self, depth: usize, forward: impl FnOnce(bool) -> T) -> T {
        let output = if self.train && depth < self.first_trained_depth {
            retune_kernels::tch::no_grad(|| forward(false))
        } else {
            forward(self.train)
        };
        trace::look(depth, &output);
        output
    }
}

/// What a model returns.
#[derive(Debug)]
pub struct Outputs {
    /// Head output; [B, labels] for classification, [B, patches, values] for masked image modelling.
    pub logits: Tensor,
    /// Last hidden state of the encoder, [B, T, D]; a convolutional one's is [B, D, h, w]. There if [`Mode::hidden_states`].
    pub last_hidden_state: Option<Tensor>,
    /// What else a loss needs, by Hugging Face's name, such as `mask`.
    pub named: Inputs,
}

impl Outputs {
    /// Without named tensors.
    pub fn new(logits: Tensor, last_hidden_state: Option<Tensor>) -> Self {
        Self { logits, last_hidden_state, named: Inputs::default() }
    }
}

/// Anything that can be trained here.
pub trait Model: Sync {
    /// Runs the model on named inputs.
    fn forward(&self, inputs: &Inputs, mode: &Mode) -> Result<Outputs, ModelError>;
    /// What the blocks below `mode.first_trained_depth` return, without a graph, and what else the others need: inputs
    /// [B, ..] that [`Model::forward`] takes in place of these, to the same effect. The hidden states are called
    /// [`Inputs::hidden_states_name`]; with an `attention_mask` they are [B, T, ..] of that mask. `None`: not supported.
    ///
    /// # Errors
    /// As [`Model::forward`].
    fn frozen(&self, _inputs: &Inputs, _mode: &Mode) -> Result<Option<Inputs>, ModelError> {
        Ok(None)
    }
    /// Number of encoder blocks; depths run from 0 (embeddings) to this plus one (head).
    fn blocks(&self) -> usize;
    /// Multiply-adds times two of one forward pass over one example, matrix products (and convolutions) only.
    ///
    /// `length` counts tokens of a text, patches of an image.
    fn forward_flops(&self, length: usize) -> f64;
    /// Longest input the model was made for; `None` for images, whose positions are interpolated.
    fn max_length(&self) -> Option<usize>;
    /// The heat maps that it can draw.
    fn explanations(&self) -> &'static [Explanation] {
        &[]
    }
    /// Which places of the inputs `score` rests on, [B, h, w]; larger is more. Parameters may be frozen, and keep their
    /// gradients.
    ///
    /// # Errors
    /// A heat map that is not among [`Model::explanations`], or inputs that do not fit.
    fn explain(&self, _inputs: &Inputs, how: Explanation, _score: Score<'_>) -> Result<Tensor, ModelError> {
        Err(refused(self.explanations(), how))
    }
    /// Name of the embedding table that `input_ids` index, where nothing else reads that table.
    fn token_table(&self) -> Option<&str> {
        None
    }
    /// Rows of the token embedding, for models that take tokens.
    fn vocabulary_size(&self) -> Option<usize>;
}

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
    pub adapter: Option<LoraPlan>,
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
        BaseModel::of_adapter(folder)?.map(Self::Adapter).ok_or_else(|| {
            ModelError::file(
                folder.join("adapter_config.json"),
                "does not name its base model (`base_model_name_or_path`)",
            )
        })
    }
}

/// A model with its parameters and what happened while it was loaded.
pub struct LoadedModel {
    /// The network.
    pub model: Box<dyn Model>,
    /// Its parameters, all trainable at first.
    pub params: Params,
    /// What was loaded, new and unused.
    pub report: LoadReport,
    /// The configuration, labels of the task included.
    pub config: ModelConfig,
    /// The adapter inside, if any.
    pub adapter: Option<LoraPlan>,
    /// What the head is for.
    pub purpose: Purpose,
    /// Tensors that are stored with the model and never trained.
    buffers: Vec<(String, Tensor)>,
}

impl LoadedModel {
    /// Loads a checkpoint folder.
    pub fn load(folder: &Path, options: &LoadOptions) -> Result<Self, ModelError> {
        let mut config = CheckpointFolder::config(folder)?;
        let had_labels = config.get("id2label").is_some();
        let label_notes = config.label_notes();
        if let Some(problem) = config.label_problem().filter(|_| options.labels.is_none() && options.purpose.has_labels()) {
            return Err(ModelError::file(folder.join("config.json"), problem));
        }
        // A saved adapter brings the head that fits its labels.
        let brings_head = options.adapter.as_ref().is_some_and(LoraPlan::is_saved);
        let meaning = match &options.labels {
            Some((names, problem)) if !brings_head => head_meaning::meaning(&config, names, *problem),
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
        report.notes.extend(label_notes);
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
        let plan = LoraPlan::load(adapter)?;
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

    /// Writes `config.json` and `model.safetensors` (without adapters), or the adapter files if there is one, which name
    /// `base_model`.
    pub fn save(&self, folder: &Path, base_model: impl Into<BaseModel>) -> Result<(), ModelError> {
        if let Some(plan) = &self.adapter {
            plan.save(folder, &self.params, &base_model.into(), self.purpose.peft_task_type())?;
            // PEFT ignores it; it carries the label names, which an adapter alone would lose.
            return write_json(&folder.join("config.json"), self.config.as_map());
        }
        write_json(&folder.join("config.json"), self.config.as_map())?;
        write_params(&folder.join("model.safetensors"), &self.params, &self.buffers)
    }

    /// Puts the weights of a folder written by [`Self::save`] into the parameters; what never trains stays as it is.
    pub fn restore(&mut self, folder: &Path) -> Result<(), ModelError> {
        let adapter = folder.join("adapter_model.safetensors");
        let path = if adapter.exists() { adapter } else { folder.join("model.safetensors") };
        for (stored, tensor) in read_tensors(&path)? {
            let name = stored.strip_prefix(adapter::PREFIX).unwrap_or(&stored);
            if self.buffers.iter().any(|(buffer, _)| buffer == name) {
                continue;
            }
            let unknown = || ModelError::file(&path, format!("holds the unknown tensor `{name}`"));
            let param = self.params.get_mut(name).ok_or_else(unknown)?;
            if param.size() != tensor.size() {
                let (name, found, expected) = (name.to_owned(), tensor.size(), param.size());
                return Err(ModelError::Shape { name, found, expected });
            }
            let tensor = tensor.to_device(param.leaf().device());
            // What is frozen is what it was, and need not be kept in full precision.
            if param.is_trainable() || param.value()? != tensor {
                param.set(&tensor)?;
            }
        }
        Ok(())
    }

    /// Class names by index.
    pub fn labels(&self) -> Vec<String> {
        self.config.labels().unwrap_or_else(|| (0..self.config.label_count()).map(|i| format!("LABEL_{i}")).collect())
    }
}
