//! Folding an adapter into its base model, which is then a model as any other.

use crate::error::{EngineError, InputContext};
use crate::hardware::Hardware;
use crate::open::SavedModel;
use anyhow::{Context, Result, ensure};
use retune_data::hub::Silent;
use retune_kernels::random;
use retune_kernels::tch::{Kind, Tensor, no_grad};
use retune_models::heads::{NORMALIZE, POOLING, SENTENCE_EMBEDDINGS};
use retune_models::{LoadOptions, LoadedModel, Mode, NewHead, ProblemType, Takes, Tensors, registry};
use std::path::Path;

/// What was merged.
#[derive(Debug, Clone, Copy)]
pub struct Merged {
    /// Layers that had an update.
    pub layers: usize,
    /// The largest difference of outputs to those of base and adapter, of random inputs.
    pub largest_difference: f64,
}

/// Tokens of the inputs that outputs are compared on.
const TOKENS: usize = 32;

/// Merges the adapter of a folder into its base model, in fp32, and writes it into a folder that is not there yet.
///
/// # Errors
/// A folder without an adapter, or a target that exists.
pub fn merge(adapter: &Path, task: Option<&str>, output: &Path) -> Result<Merged, EngineError> {
    let saved = SavedModel::find(adapter, &Silent).input()?;
    let check = || -> Result<()> {
        ensure!(saved.is_adapter(), "{}: this is no adapter, so there is nothing to merge", adapter.display());
        ensure!(!output.exists(), "{}: is there already; name another folder", output.display());
        Ok(())
    };
    check().input()?;
    let entry = saved.task(task).input()?;
    let (hardware, _) = Hardware::resolve("cpu", "fp32", 0).input()?;
    let with = saved.load(entry, &hardware).input()?;
    let layers = with.merged_weights().input()?.len();
    let whole = with.whole_weights().input()?;
    let mut head = NewHead::of(entry.purpose);
    if entry.purpose.labels {
        head = head.labels(with.labels());
        head.problem = Some(problem(&with));
    }
    // What an adapter's own files say of its head.
    for field in [POOLING, NORMALIZE] {
        if let Some(value) = with.config.get(field).filter(|_| *entry.purpose == SENTENCE_EMBEDDINGS) {
            head = head.field(field, value.clone());
        }
    }
    let options = LoadOptions { new_head: true, ..LoadOptions::new(head) };
    let mut merged = LoadedModel::load(&saved.base, &options).map_err(anyhow::Error::from)?;
    merged.take_weights(&whole).map_err(anyhow::Error::from)?;
    let largest_difference = apart(&with, &merged)?;
    let write = || -> Result<()> {
        let written = output.with_extension("writing");
        std::fs::create_dir_all(&written).with_context(|| format!("cannot make {}", written.display()))?;
        merged.save(&written, "")?;
        copy_files(saved.folder_with_files(), &written)?;
        std::fs::rename(&written, output).with_context(|| format!("cannot make {}", output.display()))
    };
    write()?;
    Ok(Merged { layers, largest_difference })
}

fn problem(loaded: &LoadedModel) -> ProblemType {
    loaded.config.problem_type()
}

/// The largest difference between outputs of two models of texts; 0 for others, which are not compared.
fn apart(one: &LoadedModel, other: &LoadedModel) -> Result<f64> {
    let Takes::Tokens { longest, vocabulary } = registry::takes(&one.config)? else { return Ok(0.0) };
    let count = longest.unwrap_or(TOKENS).min(TOKENS);
    // A decoder over an encoder has fewer words at times; others do not read what is for it.
    let words = one.config.size_or("decoder_vocab_size", vocabulary as i64)?.min(vocabulary as i64);
    let ids = random::uniform(0, count).into_iter().map(|share| (share * words as f64) as i64);
    let ids = Tensor::from_slice(&ids.collect::<Vec<_>>()).unsqueeze(0);
    let inputs = [("attention_mask", ids.ones_like()), ("decoder_input_ids", ids.shallow_clone()), ("input_ids", ids)];
    let inputs = Tensors::from(inputs);
    let outputs = |loaded: &LoadedModel| no_grad(|| loaded.network.forward(&inputs, &Mode::evaluation()));
    let (ours, theirs) = (outputs(one)?, outputs(other)?);
    let mut largest = 0.0f64;
    for (name, output) in ours.iter() {
        let difference = (output - theirs.get(name)?).f_abs()?.f_max()?.f_to_kind(Kind::Double)?.f_double_value(&[])?;
        largest = largest.max(difference);
    }
    Ok(largest)
}

/// Copies what belongs to a model beside its weights: tokenizer, processor, chat template.
fn copy_files(from: &Path, to: &Path) -> Result<()> {
    const OWN: [&str; 3] = ["config.json", "README.md", "recipe.toml"];
    const TEXTS: [&str; 6] = [".json", ".txt", ".jinja", ".model", ".spm", ".tiktoken"];
    for entry in std::fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let weights = name.ends_with(".safetensors") || name.ends_with(".bin") || name.contains("adapter_");
        let text = TEXTS.iter().any(|ending| name.ends_with(ending));
        // Settings of modules that follow the model.
        let inner = entry.path().join("config.json");
        if inner.is_file() {
            let folder = to.join(&*name);
            std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
            std::fs::copy(&inner, folder.join("config.json"))
                .with_context(|| format!("cannot copy {}", inner.display()))?;
        }
        if entry.file_type()?.is_file() && text && !weights && !OWN.contains(&name.as_ref()) {
            std::fs::copy(entry.path(), to.join(&*name)).with_context(|| format!("cannot copy {name}"))?;
        }
    }
    Ok(())
}
