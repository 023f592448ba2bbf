//! The trainable side of a model: named tensors that methods filter and the optimizer updates.

use crate::{KernelError, shim};
use tch::{Kind, Tensor, no_grad};

/// One named parameter.
///
/// The forward pass reads `leaf`. Where that is bf16, the exact value lives in an fp32 master that the optimizer
/// updates, and `leaf` is its rounded copy.
#[derive(Debug)]
pub struct Param {
    /// The name in the checkpoint, as in Hugging Face.
    pub name: String,
    /// Position from input to output: 0 embeddings, 1..=L blocks, above that the head.
    pub depth: usize,
    /// Whether the head owns it (new for the task), whatever the depth.
    pub head: bool,
    leaf: Tensor,
    master: Option<Tensor>,
}

impl Param {
    /// `value` is the exact fp32 value; the forward pass will read it as `kind`.
    pub fn new(name: String, depth: usize, head: bool, value: Tensor, kind: Kind) -> Self {
        let (leaf, master) = if value.kind() == kind {
            (value, None)
        } else {
            (value.to_kind(kind).set_requires_grad(false), Some(value))
        };
        let leaf = leaf.set_requires_grad(true);
        Self { name, depth, head, leaf, master }
    }

    /// What the forward pass reads; shares storage with the parameter.
    pub fn leaf(&self) -> Tensor {
        self.leaf.shallow_clone()
    }

    /// The exact fp32 value; shares storage with the parameter.
    pub fn value(&self) -> Tensor {
        self.master.as_ref().unwrap_or(&self.leaf).detach()
    }

    /// Overwrites the value (and its rounded copy).
    pub fn set(&mut self, value: &Tensor) -> Result<(), KernelError> {
        no_grad(|| {
            if let Some(master) = &mut self.master {
                master.f_copy_(value)?;
            }
            self.leaf.f_copy_(value)?;
            Ok(())
        })
    }

    /// Whether the optimizer updates it.
    pub fn is_trainable(&self) -> bool {
        self.leaf.requires_grad()
    }

    /// Freezes or thaws.
    pub fn set_trainable(&mut self, trainable: bool) {
        self.leaf = self.leaf.set_requires_grad(trainable);
    }

    /// The gradient of the last backward passes, if any reached it.
    pub fn gradient(&self) -> Option<Tensor> {
        let gradient = self.leaf.grad();
        gradient.defined().then_some(gradient)
    }

    pub(crate) fn clear_gradient(&self) -> Result<(), KernelError> {
        shim::clear_gradient(&self.leaf)
    }

    pub(crate) fn master(&self) -> &Tensor {
        self.master.as_ref().unwrap_or(&self.leaf)
    }

    pub(crate) fn copy(&self) -> Option<&Tensor> {
        self.master.as_ref().map(|_| &self.leaf)
    }

    /// Weight decay spares biases and norms, as Hugging Face's Trainer does: by name, not by rank, because an
    /// embedding norm and a class token are told apart only so.
    pub fn decays(&self) -> bool {
        let name = self.name.to_ascii_lowercase();
        !(name.ends_with(".bias")
            || name == "bias"
            || name.split('.').any(|part| part.contains("layernorm") || part.contains("layer_norm") || part == "norm"))
    }

    /// Number of scalars.
    pub fn count(&self) -> usize {
        self.leaf.numel()
    }
}

/// All parameters of a model, in the order its layers were made.
#[derive(Debug, Default)]
pub struct Params(Vec<Param>);

impl Params {
    /// Adds one.
    pub fn push(&mut self, param: Param) {
        self.0.push(param);
    }

    /// In order.
    pub fn iter(&self) -> impl Iterator<Item = &Param> {
        self.0.iter()
    }

    /// In order.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Param> {
        self.0.iter_mut()
    }

    /// Those that the optimizer updates.
    pub fn trainable(&self) -> impl Iterator<Item = &Param> {
        self.0.iter().filter(|p| p.is_trainable())
    }

    /// By full name.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut Param> {
        self.0.iter_mut().find(|p| p.name == name)
    }

    /// Scalars in all / in the trainable ones.
    pub fn counts(&self) -> (usize, usize) {
        (self.iter().map(Param::count).sum(), self.trainable().map(Param::count).sum())
    }

    /// The lowest depth that has a trainable parameter: nothing below it needs a graph.
    pub fn lowest_trainable_depth(&self) -> usize {
        self.trainable().map(|p| p.depth).min().unwrap_or(usize::MAX)
    }
}
