//! A checkpoint folder as Hugging Face writes it: `config.json` with one or several safetensors files.

use super::SafetensorsFile;
use crate::ModelError;
use retune_kernels::tch::Tensor;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Reads a JSON file.
pub fn read_json(path: &Path) -> Result<serde_json::Value, ModelError> {
    let text = std::fs::read_to_string(path).map_err(ModelError::io(path))?;
    serde_json::from_str(&text).map_err(|e| ModelError::file(path, format!("not valid JSON: {e}")))
}

/// Where each tensor of a checkpoint lies.
#[derive(Debug)]
pub struct CheckpointFolder {
    path: PathBuf,
    files: Vec<SafetensorsFile>,
    tensors: BTreeMap<String, (usize, Vec<i64>)>,
}

impl CheckpointFolder {
    /// Opens the weights: `model.safetensors`, or the shards named by `model.safetensors.index.json`.
    pub fn open(folder: &Path) -> Result<Self, ModelError> {
        let mut names = BTreeSet::new();
        let index = folder.join("model.safetensors.index.json");
        if folder.join("model.safetensors").exists() {
            names.insert("model.safetensors".to_owned());
        } else if index.is_file() {
            let value = read_json(&index)?;
            let map = value["weight_map"].as_object();
            let map = map.ok_or_else(|| ModelError::file(&index, "has no `weight_map` object"))?;
            names.extend(map.values().filter_map(|file| file.as_str().map(str::to_owned)));
            if let Some(bad) = names.iter().find(|name| name.contains(['/', '\\'])) {
                return Err(ModelError::file(&index, format!("names a shard outside its folder: `{bad}`")));
            }
        } else if let Some(pickle) = pickle_file(folder) {
            let class = class(folder);
            let problem = format!(
                "pickle weights can run any code when they are opened, so they are refused; convert them once with \
                 transformers: {class}.from_pretrained(DIR).save_pretrained(DIR, safe_serialization=True)"
            );
            return Err(ModelError::file(folder.join(pickle), problem));
        } else {
            return Err(ModelError::file(folder, "no model.safetensors and no model.safetensors.index.json here"));
        }
        let mut checkpoint = Self { path: folder.to_owned(), files: Vec::new(), tensors: BTreeMap::new() };
        let missing: Vec<&str> = names.iter().map(String::as_str).filter(|name| !folder.join(name).is_file()).collect();
        if !missing.is_empty() {
            let problem = format!(
                "names files that are not there: {}; fetch them, or download the model again",
                missing.join(", ")
            );
            return Err(ModelError::file(&index, problem));
        }
        for name in names {
            let file = SafetensorsFile::open(&folder.join(name))?;
            let index = checkpoint.files.len();
            checkpoint.tensors.extend(file.shapes().into_iter().map(|(name, shape)| (name, (index, shape))));
            checkpoint.files.push(file);
        }
        Ok(checkpoint)
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All tensor names, as they stand in the files.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// Shape of a tensor.
    pub fn shape(&self, name: &str) -> Option<&[i64]> {
        self.tensors.get(name).map(|(_, shape)| shape.as_slice())
    }

    /// Reads one tensor in its own dtype.
    pub fn read(&self, name: &str) -> Result<Tensor, ModelError> {
        let (file, _) =
            self.tensors.get(name).ok_or_else(|| ModelError::file(&self.path, format!("holds no tensor `{name}`")))?;
        self.files[*file].read(name)
    }
}

/// The class that reads all of a checkpoint: another one would drop its head.
fn class(folder: &Path) -> String {
    let config = read_json(&folder.join("config.json")).unwrap_or_default();
    config["architectures"][0].as_str().unwrap_or("AutoModel").to_owned()
}

fn pickle_file(folder: &Path) -> Option<String> {
    let names = std::fs::read_dir(folder).ok()?.flatten().map(|e| e.file_name().to_string_lossy().into_owned());
    names.filter(|n| n.ends_with(".bin") || n.ends_with(".pt") || n.ends_with(".pth") || n.ends_with(".ckpt")).min()
}
