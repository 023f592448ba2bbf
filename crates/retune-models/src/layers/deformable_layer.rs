//! A layer over queries that look at a few places of several maps (Zhu et al. 2020, §4.1), transformers'
//! `DeformableDetrDecoderLayer` and `RTDetrDecoderLayer`.
//!
//! B batch, T places of all maps, Q queries, D hidden size.

use super::set_layer::{Network, PlacedAttention, norm};
use super::{DeformableAttention, DeformableSizes, Levels, SetLayerSizes};
use crate::ModelError;
use crate::checkpoint::Weights;
use retune_kernels::LayerNorm;
use retune_kernels::dropout::dropout;
use retune_kernels::tch::Tensor;

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
