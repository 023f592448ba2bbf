//! The values of a model's tensors, from a checkpoint or fresh, and what is collected while layers ask for them.
//!
//! What the checkpoint lacks is an error, unless it belongs to a declared new head or the model starts from random weights.

use super::init::Init;
use super::part::Part;
use super::{Buffer, Buffers, CheckpointFolder, GivenTensor, LoadReport, NewTensor, TensorNames};
use crate::ModelError;
use crate::adapter::{DenseLayer, LoraPlan};
use retune_kernels::tch::{Device, Kind, Tensor};
use retune_kernels::{Params, Precision, Source, random};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::Arc;

/// How to load.
#[derive(Debug, Clone)]
pub struct WeightsOptions {
    /// Prefix of the base model, such as `bert.`: base checkpoints are stored without it. Empty where there is none.
    pub base_prefix: String,
    /// The same in checkpoints, which may be of another class or family: the first that some name of the checkpoint begins with
    /// counts, and where none does the last.
    pub stored_prefixes: Vec<String>,
    /// Whether what is asked for as the task's head, or as the neck below it, may be missing from the checkpoint.
    pub new_head: bool,
    /// Whether no head is asked for: heads that a body reads are left out.
    pub headless: bool,
    /// The path of the only part that is in the checkpoint, where all others may be missing.
    pub only: Option<String>,
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
    pub adapter: Option<LoraPlan>,
}

pub(super) struct State {
    pub(super) params: Params,
    pub(super) buffers: Vec<Buffer>,
    pub(super) report: LoadReport,
    pub(super) used: BTreeSet<String>,
    pub(super) missing: Vec<String>,
    pub(super) fresh: BTreeSet<String>,
    /// Names of the tensors whose rows are the task's outputs.
    pub(super) outputs: BTreeSet<String>,
    /// All dense layers, as adapters see them.
    pub(super) dense: Vec<DenseLayer>,
}

/// The checkpoint and everything collected while layers are made from it.
pub struct WeightsRoot {
    pub(super) checkpoint: Option<CheckpointFolder>,
    pub(super) options: WeightsOptions,
    /// What stands in front of every name of the file.
    wrapper: String,
    /// Which of [`WeightsOptions::stored_prefixes`] it is.
    stored_prefix: String,
    without_prefix: bool,
    names: Option<TensorNames>,
    other_labels: Option<String>,
    given: Option<Arc<GivenTensor>>,
    pub(super) state: RefCell<State>,
}

impl WeightsRoot {
    /// `checkpoint` may be absent only when starting from scratch.
    pub fn new(checkpoint: Option<CheckpointFolder>, options: WeightsOptions) -> Self {
        let names: Vec<&str> = checkpoint.iter().flat_map(CheckpointFolder::names).collect();
        let wrapper = wrapper(&names, &options.stored_prefixes);
        let begins = |prefix: &str| names.iter().any(|name| name[wrapper.len()..].starts_with(prefix));
        let found = options.stored_prefixes.iter().find(|prefix| !prefix.is_empty() && begins(prefix));
        let stored_prefix = found.or(options.stored_prefixes.last()).cloned().unwrap_or_default();
        let without_prefix = !names.is_empty() && !begins(&stored_prefix);
        let old_norm_names = names.iter().any(|n| n.ends_with(".gamma") || n.ends_with(".beta"));
        let mut report = LoadReport::default();
        if !wrapper.is_empty() {
            report.notes.push(format!("every name of this checkpoint begins with `{wrapper}`; saved without it"));
        }
        if without_prefix && !options.from_scratch {
            report.notes.push(format!("base checkpoint: names without `{stored_prefix}`"));
        }
        let elsewhere = [&options.base_prefix, &stored_prefix].iter().all(|prefix| !prefix.is_empty());
        if elsewhere
            && !without_prefix
            && !names.is_empty()
            && options.base_prefix != stored_prefix
            && options.adapter.is_some()
        {
            report.notes.push(format!(
                "Hugging Face's class of this head looks for `{}` and finds nothing in this checkpoint, which has `{stored_prefix}`: to use \
                 the adapter there, merge it into its base first",
                options.base_prefix
            ));
        }
        if old_norm_names {
            report.notes.push("norms are called gamma and beta in this checkpoint; saved as weight and bias".into());
        }
        Self {
            checkpoint,
            options,
            wrapper,
            stored_prefix,
            without_prefix,
            names: None,
            state: RefCell::new(State {
                params: Params::default(),
                buffers: Vec::new(),
                report,
                used: BTreeSet::new(),
                missing: Vec::new(),
                fresh: BTreeSet::new(),
                outputs: BTreeSet::new(),
                dense: Vec::new(),
            }),
            other_labels: None,
            given: None,
        }
    }

