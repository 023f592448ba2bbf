//! Heads over an encoder's output; only names and the order of a few steps vary by family.

mod sequence_classification;

pub use sequence_classification::{HeadNames, SequenceClassificationHead};
