//! Encoders of what a person met, item after item: vectors of items and places, then post-norm layers that do not look ahead
//! (SASRec, Kang and McAuley 2018) or look both ways (BERT4Rec, Sun et al. 2019).
//!
//! The layers are BERT's, as in RecBole. B batch, T items of a history, N items in all, D hidden size.

use crate::checkpoint::{Init, Weights};
use crate::layers::{AttentionNames, ItemVectors, LayerNames, LayerSizes, PostNormLayer};
use crate::{Body, Mode, ModelError, Reads, State, Tensors};
use retune_kernels::tch::{Kind, Tensor};
use retune_kernels::{AttentionMask, LayerNorm, Weight, fused};
use std::ops::Range;

/// Sizes of an encoder of histories.
#[derive(Debug, Clone, Copy)]
pub struct ItemEncoderSizes {
    /// N.
    pub items: i64,
    /// Width of text features, where vectors of items are made of them.
    pub features: Option<i64>,
    /// Longest history.
    pub positions: i64,
    /// Every layer.
    pub layer: LayerSizes,
    /// Number of layers.
    pub layers: i64,
    /// Whether no item sees later ones. Else item 1 + N stands for one that is hidden.
    pub causal: bool,
    /// The block that lays vectors of items along histories: 0, or that above the blocks of a text encoder that makes them.
    pub first_block: usize,
}

const LAYER: LayerNames = LayerNames {
    attention: AttentionNames {
        query: "attention.query",
        key: "attention.key",
        value: "attention.value",
        output: "attention.output",
    },
    attention_norm: "attention_norm",
    intermediate: "intermediate",
    output: "output",
    output_norm: "output_norm",
};

/// The encoder.
pub struct ItemEncoder {
    vectors: ItemVectors,
    /// Of an item that is hidden, [1, D].
    hidden_item: Option<Weight>,
    positions: Weight,
    norm: LayerNorm,
    layers: Vec<PostNormLayer>,
    sizes: ItemEncoderSizes,
    kind: Kind,
}

impl ItemEncoder {
    /// `weights` points at the top, `base` is the path of the encoder.
    ///
    /// # Errors
    /// A checkpoint that does not fit.
    pub fn load(weights: &Weights<'_>, base: &str, sizes: ItemEncoderSizes) -> Result<Self, ModelError> {
        let (at, d, first) = (weights.at(base).depth(sizes.first_block), sizes.layer.hidden, sizes.first_block);
        let init = || Init::Normal(weights.initializer_range());
        let layer = |i: i64| {
            PostNormLayer::load(&at.at(&format!("layers.{i}")).depth(first + i as usize + 1), &LAYER, &sizes.layer)
        };
        let hidden_item = || at.at("mask_embedding").exact("weight", &[1, d], init());
        Ok(Self {
            vectors: ItemVectors::load(&at, sizes.items, sizes.features, first > 0, d)?,
            hidden_item: if sizes.causal { None } else { Some(hidden_item()?) },
            positions: at.at("position_embeddings").exact("weight", &[sizes.positions, d], init())?,
            norm: at.at("norm").layer_norm(d, sizes.layer.norm_epsilon)?,
            layers: (0..sizes.layers).map(layer).collect::<Result<_, _>>()?,
            kind: weights.compute_kind(),
            sizes,
        })
    }
}

impl ItemEncoder {
    /// The vectors of the items.
    pub(super) fn vectors(&self) -> &ItemVectors {
        &self.vectors
    }

    /// The block that lays them along histories.
    pub(super) fn first_block(&self) -> usize {
        self.sizes.first_block
    }

    /// That block: vectors `x` [B, T, D] of the items `ids` [B, T] at their places.
    pub(super) fn enter(&self, x: &Tensor, ids: &Tensor, train: bool) -> Tensor {
        let mut x = x.shallow_clone();
        if let Some(hidden_item) = &self.hidden_item {
            let is_hidden = ids.eq(self.sizes.items + 1).unsqueeze(-1);
            x = x.where_self(&is_hidden.logical_not(), hidden_item);
        }
        let x = x + self.positions.narrow(0, 0, ids.size()[1]).unsqueeze(0);
        fused::norm_dropout(&x, &self.norm, self.sizes.layer.hidden_dropout, train).to_kind(self.kind)
    }
}

impl Body for ItemEncoder {
    fn blocks(&self) -> usize {
        self.sizes.first_block + self.layers.len()
    }

    fn width(&self) -> i64 {
        self.sizes.layer.hidden
    }

    /// `input_ids` [B, T], items from 1, 0 for padding behind them.
    fn begin(&self, inputs: &Tensors, mode: &Mode) -> Result<State, ModelError> {
        let ids = inputs.get("input_ids")?;
        let hidden = mode.block(0, |train| self.enter(&self.vectors.of(ids, train), ids, train));
        Ok(State { mask: inputs.optional("attention_mask").map(Tensor::shallow_clone), ..State::new(hidden) })
    }

    fn run(&self, from: State, blocks: Range<usize>, _reads: Reads, mode: &Mode) -> Result<State, ModelError> {
        let State { hidden: mut x, mask: given, beside } = from;
        let mask = match &given {
            Some(given) => AttentionMask::padding(given, x.device())?,
            None => AttentionMask::open(),
        };
        let mask = if self.sizes.causal { mask.causal(0)? } else { mask };
        let mask = Some(mask).filter(|mask| !mask.is_trivial());
        for depth in blocks {
            x = mode.block(depth, |train| {
                self.layers[depth - self.sizes.first_block - 1].forward(&x, &x, mask.as_ref(), None, train)
            });
        }
        Ok(State { hidden: x, mask: given, beside })
    }

    fn work(&self, items: f64, _reads: Reads) -> f64 {
        let projection =
            self.sizes.features.map_or(0.0, |width| 2.0 * items * (width * self.sizes.layer.hidden) as f64);
        self.sizes.layer.stack_work(self.layers.len(), items, items) + projection
    }
}
