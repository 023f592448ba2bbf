//! Writing files so that they are either whole or absent: temporary sibling, fsync, rename.

use super::Buffers;
use crate::ModelError;
use retune_kernels::Params;
use retune_kernels::tch::{Device, Kind, Tensor};
use safetensors::{Dtype, SafeTensorError, View};
use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashMap;
use std::fs::File;
use std::path::Path;

/// A tensor that is made when it is written, so that a checkpoint needs no second copy of itself in memory.
struct Later<'a> {
    dtype: Dtype,
    bytes_each: usize,
    shape: Vec<usize>,
    read: Box<dyn Fn() -> Result<Tensor, ModelError> + 'a>,
    /// What went wrong: the interface has no room for it.
    failure: &'a RefCell<Option<ModelError>>,
}

impl Later<'_> {
    fn bytes(&self) -> Result<Vec<u8>, ModelError> {
        let tensor = (self.read)()?.detach().f_to_device(Device::Cpu)?.f_contiguous()?;
        let mut bytes = vec![0u8; self.data_len()];
        tensor.f_copy_data_u8(&mut bytes, tensor.numel())?;
        Ok(bytes)
    }
}

impl View for &Later<'_> {
    fn dtype(&self) -> Dtype {
        self.dtype
    }
    fn shape(&self) -> &[usize] {
        &self.shape
    }
    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Owned(self.bytes().unwrap_or_else(|error| {
            self.failure.borrow_mut().get_or_insert(error);
            vec![0; self.data_len()]
        }))
    }
    fn data_len(&self) -> usize {
        self.shape.iter().product::<usize>() * self.bytes_each
    }
}

/// Writes named tensors with the `{"format": "pt"}` metadata that transformers asks for.
pub fn write_tensors(path: &Path, tensors: &[(String, Tensor)]) -> Result<(), ModelError> {
    let failure = RefCell::new(None);
    let later = tensors.iter().map(|(name, tensor)| {
        later(path, name, tensor.kind(), &tensor.size(), &failure, move || Ok(tensor.shallow_clone()))
    });
    write_later(path, later.collect::<Result<_, _>>()?, &failure)
}

/// Writes the exact values of parameters, and `buffers` beside them; those that are frozen are read again one by one.
pub fn write_params(path: &Path, params: &Params, buffers: &Buffers) -> Result<(), ModelError> {
    write_some(path, params, buffers, |_| true)
}

/// The same of those parameters whose names are wanted.
pub fn write_some(
    path: &Path,
    params: &Params,
    buffers: &Buffers,
    wanted: impl Fn(&str) -> bool,
) -> Result<(), ModelError> {
    let failure = RefCell::new(None);
    let values = params.iter().filter(|param| wanted(&param.name)).map(|param| {
        let kind = param.exact_kind();
        later(path, &param.name, kind, &param.size(), &failure, move || Ok(param.value()?))
    });
    let buffers = buffers.iter().map(|buffer| {
        let tensor = &buffer.tensor;
        later(path, &buffer.name, tensor.kind(), &tensor.size(), &failure, move || Ok(tensor.shallow_clone()))
    });
    write_later(path, values.chain(buffers).collect::<Result<_, _>>()?, &failure)
}

fn later<'a>(
    path: &Path,
    name: &'a str,
    kind: Kind,
    shape: &[i64],
    failure: &'a RefCell<Option<ModelError>>,
    read: impl Fn() -> Result<Tensor, ModelError> + 'a,
) -> Result<(&'a str, Later<'a>), ModelError> {
    let dtype = match kind {
        Kind::Float => Dtype::F32,
        Kind::BFloat16 => Dtype::BF16,
        Kind::Half => Dtype::F16,
        Kind::Double => Dtype::F64,
        Kind::Int64 => Dtype::I64,
        Kind::Bool => Dtype::BOOL,
        other => return Err(ModelError::file(path, format!("cannot store `{name}` of dtype {other:?}"))),
    };
    let shape = shape.iter().map(|&n| n as usize).collect();
    Ok((name, Later { dtype, bytes_each: kind.elt_size_in_bytes(), shape, read: Box::new(read), failure }))
}

fn write_later(
    path: &Path,
    tensors: Vec<(&str, Later<'_>)>,
    failure: &RefCell<Option<ModelError>>,
) -> Result<(), ModelError> {
    let metadata = Some(HashMap::from([("format".to_owned(), "pt".to_owned())]));
    let views = tensors.iter().map(|(name, later)| (*name, later));
    write_whole(path, |temporary| {
        safetensors::serialize_to_file(views, metadata, temporary).map_err(|error| match error {
            SafeTensorError::IoError(source) => ModelError::Io { path: path.to_owned(), source },
            other => ModelError::file(path, format!("could not be serialised: {other}")),
        })?;
        failure.take().map_or(Ok(()), Err)
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
