//! What sentence-transformers writes beside a base model: which modules follow it. Files that its own code reads are
//! `modules.json`, `1_Pooling/config.json`, `sentence_bert_config.json` and `config_sentence_transformers.json`.

use super::{read_json, write_json};
use crate::{ModelError, SentencePooling};
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};

const MODULES: &str = "modules.json";
const SETTINGS: &str = "config_sentence_transformers.json";
const LENGTHS: &str = "sentence_bert_config.json";
const POOLING_FOLDER: &str = "1_Pooling";
/// In front of the poolings in its configuration.
const MODE: &str = "pooling_mode_";

/// What follows the base model.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SentenceModules {
    /// How tokens become a vector.
    pub pooling: SentencePooling,
    /// Whether vectors have length 1.
    pub normalize: bool,
    /// Tokens of a text at most, where it says so.
    pub max_length: Option<usize>,
    /// Whether texts are lower-cased before the tokenizer sees them.
    pub lower_case: bool,
}

impl SentenceModules {
    /// Of a folder; `None` where sentence-transformers has written nothing there.
    ///
    /// # Errors
    /// Files that cannot be read; modules, poolings or prompts that would be left out.
    pub fn of(folder: &Path) -> Result<Option<Self>, ModelError> {
        let path = folder.join(MODULES);
        if !path.is_file() {
            return Ok(None);
        }
        let mut modules = Self::default();
        let mut pooled = false;
        let listed = read_json(&path)?;
        let listed = listed.as_array().ok_or_else(|| ModelError::file(&path, "is not a list of modules"))?;
        for (place, module) in listed.iter().enumerate() {
            let kind = module["type"].as_str().unwrap_or_default();
            let inner = module["path"].as_str().unwrap_or_default();
            match (kind.rsplit('.').next().unwrap_or_default(), place) {
                ("Transformer", 0) if inner.is_empty() => (),
                ("Transformer", 0) => {
                    let problem = format!("its base model lies in `{inner}`; move its files beside {MODULES}");
                    return Err(ModelError::file(&path, problem));
                }
                ("Pooling", 1) => {
                    modules.pooling = pooling(&folder.join(inner).join("config.json"))?;
                    pooled = true;
                }
                ("Normalize", 2..) if !modules.normalize => modules.normalize = true,
                _ => {
                    let problem =
                        format!("module {place} is `{kind}`; known are a Transformer, then Pooling, then Normalize");
                    return Err(ModelError::file(&path, problem));
                }
            }
        }
        if !pooled {
            return Err(ModelError::file(&path, "has no module Pooling: it gives no vector of a text"));
        }
        let settings = optional(&folder.join(SETTINGS))?;
        if let Some(name) = settings.get("default_prompt_name").and_then(Value::as_str) {
            let prompt = settings.get("prompts").and_then(|prompts| prompts[name].as_str()).unwrap_or_default();
            if !prompt.is_empty() {
                let problem = format!(
                    "puts the prompt `{prompt}` before every text, which is not done here; set default_prompt_name to \
                     null and write it into the texts"
                );
                return Err(ModelError::file(folder.join(SETTINGS), problem));
            }
        }
        let lengths = optional(&folder.join(LENGTHS))?;
        modules.max_length = lengths.get("max_seq_length").and_then(Value::as_u64).map(|length| length as usize);
        modules.lower_case = lengths.get("do_lower_case").and_then(Value::as_bool).unwrap_or(false);
        Ok(Some(modules))
    }

    /// Writes them into a folder for a model of this width; returns what was written, a folder among it.
    ///
    /// # Errors
    /// A folder that cannot be written.
    pub fn write(&self, folder: &Path, width: i64) -> Result<Vec<PathBuf>, ModelError> {
        let module = |place: usize, path: &str, kind: &str| {
            let name = place.to_string();
            json!({"idx": place, "name": name, "path": path, "type": format!("sentence_transformers.models.{kind}")})
        };
        let mut listed = vec![module(0, "", "Transformer"), module(1, POOLING_FOLDER, "Pooling")];
        if self.normalize {
            listed.push(module(2, "2_Normalize", "Normalize"));
        }
        let mut pooling = Map::from_iter([("word_embedding_dimension".to_owned(), json!(width))]);
        for (mode, of) in MODES {
            pooling.insert(format!("{MODE}{mode}"), json!(of == Some(self.pooling)));
        }
        pooling.insert("include_prompt".to_owned(), json!(true));
        let settings = json!({"prompts": {}, "default_prompt_name": null, "similarity_fn_name": "cosine"});
        let lengths = json!({"max_seq_length": self.max_length, "do_lower_case": self.lower_case});
        let below = folder.join(POOLING_FOLDER);
        std::fs::create_dir_all(&below).map_err(ModelError::io(&below))?;
        write_json(&below.join("config.json"), &pooling)?;
        let files = [(MODULES, Value::Array(listed)), (SETTINGS, settings), (LENGTHS, lengths)];
        for (name, value) in &files {
            write_json(&folder.join(name), value)?;
        }
        Ok(files.iter().map(|(name, _)| folder.join(name)).chain([below]).collect())
    }
}

