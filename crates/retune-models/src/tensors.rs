//! Named tensors with Hugging Face's names: what a model takes and what it returns.

use crate::ModelError;
use retune_kernels::tch::Tensor;
use std::cell::Cell;
use std::collections::BTreeMap;

const HIDDEN_STATES: &str = "hidden_states.";

/// Inputs such as `input_ids`, `attention_mask`, `pixel_values`; outputs such as `logits`, `start_logits`, `pooler_output`, and
/// `last_hidden_state` where [`crate::Mode::hidden_states`] asks for it.
#[derive(Debug, Default)]
pub struct Tensors(BTreeMap<String, Named>);

#[derive(Debug)]
struct Named {
    tensor: Tensor,
    /// Whether somebody asked for it.
    read: Cell<bool>,
}

impl From<Tensor> for Named {
    fn from(tensor: Tensor) -> Self {
        Self { tensor, read: Cell::new(false) }
    }
}

impl Tensors {
    /// Adds or replaces one.
    pub fn insert(&mut self, name: &str, tensor: Tensor) {
        self.0.insert(name.to_owned(), tensor.into());
    }

    /// One that cannot be done without.
    pub fn get(&self, name: &str) -> Result<&Tensor, ModelError> {
        self.optional(name).ok_or_else(|| ModelError::Input {
            name: name.to_owned(),
            present: self.0.keys().cloned().collect::<Vec<_>>().join(", "),
        })
    }

    /// One that may be absent.
    pub fn optional(&self, name: &str) -> Option<&Tensor> {
        let named = self.0.get(name)?;
        named.read.set(true);
        Some(&named.tensor)
    }

    /// The names of those that nobody has asked for.
    pub fn unread(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter(|(_, named)| !named.read.get()).map(|(name, _)| name.as_str())
    }

    /// The name of what the blocks below `depth` return, given as an input in place of theirs.
    pub fn hidden_states_name(depth: usize) -> String {
        format!("{HIDDEN_STATES}{depth}")
    }

    /// What the blocks below a depth returned, and that depth, where it is given.
    pub fn hidden_states(&self) -> Option<(usize, &Tensor)> {
        let depth = |name: &str| name.strip_prefix(HIDDEN_STATES)?.parse().ok();
        let (name, depth) = self.0.keys().find_map(|name| Some((name, depth(name)?)))?;
        Some((depth, self.optional(name)?))
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.0.iter().map(|(name, named)| (name.as_str(), &named.tensor))
    }
}

impl Extend<(String, Tensor)> for Tensors {
    fn extend<I: IntoIterator<Item = (String, Tensor)>>(&mut self, items: I) {
        self.0.extend(items.into_iter().map(|(name, tensor)| (name, tensor.into())));
    }
}

impl<const N: usize> From<[(&str, Tensor); N]> for Tensors {
    fn from(items: [(&str, Tensor); N]) -> Self {
        items.into_iter().map(|(name, tensor)| (name.to_owned(), tensor)).collect()
    }
}

impl FromIterator<(String, Tensor)> for Tensors {
    fn from_iter<I: IntoIterator<Item = (String, Tensor)>>(items: I) -> Self {
        Self(items.into_iter().map(|(name, tensor)| (name, tensor.into())).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_asks_for_is_known() {
        let tensors = Tensors::from(["a", "b", "hidden_states.3"].map(|name| (name, Tensor::from(1.0))));
        assert_eq!(tensors.iter().count(), 3);
        assert_eq!(tensors.unread().collect::<Vec<_>>(), ["a", "b", "hidden_states.3"]);
        assert!(tensors.get("a").is_ok() && tensors.optional("c").is_none());
        assert_eq!(tensors.hidden_states().unwrap().0, 3);
        assert_eq!(tensors.unread().collect::<Vec<_>>(), ["b"]);
    }
}
