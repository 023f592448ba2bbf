//! Which files of a repository make a model, and whether a folder has them all.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::HubError;
use super::name::is_safe_relative;

pub(super) const CONFIG: &str = "config.json";
pub(super) const WEIGHTS: &str = "model.safetensors";
pub(super) const INDEX: &str = "model.safetensors.index.json";
const ADAPTER_CONFIG: &str = "adapter_config.json";
const ADAPTER_WEIGHTS: &str = "adapter_model.safetensors";

/// Small files taken when the repository has them. They come before the weights, so that a
/// snapshot with weights is a snapshot with everything.
const SMALL: [&str; 14] = [
    CONFIG,
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "added_tokens.json",
    "spiece.model",
    "sentencepiece.bpe.model",
    "preprocessor_config.json",
    "processor_config.json",
    "generation_config.json",
    ADAPTER_CONFIG,
];

/// Every name whose absence is worth remembering.
pub(super) fn known_names() -> impl Iterator<Item = &'static str> {
    SMALL.into_iter().chain([ADAPTER_WEIGHTS, WEIGHTS, INDEX])
}

/// What to take from a repository, in the order to take it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Selection {
    pub(super) files: Vec<&'static str>,
    /// Whether the last of `files` is an index whose shards follow.
    pub(super) sharded: bool,
}

/// Chooses among the files a repository lists.
pub(super) fn select(model: &str, revision: &str, listed: &BTreeSet<String>) -> Result<Selection, HubError> {
    let has = |name: &str| listed.contains(name);
    let mut files: Vec<&'static str> = SMALL.into_iter().filter(|name| has(name)).collect();
    let adapter = has(ADAPTER_CONFIG) && has(ADAPTER_WEIGHTS);
    if adapter {
        files.push(ADAPTER_WEIGHTS);
    }
    let sharded = !has(WEIGHTS) && has(INDEX);
    if has(WEIGHTS) {
        files.push(WEIGHTS);
    } else if sharded {
        files.push(INDEX);
    } else if !adapter {
        return Err(no_weights(model, revision, listed));
    }
    Ok(Selection { files, sharded })
}

fn no_weights(model: &str, revision: &str, listed: &BTreeSet<String>) -> HubError {
    let (model, revision) = (model.to_owned(), revision.to_owned());
    let name_some = |names: Vec<&str>| match names.len() {
        0 => "none".to_owned(),
        1..=6 => names.join(", "),
        more => format!("{}, and {} more", names[..5].join(", "), more - 5),
    };
    let pickled: Vec<&str> = listed.iter().map(String::as_str).filter(|name| is_pickle(name)).collect();
    if pickled.is_empty() {
        let files = name_some(listed.iter().map(String::as_str).collect());
        return HubError::NoWeights { model, revision, files };
    }
    HubError::PickleWeights { model, revision, files: name_some(pickled) }
}

/// Whether torch would unpickle a file of this name.
fn is_pickle(name: &str) -> bool {
    [".bin", ".pt", ".pth", ".ckpt", ".pkl"].iter().any(|ending| name.ends_with(ending))
}

/// The shards a downloaded index names, each once, each a safe name.
pub(super) fn shards(model: &str, index: &Path) -> Result<BTreeSet<String>, HubError> {
    let text = fs::read_to_string(index).map_err(HubError::io("read", index))?;
    let bad = |reason: String| HubError::BadIndex { path: index.to_owned(), reason };
    let value: serde_json::Value = serde_json::from_str(&text).map_err(|e| bad(format!("it is not JSON ({e})")))?;
    let map = value
        .get("weight_map")
        .and_then(serde_json::Value::as_object)
        .filter(|map| !map.is_empty())
        .ok_or_else(|| bad("it has no \"weight_map\" naming the shards".to_owned()))?;
    let mut names = BTreeSet::new();
    for (tensor, shard) in map {
        let name = shard.as_str().ok_or_else(|| bad(format!("the shard of tensor {tensor} is not a name")))?;
        if !is_safe_relative(name) {
            return Err(HubError::UnsafeFileName { model: model.to_owned(), name: name.to_owned() });
        }
        if is_pickle(name) {
            return Err(bad(format!("it names the pickle {name} as a shard")));
        }
        names.insert(name.to_owned());
    }
    Ok(names)
}

/// Whether a snapshot folder holds a whole model. `absent` says which files its commit is known
/// not to have.
pub(super) fn is_complete(folder: &Path, absent: impl Fn(&str) -> bool) -> bool {
    let has = |name: &str| folder.join(name).is_file();
    let Ok(entries) = fs::read_dir(folder) else {
        return false;
    };
    // A link whose blob is gone: somebody cleaned up half of it.
    let dangling = entries.flatten().any(|entry| fs::metadata(entry.path()).is_err());
    if dangling {
        return false;
    }
    if has(CONFIG) && (has(WEIGHTS) || has_all_shards(folder)) {
        return true;
    }
    has(ADAPTER_CONFIG) && has(ADAPTER_WEIGHTS) && (!has(CONFIG) || (absent(WEIGHTS) && absent(INDEX)))
}

fn has_all_shards(folder: &Path) -> bool {
    shards("", &folder.join(INDEX)).is_ok_and(|names| names.iter().all(|name| folder.join(name).is_file()))
}
