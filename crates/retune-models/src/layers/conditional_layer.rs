//! A layer of Conditional DETR's decoder (Meng et al. 2021, §3.3), transformers' `ConditionalDetrDecoderLayer`: what a query is and where
//! it is are projected apart, and scores of the map are the sum of what both say.
//!
//! B batch, T places of the map, Q queries, H heads, K head size, D hidden size.

use super::SetLayerSizes;
use super::set_layer::{Network, norm};
use crate::ModelError;
use crate::checkpoint::Weights;
use retune_kernels::attention::scaled_dot_product;
use retune_kernels::dropout::dropout;
use retune_kernels::tch::Tensor;
use retune_kernels::{AttentionMask, AttentionOptions, Dense, LayerNorm, fused};

/// Where queries are.
#[derive(Debug, Clone, Copy)]
pub struct QueryPlaces<'a> {
    /// Learnt vectors, [B, Q, D].
    pub own: &'a Tensor,
    /// Sines and cosines of their middles, as the layer scales them, [B, Q, D].
    pub middles: &'a Tensor,
}

/// Projections of content and place, of queries and keys.
#[derive(Debug)]
struct Apart {
    query: Dense,
    query_place: Option<Dense>,
    key: Dense,
    key_place: Dense,
    value: Dense,
    output: Dense,
}

impl Apart {
    fn load(weights: &Weights<'_>, prefix: &str, module: &str, (d, placed): (i64, bool)) -> Result<Self, ModelError> {
        let dense = |name: &str| weights.at(&format!("{prefix}_{name}_proj")).dense(d, d);
        Ok(Self {
            query: dense("qcontent")?,
            query_place: placed.then(|| dense("qpos")).transpose()?,
            key: dense("kcontent")?,
            key_place: dense("kpos")?,
            value: dense("v")?,
            output: weights.at(module).at("out_proj").dense(d, d)?,
        })
    }
}

/// The layer.
#[derive(Debug)]
pub struct ConditionalDecoderLayer {
    own: Apart,
    own_norm: LayerNorm,
    cross: Apart,
    middle: Dense,
    cross_norm: LayerNorm,
    network: Network,
    norm: LayerNorm,
    sizes: SetLayerSizes,
}

impl ConditionalDecoderLayer {
    /// `weights` points at the layer; only the first one of a decoder adds learnt places to what it looks for.
    ///
    /// # Errors
    /// A checkpoint that does not fit.
    pub fn load(weights: &Weights<'_>, sizes: SetLayerSizes, first: bool) -> Result<Self, ModelError> {
        let d = sizes.hidden;
        if d % sizes.heads != 0 {
            let problem = format!("is {}, which does not divide `d_model` {d}", sizes.heads);
            return Err(ModelError::Config { field: "decoder_attention_heads".to_owned(), problem });
        }
        Ok(Self {
            own: Apart::load(weights, "sa", "self_attn", (d, true))?,
            own_norm: norm(weights, "self_attn_layer_norm", &sizes)?,
            cross: Apart::load(weights, "ca", "encoder_attn", (d, first))?,
            middle: weights.at("ca_qpos_sine_proj").dense(d, d)?,
            cross_norm: norm(weights, "encoder_attn_layer_norm", &sizes)?,
            network: Network::load(weights, sizes)?,
            norm: norm(weights, "final_layer_norm", &sizes)?,
            sizes,
        })
    }

    /// `x` [B, Q, D] at `places` look at the map [B, T, D] at its places [B, T, D], where `mask` is true.
    pub fn forward(
        &self,
        x: &Tensor,
        places: QueryPlaces<'_>,
        map: (&Tensor, &Tensor),
        mask: Option<&AttentionMask>,
        train: bool,
    ) -> Tensor {
        let added = |x: &Tensor, y: Tensor| x + dropout(&y, self.sizes.dropout, train);
        let own = places.own.to_kind(x.kind());
        let at = |content: &Dense, place: &Dense| content.forward(x, train) + place.forward(&own, train);
        let query = match &self.own.query_place {
            Some(place) => at(&self.own.query, place),
            None => self.own.query.forward(x, train),
        };
        let (key, value) = (at(&self.own.key, &self.own.key_place), self.own.value.forward(x, train));
        let options = AttentionOptions { dropout: self.sizes.attention_dropout, ..Default::default() };
        let attended = fused::attention(&query, &key, &value, self.sizes.heads, &options, train);
        let x = self.own_norm.forward(&added(x, self.own.output.forward(&attended, train)));
        let looked = self.look(&x, (&own, &places.middles.to_kind(x.kind())), map, mask, train);
        let x = self.cross_norm.forward(&added(&x, looked));
        self.norm.forward(&(&x + self.network.forward(&x, train)))
    }

    fn look(
        &self,
        x: &Tensor,
        (own, middles): (&Tensor, &Tensor),
        (map, map_places): (&Tensor, &Tensor),
        mask: Option<&AttentionMask>,
        train: bool,
    ) -> Tensor {
        let (query, key) = (self.cross.query.forward(x, train), self.cross.key.forward(map, train));
        let key_place = self.cross.key_place.forward(&map_places.to_kind(x.kind()), train);
        let (query, key) = match &self.cross.query_place {
            Some(place) => (query + place.forward(own, train), key + &key_place),
            None => (query, key),
        };
        let heads = |x: &Tensor| {
            let [batch, tokens, width] = x.size()[..] else { panic!("projections have three dimensions") };
            x.reshape([batch, tokens, self.sizes.heads, width / self.sizes.heads]).transpose(1, 2)
        };
        // Content and place of each head side by side: [B, H, Q or T, 2K].
        let query = Tensor::cat(&[heads(&query), heads(&self.middle.forward(middles, train))], -1);
        let key = Tensor::cat(&[heads(&key), heads(&key_place)], -1);
        let value = heads(&self.cross.value.forward(map, train));
        let options = AttentionOptions { mask, dropout: self.sizes.attention_dropout, ..Default::default() };
        let seen = scaled_dot_product(&query, &key, &value, &options, train);
        self.cross.output.forward(&seen.transpose(1, 2).flatten(2, 3), train)
    }
}
