//! A head before it has weights.

use crate::checkpoint::Weights;
use crate::{Body, Head, ModelConfig, ModelError};

/// A head as data: names and settings, before it has weights.
pub trait HeadPlan {
    /// Makes the head. `weights` points at the top, at the depth above the body's blocks: what belongs to the head is asked of
    /// [`Weights::head`], what lies between body and head of [`Weights::neck`].
    ///
    /// # Errors
    /// A configuration or checkpoint that does not fit.
    fn build(&self, weights: &Weights<'_>, config: &ModelConfig, body: &dyn Body) -> Result<Box<dyn Head>, ModelError>;
    /// Whether a decoder writes by it what it read another text for: such a head is never new.
    fn writes(&self) -> bool {
        false
    }
    /// Changes what Hugging Face's class of this head could not read in a configuration, as it will be saved.
    fn settle(&self, _config: &mut ModelConfig) {}
}
