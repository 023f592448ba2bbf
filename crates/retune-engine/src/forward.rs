//! Raw model outputs for named inputs, for parity checks and debugging. Hugging Face's names on both sides.

use crate::error::{EngineError, InputContext};
use crate::hardware::Hardware;
use crate::open::SavedModel;
use crate::task::{BatchTensors, Entry};
use anyhow::{Result, ensure};
use retune_data::hub::Silent;
use retune_kernels::tch::{Kind, Tensor, no_grad};
use retune_models::checkpoint::{read_tensors, write_tensors};
use retune_models::{LoadedModel, Mode, Takes, Tensors, registry};
use std::path::Path;

/// Reads `inputs`, runs the model in evaluation mode, writes `logits`, `last_hidden_state` and whatever else it returns, and
/// the `loss` where the inputs say what is right. `task` is what the model does, where it does not say so itself. A model that
/// was trained for no task known here is taken as a base model: it has no head, but a `pooler_output` where it has a pooler.
/// Returns the names of inputs that nothing has read.
pub fn forward(
    model: &Path,
    task: Option<&str>,
    (inputs, outputs): (&Path, &Path),
    precision: &str,
    device: &str,
) -> Result<Vec<String>, EngineError> {
    let saved = SavedModel::find(model, &Silent).input()?;
    let (hardware, _) = Hardware::resolve(device, precision, 0).input()?;
    let entry = match saved.task(task) {
        Ok(entry) => Some(entry),
        Err(_) if task.is_none() && !saved.is_adapter() => None,
        Err(error) => return Err(EngineError::Input(error)),
    };
    let loaded = match entry {
        Some(entry) => saved.load(entry, &hardware),
        None => saved.load_body(&hardware),
    };
    let loaded = loaded.input()?;
    let tensors = read_tensors(inputs).input()?;
    let named: Tensors = tensors.into_iter().map(|(name, t)| (name, t.to_device(hardware.device))).collect();
    check_tokens(&loaded, &named).input()?;
    let result = no_grad(|| loaded.network.forward(&named, &Mode::evaluation().with_hidden_states())).input()?;
    let (loss, unread) = match entry {
        Some(entry) => loss(entry, &loaded, &result, named).input()?,
        None => (None, unread(&named)),
    };
    let all = result.iter().map(|(name, tensor)| (name.to_owned(), tensor.to_kind(Kind::Float)));
    let all: Vec<_> = all.chain(loss.map(|loss| ("loss".to_owned(), loss))).collect();
    write_tensors(outputs, &all).map_err(anyhow::Error::from)?;
    Ok(unread)
}

fn unread(inputs: &Tensors) -> Vec<String> {
    inputs.unread().map(str::to_owned).collect()
}

/// The loss per target, as Hugging Face's classes return it, where everything is there that it needs, and what was not read for it.
fn loss(
    entry: &Entry,
    loaded: &LoadedModel,
    outputs: &Tensors,
    inputs: Tensors,
) -> Result<(Option<Tensor>, Vec<String>)> {
    let targets: Option<Tensors> = entry
        .targets
        .iter()
        .map(|name| inputs.optional(name).map(|tensor| ((*name).to_owned(), tensor.shallow_clone())))
        .collect();
    let Some(targets) = targets else { return Ok((None, unread(&inputs))) };
    let batch = BatchTensors { inputs, targets };
    let loss = no_grad(|| (entry.loss)(&loaded.config)?(outputs, &batch))?;
    Ok((Some((loss.sum / loss.weight).to_kind(Kind::Float)), unread(&batch.inputs)))
}

/// Token inputs index tables, whose ends nothing below checks.
fn check_tokens(loaded: &LoadedModel, inputs: &Tensors) -> Result<()> {
    let Takes::Tokens { longest, vocabulary } = registry::takes(&loaded.config)? else { return Ok(()) };
    let ids = inputs.get("input_ids")?;
    let shape = ids.size();
    ensure!(shape.len() == 2, "input_ids: shape {shape:?}, not [examples, tokens]");
    ensure!(shape.iter().all(|&n| n > 0), "input_ids: shape {shape:?} holds no token");
    let longest = longest.unwrap_or(usize::MAX);
    ensure!(
        shape[1] as usize <= longest,
        "input_ids: {} tokens are more than the {longest} positions this model has",
        shape[1]
    );
    // Where there is no table of segments, they are not read.
    let types = Some(loaded.config.number_or("type_vocab_size", 0.0)? as i64).filter(|&rows| rows > 0);
    let types = types.unwrap_or(i64::MAX);
    for (name, rows) in [("input_ids", vocabulary as i64), ("token_type_ids", types), ("attention_mask", i64::MAX)] {
        let Some(tensor) = inputs.optional(name) else { continue };
        ensure!(tensor.size() == shape, "{name}: shape {:?}, but input_ids has {shape:?}", tensor.size());
        if name != "attention_mask" {
            check_rows(name, tensor, rows)?;
        }
    }
    // Those of a text that is written about it; the body checks their shapes.
    let written = loaded.config.size_or("decoder_vocab_size", vocabulary as i64)?;
    inputs.optional("decoder_input_ids").map_or(Ok(()), |ids| check_rows("decoder_input_ids", ids, written))
}

/// Numbers of rows of a table.
fn check_rows(name: &str, tensor: &Tensor, rows: i64) -> Result<()> {
    ensure!(tensor.kind() == Kind::Int64, "{name}: {:?}, not whole numbers of 64 bits (I64)", tensor.kind());
    ensure!(tensor.numel() > 0, "{name}: shape {:?} holds no token", tensor.size());
    for found in [tensor.min(), tensor.max()].map(|bound| bound.int64_value(&[])) {
        ensure!((0..rows).contains(&found), "{name}: {found} is outside 0..{rows}, the rows of the model's table");
    }
    Ok(())
}
