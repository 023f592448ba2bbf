//! One encoder layer of Wav2Vec2, HuBERT, WavLM and Whisper, its norms behind attention and feed-forward or before them.
//!
//! Hugging Face's `Wav2Vec2EncoderLayer`, `Wav2Vec2EncoderLayerStableLayerNorm` and `WhisperEncoderLayer`. B batch, T frames, D hidden size, H heads.

use super::{Attention, AttentionSizes, LayerNames, PositionGate};
use crate::ModelError;
use crate::checkpoint::Weights;
use retune_kernels::dropout::dropout;
use retune_kernels::fused::dropout_residual_norm;
use retune_kernels::tch::Tensor;
use retune_kernels::{Activation, AttentionMask, Dense, LayerNorm};

/// Sizes and settings of a layer, from config.json.
#[derive(Debug, Clone, Copy)]
pub struct SpeechLayerSizes {
    /// D.
    pub hidden: i64,
    /// H.
    pub heads: i64,
    /// Width of the feed-forward network.
    pub intermediate: i64,
    /// Of the feed-forward network.
    pub activation: Activation,
    /// Added to variances.
    pub norm_epsilon: f64,
    /// After attention and feed-forward.
    pub hidden_dropout: f64,
    /// Inside the feed-forward network.
    pub activation_dropout: f64,
    /// On attention probabilities.
    pub attention_dropout: f64,
    /// Whether norms stand before attention and feed-forward, `do_stable_layer_norm`.
    pub norm_first: bool,
    /// Whether relative positions pass a gate.
    pub gated: bool,
    /// Width of a small network behind each layer, `adapter_attn_dim` (MMS; Pratap et al. 2023), where norms stand first.
    pub adapter: Option<i64>,
    /// Whether the key projection has a bias, as the others have.
    pub key_bias: bool,
}

/// Attention and feed-forward with their residuals.
#[derive(Debug)]
pub struct SpeechLayer {
    attention: Attention,
    gate: Option<PositionGate>,
    attention_norm: LayerNorm,
    up: Dense,
    down: Dense,
    output_norm: LayerNorm,
    adapter: Option<SpeechAdapter>,
    sizes: SpeechLayerSizes,
}

/// What MMS puts behind a layer for each language: Hugging Face's `Wav2Vec2AttnAdapterLayer`.
#[derive(Debug)]
struct SpeechAdapter {
    norm: LayerNorm,
    up: Dense,
    down: Dense,
}

/// Added to variances by the adapter; the class fixes this number.
const ADAPTER_NORM_EPSILON: f64 = 1e-5;

impl SpeechAdapter {
    fn load(weights: &Weights<'_>, hidden: i64, width: i64) -> Result<Self, ModelError> {
        Ok(Self {
            norm: weights.at("norm").layer_norm(hidden, ADAPTER_NORM_EPSILON)?,
            up: weights.at("linear_1").dense(hidden, width)?,
            down: weights.at("linear_2").dense(width, hidden)?,
        })
    }

    fn forward(&self, x: &Tensor, train: bool) -> Tensor {
        let inner = self.up.forward_activated(&self.norm.forward(x), Activation::Relu, train);
        x + self.down.forward(&inner, train)
    }
}

impl SpeechLayer {
    /// `weights` points at `….encoder.layers.<index>`, `names` are those inside it.
    pub fn load(weights: &Weights<'_>, names: &LayerNames, sizes: SpeechLayerSizes) -> Result<Self, ModelError> {
        let (d, f) = (sizes.hidden, sizes.intermediate);
        let attention = AttentionSizes {
            hidden: d,
            heads: sizes.heads,
            dropout: sizes.attention_dropout,
            query_value_bias: true,
            key_bias: sizes.key_bias,
        };
        let adapter = |width: i64| SpeechAdapter::load(&weights.at("adapter_layer"), d, width);
        let gate = || PositionGate::load(&weights.at("attention"), d, sizes.heads);
        Ok(Self {
            attention: Attention::load(weights, &names.attention, &attention)?,
            gate: sizes.gated.then(gate).transpose()?,
            attention_norm: weights.at(names.attention_norm).layer_norm(d, sizes.norm_epsilon)?,
            up: weights.at(names.intermediate).dense(d, f)?,
            down: weights.at(names.output).dense(f, d)?,
            output_norm: weights.at(names.output_norm).layer_norm(d, sizes.norm_epsilon)?,
            adapter: sizes.adapter.filter(|_| sizes.norm_first).map(adapter).transpose()?,
            sizes,
        })
    }

    /// `x` [B, T, D], whose frames attend to each other where `mask` is true; `positions` [H, T, T] are relative ones.
    pub fn forward(&self, x: &Tensor, mask: Option<&AttentionMask>, positions: Option<&Tensor>, train: bool) -> Tensor {
        let p = self.sizes.hidden_dropout;
        if self.sizes.norm_first {
            let attended = self.attend(&self.attention_norm.forward(x), mask, positions, train);
            let y = x + dropout(&attended, p, train);
            let transformed = self.transform(&self.output_norm.forward(&y), train);
            let y = &y + dropout(&transformed, p, train);
            return self.adapter.as_ref().map_or_else(|| y.shallow_clone(), |adapter| adapter.forward(&y, train));
        }
        let attended = self.attend(x, mask, positions, train);
        let y = dropout_residual_norm(&attended, x, &self.attention_norm, p, train);
        dropout_residual_norm(&self.transform(&y, train), &y, &self.output_norm, p, train)
    }

    fn attend(&self, x: &Tensor, mask: Option<&AttentionMask>, positions: Option<&Tensor>, train: bool) -> Tensor {
        let bias = self.gate.as_ref().zip(positions).map(|(gate, positions)| gate.forward(x, positions, train));
        self.attention.forward(x, x, mask, bias.as_ref(), train)
    }

    fn transform(&self, x: &Tensor, train: bool) -> Tensor {
        let inner = self.up.forward_activated(x, self.sizes.activation, train);
        self.down.forward(&dropout(&inner, self.sizes.activation_dropout, train), train)
    }

    /// Floating-point operations of one layer over so many frames.
    pub fn work(sizes: &SpeechLayerSizes, frames: f64) -> f64 {
        let (d, f) = (sizes.hidden as f64, sizes.intermediate as f64);
        4.0 * frames * d * (2.0 * d + f + frames)
    }
}
