//! Swin's layer: attention inside windows that are shifted in every other layer (Liu et al. 2021, §3.2).
//!
//!   y = x + DropPath(Drop(WindowAttention(LN(x))))      z = y + Drop(FeedForward(LN(y)))
//!
//! B batch, H and W feature map, C channels, M window, A = M², N windows per image.

use super::drop_path::drop_path;
use super::relative_position::relative_position_index;
use super::{Attention, AttentionSizes, FeedForward, LayerNames, LayerSizes, MapLayer};
use crate::ModelError;
use crate::checkpoint::{Init, Weights};
use retune_kernels::dropout::dropout;
use retune_kernels::tch::{Kind, Tensor};
use retune_kernels::{LayerNorm, Weight};
use std::sync::{Mutex, PoisonError};

/// Score of a pair of patches that a shift has brought into one window from different sides of the image.
const APART: f64 = -100.0;

/// Settings of a layer beside its sizes.
#[derive(Debug, Clone, Copy)]
pub struct WindowOptions {
    /// M.
    pub window: i64,
    /// By how many patches the windows are shifted; 0 or M/2.
    pub shift: i64,
    /// Whether query, key and value have a bias.
    pub bias: bool,
    /// Whether a window shrinks to a map that is smaller; else the map is padded.
    pub fitted: bool,
    /// Rate of stochastic depth.
    pub drop_path: f64,
}

/// Window attention and feed-forward with their residuals.
#[derive(Debug)]
pub struct WindowLayer {
    norm_before: LayerNorm,
    attention: Attention,
    table: Weight, // [(2M-1)², heads]
    norm_after: LayerNorm,
    feed_forward: FeedForward,
    sizes: LayerSizes,
    options: WindowOptions,
    geometry: Mutex<Option<Geometry>>,
}

/// What depends on the size of the feature map alone: made once for each size that comes.
#[derive(Debug)]
struct Geometry {
    /// Height and width, padded.
    size: (i64, i64),
    /// Rows of the table, [A²].
    index: Tensor,
    /// [N, 1, A, A]; `None` without a shift.
    apart: Option<Tensor>,
}

impl WindowLayer {
    /// `weights` points at `….blocks.<index>`; `bias_table` is the path of the relative position biases.
    pub fn load(
        weights: &Weights<'_>,
        names: &LayerNames,
        bias_table: &str,
        sizes: &LayerSizes,
        options: WindowOptions,
    ) -> Result<Self, ModelError> {
        let c = sizes.hidden;
        let attention = AttentionSizes { query_value_bias: options.bias, key_bias: options.bias, ..sizes.attention() };
        let offsets = (2 * options.window - 1) * (2 * options.window - 1);
        Ok(Self {
            norm_before: weights.at(names.attention_norm).layer_norm(c, sizes.norm_epsilon)?,
            attention: Attention::load(weights, &names.attention, &attention)?,
            table: weights.exact(bias_table, &[offsets, sizes.heads], Init::Constant(0.0))?,
            norm_after: weights.at(names.output_norm).layer_norm(c, sizes.norm_epsilon)?,
            feed_forward: FeedForward::load(weights, names, sizes)?,
            sizes: *sizes,
            options,
            geometry: Mutex::default(),
        })
    }

    fn attend(&self, x: &Tensor, train: bool) -> Tensor {
        let [_, height, width, _] = x.size()[..] else { panic!("feature maps have four dimensions") };
        // One window over the shorter side needs no shift.
        let (window, shift) = match height.min(width) {
            side if self.options.fitted && side <= self.options.window => (side, 0),
            _ => (self.options.window, self.options.shift),
        };
        in_windows(x, window, shift, |windows, size| {
            let bias = self.bias(size, window, shift);
            self.attention.forward(windows, windows, None, Some(&bias), train)
        })
    }

    /// [N, heads, A, A], or [1, heads, A, A] where it is the same in all windows.
    fn bias(&self, size: (i64, i64), window: i64, shift: i64) -> Tensor {
        let mut cached = self.geometry.lock().unwrap_or_else(PoisonError::into_inner);
        let geometry = match cached.take().filter(|geometry| geometry.size == size) {
            Some(geometry) => cached.insert(geometry),
            None => cached.insert(self.geometry(size, window, shift)),
        };
        let area = window * window;
        let rows = self.table.index_select(0, &geometry.index);
        let bias = rows.view([area, area, -1]).permute([2, 0, 1]).unsqueeze(0);
        geometry.apart.as_ref().map_or_else(|| bias.shallow_clone(), |apart| &bias + apart)
    }

