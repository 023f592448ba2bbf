//! Raw model outputs for named inputs, for parity checks and debugging. Hugging Face's names on both sides.

use crate::error::{EngineError, InputContext};
use crate::hardware::Hardware;
use crate::open;
use retune_data::hub::Silent;
use retune_kernels::tch::no_grad;
use retune_models::checkpoint::{read_tensors, write_tensors};
use retune_models::{Inputs, Mode};
use std::path::Path;

/// Reads `inputs`, runs the model in evaluation mode, writes `logits` and `last_hidden_state`.
pub fn forward(model: &Path, inputs: &Path, outputs: &Path, precision: &str, device: &str) -> Result<(), EngineError> {
    let folder = open::model_folder(model).input()?;
    let (hardware, _) = Hardware::resolve(device, precision, 0).input()?;
    let loaded = open::load_saved(&folder, &hardware, &Silent).input()?;
    let tensors = read_tensors(inputs).input()?;
    let named: Inputs = tensors.into_iter().map(|(name, t)| (name, t.to_device(hardware.device))).collect();
    let result = no_grad(|| loaded.model.forward(&named, &Mode::evaluation())).input()?;
    let tensors = [("logits", result.logits), ("last_hidden_state", result.last_hidden_state)]
        .map(|(name, tensor)| (name.to_owned(), tensor.to_kind(retune_kernels::tch::Kind::Float)));
    write_tensors(outputs, &tensors).map_err(anyhow::Error::from)?;
    Ok(())
}
