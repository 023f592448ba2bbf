//! A stack of layers over embeddings: the encoder of an encoder–decoder, or its decoder, whose layers attend to what the encoder
//! returned (Vaswani et al. 2017; Lewis et al. 2019; Raffel et al. 2020).
//!
//! B batch, T tokens, S tokens that are read, D hidden size, H heads.

use crate::ModelError;
use crate::cache::{LayerCache, seen};
use crate::checkpoint::{Init, Weights};
use crate::layers::{
    Angles, Attending, BucketedPositionBias, Buckets, DecoderLayer, DecoderLayerNames, DecoderSizes, NetworkNames,
    Norm, Rotary, Sinusoids, is_left_out, marian_sinusoids,
};
use retune_kernels::dropout::dropout;
use retune_kernels::tch::{Kind, Tensor};
use retune_kernels::{AttentionMask, Table, Weight};

/// How positions are added to the tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StackPositions {
    /// They are not.
    None,
    /// A table of so many `rows`, of which the first `unused` belong to no place.
    Learned {
        /// All of them.
        rows: i64,
        /// Before that of the first token.
        unused: i64,
    },
    /// So many fixed sinusoids; those of the checkpoint, where it has some.
    Fixed(i64),
    /// Sinusoids of any place, numbered after padding.
    AfterPadding(Sinusoids),
}

/// Sizes of a stack, read from config.json by its family.
#[derive(Debug, Clone)]
pub struct StackSizes {
    /// What embeddings are multiplied by.
    pub embedding_scale: f64,
    /// How positions come in.
    pub positions: StackPositions,
    /// Positions that turn pairs of neighbouring dimensions in attention, where they do.
    pub rotary: Option<Rotary>,
    /// After the embeddings.
    pub embedding_dropout: f64,
    /// Every layer.
    pub layer: DecoderSizes,
    /// Number of layers.
    pub layers: usize,
    /// Buckets of relative positions, where scores have a bias by position.
    pub relative: Option<Buckets>,
    /// Behind the norm of the whole.
    pub final_dropout: f64,
    /// Probability that a layer is left out while training (Fan et al. 2019).
    pub layer_drop: f64,
}

/// How the tensors of a stack are called, below its path.
#[derive(Debug, Clone, Copy)]
pub struct StackNames {
    /// Position table, where there is one.
    pub positions: &'static str,
    /// Norm of the embeddings.
    pub embedding_norm: Option<&'static str>,
    /// Path of the layers.
    pub layers: &'static str,
    /// Names inside a layer.
    pub layer: DecoderLayerNames,
    /// Norm behind the last layer.
    pub norm: Option<&'static str>,
    /// Table of relative positions, where scores have a bias by position.
    pub relative: &'static str,
}

enum Places {
    None,
    Table { table: Weight, unused: i64 },
    AfterPadding(Sinusoids),
}

/// Embeddings, layers, a norm.
pub struct Stack {
    tokens: Table,
    places: Places,
    embedding_norm: Option<Norm>,
    layers: Vec<DecoderLayer>,
    relative: Option<BucketedPositionBias>,
    norm: Option<Norm>,
    gated: bool,
    sizes: StackSizes,
    kind: Kind,
}

/// Masks and biases of a batch, the same for all layers.
pub struct Shared {
    mask: AttentionMask,
    bias: Option<Tensor>,
    angles: Option<Angles>,
    closed_rows: bool,
}

impl Stack {
    /// `weights` points at the stack; its layers are the blocks from `first` on, and its embeddings belong to block `embeds`.
    ///
    /// # Errors
    /// A checkpoint that does not fit.
    pub fn load(
        weights: &Weights<'_>,
        names: &StackNames,
        sizes: StackSizes,
        tokens: Table,
        (embeds, first): (usize, usize),
    ) -> Result<Self, ModelError> {
        let (d, init) = (sizes.layer.hidden, Init::Normal(weights.initializer_range()));
        let weights = weights.depth(embeds);
        let positions = weights.at(names.positions);
        let places = match sizes.positions {
            StackPositions::None => Places::None,
            StackPositions::Learned { rows, unused } => {
                Places::Table { table: positions.exact("weight", &[rows, d], init)?, unused }
            }
            StackPositions::Fixed(rows) => {
                let table = marian_sinusoids(rows, d, weights.device());
                // Older files hold them, rounded as may be.
                let stored = positions.is_stored("weight");
                let table = if stored { positions.fixed("weight", table)? } else { table.into() };
                Places::Table { table, unused: 0 }
            }
            StackPositions::AfterPadding(sinusoids) => Places::AfterPadding(sinusoids),
        };
        let norm = |name: &str, depth: usize| {
            Norm::load(&weights.at(name).depth(depth), sizes.layer.norm, d, sizes.layer.norm_epsilon)
        };
        let layers = weights.at(names.layers);
        let layer =
            |i: usize| DecoderLayer::load(&layers.at(&i.to_string()).depth(first + i), &names.layer, &sizes.layer, i);
        let relative = |buckets: Buckets| {
            BucketedPositionBias::load(&weights.at(names.relative), buckets.count, sizes.layer.heads, buckets)
        };
        Ok(Self {
            tokens,
            places,
            embedding_norm: names.embedding_norm.map(|name| norm(name, embeds)).transpose()?,
            layers: (0..sizes.layers).map(layer).collect::<Result<_, _>>()?,
            relative: sizes.relative.map(relative).transpose()?,
            norm: names.norm.map(|name| norm(name, first + sizes.layers - 1)).transpose()?,
            gated: !matches!(names.layer.network, NetworkNames::Plain { .. }),
            kind: weights.compute_kind(),
            sizes,
        })
    }

