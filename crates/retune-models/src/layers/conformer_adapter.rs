//! A layer behind a conformer that makes fewer frames: a strided convolution before attention and beside it, then a feed-forward
//! network: transformers' `Wav2Vec2BertAdapterLayer`.
//!
//! B batch, T frames, D hidden size.

use super::{ConformerAttention, ConformerNetwork, ConformerSizes, FramePositions};
use crate::ModelError;
use crate::checkpoint::{Init, Weights};
use retune_kernels::dropout::dropout;
use retune_kernels::tch::Tensor;
use retune_kernels::{Activation, AttentionMask, LayerNorm, Weight};

/// Sizes and settings, from config.json.
#[derive(Debug, Clone, Copy)]
pub struct ConformerAdapterSizes {
    /// Those that it shares with layers; attention has no positions.
    pub layer: ConformerSizes,
    /// Of the convolutions.
    pub kernel: i64,
    /// Of the convolutions.
    pub stride: i64,
    /// Of the feed-forward network.
    pub activation: Activation,
}

#[derive(Debug)]
struct Convolution {
    norm: LayerNorm,
    weight: Weight, // [2 · D, D, kernel]
    bias: Weight,
    stride: i64,
}

impl Convolution {
    fn load(
        weights: &Weights<'_>,
        (norm, name): (&str, &str),
        sizes: &ConformerAdapterSizes,
    ) -> Result<Self, ModelError> {
        let (d, at) = (sizes.layer.attention.hidden, weights.at(name));
        let fan_in = (d * sizes.kernel) as f64;
        Ok(Self {
            norm: weights.at(norm).layer_norm(d, sizes.layer.norm_epsilon)?,
            weight: at.compute("weight", &[2 * d, d, sizes.kernel], Init::Normal((2.0 / fan_in).sqrt()))?,
            bias: at.compute("bias", &[2 * d], Init::Uniform(1.0 / fan_in.sqrt()))?,
            stride: sizes.stride,
        })
    }

    fn forward(&self, x: &Tensor) -> Tensor {
        let x = self.norm.forward(x).transpose(1, 2);
        let x = x.conv1d(&self.weight, Some(&*self.bias), [self.stride], [self.stride / 2], [1], 1);
        x.glu(1).transpose(1, 2).contiguous()
    }
}

/// The layer.
#[derive(Debug)]
pub struct ConformerAdapter {
    beside: Convolution,
    before: Convolution,
    attention: ConformerAttention,
    norm: LayerNorm,
    network: ConformerNetwork,
    dropout: f64,
}

impl ConformerAdapterSizes {
    /// Frames that become of so many.
    pub fn frames(&self, frames: i64) -> i64 {
        (frames + 2 * (self.stride / 2) - self.kernel) / self.stride + 1
    }

    /// How many of them transformers takes for no padding: it counts with another padding than the convolutions have.
    pub fn counted(&self) -> (i64, i64, i64) {
        (self.kernel, self.stride, self.kernel / 2)
    }
}

impl ConformerAdapter {
    /// `weights` points at `….adapter.layers.<index>`.
    ///
    /// # Errors
    /// A checkpoint that does not fit.
    pub fn load(weights: &Weights<'_>, sizes: &ConformerAdapterSizes) -> Result<Self, ModelError> {
        let d = sizes.layer.attention.hidden;
        Ok(Self {
            beside: Convolution::load(weights, ("residual_layer_norm", "residual_conv"), sizes)?,
            before: Convolution::load(weights, ("self_attn_layer_norm", "self_attn_conv"), sizes)?,
            attention: ConformerAttention::load(&weights.at("self_attn"), sizes.layer.attention)?,
            norm: weights.at("ffn_layer_norm").layer_norm(d, sizes.layer.norm_epsilon)?,
            network: ConformerNetwork::load(&weights.at("ffn"), (d, sizes.activation), &sizes.layer)?,
            dropout: sizes.layer.convolution_dropout,
        })
    }

    /// `x` [B, T, D]; the fewer frames that it makes attend to each other where `mask` is true.
    pub fn forward(&self, x: &Tensor, mask: Option<&AttentionMask>, train: bool) -> Tensor {
        let attended = self.attention.forward(&self.before.forward(x), mask, &FramePositions::None, train);
        let x = dropout(&attended, self.dropout, train) + self.beside.forward(x);
        &x + self.network.forward(&self.norm.forward(&x), train)
    }

    /// Floating-point operations over so many frames that it makes.
    pub fn work(sizes: &ConformerAdapterSizes, frames: f64) -> f64 {
        let (d, f) = (sizes.layer.attention.hidden as f64, sizes.layer.intermediate as f64);
        2.0 * frames * d * (4.0 * d * sizes.kernel as f64 + 4.0 * d + 2.0 * f + 2.0 * frames)
    }
}
