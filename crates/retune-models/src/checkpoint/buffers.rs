//! Tensors that are stored with a model and that no optimizer updates: fixed ones, and statistics that passes of training
//! write.

use super::TensorNames;
use crate::ModelError;
use retune_kernels::tch::{Tensor, no_grad};

/// One of them.
#[derive(Debug)]
pub struct Buffer {
    /// Its name in the checkpoint, as in Hugging Face.
    pub name: String,
    /// Its value; shares storage with the layer's.
    pub tensor: Tensor,
    /// Whether the head owns it.
    pub head: bool,
    /// Whether training changes it, so that it belongs to what was learned.
    pub running: bool,
}

/// All of a model.
#[derive(Debug, Default)]
pub struct Buffers(Vec<Buffer>);

impl Buffers {
    /// In the order its layers were made.
    pub fn iter(&self) -> impl Iterator<Item = &Buffer> {
        self.0.iter()
    }

    /// Those that an adapter is saved with: what training changes of the head.
    pub(crate) fn of_adapter(&self) -> impl Iterator<Item = &Buffer> {
        self.iter().filter(|buffer| buffer.head && buffer.running)
    }

    /// Puts a stored value in the place of the one of this name, which may be that of transformers 5; what never changes
    /// stays as it is. `Ok(None)` where there is no such buffer, else its name.
    ///
    /// # Errors
    /// A value of another shape.
    pub(crate) fn restore(&self, names: &TensorNames, name: &str, value: &Tensor) -> Result<Option<&str>, ModelError> {
        let is =
            |buffer: &&Buffer| buffer.name == name || names.module(&buffer.name).is_some_and(|module| module == name);
        let Some(buffer) = self.iter().find(is) else { return Ok(None) };
        if buffer.running {
            if buffer.tensor.size() != value.size() {
                let (found, expected) = (value.size(), buffer.tensor.size());
                return Err(ModelError::Shape { name: name.to_owned(), found, expected });
            }
            no_grad(|| buffer.tensor.shallow_clone().f_copy_(value).map(|_| ()))?;
        }
        Ok(Some(&buffer.name))
    }
}

impl FromIterator<Buffer> for Buffers {
    fn from_iter<I: IntoIterator<Item = Buffer>>(buffers: I) -> Self {
        Self(buffers.into_iter().collect())
    }
}
