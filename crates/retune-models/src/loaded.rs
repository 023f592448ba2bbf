//! A loaded model, saved as Hugging Face would.

use crate::adapter::{self, BaseModel, LoraPlan};
use crate::checkpoint::{Buffers, is_of_language, language_file, read_tensors, write_json, write_params, write_some};
use crate::{LoadReport, ModelConfig, ModelError, Network, Purpose, registry};
use retune_kernels::Params;
use std::path::Path;

/// A model with its parameters and what happened while it was loaded.
pub struct LoadedModel {
    /// The network.
    pub network: Network,
    /// Its parameters, all trainable at first.
    pub params: Params,
    /// What was loaded, new and unused.
    pub report: LoadReport,
    /// The configuration, labels of the task included.
    pub config: ModelConfig,
    /// The adapter inside, if any.
    pub adapter: Option<LoraPlan>,
    /// What the head is for; `None` for a base model alone.
    pub purpose: Option<&'static Purpose>,
    /// Tensors that are stored with the model and that no optimizer updates.
    pub buffers: Buffers,
    /// The language of its adapters, where a checkpoint has them for several.
    pub language: Option<String>,
}

impl LoadedModel {
    /// Writes `config.json` and `model.safetensors` (without adapters), or the adapter files if there is one, which name
    /// `base_model`. Adapters of a language are written to a file of their own, too, as transformers' examples do.
    pub fn save(&self, folder: &Path, base_model: impl Into<BaseModel>) -> Result<(), ModelError> {
        if let Some(plan) = &self.adapter {
            let names = registry::family(&self.config)?.names();
            let task_type = self.purpose.and_then(|purpose| purpose.peft);
            plan.save(folder, (&self.params, &self.buffers), &base_model.into(), task_type, names)?;
            // PEFT ignores it; it carries the label names, which an adapter alone would lose.
            return write_json(&folder.join("config.json"), self.config.as_map());
        }
        write_json(&folder.join("config.json"), self.config.as_map())?;
        if let Some(language) = &self.language {
            let none = Buffers::default();
            write_some(&folder.join(language_file(language)), &self.params, &none, is_of_language)?;
        }
        write_params(&folder.join("model.safetensors"), &self.params, &self.buffers)
    }

    /// Puts the weights of a folder written by [`Self::save`] into the parameters, and the statistics that training wrote
    /// where they were; what never changes stays as it is.
    pub fn restore(&mut self, folder: &Path) -> Result<(), ModelError> {
        let adapter = folder.join("adapter_model.safetensors");
        let path = if adapter.exists() { adapter } else { folder.join("model.safetensors") };
        let names = registry::family(&self.config)?.names();
        for (stored, tensor) in read_tensors(&path)? {
            let name = stored.strip_prefix(adapter::PREFIX).unwrap_or(&stored);
            if self.buffers.restore(names, name, &tensor)?.is_some() {
                continue;
            }
            let unknown = || ModelError::file(&path, format!("holds the unknown tensor `{name}`"));
            let param = names.find(&mut self.params, name).ok_or_else(unknown)?;
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
