//! Layers of DETR (Carion et al. 2020, appendix A.3), transformers `DetrEncoderLayer` and `DetrDecoderLayer`: positions are added
//! to queries and keys of each attention, never to values.
//!
//! B batch, T places of the map, Q queries, D hidden size.

use crate::ModelError;
use crate::checkpoint::Weights;
use retune_kernels::dropout::dropout;
use retune_kernels::tch::Tensor;
use retune_kernels::{Activation, AttentionMask, AttentionOptions, Dense, LayerNorm, fused};

/// Sizes and settings, from config.json.
#[derive(Debug, Clone, Copy)]
pub struct SetLayerSizes {
    /// D.
    pub hidden: i64,
    /// Heads.
    pub heads: i64,
    /// Inside the network behind attention.
    pub intermediate: i64,
    /// There, too.
    pub activation: Activation,
    /// Behind attention and network.
    pub dropout: f64,
    /// On attention probabilities.
    pub attention_dropout: f64,
    /// Behind the activation.
    pub activation_dropout: f64,
    /// Of norms.
    pub epsilon: f64,
}

/// Attention whose queries and keys know where they are.
#[derive(Debug)]
pub(super) struct PlacedAttention {
    query: Dense,
    key: Dense,
    value: Dense,
    output: Dense,
    sizes: SetLayerSizes,
}

impl PlacedAttention {
    pub(super) fn load(weights: &Weights<'_>, sizes: SetLayerSizes) -> Result<Self, ModelError> {
        let d = sizes.hidden;
        if d % sizes.heads != 0 {
            let problem = format!("is {}, which does not divide `d_model` {d}", sizes.heads);
            return Err(ModelError::Config { field: "attention_heads".to_owned(), problem });
        }
        let dense = |name: &str| weights.at(name).dense(d, d);
        Ok(Self {
            query: dense("q_proj")?,
            key: dense("k_proj")?,
            value: dense("v_proj")?,
            output: dense("out_proj")?,
            sizes,
        })
    }

    /// `x` [B, Q, D] at `places` attend to `to` [B, T, D] at theirs, as the mask and what is added to scores allow.
    pub(super) fn forward(
        &self,
        (x, places): (&Tensor, &Tensor),
        (to, to_places): (&Tensor, &Tensor),
        (mask, bias): (Option<&AttentionMask>, Option<&Tensor>),
        train: bool,
    ) -> Tensor {
        let placed = |x: &Tensor, places: &Tensor| x + places.to_kind(x.kind());
        let query = self.query.forward(&placed(x, places), train);
        let key = self.key.forward(&placed(to, to_places), train);
        let value = self.value.forward(to, train);
        let options = AttentionOptions { mask, bias, dropout: self.sizes.attention_dropout, ..Default::default() };
        self.output.forward(&fused::attention(&query, &key, &value, self.sizes.heads, &options, train), train)
    }
}

/// Two projections.
#[derive(Debug)]
pub(super) struct Network {
    first: Dense,
    second: Dense,
    sizes: SetLayerSizes,
}

impl Network {
    pub(super) fn load(weights: &Weights<'_>, sizes: SetLayerSizes) -> Result<Self, ModelError> {
        Ok(Self {
            first: weights.at("fc1").dense(sizes.hidden, sizes.intermediate)?,
            second: weights.at("fc2").dense(sizes.intermediate, sizes.hidden)?,
            sizes,
        })
    }

    pub(super) fn forward(&self, x: &Tensor, train: bool) -> Tensor {
        let inner = self.first.forward_activated(x, self.sizes.activation, train);
        let y = self.second.forward(&dropout(&inner, self.sizes.activation_dropout, train), train);
        dropout(&y, self.sizes.dropout, train)
    }
}

/// A norm behind what is added.
pub(super) fn norm(weights: &Weights<'_>, name: &str, sizes: &SetLayerSizes) -> Result<LayerNorm, ModelError> {
    weights.at(name).layer_norm(sizes.hidden, sizes.epsilon)
}

