//! A batch: named arrays with Hugging Face's own names (`input_ids`, `attention_mask`, `labels`, …).

use std::collections::BTreeMap;

/// The numbers of an [`Array`], row-major.
#[derive(Debug, Clone, PartialEq)]
pub enum ArrayData {
    /// 64-bit integers: token ids, masks, class labels.
    I64(Vec<i64>),
    /// 32-bit floats: targets, pixels, samples.
    F32(Vec<f32>),
    /// Bytes: decoded images before normalisation.
    U8(Vec<u8>),
}

impl ArrayData {
    /// Number of elements.
    pub fn len(&self) -> usize {
        match self {
            Self::I64(values) => values.len(),
            Self::F32(values) => values.len(),
            Self::U8(values) => values.len(),
        }
    }

    /// True when there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A row-major array; `shape` multiplies to the number of elements in `data`.
#[derive(Debug, Clone, PartialEq)]
pub struct Array {
    /// Sizes of the dimensions, outermost first.
    pub shape: Vec<usize>,
    /// The elements.
    pub data: ArrayData,
}

impl Array {
    /// An integer array. Panics when `shape` does not fit `values`: both come from this workspace.
    pub fn integers(shape: &[usize], values: Vec<i64>) -> Self {
        Self::new(shape, ArrayData::I64(values))
    }

    /// A float array. Panics when `shape` does not fit `values`: both come from this workspace.
    pub fn floats(shape: &[usize], values: Vec<f32>) -> Self {
        Self::new(shape, ArrayData::F32(values))
    }

    fn new(shape: &[usize], data: ArrayData) -> Self {
        assert_eq!(shape.iter().product::<usize>(), data.len(), "the shape must fit the data");
        Self { shape: shape.to_vec(), data }
    }
}

/// What one forward pass needs, padded to a common length.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Batch {
    /// Row of the dataset behind each element of the batch, in order.
    pub rows: Vec<usize>,
    /// The arrays by Hugging Face's name; the first dimension of each is `rows.len()`.
    pub arrays: BTreeMap<String, Array>,
    /// Units of work that are not padding (tokens for text).
    pub tokens: usize,
    /// Units of work including padding.
    pub padded: usize,
}