/// The poolings that sentence-transformers knows, and those that are known here.
const MODES: [(&str, Option<SentencePooling>); 6] = [
    ("cls_token", Some(SentencePooling::Cls)),
    ("mean_tokens", Some(SentencePooling::Mean)),
    ("max_tokens", Some(SentencePooling::Max)),
    ("mean_sqrt_len_tokens", None),
    ("weightedmean_tokens", None),
    ("lasttoken", None),
];

fn pooling(path: &Path) -> Result<SentencePooling, ModelError> {
    let config = read_json(path)?;
    let fields = config.as_object().ok_or_else(|| ModelError::file(path, "is not a JSON object"))?;
    // Newer versions may name it in one field.
    if let Some(mode) = fields.get("pooling_mode").and_then(Value::as_str) {
        return mode.parse().map_err(|problem| ModelError::file(path, format!("pooling_mode: {problem}")));
    }
    let on = |(name, value): (&String, &Value)| {
        let mode = name.strip_prefix(MODE)?;
        value.as_bool().filter(|on| *on).map(|_| mode.to_owned())
    };
    let modes: Vec<String> = fields.iter().filter_map(on).collect();
    let known = |mode: &str| MODES.iter().find(|(name, _)| *name == mode).and_then(|(_, pooling)| *pooling);
    match modes.as_slice() {
        [one] => known(one).ok_or_else(|| {
            ModelError::file(path, format!("pools by {MODE}{one}; known are cls_token, mean_tokens and max_tokens"))
        }),
        // As the class has it where nothing is said.
        [] if !fields.keys().any(|name| name.starts_with(MODE)) => Ok(SentencePooling::Mean),
        [] => Err(ModelError::file(path, "switches every pooling off")),
        several => {
            let problem =
                format!("pools in {} ways at once ({}); one is known here", several.len(), several.join(", "));
            Err(ModelError::file(path, problem))
        }
    }
}

fn optional(path: &Path) -> Result<Map<String, Value>, ModelError> {
    if !path.is_file() {
        return Ok(Map::new());
    }
    match read_json(path)? {
        Value::Object(map) => Ok(map),
        _ => Err(ModelError::file(path, "is not a JSON object")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_what_is_not_known_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(SentenceModules::of(folder.path()).unwrap(), None);
        for pooling in [SentencePooling::Mean, SentencePooling::Cls, SentencePooling::Max] {
            for normalize in [true, false] {
                let modules = SentenceModules { pooling, normalize, max_length: Some(77), lower_case: false };
                let written = modules.write(folder.path(), 8).unwrap();
                assert!(written.iter().all(|path| path.exists()) && written.len() == 4);
                assert_eq!(SentenceModules::of(folder.path()).unwrap(), Some(modules));
            }
        }
        let refused = |file: &str, value: Value, part: &str| {
            let path = folder.path().join(file);
            let before = std::fs::read(&path).unwrap();
            write_json(&path, &value).unwrap();
            let said = SentenceModules::of(folder.path()).unwrap_err().to_string();
            assert!(said.contains(part), "{said}");
            std::fs::write(path, before).unwrap();
        };
        let pooling = "1_Pooling/config.json";
        refused(pooling, json!({"pooling_mode_lasttoken": true}), "lasttoken");
        refused(pooling, json!({"pooling_mode_cls_token": true, "pooling_mode_max_tokens": true}), "2 ways");
        refused(pooling, json!({"pooling_mode_cls_token": false}), "every pooling off");
        let module =
            |kind: &str, path: &str| json!({"type": format!("sentence_transformers.models.{kind}"), "path": path});
        refused(MODULES, json!([module("Transformer", "0_Transformer")]), "0_Transformer");
        refused(MODULES, json!([module("Transformer", "")]), "no module Pooling");
        let dense = json!([module("Transformer", ""), module("Pooling", "1_Pooling"), module("Dense", "2_Dense")]);
        refused(MODULES, dense, "models.Dense");
        refused(SETTINGS, json!({"default_prompt_name": "query", "prompts": {"query": "query: "}}), "`query: `");
    }
}
