//! A configuration as Hugging Face's class reads it: what config.json leaves out is what the class of its family assumes.

use crate::checkpoint::{CheckpointFolder, read_json};
use crate::{ModelConfig, ModelError, registry};
use serde_json::Value;
use std::path::Path;

impl ModelConfig {
    /// Wraps a parsed `config.json`; what it leaves out gets the value of Hugging Face's class.
    pub fn new(value: Value) -> Result<Self, ModelError> {
        let mut config = Self::as_written(value)?;
        for (field, default) in registry::class_defaults(&config) {
            if config.get(field).is_none() {
                config.set(field, default);
            }
        }
        Ok(config)
    }
}

impl CheckpointFolder {
    /// Reads `config.json` of a folder.
    pub fn config(folder: &Path) -> Result<ModelConfig, ModelError> {
        let path = folder.join("config.json");
        if !path.is_file() {
            return Err(ModelError::file(
                folder,
                "no config.json here; give a folder in Hugging Face's format or a hub id such as org/name",
            ));
        }
        ModelConfig::new(read_json(&path)?)
    }
}