/// A layer over the places of a map.
#[derive(Debug)]
pub struct SetEncoderLayer {
    attention: PlacedAttention,
    attention_norm: LayerNorm,
    network: Network,
    norm: LayerNorm,
    norms_first: bool,
    sizes: SetLayerSizes,
}

impl SetEncoderLayer {
    /// `weights` points at the layer.
    ///
    /// # Errors
    /// A checkpoint that does not fit.
    pub fn load(weights: &Weights<'_>, sizes: SetLayerSizes) -> Result<Self, ModelError> {
        Ok(Self {
            norms_first: false,
            attention: PlacedAttention::load(&weights.at("self_attn"), sizes)?,
            attention_norm: norm(weights, "self_attn_layer_norm", &sizes)?,
            network: Network::load(weights, sizes)?,
            norm: norm(weights, "final_layer_norm", &sizes)?,
            sizes,
        })
    }

    /// The same, with norms before what they were behind, as RT-DETR's `normalize_before` means it.
    #[must_use]
    pub fn with_norms_first(self, norms_first: bool) -> Self {
        Self { norms_first, ..self }
    }

    /// `x` [B, T, D] at `places` [B, T, D].
    pub fn forward(&self, x: &Tensor, places: &Tensor, mask: Option<&AttentionMask>, train: bool) -> Tensor {
        let attended = |x: &Tensor| {
            let attended = self.attention.forward((x, places), (x, places), (mask, None), train);
            dropout(&attended, self.sizes.dropout, train)
        };
        if self.norms_first {
            // What is added to is the norm's result, as transformers has it.
            let x = self.norm.forward(&(x + attended(&self.attention_norm.forward(x))));
            return &x + self.network.forward(&x, train);
        }
        let x = self.attention_norm.forward(&(x + attended(x)));
        self.norm.forward(&(&x + self.network.forward(&x, train)))
    }
}

/// A layer over queries, which look at the map.
#[derive(Debug)]
pub struct SetDecoderLayer {
    attention: PlacedAttention,
    attention_norm: LayerNorm,
    cross: PlacedAttention,
    cross_norm: LayerNorm,
    network: Network,
    norm: LayerNorm,
    sizes: SetLayerSizes,
}

impl SetDecoderLayer {
    /// `weights` points at the layer.
    ///
    /// # Errors
    /// A checkpoint that does not fit.
    pub fn load(weights: &Weights<'_>, sizes: SetLayerSizes) -> Result<Self, ModelError> {
        Ok(Self {
            attention: PlacedAttention::load(&weights.at("self_attn"), sizes)?,
            attention_norm: norm(weights, "self_attn_layer_norm", &sizes)?,
            cross: PlacedAttention::load(&weights.at("encoder_attn"), sizes)?,
            cross_norm: norm(weights, "encoder_attn_layer_norm", &sizes)?,
            network: Network::load(weights, sizes)?,
            norm: norm(weights, "final_layer_norm", &sizes)?,
            sizes,
        })
    }

    /// `x` [B, Q, D] at the queries' own `places` [B, Q, D] look at the map [B, T, D] at its places, where `mask` is true.
    pub fn forward(
        &self,
        (x, places): (&Tensor, &Tensor),
        map: (&Tensor, &Tensor),
        mask: Option<&AttentionMask>,
        train: bool,
    ) -> Tensor {
        let added = |x: &Tensor, y: Tensor| x + dropout(&y, self.sizes.dropout, train);
        let attended = self.attention.forward((x, places), (x, places), (None, None), train);
        let x = self.attention_norm.forward(&added(x, attended));
        let looked = self.cross.forward((&x, places), map, (mask, None), train);
        let x = self.cross_norm.forward(&added(&x, looked));
        self.norm.forward(&(&x + self.network.forward(&x, train)))
    }
}
