//! A tensor that is known without a checkpoint.

/// A tensor of fp32 as plain numbers, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct GivenTensor {
    /// Its full name.
    pub name: String,
    /// Its sizes.
    pub shape: Vec<i64>,
    /// Its numbers.
    pub values: Vec<f32>,
}
