//! Named tensors with Hugging Face's names: what a model takes and what it returns.

use crate::ModelError;
use retune_kernels::tch::Tensor;
use std::collections::BTreeMap;

const HIDDEN_STATES: &str = "hidden_states.";

/// Inputs such as `input_ids`, `attention_mask`, `pixel_values`; outputs such as `logits`, `start_logits`, `pooler_output`, and
/// `last_hidden_state` where [`crate::Mode::hidden_states`] asks for it.
#[derive(Debug, Default)]
pub struct Tensors(BTreeMap<String, Tensor>);

impl Tensors {
    /// Adds or replaces one.
    pub fn insert(&mut self, name: &str, tensor: Tensor) {
        self.0.insert(name.to_owned(), tensor);
    }

    /// One that cannot be done without.
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

impl Extend<(String, Tensor)> for Tensors {
    fn extend<I: IntoIterator<Item = (String, Tensor)>>(&mut self, items: I) {
        self.0.extend(items);
    }
}

impl<const N: usize> From<[(&str, Tensor); N]> for Tensors {
    fn from(items: [(&str, Tensor); N]) -> Self {
        items.into_iter().map(|(name, tensor)| (name.to_owned(), tensor)).collect()
    }
}

impl FromIterator<(String, Tensor)> for Tensors {
    fn from_iter<I: IntoIterator<Item = (String, Tensor)>>(items: I) -> Self {
        Self(items.into_iter().collect())
    }
}
