//! Heads over an encoder's output; only names and the order of a few steps vary by family.

mod image_classification;
mod masked_patches;
mod sequence_classification;

pub use image_classification::{ImageClassificationHead, Pooling};
pub use masked_patches::{MaskedPatchLoss, Masking, kept_patches, patchify};
pub use sequence_classification::{HeadNames, SequenceClassificationHead};
