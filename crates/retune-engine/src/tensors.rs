//! Batches of plain arrays become named tensors here, and the other way round.

use anyhow::Result;
use retune_data::{Array, ArrayData, Batch};
use retune_kernels::device;
use retune_kernels::tch::{Device, Kind, Tensor};
use retune_models::Inputs;

/// Copies a batch to the device under the same names, without waiting for it. The `attention_mask` stays on the host, which
/// decides by it what is computed.
pub fn to_inputs(batch: &Batch, device: Device) -> Result<Inputs> {
    let mut inputs = Inputs::default();
    for (name, array) in batch.inputs.iter().chain(&batch.targets) {
        let shape: Vec<i64> = array.shape.iter().map(|&n| n as i64).collect();
        let tensor = match &array.data {
            ArrayData::I64(values) => Tensor::from_slice(values),
            ArrayData::F32(values) => Tensor::from_slice(values),
            ArrayData::U8(values) => Tensor::from_slice(values),
        };
        let device = if name == "attention_mask" { Device::Cpu } else { device };
        inputs.insert(name, device::send(&tensor.f_reshape(&shape)?, device)?);
    }
    Ok(inputs)
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
