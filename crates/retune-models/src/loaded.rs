//! A loaded model, saved as Hugging Face would.

use crate::adapter::{self, AdapterPlan, BaseModel};
use crate::checkpoint::{read_tensors, write_json, write_tensors};
use crate::{LoadReport, ModelConfig, ModelError, Network, Purpose};
use retune_kernels::Params;
use retune_kernels::tch::Tensor;
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
    pub adapter: Option<AdapterPlan>,
    /// What the head is for; `None` for a base model alone.
    pub purpose: Option<&'static Purpose>,
    /// Tensors that are stored with the model and never trained.
    pub(crate) buffers: Vec<(String, Tensor)>,
}

impl LoadedModel {
    /// Writes `config.json` and `model.safetensors` (without adapters), or the adapter files if there is one, which name
    /// `base_model`.
    pub fn save(&self, folder: &Path, base_model: impl Into<BaseModel>) -> Result<(), ModelError> {
        if let Some(plan) = &self.adapter {
            plan.save(folder, &self.params, &base_model.into(), self.purpose.and_then(|purpose| purpose.peft))?;
            // PEFT ignores it; it carries the label names, which an adapter alone would lose.
            return write_json(&folder.join("config.json"), self.config.as_map());
        }
        write_json(&folder.join("config.json"), self.config.as_map())?;
        let params = self.params.iter().map(|p| (p.name.clone(), p.value()));
        let buffers = self.buffers.iter().map(|(name, tensor)| (name.clone(), tensor.shallow_clone()));
        write_tensors(&folder.join("model.safetensors"), &params.chain(buffers).collect::<Vec<_>>())
    }

    /// Puts the weights of a folder written by [`Self::save`] into the parameters; what never trains stays as it is.
    pub fn restore(&mut self, folder: &Path) -> Result<(), ModelError> {
        let adapter = folder.join("adapter_model.safetensors");
        let path = if adapter.exists() { adapter } else { folder.join("model.safetensors") };
        for (stored, tensor) in read_tensors(&path)? {
            let name = stored.strip_prefix(adapter::PREFIX).unwrap_or(&stored);
            if self.buffers.iter().any(|(buffer, _)| buffer == name) {
                continue;
            }
            let unknown = || ModelError::file(&path, format!("holds the unknown tensor `{name}`"));
            let param = self.params.get_mut(name).ok_or_else(unknown)?;
            let value = param.value();
            if value.size() != tensor.size() {
                let (name, found, expected) = (name.to_owned(), tensor.size(), value.size());
                return Err(ModelError::Shape { name, found, expected });
            }
            param.set(&tensor.to_device(value.device()))?;
        }
        Ok(())
    }

    /// Class names by index.
    pub fn labels(&self) -> Vec<String> {
        self.config.labels().unwrap_or_else(|| (0..self.config.label_count()).map(|i| format!("LABEL_{i}")).collect())
    }
}
