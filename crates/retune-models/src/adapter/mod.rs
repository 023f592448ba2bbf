//! Adapters in PEFT's format: `adapter_config.json` and `adapter_model.safetensors`, head included. Each method is a file here.

mod fields;
mod lora;
mod merge;
mod saved_modules;
mod targets;

pub use lora::LoraPlan;

use crate::ModelError;
use crate::checkpoint::read_json;
use serde_json::Value;
use std::fmt;
use std::path::Path;

/// What PEFT puts in front of the names of a model's tensors.
pub(crate) const PREFIX: &str = "base_model.model.";

/// The model that an adapter is for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BaseModel {
    /// A folder or a hub id.
    pub name: String,
    /// Commit, branch or tag of a hub id.
    pub revision: Option<String>,
}

impl BaseModel {
    /// The base model that an adapter folder names, if it names one.
    ///
    /// # Errors
    /// An `adapter_config.json` that cannot be read.
    pub fn of_adapter(folder: &Path) -> Result<Option<Self>, ModelError> {
        let config = read_json(&folder.join("adapter_config.json"))?;
        let text = |field: &str| config.get(field).and_then(Value::as_str).map(str::to_owned);
        Ok(text("base_model_name_or_path").map(|name| Self { name, revision: text("revision") }))
    }
}

impl From<&str> for BaseModel {
    fn from(name: &str) -> Self {
        Self { name: name.to_owned(), revision: None }
    }
}

impl From<&BaseModel> for BaseModel {
    fn from(it: &BaseModel) -> Self {
        it.clone()
    }
}

impl fmt::Display for BaseModel {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.name)?;
        self.revision.iter().try_for_each(|revision| write!(formatter, "@{revision}"))
    }
}

/// A dense layer of a model, as adapters see it.
#[derive(Debug, Clone)]
pub(crate) struct DenseLayer {
    /// Its path.
    pub(crate) path: String,
    /// Its path as PEFT meets it in transformers 5; `None` where several layers stand there in its place.
    pub(crate) module: Option<String>,
    /// Whether it learns as a whole, because it is the head's or has no pretrained values: nothing may stand beside it.
    pub(crate) whole: bool,
    /// Of the scores over a vocabulary, which are adapted only where they are named.
    pub(crate) scores: Option<Scores>,
}

/// What is particular about scores over a vocabulary.
#[derive(Debug, Clone)]
pub(crate) struct Scores {
    /// The full name of the token table, where that is their weight.
    pub(crate) tied: Option<String>,
}

impl DenseLayer {
    /// All names of the layer.
    fn paths(&self) -> impl Iterator<Item = &str> {
        [Some(&self.path), self.module.as_ref()].into_iter().flatten().map(String::as_str)
    }

    /// Why nothing new may stand beside it, if so.
    fn obstacle(&self) -> Option<&'static str> {
        match (self.whole, &self.module) {
            (true, _) => Some("learns as a whole, being new or the head's"),
            (false, None) => Some("is several layers in transformers, where PEFT would not find it"),
            (false, Some(_)) => None,
        }
    }
}
