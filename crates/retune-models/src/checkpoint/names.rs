//! How the tensors of a family are called in files.

use retune_kernels::{Param, Params};

/// How the tensors of a family are called.
#[derive(Debug, Clone, Copy)]
pub struct TensorNames {
    /// Attribute of the base model in Hugging Face's class, such as `bert`: base checkpoints are stored without it. Empty
    /// where the parts of the base model are attributes themselves.
    pub base: &'static str,
    /// Parts of names that some files spell in another way: ours, theirs.
    pub spellings: &'static [(&'static str, &'static str)],
    /// How the names of tensors end that follow from the configuration and are not read.
    pub buffers: &'static [&'static str],
    /// How transformers 5 calls modules whose tensors it still stores under the older names, as adapters meet them: parts of
    /// paths, ours and theirs, replaced one after another. Nothing: what is one layer here is several there.
    pub modules: &'static [(&'static str, &'static str)],
    /// Dense layers that LoRA adapts when nothing is said; else why that must be said.
    pub lora: Result<&'static [&'static str], &'static str>,
}

impl TensorNames {
    /// What stands in front of the names of the base model.
    pub fn base_prefix(&self) -> String {
        if self.base.is_empty() { String::new() } else { format!("{}.", self.base) }
    }

    /// What transformers 5 calls the module (or a tensor of the module) at a path; `None` where it has several in its place.
    pub fn module(&self, path: &str) -> Option<String> {
        let mut path = path.to_owned();
        for (ours, theirs) in self.modules.iter().filter(|(ours, _)| !ours.is_empty()) {
            if theirs.is_empty() && path.contains(ours) {
                return None;
            }
            path = path.replace(ours, theirs);
        }
        Some(path)
    }

    /// The parameter of this name, ours or that of [`Self::module`].
    pub fn find<'a>(&self, params: &'a mut Params, name: &str) -> Option<&'a mut Param> {
        let is =
            |param: &&mut Param| param.name == name || self.module(&param.name).is_some_and(|module| module == name);
        params.iter_mut().find(is)
    }
}
