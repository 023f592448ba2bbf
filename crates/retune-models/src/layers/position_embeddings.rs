//! Learned positions of a grid of patches, resized to other grids as Hugging Face's `interpolate_pos_encoding` does.
//!
//! S special tokens, h and w grid, D hidden size.

use retune_kernels::Weight;
use retune_kernels::tch::Tensor;

/// A table [1, S + h·w, D], in fp32.
#[derive(Debug)]
pub struct PositionEmbeddings {
    table: Weight,
    special: i64,
    grid: (i64, i64),
}

impl PositionEmbeddings {
    /// `grid` is the one the table was made for; its first `special` rows belong to no patch.
    pub fn new(table: Weight, special: i64, grid: (i64, i64)) -> Self {
        Self { table, special, grid }
    }

    /// Rows for a grid of this size, [1, S + h·w, D]: bicubic, without aligned corners and without antialiasing.
    pub fn at(&self, grid: (i64, i64)) -> Tensor {
        if grid == self.grid {
            return self.table.shallow_clone();
        }
        let [_, rows, size] = self.table.size()[..] else { panic!("a position table has three dimensions") };
        let special = self.table.narrow(1, 0, self.special);
        let patches = self.table.narrow(1, self.special, rows - self.special);
        let patches = patches.reshape([1, self.grid.0, self.grid.1, size]).permute([0, 3, 1, 2]);
        let patches = patches.upsample_bicubic2d([grid.0, grid.1], false, None, None);
        let patches = patches.permute([0, 2, 3, 1]).reshape([1, grid.0 * grid.1, size]);
        Tensor::cat(&[special, patches], 1)
    }
}
