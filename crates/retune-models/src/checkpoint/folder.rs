//! A checkpoint folder as Hugging Face writes it: `config.json` with one or several safetensors files.

use super::SafetensorsFile;
use crate::ModelError;
use retune_kernels::Source;
use retune_kernels::tch::Tensor;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Reads a JSON file.
pub fn read_json(path: &Path) -> Result<serde_json::Value, ModelError> {
    let text = std::fs::read_to_string(path).map_err(ModelError::io(path))?;
    serde_json::from_str(&text).map_err(|e| ModelError::file(path, format!("not valid JSON: {e}")))
}

/// Where each tensor of a checkpoint lies.
#[derive(Debug)]
pub struct CheckpointFolder {
    pub(super) path: PathBuf,
    pub(super) files: Vec<Arc<SafetensorsFile>>,
    pub(super) tensors: BTreeMap<String, (usize, Vec<i64>)>,
}

impl CheckpointFolder {
    /// `generation_config.json` of a folder; empty where there is none.
    ///
    /// # Errors
    /// A file that cannot be read or is no JSON object.
    pub fn generation(folder: &Path) -> Result<serde_json::Map<String, serde_json::Value>, ModelError> {
        let path = folder.join("generation_config.json");
        if !path.is_file() {
            return Ok(serde_json::Map::new());
        }
        match read_json(&path)? {
            serde_json::Value::Object(map) => Ok(map),
            _ => Err(ModelError::file(path, "is not a JSON object")),
        }
    }

    /// Opens the weights: `model.safetensors`, or the shards named by `model.safetensors.index.json`.
    ///
    /// # Errors
    /// Weights that are not there, damaged, quantized, or pickles.
    pub fn open(folder: &Path) -> Result<Self, ModelError> {
        check_plain(folder)?;
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
            return Err(ModelError::file(
                folder.join(pickle),
                format!(
                    "pickle weights can run any code when they are opened, so they are refused; convert them once with \
                     transformers: {}.from_pretrained(DIR).save_pretrained(DIR, safe_serialization=True)",
                    class_of(folder)
                ),
            ));
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
            let path = folder.join(name);
            let file = SafetensorsFile::open(&path)?;
            let index = checkpoint.files.len();
            checkpoint.tensors.extend(file.shapes().into_iter().map(|(name, shape)| (name, (index, shape))));
            checkpoint.files.push(Arc::new(file));
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

    /// Refuses a tensor whose numbers are not its values.
    pub(super) fn check_floating_point(&self, name: &str) -> Result<(), ModelError> {
        let Some((file, _)) = self.tensors.get(name) else { return Ok(()) };
        let file = &self.files[*file];
        if file.is_floating_point(name) {
            return Ok(());
        }
        let dtype = file.dtype(name);
        Err(ModelError::file(
            &self.path,
            format!(
                "tensor `{name}` holds {dtype}, as quantized weights do, which mean nothing by themselves; use the original model"
            ),
        ))
    }

    /// The place of a tensor, from which it can be read again.
    pub(super) fn source(&self, name: &str) -> Option<Box<dyn Source>> {
        let (file, _) = self.tensors.get(name)?;
        Some(Box::new(Stored { file: self.files[*file].clone(), name: name.to_owned() }))
    }

    /// Reads one tensor in its own dtype.
    pub fn read(&self, name: &str) -> Result<Tensor, ModelError> {
        let (file, _) =
            self.tensors.get(name).ok_or_else(|| ModelError::file(&self.path, format!("holds no tensor `{name}`")))?;
        self.files[*file].read(name)
    }
}

/// A tensor in a file.
#[derive(Debug)]
struct Stored {
    file: Arc<SafetensorsFile>,
    name: String,
}

impl Source for Stored {
    fn read(&self) -> Result<Tensor, String> {
        self.file.read(&self.name).map_err(|error| error.to_string())
    }
}

/// Refuses weights that stand for others: numbers of a quantized model mean nothing by themselves.
fn check_plain(folder: &Path) -> Result<(), ModelError> {
    let path = folder.join("config.json");
    let config = if path.is_file() { read_json(&path)? } else { return Ok(()) };
    let quantization = &config["quantization_config"];
    if quantization.is_null() {
        return Ok(());
    }
    let method = quantization["quant_method"].as_str().unwrap_or("an unknown method");
    Err(ModelError::file(
        path,
        format!(
            "has a quantization_config ({method}): quantized weights cannot be trained or read here; use the original model, or \
             write it out once with transformers: {}.from_pretrained(DIR).dequantize().save_pretrained(DIR2)",
            class_of(folder)
        ),
    ))
}

/// The class of transformers that reads everything in a folder: `AutoModel` would drop the head.
fn class_of(folder: &Path) -> String {
    let config = read_json(&folder.join("config.json")).unwrap_or_default();
    let class = config["architectures"][0].as_str();
    let plain = |name: &&str| !name.is_empty() && name.chars().all(|letter| letter.is_ascii_alphanumeric());
    class.filter(plain).unwrap_or("AutoModelForSequenceClassification (or the class it was trained with)").to_owned()
}

fn pickle_file(folder: &Path) -> Option<String> {
    let names = std::fs::read_dir(folder).ok()?.flatten().map(|e| e.file_name().to_string_lossy().into_owned());
    names.filter(|n| n.ends_with(".bin") || n.ends_with(".pt") || n.ends_with(".pth") || n.ends_with(".ckpt")).min()
}
