//! One layer of a conformer (Gulati et al. 2020): half a feed-forward network, attention, a convolution over time that looks back
//! alone, and the other half: transformers' `Wav2Vec2BertEncoderLayer`.
//!
//! B batch, T frames, D hidden size, K kernel of the convolution.

use super::{ConformerAttention, ConformerAttentionSizes, FramePositions};
use crate::ModelError;
use crate::checkpoint::{Init, Weights};
use retune_kernels::dropout::dropout;
use retune_kernels::tch::Tensor;
use retune_kernels::{Activation, AttentionMask, Dense, LayerNorm, Weight};

/// Sizes and settings of a layer, from config.json.
#[derive(Debug, Clone, Copy)]
pub struct ConformerSizes {
    /// Attention, with its hidden size.
    pub attention: ConformerAttentionSizes,
    /// Width of the feed-forward networks.
    pub intermediate: i64,
    /// Of the feed-forward networks and the convolution.
    pub activation: Activation,
    /// Added to variances.
    pub norm_epsilon: f64,
    /// K, odd.
    pub kernel: i64,
    /// Behind the feed-forward networks.
    pub hidden_dropout: f64,
    /// Inside them.
    pub activation_dropout: f64,
    /// Behind the convolution.
    pub convolution_dropout: f64,
}

/// A feed-forward network.
#[derive(Debug)]
pub struct ConformerNetwork {
    up: Dense,
    down: Dense,
    activation: Activation,
    dropouts: (f64, f64),
}

impl ConformerNetwork {
    /// `weights` points at it; of a layer's sizes, but for `hidden` features and this activation.
    ///
    /// # Errors
    /// A checkpoint that does not fit.
    pub fn load(
        weights: &Weights<'_>,
        (hidden, activation): (i64, Activation),
        sizes: &ConformerSizes,
    ) -> Result<Self, ModelError> {
        Ok(Self {
            up: weights.at("intermediate_dense").dense(hidden, sizes.intermediate)?,
            down: weights.at("output_dense").dense(sizes.intermediate, hidden)?,
            activation,
            dropouts: (sizes.activation_dropout, sizes.hidden_dropout),
        })
    }

    /// Same shape out.
    pub fn forward(&self, x: &Tensor, train: bool) -> Tensor {
        let inner = self.up.forward_activated(x, self.activation, train);
        dropout(&self.down.forward(&dropout(&inner, self.dropouts.0, train), train), self.dropouts.1, train)
    }
}

/// The convolution over time.
#[derive(Debug)]
struct ConformerConvolution {
    norm: LayerNorm,
    first: Weight,     // [2 · D, D, 1]
    over_time: Weight, // [D, 1, K]
    inner_norm: LayerNorm,
    second: Weight, // [D, D, 1]
}

impl ConformerConvolution {
    fn load(weights: &Weights<'_>, sizes: &ConformerSizes) -> Result<Self, ModelError> {
        let (d, epsilon) = (sizes.attention.hidden, sizes.norm_epsilon);
        let convolution = |name: &str, shape: [i64; 3]| {
            let fan_in = (shape[1] * shape[2]) as f64;
            weights.at(name).compute("weight", &shape, Init::Normal((2.0 / fan_in).sqrt()))
        };
        Ok(Self {
            norm: weights.at("layer_norm").layer_norm(d, epsilon)?,
            first: convolution("pointwise_conv1", [2 * d, d, 1])?,
            over_time: convolution("depthwise_conv", [d, 1, sizes.kernel])?,
            inner_norm: weights.at("depthwise_layer_norm").layer_norm(d, epsilon)?,
            second: convolution("pointwise_conv2", [d, d, 1])?,
        })
    }

    /// `x` [B, T, D]; `padding` is true at frames that are none, [B, T, 1].
    fn forward(&self, x: &Tensor, padding: Option<&Tensor>, sizes: &ConformerSizes, train: bool) -> Tensor {
        let none: Option<&Tensor> = None;
        let mut x = self.norm.forward(x);
        if let Some(padding) = padding {
            x = x.masked_fill(padding, 0.0);
        }
        let x = x.linear(&self.first.squeeze_dim(2), none).glu(-1).transpose(1, 2);
        let [features, _, kernel] = self.over_time.size()[..] else { panic!("a kernel has three dimensions") };
        let x = x.constant_pad_nd([kernel - 1, 0]).conv1d(&self.over_time, none, [1], [0], [1], features);
        let x = sizes.activation.forward(&self.inner_norm.forward(&x.transpose(1, 2).contiguous()));
        dropout(&x.linear(&self.second.squeeze_dim(2), none), sizes.convolution_dropout, train)
    }
}

/// All four parts with their norms.
#[derive(Debug)]
pub struct ConformerLayer {
    first_norm: LayerNorm,
    first: ConformerNetwork,
    attention_norm: LayerNorm,
    attention: ConformerAttention,
    convolution: ConformerConvolution,
    second_norm: LayerNorm,
    second: ConformerNetwork,
    norm: LayerNorm,
    sizes: ConformerSizes,
}

impl ConformerLayer {
    /// `weights` points at `….encoder.layers.<index>`.
    ///
    /// # Errors
    /// A checkpoint that does not fit.
    pub fn load(weights: &Weights<'_>, sizes: ConformerSizes) -> Result<Self, ModelError> {
        let d = sizes.attention.hidden;
        let norm = |name: &str| weights.at(name).layer_norm(d, sizes.norm_epsilon);
        let network = |name: &str| ConformerNetwork::load(&weights.at(name), (d, sizes.activation), &sizes);
        Ok(Self {
            first_norm: norm("ffn1_layer_norm")?,
            first: network("ffn1")?,
            attention_norm: norm("self_attn_layer_norm")?,
            attention: ConformerAttention::load(&weights.at("self_attn"), sizes.attention)?,
            convolution: ConformerConvolution::load(&weights.at("conv_module"), &sizes)?,
            second_norm: norm("ffn2_layer_norm")?,
            second: network("ffn2")?,
            norm: norm("final_layer_norm")?,
            sizes,
        })
    }

    /// `x` [B, T, D], whose frames attend to each other where `mask` is true; `padding` [B, T, 1] is true at frames that are none.
    pub fn forward(
        &self,
        x: &Tensor,
        (mask, padding): (Option<&AttentionMask>, Option<&Tensor>),
        positions: &FramePositions,
        train: bool,
    ) -> Tensor {
        let x = x + self.first.forward(&self.first_norm.forward(x), train) * 0.5;
        let attended = self.attention.forward(&self.attention_norm.forward(&x), mask, positions, train);
        let x = x + dropout(&attended, self.sizes.attention.dropout, train);
        let x = &x + self.convolution.forward(&x, padding, &self.sizes, train);
        let transformed = self.second.forward(&self.second_norm.forward(&x), train) * 0.5;
        self.norm.forward(&(x + transformed))
    }

    /// Floating-point operations of one layer over so many frames.
    pub fn work(sizes: &ConformerSizes, frames: f64) -> f64 {
        let (d, f) = (sizes.attention.hidden as f64, sizes.intermediate as f64);
        2.0 * frames * d * (4.0 * f + 7.0 * d + 2.0 * frames + sizes.kernel as f64)
    }
}
