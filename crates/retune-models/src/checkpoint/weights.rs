//! A view on a checkpoint with a path cursor: a layer's constructor is the checkpoint's schema.
//!
//! Every tensor a layer asks for becomes a parameter under its full Hugging Face name.

use super::part::Part;
use super::{Buffer, Init, WeightsRoot};
use crate::ModelError;
use crate::adapter::{DenseLayer, Scores};
use retune_kernels::tch::{Device, Kind, Tensor};
use retune_kernels::{BatchNorm, Dense, LayerNorm, Lora, Param, Table, Weight};

/// A position in the tree of tensor names.
#[derive(Clone)]
pub struct Weights<'a> {
    root: &'a WeightsRoot,
    path: String,
    depth: usize,
    part: Part,
}

impl WeightsRoot {
    /// The cursor at the top.
    pub fn root(&self) -> Weights<'_> {
        Weights { root: self, path: String::new(), depth: 0, part: Part::Body }
    }
}

impl<'a> Weights<'a> {
    /// The same tree, further down.
    pub fn at(&self, name: &str) -> Weights<'a> {
        let path = match (self.path.is_empty(), name.is_empty()) {
            (true, _) => name.to_owned(),
            (_, true) => self.path.clone(),
            _ => format!("{}.{name}", self.path),
        };
        Weights { path, ..self.clone() }
    }

    /// The same position; parameters made from here on belong to block `depth`.
    pub fn depth(&self, depth: usize) -> Weights<'a> {
        Weights { depth, ..self.clone() }
    }

    /// The same position; parameters made from here on are the head's: the method `head` trains them, an adapter is saved with
    /// them, and they may be new.
    pub fn head(&self) -> Weights<'a> {
        Weights { part: Part::Head, ..self.clone() }
    }

    /// The same position; parameters made from here on lie between body and head, and may be new with the head.
    pub fn neck(&self) -> Weights<'a> {
        Weights { part: Part::Neck, ..self.clone() }
    }

    /// Full dotted path.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Where the parameters live.
    pub fn device(&self) -> Device {
        self.root.options.device
    }

    /// Whether the checkpoint has this tensor.
    pub fn is_stored(&self, name: &str) -> bool {
        let file_name = self.root.file_name(&self.at(name).path);
        self.root.checkpoint.as_ref().is_some_and(|checkpoint| checkpoint.shape(&file_name).is_some())
    }

    /// A parameter that was made before, by its full name, for layers that share it: it stays one parameter, which keeps
    /// its depth and its dtype.
    pub fn made(&self, name: &str) -> Option<Weight> {
        self.root.state.borrow().params.iter().find(|param| param.name == name).map(|param| param.leaf().into())
    }

    /// As [`Self::made`], of what is stored with the model and never trained.
    pub fn kept(&self, name: &str) -> Option<Weight> {
        let state = self.root.state.borrow();
        state.buffers.iter().find(|buffer| buffer.name == name).map(|buffer| buffer.tensor.shallow_clone().into())
    }

    /// Whether the checkpoint holds a tensor here that is another than `other` (a full name), which it should be: then
    /// transformers does not tie them. What is the same counts as read.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn differs(&self, name: &str, other: &str) -> Result<bool, ModelError> {
        self.root.differs(&self.at(name).path, other)
    }

    /// Whether this tensor can be had: the checkpoint holds it, or it may be new.
    pub fn is_at_hand(&self, name: &str) -> bool {
        let may_be_new = self.root.may_be_new(&self.at(name).path, self.part);
        self.root.options.from_scratch || may_be_new || self.is_stored(name)
    }

    /// Whether the model is made without a head.
    pub fn is_headless(&self) -> bool {
        self.root.options.headless
    }

    /// Standard deviation of fresh matrices.
    pub fn initializer_range(&self) -> f64 {
        self.root.options.initializer_range
    }

    /// dtype of matrices and activations.
    pub fn compute_kind(&self) -> Kind {
        self.root.options.precision.kind()
    }

    fn parameter(&self, name: &str, shape: &[i64], init: Init, kind: Kind) -> Result<Weight, ModelError> {
        let name = self.at(name).path;
        let value = self.root.value(&name, shape, init, self.part)?;
        Ok(self.register(name, value, kind))
    }

    fn register(&self, name: String, value: Tensor, kind: Kind) -> Weight {
        self.push(name, value, kind, |param| param.leaf().into())
    }

    fn push<T>(&self, name: String, value: Tensor, kind: Kind, read: impl FnOnce(&mut Param) -> T) -> T {
        let source = self.root.source(&name);
        let saved_whole = self.root.options.adapter.as_ref().is_some_and(|plan| plan.saves_whole(&name));
        let head = self.part == Part::Head || saved_whole;
        let mut param = Param::with_source(name, self.depth, head, value, kind, source);
        let handle = read(&mut param);
        self.root.state.borrow_mut().params.push(param);
        handle
    }

    /// An embedding table [rows, size], of which training may keep only the rows in use.
    pub fn table(&self, name: &str, shape: [i64; 2], init: Init) -> Result<Table, ModelError> {
        let name = self.at(name).path;
        let value = self.root.value(&name, &shape, init, self.part)?;
        Ok(self.push(name, value, Kind::Float, Param::table))
    }

    /// A parameter that is always read in fp32: norms, embeddings.
    pub fn exact(&self, name: &str, shape: &[i64], init: Init) -> Result<Weight, ModelError> {
        self.parameter(name, shape, init, Kind::Float)
    }

    /// As [`Self::exact`]; a checkpoint that was made for something else may hold the first rows alone, and the others are new
    /// with the head.
    pub fn exact_grown(&self, name: &str, shape: [i64; 3], init: Init) -> Result<Weight, ModelError> {
        let full = self.at(name).path;
        match self.root.grown(&full, shape, init)? {
            Some(value) => Ok(self.register(full, value, Kind::Float)),
            None => self.exact(name, &shape, init),
        }
    }

    /// A parameter that is read in the compute precision.
    pub fn compute(&self, name: &str, shape: &[i64], init: Init) -> Result<Weight, ModelError> {
        self.parameter(name, shape, init, self.root.options.precision.kind())
    }

    /// A tensor that is stored with the model and never trained; `value` is the one of a model without a checkpoint.
    pub fn fixed(&self, name: &str, value: Tensor) -> Result<Weight, ModelError> {
        self.stored(name, value, false)
    }

    /// As [`Self::fixed`], of what is computed anew while other parts learn, so that it belongs to what was learned.
    pub fn renewed(&self, name: &str, value: Tensor) -> Result<Weight, ModelError> {
        self.stored(name, value, true)
    }

    fn stored(&self, name: &str, value: Tensor, running: bool) -> Result<Weight, ModelError> {
        let name = self.at(name).path;
        if let Some(given) = self.root.given(&name, &value.size())? {
            return Ok(self.keep(name, given, running));
        }
        let loaded = self.root.value(&name, &value.size(), Init::Constant(0.0), self.part)?;
        let is_fresh = self.root.state.borrow_mut().fresh.remove(&name);
        let tensor = if is_fresh { value } else { loaded };
        Ok(self.keep(name, tensor, running))
    }

    /// Statistics that training writes, all `init` in a model without a checkpoint.
    fn running(&self, name: &str, shape: &[i64], init: f64, kind: Kind) -> Result<Weight, ModelError> {
        let name = self.at(name).path;
        let tensor = self.root.value_of(&name, shape, Init::Constant(init), self.part, kind)?;
        self.root.state.borrow_mut().fresh.remove(&name);
        Ok(self.keep(name, tensor, true))
    }

    fn keep(&self, name: String, tensor: Tensor, running: bool) -> Weight {
        let head = self.part == Part::Head;
        let buffer = Buffer { name, tensor: tensor.shallow_clone(), head, running };
        self.root.state.borrow_mut().buffers.push(buffer);
        tensor.into()
    }

    /// `weight` [out, in] and `bias` \[out\], with an adapter inside if the plan targets this path.
    pub fn dense(&self, input: i64, output: i64) -> Result<Dense, ModelError> {
        self.dense_with(input, output, true)
    }

    /// Says that the rows of `weight` and `bias` here are the task's outputs, and fit only where the labels do.
    pub fn mark_outputs(&self) {
        let names = ["weight", "bias"].map(|part| self.at(part).path);
        self.root.state.borrow_mut().outputs.extend(names);
    }

    /// As [`Self::dense`]; its rows are the task's outputs.
    pub fn outputs(&self, input: i64, labels: i64) -> Result<Dense, ModelError> {
        self.outputs_with(input, labels, true)
    }

    /// As [`Self::outputs`], the bias optional.
    pub fn outputs_with(&self, input: i64, labels: i64, bias: bool) -> Result<Dense, ModelError> {
        self.mark_outputs();
        self.dense_with(input, labels, bias)
    }

    /// As [`Self::dense`], the bias optional.
    pub fn dense_with(&self, input: i64, output: i64, bias: bool) -> Result<Dense, ModelError> {
        self.dense_stored(input, output, bias, false)
    }

    /// As [`Self::dense_with`]; `transposed` where the weight is stored [in, out], as transformers' `Conv1D`.
    pub fn dense_stored(&self, input: i64, output: i64, bias: bool, transposed: bool) -> Result<Dense, ModelError> {
        let bias = bias.then_some(Init::Constant(0.0));
        self.dense_made((input, output), (Init::Normal(self.initializer_range()), bias), transposed)
    }

    /// As [`Self::dense`], with other fresh values of weight and bias.
    pub fn dense_from(&self, sizes: (i64, i64), weight: Init, bias: Init) -> Result<Dense, ModelError> {
        self.dense_made(sizes, (weight, Some(bias)), false)
    }

    fn dense_made(
        &self,
        (input, output): (i64, i64),
        (init, bias): (Init, Option<Init>),
        transposed: bool,
    ) -> Result<Dense, ModelError> {
        let shape = if transposed { [input, output] } else { [output, input] };
        let name = self.at("weight").path;
        let value = self.root.value(&name, &shape, init, self.part)?;
        let weight: Weight = self.push(name, value, self.compute_kind(), |param| {
            param.transposed = transposed;
            param.leaf().into()
        });
        let bias = bias.map(|init| self.compute("bias", &[output], init)).transpose()?;
        let dense = if transposed { Dense::transposed(weight, bias) } else { Dense::new(weight, bias) };
        // What has no pretrained value learns as a whole, as the head does.
        let whole = self.part == Part::Head || self.root.is_new(&self.at("weight").path);
        let module = self.root.module(&self.path);
        let update =
            self.low_rank(DenseLayer { path: self.path.clone(), module, whole, scores: None }, (input, output))?;
        Ok(match update {
            Some(update) => dense.with_beside(Box::new(update)),
            None => dense,
        })
    }

    /// The low-rank update of scores over a vocabulary, where an adapter names them; `tied` is the full name of the token table
    /// where that is their weight.
    pub fn beside_scores(&self, tied: Option<&str>, sizes: (i64, i64)) -> Result<Option<Lora>, ModelError> {
        let (module, scores) = (self.root.module(&self.path), Scores { tied: tied.map(str::to_owned) });
        let whole = self.part == Part::Head;
        self.low_rank(DenseLayer { path: self.path.clone(), module, whole, scores: Some(scores) }, sizes)
    }

    /// What the plan puts beside a layer, if it does.
    fn low_rank(&self, layer: DenseLayer, (input, output): (i64, i64)) -> Result<Option<Lora>, ModelError> {
        let options = &self.root.options;
        self.root.state.borrow_mut().dense.push(layer.clone());
        let update = options.adapter.as_ref().and_then(|plan| Some((plan, plan.layer(&layer)?)));
        let Some((plan, update)) = update else { return Ok(None) };
        let tensor = |part: &str, shape: [i64; 2], init: Init| {
            let name = self.at(part).path;
            let value = match plan.saved(&layer, part, &shape)? {
                Some(saved) => {
                    self.root.state.borrow_mut().report.loaded += 1;
                    saved.to_kind(Kind::Float).to_device(options.device)
                }
                None => self.root.fresh(&name, &shape, init),
            };
            Ok::<_, ModelError>(self.register(name, value, options.precision.kind()))
        };
        // PEFT: A is kaiming-uniform with a = √5, that is ±1/√in; B starts at zero.
        let a = tensor("lora_A.weight", [update.rank, input], Init::Uniform(1.0 / (input as f64).sqrt()))?;
        let b = tensor("lora_B.weight", [output, update.rank], Init::Constant(0.0))?;
        Ok(Some(Lora { a, b, scale: update.scale, dropout: plan.dropout }))
    }

    /// A vector that scales or shifts a norm's result.
    fn of_norm(&self, name: &str, size: i64, value: f64) -> Result<Tensor, ModelError> {
        let name = self.at(name).path;
        let value = self.root.value(&name, &[size], Init::Constant(value), self.part)?;
        Ok(self.push(name, value, Kind::Float, |param| {
            param.norm = true;
            param.leaf()
        }))
    }

    /// `weight` and `bias` \[size\] of a layer norm.
    pub fn layer_norm(&self, size: i64, epsilon: f64) -> Result<LayerNorm, ModelError> {
        self.layer_norm_with(size, epsilon, true)
    }

    /// As [`Self::layer_norm`], the bias optional.
    pub fn layer_norm_with(&self, size: i64, epsilon: f64, bias: bool) -> Result<LayerNorm, ModelError> {
        let weight = self.of_norm("weight", size, 1.0)?;
        let none = || Ok(Tensor::zeros([size], (Kind::Float, self.device())));
        let bias = if bias { self.of_norm("bias", size, 0.0) } else { none() }?;
        Ok(LayerNorm::new(weight, bias, epsilon))
    }

    /// A parameter \[size\] of a norm, in fp32; `fresh` is its value before training.
    pub fn norm_part(&self, name: &str, size: i64, fresh: f64) -> Result<Weight, ModelError> {
        Ok(self.of_norm(name, size, fresh)?.into())
    }

    /// `weight` and `bias` \[size\] of a batch norm, and its running statistics.
    pub fn batch_norm(&self, size: i64, epsilon: f64, momentum: f64) -> Result<BatchNorm, ModelError> {
        Ok(BatchNorm {
            weight: self.norm_part("weight", size, 1.0)?,
            bias: self.norm_part("bias", size, 0.0)?,
            mean: self.running("running_mean", &[size], 0.0, Kind::Float)?,
            variance: self.running("running_var", &[size], 1.0, Kind::Float)?,
            batches: self.running("num_batches_tracked", &[], 0.0, Kind::Int64)?,
            epsilon,
            momentum,
        })
    }
}
