//! Named tensors with Hugging Face's names, as a model takes them and as it returns more than one.

use crate::ModelError;
use retune_kernels::tch::Tensor;
use std::collections::BTreeMap;

const HIDDEN_STATES: &str = "hidden_states.";

/// `input_ids`, `attention_mask`, `pixel_values`, `labels`, …
#[derive(Debug, Default)]
pub struct Inputs(BTreeMap<String, Tensor>);

impl Inputs {
    /// Adds or replaces one.
    pub fn insert(&mut self, name: &str, tensor: Tensor) {
        self.0.insert(name.to_owned(), tensor);
    }

    /// One that the model cannot do without.
    pub fn get(&self, name: &str) -> Result<&Tensor, ModelError> {
        self.0.get(name).ok_or_else(|| ModelError::Input {
            name: name.to_owned(),
            present: self.0.keys().cloned().collect::<Vec<_>>().join(", "),
        })
    }

    /// One that may be absent.
    pub fn optional(&self, name: &str) -> Option<&Tensor> {
        self.0.get(name)
    }

    /// The name of what the blocks below `depth` return, given as an input in place of theirs.
    pub fn hidden_states_name(depth: usize) -> String {
        format!("{HIDDEN_STATES}{depth}")
    }

    /// What the blocks below a depth returned, and that depth, where it is given.
    pub fn hidden_states(&self) -> Option<(usize, &Tensor)> {
        self.iter().find_map(|(name, tensor)| Some((name.strip_prefix(HIDDEN_STATES)?.parse().ok()?, tensor)))
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.0.iter().map(|(name, tensor)| (name.as_str(), tensor))
    }
}

impl FromIterator<(String, Tensor)> for Inputs {
    fn from_iter<I: IntoIterator<Item = (String, Tensor)>>(items: I) -> Self {
        Self(items.into_iter().collect())
    }
}