    /// Number of layers.
    pub fn layers(&self) -> usize {
        self.layers.len()
    }

    /// Of hidden states.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// D.
    pub fn width(&self) -> i64 {
        self.sizes.layer.hidden
    }

    /// Most tokens that there are positions for, where there is an end.
    pub fn longest(&self) -> Option<i64> {
        match &self.places {
            Places::Table { table, unused } => Some(table.size()[0] - unused),
            Places::None | Places::AfterPadding(_) => None,
        }
    }

    /// Embeddings of tokens `ids` [B, T] behind `past` others, [B, T, D].
    ///
    /// # Errors
    /// More tokens than positions.
    pub fn embed(&self, ids: &Tensor, past: i64, train: bool) -> Result<Tensor, ModelError> {
        let tokens = ids.size()[1];
        if let Some(longest) = self.longest().filter(|&longest| past + tokens > longest) {
            return Err(ModelError::TooLong { tokens: past + tokens, longest });
        }
        let (x, scale) = (self.tokens.lookup(ids, train), self.sizes.embedding_scale);
        let x = if scale == 1.0 { x } else { x * scale };
        let x = match &self.places {
            Places::None => x,
            Places::Table { table, unused } => x + table.narrow(0, unused + past, tokens),
            Places::AfterPadding(sinusoids) => x + sinusoids.of(&sinusoids.places(ids, past)),
        };
        let x = self.embedding_norm.as_ref().map_or_else(|| x.shallow_clone(), |norm| norm.forward(&x));
        Ok(dropout(&x.to_kind(self.kind), self.sizes.embedding_dropout, train))
    }

    /// What layers share in an encoder: every token of `x` [B, T, D] sees all that `mask` [B, T] lets it see.
    ///
    /// # Errors
    /// Rows without any token.
    pub fn open(&self, x: &Tensor, mask: Option<&Tensor>) -> Result<Shared, ModelError> {
        Ok(Shared {
            mask: seen(mask, x)?,
            bias: self.relative.as_ref().map(|relative| relative.of(x.size()[1])),
            angles: self.angles(x, 0),
            closed_rows: false,
        })
    }

    /// What they share in a decoder: tokens of `x` [B, T, D] see those before them, `past` of which came earlier; `mask` is of
    /// all of them.
    ///
    /// # Errors
    /// Rows without any token.
    pub fn causal(&self, x: &Tensor, mask: Option<&Tensor>, past: i64) -> Result<Shared, ModelError> {
        Ok(Shared {
            mask: seen(mask, x)?.causal(past)?,
            bias: self.relative.as_ref().map(|relative| relative.after(past, x.size()[1])),
            angles: self.angles(x, past),
            // Padding before a text sees nothing.
            closed_rows: mask.is_some_and(|mask| mask.narrow(1, 0, 1).eq(0).any().int64_value(&[]) != 0),
        })
    }

    /// Of tokens `x` [B, T, D] behind `past` others.
    fn angles(&self, x: &Tensor, past: i64) -> Option<Angles> {
        let rotary = self.sizes.rotary.as_ref()?;
        let end = past + x.size()[1];
        let places = Tensor::arange_start(past, end, (Kind::Int64, x.device())).unsqueeze(0);
        Some(rotary.angles(&places, end).of_neighbours())
    }

    /// Runs one layer, and what stands behind the last; `read` is what it attends to beside, and under which mask.
    pub fn layer(
        &self,
        index: usize,
        x: &Tensor,
        shared: &Shared,
        read: Option<(&Tensor, &AttentionMask)>,
        cache: Option<&mut LayerCache>,
        train: bool,
    ) -> Tensor {
        let at = Attending {
            mask: &shared.mask,
            angles: shared.angles.as_ref(),
            bias: shared.bias.as_ref(),
            memory: None,
            closed_rows: shared.closed_rows,
        };
        let read = read.map(|(memory, mask)| Attending {
            mask,
            angles: None,
            bias: None,
            memory: Some(memory),
            closed_rows: false,
        });
        let x = match is_left_out(self.sizes.layer_drop, train) {
            true => x.shallow_clone(),
            false => self.layers[index].forward(x, &at, read.as_ref(), cache, train),
        };
        if index + 1 < self.layers.len() {
            return x;
        }
        let x = self.norm.as_ref().map_or_else(|| x.shallow_clone(), |norm| norm.forward(&x));
        dropout(&x, self.sizes.final_dropout, train)
    }

    /// Floating-point operations over so many tokens that attend to so many `others`.
    pub fn work(&self, tokens: f64, others: Option<f64>) -> f64 {
        let layer = &self.sizes.layer;
        let cross = others.map_or(0.0, |others| layer.cross_work(tokens, others));
        // A stack that reads others writes, and does not look ahead.
        let seen = if others.is_some() { tokens / 2.0 } else { tokens };
        self.layers.len() as f64 * (layer.work(tokens, seen, self.gated) + cross)
    }
}