    /// With a tensor that stands in the place of the checkpoint's, if there is one.
    #[must_use]
    pub fn with_given(mut self, given: Option<Arc<GivenTensor>>) -> Self {
        self.given = given;
        self
    }

    /// The tensor of this name that stands in the place of the checkpoint's.
    pub(super) fn given(&self, name: &str, shape: &[i64]) -> Result<Option<Tensor>, ModelError> {
        let Some(given) = self.given.as_ref().filter(|given| given.name == name) else { return Ok(None) };
        if given.shape != shape {
            let (name, found, expected) = (name.to_owned(), given.shape.clone(), shape.to_vec());
            return Err(ModelError::Shape { name, found, expected });
        }
        self.state.borrow_mut().used.insert(self.file_name(name));
        let tensor = Tensor::from_slice(&given.values).f_reshape(shape)?;
        Ok(Some(tensor.f_to_device(self.options.device)?))
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
        self.names = Some(*names);
        self
    }

    /// The name of a tensor in the file: the reversible table between checkpoint layouts.
    pub(super) fn file_name(&self, name: &str) -> String {
        let name = match name.strip_prefix(&self.options.base_prefix) {
            Some(rest) if self.without_prefix => rest.to_owned(),
            Some(rest) => format!("{}{rest}", self.stored_prefix),
            None => name.to_owned(),
        };
        let wrapped = format!("{}{name}", self.wrapper);
        let holds = |name: &str| self.checkpoint.as_ref().is_some_and(|checkpoint| checkpoint.shape(name).is_some());
        if holds(&wrapped) {
            return wrapped;
        }
        let spelled =
            self.names.iter().flat_map(|names| names.spellings).map(|(ours, theirs)| wrapped.replace(ours, theirs));
        // As norms were called in TensorFlow; some files mix both.
        let old = [(".weight", ".gamma"), (".bias", ".beta")];
        let renamed = |name: &str| {
            let of = |(ours, theirs): (&str, &str)| Some(format!("{}{theirs}", name.strip_suffix(ours)?));
            old.into_iter().find_map(of)
        };
        let others = spelled.chain([wrapped.clone()]).flat_map(|name| [renamed(&name), Some(name)]);
        others.flatten().find(|other| holds(other)).unwrap_or(wrapped)
    }

    /// Whether a tensor may be missing from the checkpoint.
    pub(super) fn may_be_new(&self, name: &str, part: Part) -> bool {
        let outside = self.options.only.as_ref().is_some_and(|path| !name.starts_with(path));
        outside || (self.options.new_head && part != Part::Body)
    }

    fn means_other_labels(&self, name: &str) -> bool {
        self.other_labels.is_some() && self.state.borrow().outputs.contains(name)
    }

    pub(super) fn value(&self, name: &str, shape: &[i64], init: Init, part: Part) -> Result<Tensor, ModelError> {
        self.value_of(name, shape, init, part, Kind::Float)
    }