    fn geometry(&self, size: (i64, i64), window: i64, shift: i64) -> Geometry {
        let (table, device) = ((self.options.window, self.options.window), self.table.device());
        let index = Tensor::from_slice(&relative_position_index((window, window), table)).to_device(device);
        let apart = (shift > 0).then(|| apart(size.0, size.1, window, shift).unsqueeze(1).to_device(device));
        Geometry { size, index, apart }
    }
}

impl MapLayer for WindowLayer {
    fn forward(&self, x: &Tensor, train: bool) -> Tensor {
        let sizes = &self.sizes;
        let attended = dropout(&self.attend(&self.norm_before.forward(x), train), sizes.hidden_dropout, train);
        let y = x + drop_path(&attended, self.options.drop_path, train);
        let transformed = self.feed_forward.forward(&self.norm_after.forward(&y), train);
        y + dropout(&transformed, sizes.feed_forward_dropout, train)
    }

    fn work(&self, places: f64) -> f64 {
        let area = (self.options.window * self.options.window) as f64;
        places / area * self.sizes.work(area, area)
    }
}

/// What `attend` makes of the windows [B·N, A, C] of `x` [B, H, W, C], which is padded to whole ones and shifted before, and brought back
/// behind; it is told the padded size.
pub(super) fn in_windows(
    x: &Tensor,
    window: i64,
    shift: i64,
    attend: impl FnOnce(&Tensor, (i64, i64)) -> Tensor,
) -> Tensor {
    let [batch, height, width, channels] = x.size()[..] else { panic!("feature maps have four dimensions") };
    let (bottom, right) = ((window - height % window) % window, (window - width % window) % window);
    let padded = if bottom + right == 0 { x.shallow_clone() } else { x.constant_pad_nd([0, 0, 0, right, 0, bottom]) };
    let (h, w) = (height + bottom, width + right);
    let shifted = if shift == 0 { padded } else { padded.roll([-shift, -shift], [1, 2]) };
    let windows = partition(&shifted, window).view([-1, window * window, channels]);
    let grid = attend(&windows, (h, w)).view([batch, h / window, w / window, window, window, channels]);
    let merged = grid.transpose(2, 3).reshape([batch, h, w, channels]);
    let merged = if shift == 0 { merged } else { merged.roll([shift, shift], [1, 2]) };
    merged.narrow(1, 0, height).narrow(2, 0, width)
}

/// `x` [B, H, W, C] as windows [B·N, M, M, C]; the sides are multiples of M.
fn partition(x: &Tensor, window: i64) -> Tensor {
    let [batch, height, width, channels] = x.size()[..] else { panic!("feature maps have four dimensions") };
    let grid = x.reshape([batch, height / window, window, width / window, window, channels]);
    grid.transpose(2, 3).reshape([-1, window, window, channels])
}

/// 0 for pairs of patches that were neighbours before the shift, [`APART`] for others, [N, A, A].
pub(super) fn apart(height: i64, width: i64, window: i64, shift: i64) -> Tensor {
    let region = |length: i64| {
        let of = move |i: i64| i64::from(i >= length - window) + i64::from(i >= length - shift);
        (0..length).map(of).collect::<Vec<i64>>()
    };
    let rows = Tensor::from_slice(&region(height)).view([1, height, 1, 1]);
    let columns = Tensor::from_slice(&region(width)).view([1, 1, width, 1]);
    let regions = partition(&(rows * 3 + columns), window).view([-1, window * window]);
    let differ = regions.unsqueeze(1).not_equal_tensor(&regions.unsqueeze(2));
    differ.to_kind(Kind::Float) * APART
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_windows_hold_patches_from_two_sides() {
        let mask = apart(8, 8, 4, 2);
        assert_eq!(mask.size(), [4, 16, 16]);
        assert_eq!(mask.get(0).abs().max().double_value(&[]), 0.0);
        // The last window is cut into four quarters: each patch is apart from three quarters of the others.
        let apart_in_last = mask.get(3).ne(0.0).sum(Kind::Int64).int64_value(&[]);
        assert_eq!(apart_in_last, 16 * 12);
    }
}
