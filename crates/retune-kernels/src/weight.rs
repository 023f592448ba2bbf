//! A tensor of a model, as its layers hold it.

use std::ops::Deref;
use tch::Tensor;

/// A tensor that several threads may read at once, so that lanes can share a model. It is written by the optimizer and by
/// loading alone, which have the model for themselves.
#[derive(Debug)]
pub struct Weight(Tensor);

// SAFETY: a handle to libtorch's `Tensor`, whose reference count is atomic and whose reading operations several threads
// may run at once. What writes needs `&mut Tensor`, which is not given out, or another handle to the same memory, which
// `Tensor: Send` lets cross threads as well.
unsafe impl Sync for Weight {}

impl From<Tensor> for Weight {
    fn from(tensor: Tensor) -> Self {
        Self(tensor)
    }
}

impl Deref for Weight {
    type Target = Tensor;
    fn deref(&self) -> &Tensor {
        &self.0
    }
}