    /// The same of another dtype than fp32, such as a count.
    pub(super) fn value_of(
        &self,
        name: &str,
        shape: &[i64],
        init: Init,
        part: Part,
        kind: Kind,
    ) -> Result<Tensor, ModelError> {
        let may_be_new = self.may_be_new(name, part);
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
                drop(state);
                if kind == Kind::Float {
                    checkpoint.check_floating_point(&file_name)?;
                }
                return Ok(checkpoint.read(&file_name)?.to_kind(kind).f_to_device(self.options.device)?);
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
                return Ok(Tensor::zeros(shape, (kind, self.options.device)));
            }
        };
        let mut state = self.state.borrow_mut();
        state.report.new.push(NewTensor { name: name.to_owned(), reason });
        state.fresh.insert(name.to_owned());
        Ok(self.fresh(name, shape, init).to_kind(kind))
    }

    /// Where the checkpoint has fewer rows of [1, rows, D] and others may be new: those, and fresh ones behind them.
    pub(super) fn grown(&self, name: &str, shape: [i64; 3], init: Init) -> Result<Option<Tensor>, ModelError> {
        let file_name = self.file_name(name);
        let checkpoint = self.checkpoint.as_ref().filter(|_| self.options.new_head && !self.options.from_scratch);
        let found = checkpoint.and_then(|checkpoint| Some((checkpoint, checkpoint.shape(&file_name)?.to_vec())));
        let Some((checkpoint, found)) = found else { return Ok(None) };
        let [1, rows, width] = found[..] else { return Ok(None) };
        if shape[0] != 1 || width != shape[2] || rows >= shape[1] {
            return Ok(None);
        }
        checkpoint.check_floating_point(&file_name)?;
        let stored = checkpoint.read(&file_name)?.f_to_device(self.options.device)?.to_kind(Kind::Float);
        let fresh = self.fresh(name, &shape, init).narrow(1, rows, shape[1] - rows);
        let mut state = self.state.borrow_mut();
        state.report.loaded += 1;
        state
            .report
            .notes
            .push(format!("`{name}`: {rows} rows are in the checkpoint, the other {} are new", shape[1] - rows));
        state.used.insert(file_name);
        Ok(Some(Tensor::f_cat(&[stored, fresh], 1)?))
    }

    /// Whether the checkpoint holds two tensors that differ; if they are the same, both count as read.
    pub(super) fn differs(&self, name: &str, other: &str) -> Result<bool, ModelError> {
        let names = [name, other].map(|name| self.file_name(name));
        let Some(checkpoint) = self.checkpoint.as_ref().filter(|_| !self.options.from_scratch) else {
            return Ok(false);
        };
        if names[0] == names[1] || names.iter().any(|name| checkpoint.shape(name).is_none()) {
            return Ok(false);
        }
        let [one, two] = [checkpoint.read(&names[0])?, checkpoint.read(&names[1])?];
        let differs = one.size() != two.size() || one != two;
        if differs {
            let note = format!("`{}` and `{}` differ in this checkpoint, and so they are not tied", names[1], names[0]);
            self.state.borrow_mut().report.notes.push(note);
        } else {
            self.state.borrow_mut().used.insert(names[0].clone());
        }
        Ok(differs)
    }

    /// Where a parameter's value can be read again, if it came from the checkpoint as it is.
    pub(super) fn source(&self, name: &str) -> Option<Box<dyn Source>> {
        if self.options.from_scratch || self.state.borrow().fresh.contains(name) {
            return None;
        }
        self.checkpoint.as_ref()?.source(&self.file_name(name))
    }

    /// What transformers calls the module at a path.
    pub(super) fn module(&self, path: &str) -> Option<String> {
        self.names.map_or_else(|| Some(path.to_owned()), |names| names.module(path))
    }

    /// Whether a tensor has no pretrained value.
    pub(super) fn is_new(&self, name: &str) -> bool {
        !self.options.from_scratch && self.state.borrow().fresh.contains(name)
    }

    pub(super) fn fresh(&self, name: &str, shape: &[i64], init: Init) -> Tensor {
        let count = shape.iter().product::<i64>() as usize;
        let seed = random::mix(&[self.options.seed, random::name_key(name)]);
        Tensor::from_slice(&init.values(seed, count)).reshape(shape).to_device(self.options.device)
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

    /// What is stored with the model and no optimizer updates; complete once all layers are made, when it is taken.
    pub fn buffers(&self) -> Buffers {
        self.state.borrow_mut().buffers.drain(..).collect()
    }

    /// The parameters and the report, once all layers are made; fails if anything was missing.
    pub fn finish(self) -> Result<(Params, LoadReport), ModelError> {
        let State { mut params, mut report, used, missing, fresh, dense, .. } = self.state.into_inner();
        if !missing.is_empty() {
            return Err(ModelError::Missing { missing });
        }
        for param in params.iter_mut() {
            // Whatever has no pretrained value must learn with the head, whichever depth it sits at.
            let new = fresh.contains(&param.name) && !self.options.from_scratch;
            param.head |= new;
        }
        if let Some(checkpoint) = self.checkpoint.as_ref().filter(|_| !self.options.from_scratch) {
            let ends = self.names.map_or(&[][..], |names| names.buffers);
            let buffer = |name: &str| ends.iter().any(|end| name.ends_with(end));
            report.unexpected =
                checkpoint.names().filter(|n| !used.contains(*n) && !buffer(n)).map(str::to_owned).collect();
        }
        if let Some(plan) = &self.options.adapter {
            report.notes.extend(plan.check_used(&params, &dense)?);
        }
        Ok((params, report))
    }
}

