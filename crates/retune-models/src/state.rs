//! What stands between two blocks of a body, and the same as named tensors that can be kept.

use crate::Tensors;
use retune_kernels::tch::Tensor;

/// Among what a block returned, the name of the hidden states.
pub(crate) const HIDDEN: &str = "hidden";
/// In front of the names of [`State::beside`].
const BESIDE: &str = "beside.";
const MASK: &str = "attention_mask";

/// Hidden states and what later blocks or the head need beside them. B batch, T tokens, D hidden size.
///
/// A decoder over an encoder has the encoder's result and its mask beside; its blocks are numbered on from the encoder's.
#[derive(Debug)]
pub struct State {
    /// [B, T, D], of feature maps [B, h, w, C].
    pub hidden: Tensor,
    /// Hugging Face's `attention_mask` [B, T], as long as it is of these T tokens.
    pub mask: Option<Tensor>,
    /// What else a body needs, each [B, ..].
    pub beside: Tensors,
}

impl State {
    /// Hidden states alone.
    pub fn new(hidden: Tensor) -> Self {
        Self { hidden, mask: None, beside: Tensors::default() }
    }

    /// The same with what a block returned: its hidden states, and what else has a name.
    pub(crate) fn with(mut self, outputs: &Tensors) -> Self {
        for (name, tensor) in outputs.iter() {
            match name {
                HIDDEN => self.hidden = tensor.shallow_clone(),
                _ => self.beside.insert(name, tensor.shallow_clone()),
            }
        }
        self
    }

    /// The same without what is beside under names that begin so.
    pub(crate) fn without(mut self, prefix: &str) -> Self {
        let kept = self.beside.iter().filter(|(name, _)| !name.starts_with(prefix));
        self.beside = kept.map(|(name, it)| (name.to_owned(), it.shallow_clone())).collect();
        self
    }

    /// As inputs that stand for all blocks below `depth`.
    pub(crate) fn into_tensors(self, depth: usize) -> Tensors {
        let beside = self.beside.iter().map(|(name, tensor)| (format!("{BESIDE}{name}"), tensor.shallow_clone()));
        let mut tensors: Tensors = beside.collect();
        tensors.extend(self.mask.map(|mask| (MASK.to_owned(), mask)));
        tensors.insert(&Tensors::hidden_states_name(depth), self.hidden);
        tensors
    }

    /// The state that inputs hold, and the depth of the block to go on with.
    pub(crate) fn of(inputs: &Tensors) -> Option<(usize, Self)> {
        let (depth, hidden) = inputs.hidden_states()?;
        let mask = inputs.optional(MASK).map(Tensor::shallow_clone);
        let beside = |(name, it): (&str, &Tensor)| Some((name.strip_prefix(BESIDE)?.to_owned(), it.shallow_clone()));
        let beside = inputs.iter().filter_map(beside).collect();
        Some((depth, Self { hidden: hidden.shallow_clone(), mask, beside }))
    }
}
