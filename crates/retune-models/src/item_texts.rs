//! Text encoders that learn within a model of items: what a batch brings for them, and what is kept of them beforehand.
//!
//! U distinct items of a batch, L tokens of the longest text, E width of the encoder, N items in all.

use crate::{ModelError, Tensors};
use retune_kernels::tch::Tensor;

/// Path of the text encoder within the base, as a part that has weights of its own before training.
pub const ITEM_BACKBONE: &str = "model.backbone";
/// Input with the numbers of the items whose texts a batch holds, \[U\] in order.
pub const ITEM_NUMBERS: &str = "item_numbers";
/// Their tokens [U, L].
pub const ITEM_INPUT_IDS: &str = "item_input_ids";
/// Which of those are no padding [U, L].
pub const ITEM_ATTENTION_MASK: &str = "item_attention_mask";
/// 1 for items with a text, else 0, \[U\].
pub const ITEM_HAS_TEXT: &str = "item_has_text";

/// A body with a text encoder inside. In training it makes the vectors of the items that a batch names; otherwise it reads those
/// that were kept.
pub trait ItemTexts: Sync {
    /// What the encoder says of texts, [U, E] in fp32, of the inputs above; zeros where there is no text.
    ///
    /// # Errors
    /// Inputs that are missing or do not fit.
    fn encode(&self, inputs: &Tensors) -> Result<Tensor, ModelError>;

    /// Keeps what was said of items, so that passes without their texts read it.
    ///
    /// # Errors
    /// Items beyond N, or vectors of another width.
    fn keep(&self, items: &Tensor, said: &Tensor) -> Result<(), ModelError>;
}

/// The rows of `items` [..] among `numbers`, which are in order; some row for what is not among them.
pub fn rows_of(items: &Tensor, numbers: &Tensor) -> Tensor {
    let rows = items.contiguous().searchsorted(numbers, false, false, "left", None::<Tensor>);
    rows.clamp_max((numbers.size()[0] - 1).max(0))
}
