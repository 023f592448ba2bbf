//! Writing files so that they are either whole or absent: temporary sibling, fsync, rename.

use crate::ModelError;
use retune_kernels::tch::{Device, Kind, Tensor};
use safetensors::{Dtype, SafeTensorError, View};
use std::borrow::Cow;
use std::collections::HashMap;
use std::fs::File;
use std::path::Path;

struct Bytes {
    dtype: Dtype,
    shape: Vec<usize>,
    tensor: Tensor,
}

impl View for Bytes {
    fn dtype(&self) -> Dtype {
        self.dtype
    }
    fn shape(&self) -> &[usize] {
        &self.shape
    }
    fn data(&self) -> Cow<'_, [u8]> {
        let mut bytes = vec![0u8; self.data_len()];
        self.tensor.copy_data_u8(&mut bytes, self.tensor.numel());
        Cow::Owned(bytes)
    }
    fn data_len(&self) -> usize {
        self.tensor.numel() * self.tensor.kind().elt_size_in_bytes()
    }
}

/// Writes named tensors with the `{"format": "pt"}` metadata that transformers asks for.
pub fn write_tensors(path: &Path, tensors: &[(String, Tensor)]) -> Result<(), ModelError> {
    let mut views = Vec::with_capacity(tensors.len());
    for (name, tensor) in tensors {
        let dtype = match tensor.kind() {
            Kind::Float => Dtype::F32,
            Kind::BFloat16 => Dtype::BF16,
            Kind::Half => Dtype::F16,
            Kind::Double => Dtype::F64,
            Kind::Int64 => Dtype::I64,
            Kind::Bool => Dtype::BOOL,
            other => return Err(ModelError::file(path, format!("cannot store `{name}` of dtype {other:?}"))),
        };
        let tensor = tensor.detach().f_to_device(Device::Cpu)?.f_contiguous()?;
        let shape = tensor.size().iter().map(|&n| n as usize).collect();
        views.push((name.as_str(), Bytes { dtype, shape, tensor }));
    }
    let metadata = Some(HashMap::from([("format".to_owned(), "pt".to_owned())]));
    // Tensor by tensor: a checkpoint needs no second copy of itself in memory.
    write_whole(path, |temporary| {
        safetensors::serialize_to_file(views, metadata, temporary).map_err(|error| match error {
            SafeTensorError::IoError(source) => ModelError::Io { path: path.to_owned(), source },
            other => ModelError::file(path, format!("could not be serialised: {other}")),
        })
    })
}

/// Writes pretty JSON with two spaces and a final newline, as transformers does.
pub fn write_json(path: &Path, value: &impl serde::Serialize) -> Result<(), ModelError> {
    let mut text = serde_json::to_vec_pretty(value)
        .map_err(|e| ModelError::file(path, format!("could not be serialised: {e}")))?;
    text.push(b'\n');
    write_whole(path, |temporary| std::fs::write(temporary, &text).map_err(ModelError::io(path)))
}

/// What `write` made of a temporary sibling takes the place of `path` when it is on the disk.
fn write_whole(path: &Path, write: impl FnOnce(&Path) -> Result<(), ModelError>) -> Result<(), ModelError> {
    let temporary = path.with_extension("writing");
    let put = || {
        write(&temporary)?;
        let sync = || File::open(&temporary)?.sync_all();
        sync().and_then(|()| std::fs::rename(&temporary, path)).map_err(ModelError::io(path))
    };
    put().inspect_err(|_| {
        let _ = std::fs::remove_file(&temporary);
    })
}
