//! Text encoders that learn with a model of histories: how one comes into a model, how its texts become tokens, and what is kept
//! of it for passes without texts.
//!
//! Its weights are the model's, below [`ITEM_BACKBONE`]; its tokenizer and all else that it needs lie in a folder beside.

use super::settings::ItemSettings;
use crate::Recipe;
use crate::files::copy_folder;
use crate::task::backbone::Backbone;
use crate::task::{Embedder, OnProgress};
use crate::tensors::to_tensors;
use anyhow::{Context, Result, ensure};
use retune_data::hub::{Hub, Silent};
use retune_data::{Arrays, Batch, Catalogue, ItemTokens};
use retune_kernels::Lanes;
use retune_kernels::tch::{Device, Tensor, no_grad};
use retune_models::checkpoint::{read_tensors, write_json, write_tensors};
use retune_models::item_texts::{ITEM_BACKBONE, ITEM_NUMBERS};
use retune_models::{CheckpointFolder, LoadOptions, LoadedModel, ModelConfig, Network};
use serde_json::Value;
use std::cmp::Reverse;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Field with the encoder's configuration.
pub(super) const CONFIG: &str = "backbone_config";
/// The folder beside a model's weights with what else its encoder needs.
const BESIDE: &str = "item_encoder";
const WEIGHTS: &str = "model.safetensors";
/// Texts that are encoded together.
const BATCH: usize = 32;
/// Batches for each lane from one look at the progress to the next.
const BATCHES: usize = 4;

/// Puts the text encoder that a recipe names into a model, where it is to learn with it: all else is the model's own, or new.
///
/// # Errors
/// An encoder or a model that cannot be read.
pub(crate) fn item_backbone(recipe: &Recipe, model: &Path) -> Result<Option<Backbone>> {
    let settings = recipe.read::<ItemSettings>()?;
    let (true, Some(encoder)) = (settings.train_item_encoder, &settings.item_encoder) else { return Ok(None) };
    settings.check(recipe)?;
    let named = || format!("item-encoder `{encoder}`");
    let from = found(encoder).with_context(named)?;
    let loaded = LoadedModel::load(&from, &LoadOptions::new(Embedder::entry().purpose)).with_context(named)?;
    let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
    let mut config = CheckpointFolder::config(model)?;
    config.set(CONFIG, Value::Object(loaded.config.as_map().clone()));
    let inside = |name: &str| format!("{ITEM_BACKBONE}.{name}");
    let of_encoder = loaded.params.iter().map(|param| Ok((inside(&param.name), param.value()?)));
    let mut tensors = of_encoder.collect::<Result<Vec<_>>>()?;
    let taken = tensors.len();
    let whole = !recipe.data.from_scratch;
    if whole {
        let own = read_tensors(&model.join(WEIGHTS))?;
        tensors.extend(own.into_iter().filter(|(name, _)| !name.starts_with(&inside(""))));
        super::saved::copy(model, folder.path())?;
    }
    write_json(&folder.path().join("config.json"), config.as_map())?;
    write_tensors(&folder.path().join(WEIGHTS), &tensors)?;
    let rest = if whole { "the model's own weights are kept for all else" } else { "all else starts anew" };
    let note = format!("the encoder of items starts from {encoder}: {taken} tensors, which learn; {rest}");
    Ok(Some(Backbone::new(folder, note, (!whole).then(|| ITEM_BACKBONE.to_owned()))))
}

/// A text encoder by itself, in a folder.
pub(super) struct Encoder {
    /// Where it lies.
    pub(super) folder: PathBuf,
    /// How it was named.
    pub(super) name: String,
    /// Where it was put, if it came out of a model.
    _made: Option<TempDir>,
}

