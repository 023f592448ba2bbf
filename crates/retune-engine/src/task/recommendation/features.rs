//! What a text encoder says of the items' texts, computed once and kept in the user cache.

use super::item_encoder::Encoder;
use crate::Recipe;
use crate::evaluate::Predictor;
use crate::hardware::Hardware;
use crate::task::{Embedded, Embedder, Input, OnProgress};
use anyhow::{Context, Result, bail, ensure};
use retune_data::{Catalogue, user_cache};
use retune_kernels::random;
use retune_kernels::tch::{Kind, Tensor};
use retune_models::checkpoint::{GivenTensor, identity, read_tensors, write_tensors};
use retune_models::{LoadOptions, LoadedModel};
use serde_json::json;
use std::path::Path;

/// Name of the tensor in the cache.
const KEPT: &str = "features";
/// Texts that are encoded together.
const PART: usize = 512;
const BATCH: usize = 32;

/// A row for each item, and one before them; zeros where an item has no text.
pub(super) fn of(
    recipe: &Recipe,
    encoder: &Encoder,
    catalogue: &Catalogue,
    name: &str,
    progress: OnProgress<'_>,
) -> Result<(GivenTensor, String)> {
    let (folder, encoder) = (&encoder.folder, &encoder.name);
    let numbered: Vec<u32> = (1..=catalogue.len() as u32).filter(|&item| !catalogue.text(item).is_empty()).collect();
    ensure!(!numbered.is_empty(), "item-encoder: no item has a text");
    let texts = catalogue.ids().iter().enumerate().map(|(at, _)| random::name_key(catalogue.text(at as u32 + 1)));
    let key = texts.fold(random::mix(&[identity(folder)?, 1]), |key, text| random::mix(&[key, text]));
    let path = user_cache().map(|cache| cache.join("item_features").join(format!("{key:016x}.safetensors")));
    let given = |tensor: &Tensor| -> Result<GivenTensor> {
        let values = Vec::<f32>::try_from(tensor.f_to_kind(Kind::Float)?.f_reshape([-1])?)?;
        Ok(GivenTensor { name: name.to_owned(), shape: tensor.size(), values })
    };
    if let Some(kept) = path.as_deref().and_then(kept).filter(|it| it.size()[0] == catalogue.len() as i64 + 1) {
        return Ok((given(&kept)?, format!("vectors of {} texts of items, kept by an earlier run", numbered.len())));
    }
    let (hardware, _) = Hardware::resolve(&recipe.run.device, "fp32", recipe.run.threads)?;
    let options = LoadOptions { device: hardware.device, ..LoadOptions::new(Embedder::entry().purpose) };
    let loaded = LoadedModel::load(folder, &options)?;
    let mut usual = Recipe::default();
    Embedder::entry().name.clone_into(&mut usual.data.task);
    let embedder = Embedder::of(&usual, folder, &loaded.config, "text")?;
    let with =
        Predictor { network: &loaded.network, batch_size: BATCH, device: hardware.device, lanes: &hardware.lanes };
    let lines: String = numbered.iter().map(|&item| json!({"text": catalogue.text(item)}).to_string() + "\n").collect();
    let width = loaded.network.body.width() as usize;
    let mut values = vec![0.0; (catalogue.len() + 1) * width];
    let mut items = numbered.iter();
    let input = Input::Lines { reader: Box::new(lines.as_bytes()), part: PART };
    let mut done = 0;
    embedder.run(input, &with, &|_, _, _| {}, &mut |embedded| {
        let item = *items.next().context("a vector for each text")? as usize;
        let Embedded::Vector(_, vector) = embedded else {
            bail!("item {}: its text cannot be used", catalogue.id(item as u32))
        };
        values[item * width..(item + 1) * width].copy_from_slice(&vector);
        done += 1;
        progress("encoding items", done, numbered.len());
        Ok(())
    })?;
    let tensor = Tensor::from_slice(&values).f_reshape([catalogue.len() as i64 + 1, width as i64])?;
    if let Some(path) = &path {
        // A run needs no cache: where it cannot be written, the next one encodes again.
        let _ = keep(path, &tensor);
    }
    Ok((given(&tensor)?, format!("vectors of {} texts of items, made by {encoder}", numbered.len())))
}

fn kept(path: &Path) -> Option<Tensor> {
    if !path.is_file() {
        return None;
    }
    read_tensors(path).ok()?.remove(KEPT)
}

fn keep(path: &Path, tensor: &Tensor) -> Result<()> {
    std::fs::create_dir_all(path.parent().context("a folder")?)?;
    Ok(write_tensors(path, &[(KEPT.to_owned(), tensor.shallow_clone())])?)
}
