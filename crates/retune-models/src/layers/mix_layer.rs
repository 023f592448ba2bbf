//! SegFormer's layer: self-attention to a reduced sequence, then a feed-forward network with a depthwise convolution
//! inside (Xie et al. 2021, §3.1), transformers `SegformerLayer`.
//!
//! B batch, H and W feature map, C channels, R reduction, F width of the feed-forward network.

use super::drop_path::drop_path;
use super::{Attention, AttentionNames, AttentionSizes, MapLayer, PatchProjection};
use crate::ModelError;
use crate::checkpoint::{Init, Weights};
use retune_kernels::dropout::dropout;
use retune_kernels::tch::Tensor;
use retune_kernels::{Activation, Dense, LayerNorm, Weight};

/// Side of the depthwise kernel.
const KERNEL: i64 = 3;

/// Sizes and settings of a layer.
#[derive(Debug, Clone, Copy)]
pub struct MixSizes {
    /// C and heads.
    pub attention: AttentionSizes,
    /// R: keys and values are of R × R places together.
    pub reduction: i64,
    /// F.
    pub intermediate: i64,
    /// Behind the depthwise convolution.
    pub activation: Activation,
    /// Behind attention, the activation and the feed-forward network.
    pub dropout: f64,
    /// Rate of stochastic depth.
    pub drop_path: f64,
    /// Added to variances.
    pub norm_epsilon: f64,
}

/// The layer with its residuals.
#[derive(Debug)]
pub struct MixLayer {
    norm_before: LayerNorm,
    attention: Attention,
    reduction: Option<(PatchProjection, LayerNorm)>,
    norm_after: LayerNorm,
    up: Dense,
    depthwise: Weight, // [F, 1, 3, 3]
    depthwise_bias: Weight,
    down: Dense,
    sizes: MixSizes,
}

impl MixLayer {
    /// `weights` points at `….block.<stage>.<index>`.
    ///
    /// # Errors
    /// A checkpoint that does not fit.
    pub fn load(weights: &Weights<'_>, attention: &AttentionNames, sizes: MixSizes) -> Result<Self, ModelError> {
        let (c, f, r) = (sizes.attention.hidden, sizes.intermediate, sizes.reduction);
        let init = Init::Normal(weights.initializer_range());
        let reduction = || {
            let weights = weights.at("attention.self");
            let projection = PatchProjection::load(&weights.at("sr"), c, (r, r), c, init)?;
            Ok::<_, ModelError>((projection, weights.at("layer_norm").layer_norm(c, sizes.norm_epsilon)?))
        };
        let depthwise = weights.at("mlp.dwconv.dwconv");
        Ok(Self {
            norm_before: weights.at("layer_norm_1").layer_norm(c, sizes.norm_epsilon)?,
            attention: Attention::load(weights, attention, &sizes.attention)?,
            reduction: (r > 1).then(reduction).transpose()?,
            norm_after: weights.at("layer_norm_2").layer_norm(c, sizes.norm_epsilon)?,
            up: weights.at("mlp.dense1").dense(c, f)?,
            depthwise: depthwise.compute("weight", &[f, 1, KERNEL, KERNEL], init)?,
            depthwise_bias: depthwise.compute("bias", &[f], Init::Constant(0.0))?,
            down: weights.at("mlp.dense2").dense(f, c)?,
            sizes,
        })
    }

    /// Every place attends to the reduced map; `x` [B, H, W, C] is normed.
    fn attend(&self, x: &Tensor, train: bool) -> Tensor {
        let queries = x.flatten(1, 2);
        let keys = self.reduction.as_ref().map(|(projection, norm)| {
            let reduced = projection.forward_channels_last(x);
            norm.forward(&reduced.flatten(1, 2))
        });
        let attended = self.attention.forward(&queries, keys.as_ref().unwrap_or(&queries), None, None, train);
        attended.view_as(x)
    }

    fn transform(&self, x: &Tensor, train: bool) -> Tensor {
        let up = self.up.forward(x, train).permute([0, 3, 1, 2]);
        let pad = KERNEL / 2;
        let mixed =
            up.conv2d(&self.depthwise, Some(&*self.depthwise_bias), [1, 1], [pad; 2], [1, 1], self.sizes.intermediate);
        let active = self.sizes.activation.forward(&mixed.permute([0, 2, 3, 1]));
        self.down.forward(&dropout(&active, self.sizes.dropout, train), train)
    }
}

impl MapLayer for MixLayer {
    fn forward(&self, x: &Tensor, train: bool) -> Tensor {
        let MixSizes { dropout: p, drop_path: rate, .. } = self.sizes;
        let attended = self.attend(&self.norm_before.forward(x), train);
        let y = x + drop_path(&dropout(&attended, p, train), rate, train);
        let transformed = self.transform(&self.norm_after.forward(&y), train);
        &y + drop_path(&dropout(&transformed, p, train), rate, train)
    }

    fn work(&self, places: f64) -> f64 {
        let (c, f) = (self.sizes.attention.hidden as f64, self.sizes.intermediate as f64);
        let reduced = places / (self.sizes.reduction * self.sizes.reduction) as f64;
        let reduction = if self.reduction.is_some() { 2.0 * places * c * c } else { 0.0 };
        let attention = 4.0 * c * (places + reduced) * c + 4.0 * places * reduced * c;
        reduction + attention + places * f * (4.0 * c + (2 * KERNEL * KERNEL) as f64)
    }
}
