//! The values of a model's tensors, from a checkpoint or fresh, and what is collected while layers ask for them.
//!
//! What the checkpoint lacks is an error, unless it belongs to a declared new head or the model starts from random weights.

use super::part::Part;
use super::{CheckpointFolder, LoadReport, NewTensor, TensorNames};
use crate::ModelError;
use crate::adapter::AdapterPlan;
use retune_kernels::tch::{Device, Kind, Tensor};
use retune_kernels::{Params, Precision, random};
use std::cell::RefCell;
use std::collections::BTreeSet;

/// Values of a parameter that the checkpoint does not give.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Init {
    /// Normal with this standard deviation (Hugging Face's `initializer_range`).
    Normal(f64),
    /// Uniform in ± this bound.
    Uniform(f64),
    /// All the same.
    Constant(f64),
}

/// How to load.
#[derive(Debug, Clone)]
pub struct WeightsOptions {
    /// Prefix of the base model, such as `bert.`: base checkpoints are stored without it.
    pub base_prefix: String,
    /// Whether what is asked for as the task's head, or as the neck below it, may be missing from the checkpoint.
    pub new_head: bool,
    /// Ignore the checkpoint's values.
    pub from_scratch: bool,
    /// Seed of fresh values, which also depend on the tensor's name and on nothing else.
    pub seed: u64,
    /// Compute precision of the matrices.
    pub precision: Precision,
    /// Where the parameters live.
    pub device: Device,
    /// Standard deviation of fresh matrices.
    pub initializer_range: f64,
    /// Adapters to put into dense layers while they are made.
    pub adapter: Option<AdapterPlan>,
}

pub(super) struct State {
    pub(super) params: Params,
    pub(super) buffers: Vec<(String, Tensor)>,
    pub(super) report: LoadReport,
    pub(super) used: BTreeSet<String>,
    pub(super) missing: Vec<String>,
    pub(super) fresh: BTreeSet<String>,
    /// Names of the tensors whose rows are the task's outputs.
    pub(super) outputs: BTreeSet<String>,
}

/// The checkpoint and everything collected while layers are made from it.
pub struct WeightsRoot {
    pub(super) checkpoint: Option<CheckpointFolder>,
    pub(super) options: WeightsOptions,
    without_prefix: bool,
    old_norm_names: bool,
    spellings: &'static [(&'static str, &'static str)],
    buffers: &'static [&'static str],
    other_labels: Option<String>,
    pub(super) state: RefCell<State>,
}

impl WeightsRoot {
    /// `checkpoint` may be absent only when starting from scratch.
    pub fn new(checkpoint: Option<CheckpointFolder>, options: WeightsOptions) -> Self {
        let names: Vec<&str> = checkpoint.iter().flat_map(CheckpointFolder::names).collect();
        let without_prefix = !names.is_empty() && !names.iter().any(|n| n.starts_with(&options.base_prefix));
        let old_norm_names = names.iter().any(|n| n.ends_with("LayerNorm.gamma"));
        let mut report = LoadReport::default();
        if without_prefix && !options.from_scratch {
            report.notes.push(format!("base checkpoint: names without `{}`", options.base_prefix));
        }
        if old_norm_names {
            report.notes.push("norms are called gamma and beta in this checkpoint; saved as weight and bias".into());
        }
        Self {
            checkpoint,
            options,
            without_prefix,
            old_norm_names,
            spellings: &[],
            buffers: &[],
            state: RefCell::new(State {
                params: Params::default(),
                buffers: Vec::new(),
                report,
                used: BTreeSet::new(),
                missing: Vec::new(),
                fresh: BTreeSet::new(),
                outputs: BTreeSet::new(),
            }),
            other_labels: None,
        }
    }

    /// Why the checkpoint's outputs mean something else than the task's, if they do: they start anew.
    #[must_use]
    pub fn with_other_labels(mut self, reason: Option<String>) -> Self {
        self.other_labels = reason;
        self
    }

    /// Other spellings of the family's names, and tensors that nothing reads.
    #[must_use]
    pub fn with_names(mut self, names: &TensorNames) -> Self {
        (self.spellings, self.buffers) = (names.spellings, names.buffers);
        self
    }

    /// The name of a tensor in the file: the reversible table between checkpoint layouts.
    pub(super) fn file_name(&self, name: &str) -> String {
        let name = match name.strip_prefix(&self.options.base_prefix) {
            Some(rest) if self.without_prefix => rest,
            _ => name,
        };
        if self.old_norm_names {
            if let Some(stem) = name.strip_suffix("LayerNorm.weight") {
                return format!("{stem}LayerNorm.gamma");
            }
            if let Some(stem) = name.strip_suffix("LayerNorm.bias") {
                return format!("{stem}LayerNorm.beta");
            }
        }
        let holds = |name: &str| self.checkpoint.as_ref().is_some_and(|checkpoint| checkpoint.shape(name).is_some());
        let other = self.spellings.iter().map(|(ours, theirs)| name.replace(ours, theirs)).find(|other| holds(other));
        other.filter(|_| !holds(name)).unwrap_or_else(|| name.to_owned())
    }

