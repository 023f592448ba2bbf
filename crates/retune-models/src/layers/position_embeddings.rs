//! Learned positions of a grid of patches, resized to other grids as Hugging Face's `interpolate_pos_encoding` does.
//!
//! S special tokens, M more behind the patches, h and w grid, D hidden size.

use retune_kernels::Weight;
use retune_kernels::tch::Tensor;

/// A table [1, S + h·w + M, D], in fp32.
#[derive(Debug)]
pub struct PositionEmbeddings {
    table: Weight,
    special: i64,
    behind: i64,
    grid: (i64, i64),
    antialiased: bool,
}

impl PositionEmbeddings {
    /// `grid` is the one the table was made for; its first `special` rows belong to no patch.
    pub fn new(table: Weight, special: i64, grid: (i64, i64)) -> Self {
        Self { table, special, behind: 0, grid, antialiased: false }
    }

    /// The same table where its last `behind` rows belong to tokens behind the patches.
    pub fn with_behind(self, behind: i64) -> Self {
        Self { behind, ..self }
    }

    /// The same where rows of a finer grid are averaged for a coarser one.
    #[must_use]
    pub fn antialiased(self) -> Self {
        Self { antialiased: true, ..self }
    }

    /// Rows for a grid of this size, [1, S + M + h·w, D]: bicubic, without aligned corners, and without antialiasing unless it is asked for. Those of
    /// tokens behind the patches come before them.
    pub fn at(&self, grid: (i64, i64)) -> Tensor {
        if self.behind > 0 {
            let front = self.table.size()[1] - self.behind;
            let patches = Self { table: self.table.narrow(1, 0, front).into(), behind: 0, ..*self }.at(grid);
            let [special, behind] = [(&patches, 0, self.special), (&*self.table, front, self.behind)]
                .map(|(of, from, count)| of.narrow(1, from, count));
            return Tensor::cat(&[special, behind, patches.narrow(1, self.special, grid.0 * grid.1)], 1);
        }
        if grid == self.grid {
            return self.table.shallow_clone();
        }
        let [_, rows, size] = self.table.size()[..] else { panic!("a position table has three dimensions") };
        let special = self.table.narrow(1, 0, self.special);
        let patches = self.table.narrow(1, self.special, rows - self.special);
        let patches = patches.reshape([1, self.grid.0, self.grid.1, size]).permute([0, 3, 1, 2]);
        let size_of = [grid.0, grid.1];
        let patches = match self.antialiased {
            true => patches.internal_upsample_bicubic2d_aa(size_of, false, None, None),
            false => patches.upsample_bicubic2d(size_of, false, None, None),
        };
        let patches = patches.permute([0, 2, 3, 1]).reshape([1, grid.0 * grid.1, size]);
        Tensor::cat(&[special, patches], 1)
    }
}
