//! What layers over feature maps have in common.

use retune_kernels::tch::Tensor;

/// A layer over a feature map [B, H, W, C] (B batch, C channels).
pub trait MapLayer: Sync {
    /// `x` [B, H, W, C]; returns the same shape, or that of the next stage.
    fn forward(&self, x: &Tensor, train: bool) -> Tensor;
    /// Floating-point operations for a result of `places` places, H·W.
    fn work(&self, places: f64) -> f64;
}