    fn means_other_labels(&self, name: &str) -> bool {
        self.other_labels.is_some() && self.state.borrow().outputs.contains(name)
    }

    pub(super) fn value(&self, name: &str, shape: &[i64], init: Init, part: Part) -> Result<Tensor, ModelError> {
        let may_be_new = self.options.new_head && part != Part::Body;
        let file_name = self.file_name(name);
        let found = self.checkpoint.as_ref().and_then(|c| Some((c, c.shape(&file_name)?.to_vec())));
        let reason = match &found {
            _ if self.options.from_scratch => "random weights were asked for".to_owned(),
            Some((_, found_shape)) if found_shape == shape && self.means_other_labels(name) => {
                self.state.borrow_mut().used.insert(file_name.clone());
                self.other_labels.clone().unwrap_or_default()
            }
            Some((checkpoint, found_shape)) if found_shape == shape => {
                let mut state = self.state.borrow_mut();
                state.report.loaded += 1;
                state.used.insert(file_name.clone());
                return Ok(checkpoint.read(&file_name)?.to_kind(Kind::Float).f_to_device(self.options.device)?);
            }
            Some((_, found_shape)) if may_be_new => {
                self.state.borrow_mut().used.insert(file_name.clone());
                format!("shape {found_shape:?} in the checkpoint, {shape:?} for this task")
            }
            Some((_, found)) => {
                return Err(ModelError::Shape {
                    name: name.to_owned(),
                    found: found.clone(),
                    expected: shape.to_vec(),
                });
            }
            None if may_be_new => "not in the checkpoint".to_owned(),
            None => {
                let line = match self.nearest(&file_name) {
                    Some(near) => format!("  {file_name} (nearest: {near})"),
                    None => format!("  {file_name}"),
                };
                self.state.borrow_mut().missing.push(line);
                return Ok(Tensor::zeros(shape, (Kind::Float, self.options.device)));
            }
        };
        let mut state = self.state.borrow_mut();
        state.report.new.push(NewTensor { name: name.to_owned(), reason });
        state.fresh.insert(name.to_owned());
        Ok(self.fresh(name, shape, init))
    }

    pub(super) fn fresh(&self, name: &str, shape: &[i64], init: Init) -> Tensor {
        let count = shape.iter().product::<i64>() as usize;
        let seed = random::mix(&[self.options.seed, random::name_key(name)]);
        let values: Vec<f32> = match init {
            Init::Constant(value) => vec![value as f32; count],
            Init::Normal(std) => random::normal(seed, count).into_iter().map(|x| x * std as f32).collect(),
            Init::Uniform(bound) => {
                random::uniform(seed, count).into_iter().map(|x| ((2.0 * x - 1.0) * bound) as f32).collect()
            }
        };
        Tensor::from_slice(&values).reshape(shape).to_device(self.options.device)
    }

    /// The name in the file that looks most like `name`.
    fn nearest(&self, name: &str) -> Option<String> {
        let names = self.checkpoint.iter().flat_map(CheckpointFolder::names).filter(|n| !self.is_used(n));
        let near = names.map(|n| (strsim::levenshtein(name, n), n)).min()?;
        (near.0 <= name.len() / 2).then(|| near.1.to_owned())
    }

    fn is_used(&self, name: &str) -> bool {
        self.state.borrow().used.contains(name)
    }

    /// What is stored with the model and never trained, by name; complete once all layers are made.
    pub fn buffers(&self) -> Vec<(String, Tensor)> {
        self.state.borrow().buffers.iter().map(|(name, tensor)| (name.clone(), tensor.shallow_clone())).collect()
    }

    /// The parameters and the report, once all layers are made; fails if anything was missing.
    pub fn finish(self) -> Result<(Params, LoadReport), ModelError> {
        let State { mut params, mut report, used, missing, fresh, .. } = self.state.into_inner();
        if !missing.is_empty() {
            return Err(ModelError::Missing { missing });
        }
        for param in params.iter_mut() {
            // Whatever has no pretrained value must learn with the head, whichever depth it sits at.
            let new = fresh.contains(&param.name) && !self.options.from_scratch;
            param.head |= new;
        }
        if let Some(checkpoint) = self.checkpoint.as_ref().filter(|_| !self.options.from_scratch) {
            let buffer = |name: &str| self.buffers.iter().any(|end| name.ends_with(end));
            report.unexpected =
                checkpoint.names().filter(|n| !used.contains(*n) && !buffer(n)).map(str::to_owned).collect();
        }
        if let Some(plan) = &self.options.adapter {
            plan.check_used(&params)?;
        }
        Ok((params, report))
    }
}