impl Encoder {
    /// That of a recipe, else the one inside a model, if there is either.
    ///
    /// # Errors
    /// One that cannot be found or read.
    pub(super) fn of(named: Option<&str>, model: &Path, config: &ModelConfig) -> Result<Option<Self>> {
        if let Some(name) = named {
            let folder = found(name).with_context(|| format!("item-encoder `{name}`"))?;
            return Ok(Some(Self { folder, name: name.to_owned(), _made: None }));
        }
        if config.get(CONFIG).is_none() {
            return Ok(None);
        }
        let beside = model.join(BESIDE);
        ensure!(beside.is_dir(), "{}: the tokenizer of its encoder of items is missing", beside.display());
        let made = tempfile::tempdir().context("cannot make a temporary folder")?;
        copy_folder(&beside, made.path())?;
        let prefix = format!("{ITEM_BACKBONE}.");
        let inside = |(name, tensor): (String, Tensor)| Some((name.strip_prefix(&prefix)?.to_owned(), tensor));
        let tensors: Vec<(String, Tensor)> =
            read_tensors(&model.join(WEIGHTS))?.into_iter().filter_map(inside).collect();
        write_tensors(&made.path().join(WEIGHTS), &tensors)?;
        let (folder, name) = (made.path().to_owned(), "the model's own encoder".to_owned());
        Ok(Some(Self { folder, name, _made: Some(made) }))
    }

    fn embedder(&self) -> Result<(Embedder, ModelConfig)> {
        let mut usual = Recipe::default();
        Embedder::entry().name.clone_into(&mut usual.data.task);
        let config = CheckpointFolder::config(&self.folder)?;
        Ok((Embedder::of(&usual, &self.folder, &config, "text")?, config))
    }

    /// The texts of a catalogue as its tokens.
    ///
    /// # Errors
    /// A folder without a tokenizer, a text that cannot be encoded.
    pub(super) fn tokens(&self, catalogue: &Catalogue, progress: OnProgress<'_>) -> Result<ItemTokens> {
        let (embedder, _) = self.embedder().with_context(|| self.name.clone())?;
        let mut tokens = ItemTokens::new(embedder.padding());
        for item in 1..=catalogue.len() as u32 {
            match catalogue.text(item) {
                "" => tokens.push(&[]),
                text => tokens.push(&embedder.tokens(text).with_context(|| format!("item {}", catalogue.id(item)))?),
            }
            progress("tokenizing texts of items", item as usize, catalogue.len());
        }
        Ok(tokens)
    }

    /// Writes what it needs beside its weights into a folder of its name below `folder`, which is returned.
    ///
    /// # Errors
    /// Files that cannot be read or written.
    pub(super) fn write(&self, folder: &Path) -> Result<PathBuf> {
        let (embedder, config) = self.embedder()?;
        let into = folder.join(BESIDE);
        fs::create_dir(&into).with_context(|| format!("cannot create {}", into.display()))?;
        for file in embedder.files() {
            let to = into.join(file.file_name().unwrap_or_default());
            fs::copy(&file, &to).with_context(|| format!("cannot copy {}", file.display()))?;
        }
        write_json(&into.join("config.json"), config.as_map())?;
        embedder.write_modules(&into, &config)?;
        Ok(into)
    }
}

/// Keeps what the encoder inside a network says of texts now, so that all items can be ranked.
///
/// # Errors
/// A device that has no room.
pub(super) fn renew(tokens: &ItemTokens, network: &Network, device: Device, lanes: &Lanes) -> Result<()> {
    let Some(texts) = network.body.item_texts() else { return Ok(()) };
    let mut items: Vec<u32> = (1..=tokens.len() as u32).filter(|&item| !tokens.of(item).is_empty()).collect();
    // Texts of like lengths together.
    items.sort_by_key(|&item| Reverse(tokens.of(item).len()));
    let encode = |items: &[u32]| -> Result<(Tensor, Tensor)> {
        let mut inputs = Arrays::new();
        tokens.fill(items, &mut inputs);
        let inputs = to_tensors(&Batch { inputs, ..Batch::default() }, device)?.inputs;
        let said = no_grad(|| texts.encode(&inputs))?;
        Ok((inputs.get(ITEM_NUMBERS)?.shallow_clone(), said))
    };
    for some in items.chunks(BATCH * BATCHES * lanes.count()) {
        for said in lanes.map(some.chunks(BATCH).collect(), encode) {
            let (numbers, said) = said?;
            texts.keep(&numbers, &said)?;
        }
    }
    Ok(())
}

/// Where an encoder lies: a checkpoint folder, that of a run, or a hub id.
fn found(encoder: &str) -> Result<PathBuf> {
    let path = Path::new(encoder);
    let own = [path.to_owned(), path.join("model")].into_iter().find(|it| it.join("config.json").is_file());
    match own {
        Some(folder) => Ok(folder),
        None => Ok(Hub::from_env()?.resolve_model(encoder, None, &Silent)?.dir().to_owned()),
    }
}
