//! A batch: named arrays with Hugging Face's own names (`input_ids`, `attention_mask`, `labels`, …).
//!
//! B rows, T tokens (or other pieces) of the longest of them.

use std::collections::BTreeMap;

/// The numbers of an [`Array`], row-major.
#[derive(Debug, Clone, PartialEq)]
pub enum ArrayData {
    /// 64-bit integers: token ids, masks, class labels.
    I64(Vec<i64>),
    /// 32-bit floats: targets, pixels, samples.
    F32(Vec<f32>),
    /// Bytes: classes of pixels.
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

/// Says that an array `[B, T]` of integers has one number for each place of an input, and so is padded with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Along {
    /// The mask `[B, T]` among the inputs that tells places from padding, such as `attention_mask`.
    pub mask: &'static str,
    /// What stands where there is padding.
    pub fill: i64,
}

/// A row-major array; `shape` multiplies to the number of elements in `data`.
#[derive(Debug, Clone, PartialEq)]
pub struct Array {
    /// Sizes of the dimensions, outermost first.
    pub shape: Vec<usize>,
    /// The elements.
    pub data: ArrayData,
    /// The input that the array is padded with; `None` for arrays whose rows are all of one size.
    pub along: Option<Along>,
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

    /// An array of bytes. Panics when `shape` does not fit `values`: both come from this workspace.
    pub fn bytes(shape: &[usize], values: Vec<u8>) -> Self {
        Self::new(shape, ArrayData::U8(values))
    }

    /// The same array, as one that is padded with an input.
    pub fn along(self, along: Along) -> Self {
        Self { along: Some(along), ..self }
    }

    fn new(shape: &[usize], data: ArrayData) -> Self {
        assert_eq!(shape.iter().product::<usize>(), data.len(), "the shape must fit the data");
        Self { shape: shape.to_vec(), data, along: None }
    }
}

/// Arrays by Hugging Face's name; the first dimension of each is the number of rows, but of what the rows share.
pub type Arrays = BTreeMap<String, Array>;

/// How much of a batch is work, in what the medium counts (tokens, patches).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Units {
    /// Units that are not padding.
    pub real: usize,
    /// Units including padding.
    pub padded: usize,
}

/// The size of a batch on both sides of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Extent {
    /// The size of what goes in.
    pub input: Units,
    /// The size of what is to come out, where it has a length of its own (a translation); else nothing.
    pub target: Units,
}

/// What one forward pass needs, padded to a common length, and what it should give.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Batch {
    /// Row of the dataset behind each element of the batch, in order.
    pub rows: Vec<usize>,
    /// What the model reads: `input_ids`, `attention_mask`, `pixel_values`, ….
    pub inputs: Arrays,
    /// What losses compare with: `labels`, `start_positions`, …; none where rows have no targets.
    pub targets: Arrays,
    /// How large the batch is.
    pub extent: Extent,
}
