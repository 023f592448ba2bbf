//! Telling one model's files from another's without reading them whole.

use super::CheckpointFolder;
use crate::ModelError;
use retune_kernels::random;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// Blocks read of each file of weights, spread evenly from its header to its end.
const BLOCKS: u64 = 64;
/// Their size in bytes.
const BLOCK: u64 = 4096;

/// A number that changes with `config.json`, with the size of any safetensors file of a folder, and with nearly any
/// change of its values: a fine-tuned sibling differs everywhere, and samples show it.
pub fn identity(folder: &Path) -> Result<u64, ModelError> {
    let config = serde_json::to_string(CheckpointFolder::config(folder)?.as_map()).unwrap_or_default();
    let mut parts = vec![random::name_key(&config)];
    let entries = std::fs::read_dir(folder).map_err(ModelError::io(folder))?.flatten().map(|entry| entry.path());
    let mut files: Vec<_> = entries.filter(|path| path.extension().is_some_and(|end| end == "safetensors")).collect();
    files.sort();
    for path in files {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        parts.push(random::name_key(&name));
        sample(&path, &mut parts).map_err(ModelError::io(&path))?;
    }
    Ok(random::mix(&parts))
}

fn sample(path: &Path, parts: &mut Vec<u64>) -> std::io::Result<()> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    parts.push(length);
    for block in 0..BLOCKS {
        file.seek(SeekFrom::Start(length.saturating_sub(BLOCK) * block / (BLOCKS - 1)))?;
        let mut bytes = Vec::with_capacity(BLOCK as usize);
        Read::by_ref(&mut file).take(BLOCK).read_to_end(&mut bytes)?;
        let words = bytes.chunks(8).map(|chunk| chunk.iter().fold(0, |word, &byte| (word << 8) | u64::from(byte)));
        parts.push(random::mix(&words.collect::<Vec<_>>()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::write_tensors;
    use retune_kernels::tch::{Kind, Tensor};

    #[test]
    fn other_weights_and_other_settings_are_another_model() {
        let folder = tempfile::tempdir().unwrap();
        let write = |config: &str, value: f64| {
            std::fs::write(folder.path().join("config.json"), config).unwrap();
            let tensor = Tensor::full([1 << 20], value, (Kind::Float, retune_kernels::tch::Device::Cpu));
            write_tensors(&folder.path().join("model.safetensors"), &[("a".to_owned(), tensor)]).unwrap();
            identity(folder.path()).unwrap()
        };
        let first = write("{\"model_type\": \"x\"}", 1.0);
        assert_eq!(first, write("{\"model_type\":\"x\"}", 1.0));
        assert_ne!(first, write("{\"model_type\": \"x\"}", 1.5));
        assert_ne!(first, write("{\"model_type\": \"y\"}", 1.0));
        // A configuration alone is enough to start from random weights.
        std::fs::remove_file(folder.path().join("model.safetensors")).unwrap();
        assert_ne!(first, identity(folder.path()).unwrap());
    }
}
