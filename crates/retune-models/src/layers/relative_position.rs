//! Learned biases by relative position of patches, added to attention scores.
//!
//! BEiT (Bao et al. 2021) has them over the whole image and for its class token, Swin (Liu et al. 2021) inside a window.
//! h and w grid, H heads, T = 1 + h·w tokens.

use crate::ModelError;
use crate::checkpoint::{Init, Weights};
use retune_kernels::Weight;
use retune_kernels::tch::{Kind, Tensor};
use std::sync::{Mutex, PoisonError};

/// Row of a table over `table` positions for each pair of patches of `grid`, row-major, [(h·w)²].
///
/// `grid` may be smaller than the grid the table was made for: its offsets are then among the table's.
pub fn relative_position_index(grid: (i64, i64), table: (i64, i64)) -> Vec<i64> {
    let places = || (0..grid.0).flat_map(move |row| (0..grid.1).map(move |column| (row, column)));
    let row_length = 2 * table.1 - 1;
    places()
        .flat_map(|(r, c)| places().map(move |(s, d)| (r - s + table.0 - 1) * row_length + c - d + table.1 - 1))
        .collect()
}

/// BEiT's biases: a table [(2h-1)·(2w-1) + 3, H]; the last three rows are class→patch, patch→class, class→class.
#[derive(Debug)]
pub struct RelativePositionBias {
    table: Weight,
    grid: (i64, i64),
    /// Of the grid that came last: images of a run are all of one size.
    index: Mutex<((i64, i64), Tensor)>,
}

impl RelativePositionBias {
    /// `weights` points at the module that holds `relative_position_bias_table`.
    pub fn load(weights: &Weights<'_>, grid: (i64, i64), heads: i64) -> Result<Self, ModelError> {
        let rows = (2 * grid.0 - 1) * (2 * grid.1 - 1) + 3;
        let table = weights.exact("relative_position_bias_table", &[rows, heads], Init::Constant(0.0))?;
        let index = Self::index(grid).to_device(table.device());
        Ok(Self { table, grid, index: Mutex::new((grid, index)) })
    }

    /// [T²]: as [`relative_position_index`], with the class token in front.
    fn index(grid: (i64, i64)) -> Tensor {
        let patches = grid.0 * grid.1;
        let offsets = (2 * grid.0 - 1) * (2 * grid.1 - 1);
        let inner = Tensor::from_slice(&relative_position_index(grid, grid)).view([patches, patches]);
        let to_class = Tensor::full([patches, 1], offsets + 1, (Kind::Int64, inner.device()));
        let mut first = vec![offsets; patches as usize + 1];
        first[0] = offsets + 2;
        let first = Tensor::from_slice(&first).view([1, -1]);
        Tensor::cat(&[first, Tensor::cat(&[to_class, inner], 1)], 0).view([-1])
    }

    /// [1, H, T, T] for a grid of this size; the table is resized bilinearly where it was made for another.
    pub fn at(&self, grid: (i64, i64)) -> Tensor {
        let tokens = grid.0 * grid.1 + 1;
        let table = if grid == self.grid { self.table.shallow_clone() } else { self.resized(grid) };
        let mut cached = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        if cached.0 != grid {
            *cached = (grid, Self::index(grid).to_device(self.table.device()));
        }
        table.index_select(0, &cached.1).view([tokens, tokens, -1]).permute([2, 0, 1]).unsqueeze(0)
    }

    fn resized(&self, grid: (i64, i64)) -> Tensor {
        let [rows, heads] = self.table.size()[..] else { panic!("a table has two dimensions") };
        let offsets = self.table.narrow(0, 0, rows - 3);
        // Hugging Face reads the table with width before height; that matters only for images that are not square.
        let offsets = offsets.reshape([1, 2 * self.grid.1 - 1, 2 * self.grid.0 - 1, heads]).permute([0, 3, 1, 2]);
        let offsets = offsets.upsample_bilinear2d([2 * grid.0 - 1, 2 * grid.1 - 1], false, None, None);
        Tensor::cat(&[offsets.permute([0, 2, 3, 1]).reshape([-1, heads]), self.table.narrow(0, rows - 3, 3)], 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_smaller_window_reads_the_same_offsets() {
        // Offsets between two patches of a row: 0, -1, +1, 0, in the middle row of a 3×3 table of offsets.
        assert_eq!(relative_position_index((1, 2), (2, 2)), [4, 3, 5, 4]);
        // The same in a 5×5 table of offsets.
        assert_eq!(relative_position_index((1, 2), (3, 3)), [12, 11, 13, 12]);
    }
}
