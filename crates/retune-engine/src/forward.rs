//! Raw model outputs for named inputs, for parity checks and debugging. Hugging Face's names on both sides.

use crate::error::{EngineError, InputContext};
use crate::hardware::Hardware;
use crate::open::Saved;
use retune_data::hub::Silent;
use retune_kernels::tch::{Kind, Tensor, no_grad};
use retune_models::checkpoint::{read_tensors, write_tensors};
use retune_models::{Inputs, Mode};
use std::path::Path;

/// Reads `inputs`, runs the model in evaluation mode, writes `logits`, `last_hidden_state` and whatever else it returns. `task` is what the
/// model does, where it does not say so itself.
pub fn forward(
    model: &Path,
    task: Option<&str>,
    (inputs, outputs): (&Path, &Path),
    precision: &str,
    device: &str,
) -> Result<(), EngineError> {
    let saved = Saved::find(model, &Silent).input()?;
    let task = saved.task(task).input()?;
    let (hardware, _) = Hardware::resolve(device, precision, 0).input()?;
    let loaded = saved.load(&task, &hardware).input()?;
    let tensors = read_tensors(inputs).input()?;
    let named: Inputs = tensors.into_iter().map(|(name, t)| (name, t.to_device(hardware.device))).collect();
    let result = no_grad(|| loaded.model.forward(&named, &Mode::evaluation())).input()?;
    let float = |tensor: &Tensor| tensor.to_kind(Kind::Float);
    let mut tensors = vec![
        ("logits".to_owned(), float(&result.logits)),
        ("last_hidden_state".to_owned(), float(&result.last_hidden_state)),
    ];
    tensors.extend(result.named.iter().map(|(name, tensor)| (name.to_owned(), float(tensor))));
    write_tensors(outputs, &tensors).map_err(anyhow::Error::from)?;
    Ok(())
}
