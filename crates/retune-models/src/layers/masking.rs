//! Which patches a masked autoencoder removes (He et al. 2021, §3).
//!
//! B batch, N patches, K kept patches.

use crate::{ModelConfig, ModelError};
use retune_kernels::tch::{Kind, Tensor};

/// K of `patches` by `mask_ratio` of config.json, rounded down.
pub fn kept_patches(config: &ModelConfig, patches: i64) -> Result<i64, ModelError> {
    let mask_ratio = config.number_or("mask_ratio", 0.75)?;
    let kept = (patches as f64 * (1.0 - mask_ratio)) as i64;
    if (0.0..1.0).contains(&mask_ratio) && kept > 0 && kept < patches {
        return Ok(kept);
    }
    let problem =
        format!("is {mask_ratio}: of {patches} patches {kept} would be kept; some must be kept, some removed");
    Err(ModelError::Config { field: "mask_ratio".to_owned(), problem })
}

/// Which patches are kept.
#[derive(Debug)]
pub struct Masking {
    /// Places of the kept patches, [B, K], in the order of their noise.
    pub kept: Tensor,
    /// For each patch its place among kept ones followed by removed ones, [B, N].
    pub restore: Tensor,
    /// 1 for removed patches, [B, N].
    pub mask: Tensor,
}

impl Masking {
    /// Keeps the `kept` patches with the lowest `noise` [B, N].
    pub fn new(noise: &Tensor, kept: i64) -> Self {
        let order = noise.argsort_stable(true, 1, false);
        let restore = order.argsort_stable(true, 1, false);
        let mask = restore.ge(kept).to_kind(Kind::Float);
        Self { kept: order.narrow(1, 0, kept), restore, mask }
    }
}

/// Tokens of `x` [B, S, D] at `places` [B, K]; returns [B, K, D].
pub fn pick(x: &Tensor, places: &Tensor) -> Tensor {
    x.gather(1, &places.unsqueeze(-1).expand([-1, -1, x.size()[2]], false), false)
}
