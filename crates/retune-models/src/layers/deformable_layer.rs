//! Layers that look at a few places of several maps (Zhu et al. 2020, §4.1): over queries, transformers'
//! `DeformableDetrDecoderLayer` and `RTDetrDecoderLayer`, and over the places of the maps, `DeformableDetrEncoderLayer`.
//!
//! B batch, T places of all maps, Q queries, D hidden size.

use super::set_layer::{Network, PlacedAttention, norm};
use super::{DeformableAttention, DeformableSizes, Levels, SetLayerSizes};
use crate::ModelError;
use crate::checkpoint::Weights;
use retune_kernels::LayerNorm;
use retune_kernels::dropout::dropout;
use retune_kernels::tch::{Kind, Tensor};

/// Attention among queries, to the maps, and a network, each with a norm behind it.
#[derive(Debug)]
pub struct DeformableDecoderLayer {
    attention: PlacedAttention,
    attention_norm: LayerNorm,
    cross: DeformableAttention,
    cross_norm: LayerNorm,
    network: Network,
    norm: LayerNorm,
    sizes: SetLayerSizes,
}

impl DeformableDecoderLayer {
    /// `weights` points at the layer.
    ///
    /// # Errors
    /// A checkpoint that does not fit.
    pub fn load(weights: &Weights<'_>, sizes: SetLayerSizes, cross: DeformableSizes) -> Result<Self, ModelError> {
        Ok(Self {
            attention: PlacedAttention::load(&weights.at("self_attn"), sizes)?,
            attention_norm: norm(weights, "self_attn_layer_norm", &sizes)?,
            cross: DeformableAttention::load(&weights.at("encoder_attn"), cross)?,
            cross_norm: norm(weights, "encoder_attn_layer_norm", &sizes)?,
            network: Network::load(weights, sizes)?,
            norm: norm(weights, "final_layer_norm", &sizes)?,
            sizes,
        })
    }

    /// `x` [B, Q, D] at the queries' own `places` [B, Q, D], which stand for `references` [B, Q, 1 or L, 2 or 4]; `bias`
    /// [1, 1, Q, Q] says which of them do not know each other.
    pub fn forward(
        &self,
        (x, places): (&Tensor, &Tensor),
        maps: (&Tensor, &Levels),
        (references, there): (&Tensor, Option<&Tensor>),
        bias: Option<&Tensor>,
        train: bool,
    ) -> Tensor {
        let added = |x: &Tensor, y: Tensor| x + dropout(&y, self.sizes.dropout, train);
        let attended = self.attention.forward((x, places), (x, places), (None, bias), train);
        let x = self.attention_norm.forward(&added(x, attended));
        let looked = self.cross.forward((&x, places), maps, references, there, train);
        let x = self.cross_norm.forward(&added(&x, looked));
        self.norm.forward(&(&x + self.network.forward(&x, train)))
    }

    /// Floating-point operations for so many queries over so many places.
    pub fn work(&self, queries: f64, places: f64) -> f64 {
        let (d, inner) = (self.sizes.hidden as f64, self.sizes.intermediate as f64);
        let own = queries * d * (8.0 * d + 4.0 * queries + 4.0 * inner);
        own + self.cross.work(queries, places)
    }
}

/// Attention to the maps, and a network, each with a norm behind it.
#[derive(Debug)]
pub struct DeformableEncoderLayer {
    attention: DeformableAttention,
    attention_norm: LayerNorm,
    network: Network,
    norm: LayerNorm,
    sizes: SetLayerSizes,
}

impl DeformableEncoderLayer {
    /// `weights` points at the layer.
    ///
    /// # Errors
    /// A checkpoint that does not fit.
    pub fn load(weights: &Weights<'_>, sizes: SetLayerSizes, own: DeformableSizes) -> Result<Self, ModelError> {
        Ok(Self {
            attention: DeformableAttention::load(&weights.at("self_attn"), own)?,
            attention_norm: norm(weights, "self_attn_layer_norm", &sizes)?,
            network: Network::load(weights, sizes)?,
            norm: norm(weights, "final_layer_norm", &sizes)?,
            sizes,
        })
    }

    /// `x` [B, T, D] at `places` [B, T, D], where `there` [B, T] is true: `ratios` [B, L, 2] of the maps are of the image.
    pub fn forward(
        &self,
        (x, places): (&Tensor, &Tensor),
        levels: &Levels,
        (ratios, there): (&Tensor, &Tensor),
        train: bool,
    ) -> Tensor {
        let references = middles(levels, ratios);
        let looked = self.attention.forward((x, places), (x, levels), &references, Some(there), train);
        let x = self.attention_norm.forward(&(x + dropout(&looked, self.sizes.dropout, train)));
        self.norm.forward(&(&x + self.network.forward(&x, train)))
    }

    /// Floating-point operations over so many places.
    pub fn work(&self, places: f64) -> f64 {
        let (d, inner) = (self.sizes.hidden as f64, self.sizes.intermediate as f64);
        self.attention.work(places, places) + 4.0 * places * d * inner
    }
}

/// Where each place of the maps is on each of them, [B, T, L, 2]; `ratios` [B, L, 2] of these are of the image.
fn middles(levels: &Levels, ratios: &Tensor) -> Tensor {
    let options = (Kind::Float, ratios.device());
    let of_map = |(level, &(height, width)): (i64, &(i64, i64))| {
        let along = |side: i64| (Tensor::arange(side, options) + 0.5) / side as f64;
        let x = along(width).view([1, -1]).expand([height, width], false);
        let y = along(height).view([-1, 1]).expand([height, width], false);
        Tensor::stack(&[x, y], -1).view([1, -1, 2]) / ratios.narrow(1, level, 1)
    };
    let all: Vec<Tensor> = (0i64..).zip(&levels.0).map(of_map).collect();
    Tensor::cat(&all, 1).unsqueeze(2) * ratios.unsqueeze(1)
}
