//! Adapters of a language beside a checkpoint that knows several (MMS; Pratap et al. 2023): `adapter.<language>.safetensors` holds
//! what transformers' `load_adapter` puts in the place of the checkpoint's own, the small networks behind its layers and the head.

use super::{CheckpointFolder, SafetensorsFile};
use crate::ModelError;
use std::path::Path;
use std::sync::Arc;

const BEGIN: &str = "adapter.";
const END: &str = ".safetensors";

/// Whether a tensor, as transformers calls it, is of a language.
pub fn is_of_language(name: &str) -> bool {
    name.contains(".adapter_layer.") || name.starts_with("lm_head.")
}

/// The name of the file for a language.
pub fn language_file(language: &str) -> String {
    format!("{BEGIN}{language}{END}")
}

impl CheckpointFolder {
    /// The languages that a folder has files for, in the order of their names.
    pub fn languages(folder: &Path) -> Vec<String> {
        let names = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let names = names.map(|entry| entry.file_name().to_string_lossy().into_owned());
        let language = |name: String| Some(name.strip_prefix(BEGIN)?.strip_suffix(END)?.to_owned());
        let mut found: Vec<String> = names.filter_map(language).filter(|it| !it.is_empty()).collect();
        found.sort();
        found
    }

    /// Puts the tensors of a language in the place of the checkpoint's own, where the folder has a file for it.
    ///
    /// # Errors
    /// A file that cannot be read, that lacks tensors of a language or holds others.
    pub(crate) fn speak(&mut self, language: &str) -> Result<(), ModelError> {
        if !Self::languages(&self.path).iter().any(|known| known == language) {
            return Ok(());
        }
        let path = self.path.join(language_file(language));
        let file = SafetensorsFile::open(&path)?;
        let shapes = file.shapes();
        let own: Vec<&String> = self.tensors.keys().filter(|name| is_of_language(name)).collect();
        let missing = own.iter().filter(|name| !shapes.contains_key(**name)).map(|name| format!("lacks `{name}`"));
        let others = shapes.keys().filter(|name| !own.contains(name));
        let problems: Vec<String> = missing.chain(others.map(|name| format!("holds the unknown `{name}`"))).collect();
        if !problems.is_empty() {
            return Err(ModelError::file(path, format!("is not of this checkpoint: it {}", problems.join(", "))));
        }
        let index = self.files.len();
        self.tensors.extend(shapes.into_iter().map(|(name, shape)| (name, (index, shape))));
        self.files.push(Arc::new(file));
        Ok(())
    }
}
