//! The class of each pixel of one image, as it is right or as a model says it.

/// Stands for a pixel that has no class, as in Hugging Face's `semantic_loss_ignore_index`.
pub const NO_CLASS: u8 = 255;

/// A class for each pixel of an image before it is scaled, row by row; [`NO_CLASS`] where there is none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Mask {
    /// Pixels in a row.
    pub width: usize,
    /// Number of rows.
    pub height: usize,
    /// A class for each pixel.
    pub classes: Vec<u8>,
}
