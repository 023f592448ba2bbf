//! Batches of plain arrays become named tensors, once, here.

use anyhow::Result;
use retune_data::{ArrayData, Batch};
use retune_kernels::tch::{Device, Tensor};
use retune_models::Inputs;

/// Copies a batch to the device under the same names.
pub fn to_inputs(batch: &Batch, device: Device) -> Result<Inputs> {
    let mut inputs = Inputs::default();
    for (name, array) in &batch.arrays {
        let shape: Vec<i64> = array.shape.iter().map(|&n| n as i64).collect();
        let tensor = match &array.data {
            ArrayData::I64(values) => Tensor::from_slice(values),
            ArrayData::F32(values) => Tensor::from_slice(values),
            ArrayData::U8(values) => Tensor::from_slice(values),
        };
        inputs.insert(name, tensor.f_reshape(&shape)?.f_to_device(device)?);
    }
    Ok(inputs)
}