/// What tools put in front of all names when they save a model inside another: PyTorch's `compile` and `DataParallel`,
/// training frameworks, PEFT.
const WRAPPERS: &[&str] = &["_orig_mod.", "module.", "base_model.model.", "model."];

/// Those of them that stand in front of every name, one after another.
fn wrapper(names: &[&str], base_prefixes: &[String]) -> String {
    let mut found = String::new();
    let all = |prefix: &str| !names.is_empty() && names.iter().all(|name| name.starts_with(prefix));
    let is_model = |prefix: &str| {
        let begins =
            |base: &String| !base.is_empty() && names.iter().any(|name| name[prefix.len()..].starts_with(base));
        base_prefixes.iter().any(begins)
    };
    while !is_model(&found) {
        let Some(next) = WRAPPERS.iter().map(|wrapper| format!("{found}{wrapper}")).find(|prefix| all(prefix)) else {
            break;
        };
        found = next;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::wrapper;

    #[test]
    fn only_what_stands_before_every_name_is_a_wrapper() {
        let wrapper = |names: &[&str], prefix: &str| wrapper(names, &[prefix.to_owned()]);
        let of = |names: &[&str]| wrapper(names, "bert.");
        assert_eq!(of(&["bert.a", "classifier.b"]), "");
        assert_eq!(of(&["module.bert.a", "module.classifier.b"]), "module.");
        assert_eq!(of(&["_orig_mod.module.model.bert.a", "_orig_mod.module.model.c"]), "_orig_mod.module.model.");
        assert_eq!(of(&["base_model.model.bert.a"]), "base_model.model.");
        assert_eq!(of(&["model.encoder.a", "model.embeddings.b"]), "model.");
        assert_eq!(of(&["module.bert.a", "classifier.b"]), "");
        assert_eq!(of(&[]), "");
        assert_eq!(wrapper(&["model.layers.0"], "model."), "");
        assert_eq!(wrapper(&["module.shared.a", "module.encoder.b"], ""), "module.");
        assert_eq!(wrapper(&["shared.a", "encoder.b"], ""), "");
        assert_eq!(wrapper(&["module.model.layers.0"], "model."), "module.");
    }
}
