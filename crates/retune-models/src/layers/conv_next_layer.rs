//! ConvNeXt's layer: depthwise convolution, norm, two pointwise projections, layer scale (Liu et al. 2022, §2), in the second version a
//! norm of responses between the projections in its place (Woo et al. 2023, §3.2).
//!
//! B batch, H and W feature map, C channels.

use super::MapLayer;
use super::drop_path::drop_path;
use crate::ModelError;
use crate::checkpoint::{Init, Weights};
use retune_kernels::tch::{Kind, Tensor};
use retune_kernels::{Activation, Dense, LayerNorm, Weight};

/// Side of the depthwise kernel.
const KERNEL: i64 = 7;
/// The class fixes this number; config.json's `layer_norm_eps` is that of the final norm alone.
pub const NORM_EPSILON: f64 = 1e-6;

/// Sizes and settings of a layer.
#[derive(Debug, Clone, Copy)]
pub struct ConvNextSizes {
    /// C.
    pub channels: i64,
    /// Between the pointwise projections.
    pub activation: Activation,
    /// Initial layer scale; none at 0.
    pub layer_scale: f64,
    /// Whether responses are normed between the projections.
    pub norms_responses: bool,
    /// Rate of stochastic depth.
    pub drop_path: f64,
}

/// Added to the mean of responses, a constant of the class.
const RESPONSE_EPSILON: f64 = 1e-6;

/// Global response normalization: channels compete by how strong they are over the whole map.
#[derive(Debug)]
struct ResponseNorm {
    weight: Weight, // [1, 1, 1, 4C]
    bias: Weight,
}

impl ResponseNorm {
    fn load(weights: &Weights<'_>, size: i64) -> Result<Self, ModelError> {
        let part = |name: &str| weights.exact(name, &[1, 1, 1, size], Init::Constant(0.0));
        Ok(Self { weight: part("weight")?, bias: part("bias")? })
    }

    /// `x` [B, H, W, 4C].
    fn forward(&self, x: &Tensor) -> Tensor {
        let whole = x.to_kind(Kind::Float);
        let strength = whole.norm_scalaropt_dim(2.0, [1i64, 2].as_slice(), true);
        let share = &strength / (strength.mean_dim([-1i64].as_slice(), true, Kind::Float) + RESPONSE_EPSILON);
        (&*self.weight * (&whole * share) + &*self.bias + &whole).to_kind(x.kind())
    }
}

/// The layer with its residual.
#[derive(Debug)]
pub struct ConvNextLayer {
    depthwise: Weight, // [C, 1, 7, 7]
    depthwise_bias: Weight,
    norm: LayerNorm,
    up: Dense,
    responses: Option<ResponseNorm>,
    down: Dense,
    scale: Option<Weight>,
    sizes: ConvNextSizes,
}

impl ConvNextLayer {
    /// `weights` points at `….layers.<index>`.
    pub fn load(weights: &Weights<'_>, sizes: ConvNextSizes) -> Result<Self, ModelError> {
        let c = sizes.channels;
        let (depthwise, init) = (weights.at("dwconv"), Init::Normal(weights.initializer_range()));
        let scale = || weights.exact("layer_scale_parameter", &[c], Init::Constant(sizes.layer_scale));
        Ok(Self {
            depthwise: depthwise.compute("weight", &[c, 1, KERNEL, KERNEL], init)?,
            depthwise_bias: depthwise.compute("bias", &[c], Init::Constant(0.0))?,
            norm: weights.at("layernorm").layer_norm(c, NORM_EPSILON)?,
            up: weights.at("pwconv1").dense(c, 4 * c)?,
            responses: sizes.norms_responses.then(|| ResponseNorm::load(&weights.at("grn"), 4 * c)).transpose()?,
            down: weights.at("pwconv2").dense(4 * c, c)?,
            scale: (sizes.layer_scale > 0.0).then(scale).transpose()?,
            sizes,
        })
    }
}

impl MapLayer for ConvNextLayer {
    fn forward(&self, x: &Tensor, train: bool) -> Tensor {
        let channels_first = x.permute([0, 3, 1, 2]);
        let pad = KERNEL / 2;
        let y = channels_first.conv2d(
            &self.depthwise,
            Some(&*self.depthwise_bias),
            [1, 1],
            [pad, pad],
            [1, 1],
            self.sizes.channels,
        );
        let y = self.norm.forward(&y.permute([0, 2, 3, 1]));
        let y = self.sizes.activation.forward(&self.up.forward(&y, train));
        let y = self.responses.as_ref().map_or_else(|| y.shallow_clone(), |norm| norm.forward(&y));
        let y = self.down.forward(&y, train);
        let y = self.scale.as_ref().map_or_else(|| y.shallow_clone(), |scale| &y * scale.to_kind(y.kind()));
        x + drop_path(&y, self.sizes.drop_path, train)
    }

    fn work(&self, places: f64) -> f64 {
        let c = self.sizes.channels as f64;
        2.0 * places * c * (8.0 * c + (KERNEL * KERNEL) as f64)
    }
}
