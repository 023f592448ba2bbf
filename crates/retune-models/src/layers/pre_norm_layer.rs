//! One pre-LayerNorm encoder layer, shared by ViT, DeiT, BEiT, DINOv2 and ViT-MAE.
//!
//!   y = x + DropPath(λ₁ · Drop(Attention(LN(x))))      z = y + DropPath(λ₂ · Drop(FeedForward(LN(y))))
//!
//! Dosovitskiy et al. 2020, §3.1; λ is layer scale (Touvron et al. 2021), absent in ViT. B batch, T tokens, D hidden size.

use super::drop_path::drop_path;
use super::{
    Attention, AttentionSizes, FeedForward, GatedFeedForward, GatedOptions, LayerNames, LayerSizes,
    RelativePositionBias,
};
use crate::ModelError;
use crate::checkpoint::{Init, Weights};
use retune_kernels::dropout::dropout;
use retune_kernels::tch::Tensor;
use retune_kernels::{Activation, LayerNorm, Weight};

/// What differs between the families beside names and sizes.
#[derive(Debug, Clone, Copy)]
pub struct PreNormOptions {
    /// Whether query and value have a bias.
    pub query_value_bias: bool,
    /// Whether the key has one.
    pub key_bias: bool,
    /// Names and initial value of the two layer scales.
    pub layer_scale: Option<(&'static str, &'static str, f64)>,
    /// Path of a SwiGLU network in place of the plain one.
    pub gated: Option<&'static str>,
    /// Path and grid of the layer's own relative position bias.
    pub relative_position: Option<(&'static str, (i64, i64))>,
}

/// Attention and feed-forward with their residuals.
#[derive(Debug)]
pub struct PreNormLayer {
    norm_before: LayerNorm,
    attention: Attention,
    relative_position: Option<RelativePositionBias>,
    norm_after: LayerNorm,
    network: Network,
    scales: Option<(Weight, Weight)>,
    /// After attention, after the feed-forward network.
    dropout: (f64, f64),
    drop_path: f64,
}

/// SwiGLU of DINOv2.
const GATED: GatedOptions = GatedOptions {
    gate_and_up: "weights_in",
    down: "weights_out",
    activation: Activation::Silu,
    bias: true,
    dropout: 0.0,
};

#[derive(Debug)]
enum Network {
    Plain(FeedForward),
    Gated(GatedFeedForward),
}

impl PreNormLayer {
    /// `weights` points at `….layer.<index>`; `drop_path` is this layer's rate.
    pub fn load(
        weights: &Weights<'_>,
        names: &LayerNames,
        sizes: &LayerSizes,
        options: &PreNormOptions,
        drop_path: f64,
    ) -> Result<Self, ModelError> {
        let d = sizes.hidden;
        let attention = AttentionSizes {
            query_value_bias: options.query_value_bias,
            key_bias: options.key_bias,
            ..sizes.attention()
        };
        let scale = |name: &str, value: f64| weights.exact(name, &[d], Init::Constant(value));
        Ok(Self {
            norm_before: weights.at(names.attention_norm).layer_norm(d, sizes.norm_epsilon)?,
            attention: Attention::load(weights, &names.attention, &attention)?,
            relative_position: options
                .relative_position
                .map(|(path, grid)| RelativePositionBias::load(&weights.at(path), grid, sizes.heads))
                .transpose()?,
            norm_after: weights.at(names.output_norm).layer_norm(d, sizes.norm_epsilon)?,
            network: match options.gated {
                None => Network::Plain(FeedForward::load(weights, names, sizes)?),
                Some(path) => Network::Gated(GatedFeedForward::load(&weights.at(path), d, sizes.intermediate, &GATED)?),
            },
            scales: options
                .layer_scale
                .map(|(first, second, value)| Ok::<_, ModelError>((scale(first, value)?, scale(second, value)?)))
                .transpose()?,
            dropout: (sizes.hidden_dropout, sizes.feed_forward_dropout),
            drop_path,
        })
    }

    /// `x` [B, T, D] over a `grid` of patches; `bias` [1, H, T, T] is added to the attention scores. Returns [B, T, D].
    pub fn forward(&self, x: &Tensor, grid: (i64, i64), bias: Option<&Tensor>, train: bool) -> Tensor {
        self.forward_read(x, &self.read(x), grid, bias, train)
    }

    /// What attention reads of `x`: LN(x).
    pub fn read(&self, x: &Tensor) -> Tensor {
        self.norm_before.forward(x)
    }

    /// [`Self::forward`] of `x` [B, Q, D], the first tokens of what attention has to `read` [B, T, D]. Returns [B, Q, D].
    pub fn forward_read(
        &self,
        x: &Tensor,
        read: &Tensor,
        grid: (i64, i64),
        bias: Option<&Tensor>,
        train: bool,
    ) -> Tensor {
        let queries = read.narrow(1, 0, x.size()[1]);
        let attended = self.attention.forward(&queries, read, None, self.bias(grid, bias).as_ref(), train);
        let y = x + self.branch(&attended, self.scales.as_ref().map(|s| &*s.0), self.dropout.0, train);
        let normed = self.norm_after.forward(&y);
        let transformed = match &self.network {
            Network::Plain(network) => network.forward(&normed, train),
            Network::Gated(network) => network.forward(&normed, train),
        };
        &y + self.branch(&transformed, self.scales.as_ref().map(|s| &*s.1), self.dropout.1, train)
    }

    /// How much each token attends to each other, the mean of all heads, [B, T, T].
    pub fn attention(&self, x: &Tensor, grid: (i64, i64), bias: Option<&Tensor>) -> Tensor {
        self.attention.probabilities(&self.read(x), self.bias(grid, bias).as_ref())
    }

    /// The layer's own bias and the shared one.
    fn bias(&self, grid: (i64, i64), shared: Option<&Tensor>) -> Option<Tensor> {
        let own = self.relative_position.as_ref().map(|relative| relative.at(grid));
        match (own, shared) {
            (Some(own), Some(shared)) => Some(own + shared),
            (own, shared) => own.or_else(|| shared.map(Tensor::shallow_clone)),
        }
    }

    fn branch(&self, x: &Tensor, scale: Option<&Tensor>, p: f64, train: bool) -> Tensor {
        let x = dropout(x, p, train);
        let x = scale.map_or_else(|| x.shallow_clone(), |scale| &x * scale.to_kind(x.kind()));
        drop_path(&x, self.drop_path, train)
    }
}
