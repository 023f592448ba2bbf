//! `manifest.json`: the SHA-256 of every file of a checkpoint, so that a damaged one is told from a whole one.

use anyhow::{Context, Result, ensure};
use retune_models::checkpoint::write_json;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;

#[derive(Serialize, Deserialize)]
struct Manifest {
    step: u64,
    files: BTreeMap<String, ManifestFile>,
}

#[derive(Serialize, Deserialize)]
struct ManifestFile {
    sha256: String,
    bytes: u64,
}

/// Syncs every file of a checkpoint and writes down what it holds.
pub(super) fn write_manifest(folder: &Path, step: u64) -> Result<()> {
    let manifest = Manifest { step, files: describe(folder)? };
    Ok(write_json(&folder.join("manifest.json"), &manifest)?)
}

fn describe(folder: &Path) -> Result<BTreeMap<String, ManifestFile>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            let below = entry.file_name().to_string_lossy().into_owned();
            let inner = describe(&entry.path())?;
            files.extend(inner.into_iter().map(|(name, file)| (format!("{below}/{name}"), file)));
            continue;
        }
        let file = File::open(entry.path())?;
        file.sync_all()?;
        let name = entry.file_name().to_string_lossy().into_owned();
        files.insert(name, ManifestFile { sha256: sha256(&entry.path())?, bytes: file.metadata()?.len() });
    }
    Ok(files)
}

/// Whether every file is as the manifest says.
pub(super) fn verify(folder: &Path) -> Result<()> {
    let text = fs::read_to_string(folder.join("manifest.json")).context("no manifest.json")?;
    let manifest: Manifest = serde_json::from_str(&text).context("manifest.json is not readable")?;
    for (name, expected) in &manifest.files {
        let path = folder.join(name);
        let bytes = fs::metadata(&path).with_context(|| format!("{name} is missing"))?.len();
        ensure!(bytes == expected.bytes, "{name} has {bytes} bytes instead of {}", expected.bytes);
        ensure!(sha256(&path)? == expected.sha256, "{name} has changed");
    }
    Ok(())
}

fn sha256(path: &Path) -> Result<String> {
    let mut hasher = Sha256::new();
    let mut file = File::open(path)?;
    let mut buffer = vec![0u8; 1 << 20];
    loop {
        let count = std::io::Read::read(&mut file, &mut buffer)?;
        if count == 0 {
            break;
        }
        hasher.update(&buffer[..count]);
    }
    Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_file_fails_its_manifest() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a"), "one").unwrap();
        fs::create_dir(folder.path().join("b")).unwrap();
        fs::write(folder.path().join("b/c"), "inner").unwrap();
        write_manifest(folder.path(), 1).unwrap();
        verify(folder.path()).unwrap();
        fs::write(folder.path().join("a"), "two").unwrap();
        assert!(verify(folder.path()).unwrap_err().to_string().contains("a has changed"));
        fs::write(folder.path().join("a"), "one").unwrap();
        fs::write(folder.path().join("b/c"), "other").unwrap();
        assert!(verify(folder.path()).unwrap_err().to_string().contains("b/c has changed"));
    }
}
