//! Batches of plain arrays become named tensors here, and the other way round.

use crate::task::BatchTensors;
use anyhow::Result;
use retune_data::{Array, ArrayData, Arrays, Batch};
use retune_kernels::device;
use retune_kernels::tch::{Device, Kind, Tensor};
use retune_models::Tensors;
use retune_models::heads::LOGIT_POSITIONS;

/// Copies a batch to the device under the same names, without waiting for it. Masks and places whose logits are
/// wanted stay on the host, which decides by them what is computed.
pub fn to_tensors(batch: &Batch, device: Device) -> Result<BatchTensors> {
    Ok(BatchTensors { inputs: send(&batch.inputs, device)?, targets: send(&batch.targets, device)? })
}

fn send(arrays: &Arrays, device: Device) -> Result<Tensors> {
    let mut tensors = Tensors::default();
    for (name, array) in arrays {
        let shape: Vec<i64> = array.shape.iter().map(|&n| n as i64).collect();
        let tensor = match &array.data {
            ArrayData::I64(values) => Tensor::from_slice(values),
            ArrayData::F32(values) => Tensor::from_slice(values),
            ArrayData::U8(values) => Tensor::from_slice(values),
        };
        let device = if name.ends_with("attention_mask") || name == LOGIT_POSITIONS { Device::Cpu } else { device };
        tensors.insert(name, device::send(&tensor.f_reshape(&shape)?, device)?);
    }
    Ok(tensors)
}

/// A plain array of a tensor: integers as they are, everything else as fp32.
pub fn to_array(tensor: &Tensor) -> Result<Array> {
    let shape: Vec<usize> = tensor.size().iter().map(|&n| n as usize).collect();
    let flat = tensor.f_to_device(Device::Cpu)?.f_reshape([-1])?;
    Ok(match tensor.kind() {
        Kind::Int64 => Array::integers(&shape, Vec::try_from(&flat)?),
        _ => Array::floats(&shape, Vec::try_from(&flat.f_to_kind(Kind::Float)?)?),
    })
}
