//! A configuration as Hugging Face's class reads it: what config.json leaves out is what the class of its family assumes.

use crate::checkpoint::{CheckpointFolder, read_json};
use crate::{ModelConfig, ModelError, registry};
use serde_json::Value;
use std::path::Path;

/// Fields of which a stated null says that there is no such thing, whatever the class assumes where nothing is said: Mistral without a
/// window, Gemma 2 without bounds on its scores, keys for each head. Of others a null is what the class assumes.
const MAY_BE_NONE: [&str; 4] =
    ["attn_logit_softcapping", "final_logit_softcapping", "num_key_value_heads", "sliding_window"];

/// Fields with the labels: where one of them is stated, nothing is assumed of the others.
const LABELS: [&str; 3] = ["id2label", "label2id", "num_labels"];

impl ModelConfig {
    /// Wraps a parsed `config.json`; what it leaves out gets the value of Hugging Face's class.
    pub fn new(value: Value) -> Result<Self, ModelError> {
        let mut config = Self::as_written(value)?;
        let labelled = LABELS.iter().any(|field| config.get(field).is_some());
        for (field, default) in registry::class_defaults(&config) {
            let none = MAY_BE_NONE.contains(&field) && config.as_map().contains_key(field);
            if config.get(field).is_none() && !none && !(labelled && LABELS.contains(&field)) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn labels_of_a_class_are_as_many_as_it_says() {
        let count = |value: Value| ModelConfig::new(value).unwrap().label_count();
        assert_eq!(count(json!({"model_type": "bart"})), 3);
        assert_eq!(count(json!({"model_type": "bart", "num_labels": 5})), 5);
        assert_eq!(count(json!({"model_type": "bart", "id2label": {"0": "no", "1": "yes"}})), 2);
        assert_eq!(count(json!({"model_type": "mbart"})), 2);
    }

    #[test]
    fn a_stated_null_is_no_window_and_no_bound() {
        let fields =
            [("mistral", "sliding_window"), ("mistral", "num_key_value_heads"), ("gemma2", "final_logit_softcapping")];
        for (model_type, field) in fields {
            let assumed = ModelConfig::new(json!({"model_type": model_type})).unwrap();
            assert!(assumed.number(field).unwrap() > 0.0);
            let none = ModelConfig::new(json!({"model_type": model_type, field: null})).unwrap();
            assert!(none.get(field).is_none());
        }
        let other = ModelConfig::new(json!({"model_type": "mistral", "rms_norm_eps": null})).unwrap();
        assert!(other.number("rms_norm_eps").unwrap() > 0.0);
    }
}
