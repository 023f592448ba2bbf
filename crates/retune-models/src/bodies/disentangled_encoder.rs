//! The encoder of DeBERTa-v2 and v3 (He et al. 2020, 2021): post-norm layers with disentangled attention, and a convolution beside
//! the first of them.
//!
//! Scores of each pair of tokens are kept, as the plain composition does, and batches keep their padding on a GPU.
//! B batch, T tokens, D hidden size, R rows of the table of relative positions that are in use.

use crate::checkpoint::{Init, Weights};
use crate::layers::{
    DisentangledAttention, DisentangledSizes, FeedForward, LayerNames, LayerSizes, PairRows, ProjectedEmbeddingSizes,
    ProjectedEmbeddings, RelativePlaces, TokenConvolution, TokenConvolutionSizes, text_embeddings,
};
use crate::{Body, Mode, ModelError, Reads, State, Tensors};
use retune_kernels::fused::dropout_residual_norm;
use retune_kernels::tch::{Kind, Tensor};
use retune_kernels::{AttentionMask, LayerNorm, Weight, device};
use std::ops::Range;

/// Sizes of the encoder, read from config.json by its family.
#[derive(Debug, Clone, Copy)]
pub struct DisentangledEncoderSizes {
    /// Embedding tables.
    pub embeddings: ProjectedEmbeddingSizes,
    /// Rows of the token table.
    pub vocabulary: i64,
    /// Longest text of pretraining.
    pub longest: i64,
    /// How the tensors of a layer are called.
    pub names: LayerNames,
    /// Every layer.
    pub layer: LayerSizes,
    /// Its attention.
    pub attention: DisentangledSizes,
    /// How places are numbered, where attention knows them.
    pub places: Option<RelativePlaces>,
    /// Whether the table of relative positions has a norm.
    pub normed_positions: bool,
    /// The convolution, where there is one.
    pub convolution: Option<TokenConvolutionSizes>,
    /// Number of layers.
    pub layers: i64,
}

struct Layer {
    attention: DisentangledAttention,
    attention_norm: LayerNorm,
    feed_forward: FeedForward,
    feed_forward_norm: LayerNorm,
}

/// The encoder.
pub struct DisentangledEncoder {
    embeddings: ProjectedEmbeddings,
    positions: Option<Weight>, // [2 · span, D], fp32
    position_norm: Option<LayerNorm>,
    layers: Vec<Layer>,
    convolution: Option<TokenConvolution>,
    token_table: String,
    sizes: DisentangledEncoderSizes,
}

/// What is no padding: bool [B, T], and 1 or 0 [B, T, 1].
struct Open {
    pairs: Tensor,
    tokens: Tensor,
}

impl DisentangledEncoder {
    /// `weights` points at the top, `base` is the path of the encoder.
    ///
    /// # Errors
    /// A checkpoint that does not fit.
    pub fn load(weights: &Weights<'_>, base: &str, sizes: DisentangledEncoderSizes) -> Result<Self, ModelError> {
        let (at_base, encoder, d) = (weights.at(base), weights.at(base).at("encoder"), sizes.layer.hidden);
        let (names, epsilon) = (&sizes.names, sizes.layer.norm_epsilon);
        let layer = |i: i64| {
            let weights = encoder.at(&format!("layer.{i}")).depth(i as usize + 1);
            Ok::<_, ModelError>(Layer {
                attention: DisentangledAttention::load(&weights, &names.attention, &sizes.attention)?,
                attention_norm: weights.at(names.attention_norm).layer_norm(d, epsilon)?,
                feed_forward: FeedForward::load(&weights, names, &sizes.layer)?,
                feed_forward_norm: weights.at(names.output_norm).layer_norm(d, epsilon)?,
            })
        };
        let table = |places: RelativePlaces| {
            let init = Init::Normal(weights.initializer_range());
            encoder.at("rel_embeddings").exact("weight", &[2 * places.span, d], init)
        };
        let convolution = |of| TokenConvolution::load(&encoder.at("conv").depth(1), d, of);
        Ok(Self {
            embeddings: ProjectedEmbeddings::load(&at_base.at("embeddings"), &sizes.embeddings)?,
            positions: sizes.places.map(table).transpose()?,
            position_norm: sizes
                .normed_positions
                .then(|| encoder.at("LayerNorm").layer_norm(d, epsilon))
                .transpose()?,
            layers: (0..sizes.layers).map(layer).collect::<Result<_, _>>()?,
            convolution: sizes.convolution.map(convolution).transpose()?,
            token_table: format!("{base}.embeddings.{}.weight", text_embeddings::WORD),
            sizes,
        })
    }

    /// `None` where no token is padding.
    fn open(given: Option<&Tensor>, like: &Tensor) -> Result<Option<Open>, ModelError> {
        let Some(given) = given else { return Ok(None) };
        if AttentionMask::padding(given, like.device())?.is_trivial() {
            return Ok(None);
        }
        let pairs = device::send(&given.to_kind(Kind::Bool), like.device())?;
        let tokens = pairs.to_kind(Kind::Float).unsqueeze(-1);
        Ok(Some(Open { pairs, tokens }))
    }

    /// Rows of the table in use [R, D], and which of them each pair of T tokens reads.
    fn relative(&self, tokens: i64, x: &Tensor) -> Option<(Tensor, PairRows)> {
        let (places, table) = (self.sizes.places?, self.positions.as_ref()?);
        let pairs = places.pairs(tokens, x.device());
        let rows = table.narrow(0, pairs.rows.0, pairs.rows.1);
        let rows = self.position_norm.as_ref().map_or_else(|| rows.shallow_clone(), |norm| norm.forward(&rows));
        Some((rows, pairs))
    }
}

impl Body for DisentangledEncoder {
    fn blocks(&self) -> usize {
        self.layers.len()
    }

    fn width(&self) -> i64 {
        self.sizes.layer.hidden
    }

    fn begin(&self, inputs: &Tensors, mode: &Mode) -> Result<State, ModelError> {
        let input_ids = inputs.get("input_ids")?;
        let mask = inputs.optional("attention_mask");
        let open = Self::open(mask, input_ids)?.map(|open| open.tokens);
        let types = inputs.optional("token_type_ids");
        let hidden = mode.block(0, |train| self.embeddings.forward(input_ids, types, open.as_ref(), train));
        Ok(State { mask: mask.map(Tensor::shallow_clone), ..State::new(hidden) })
    }

    fn run(&self, from: State, blocks: Range<usize>, reads: Reads, mode: &Mode) -> Result<State, ModelError> {
        let (last, any) = (self.layers.len(), !blocks.is_empty());
        let read = match reads {
            Reads::First(count) if blocks.contains(&last) => Some(count),
            _ => None,
        };
        let State { hidden: mut x, mask: given, beside } = from;
        let tokens = x.size()[1];
        let open = Self::open(given.as_ref().filter(|_| any), &x)?;
        let sizes = &self.sizes.layer;
        for depth in blocks {
            let layer = &self.layers[depth - 1];
            let convolution = self.convolution.as_ref().filter(|_| depth == 1);
            let read = read.filter(|_| depth == last);
            // The convolution reads tokens around those that are read.
            let queries = read.filter(|_| convolution.is_none()).unwrap_or(tokens);
            x = mode.block(depth, |train| {
                let relative = self.relative(tokens, &x);
                let relative = relative.as_ref().map(|(rows, pairs)| (rows, pairs));
                let pairs = open.as_ref().map(|open| &open.pairs);
                let attended = layer.attention.forward(&x, queries, relative, pairs, train);
                let residual = x.narrow(1, 0, queries);
                let y = dropout_residual_norm(&attended, &residual, &layer.attention_norm, sizes.hidden_dropout, train);
                let transformed = layer.feed_forward.forward(&y, train);
                let z = dropout_residual_norm(
                    &transformed,
                    &y,
                    &layer.feed_forward_norm,
                    sizes.feed_forward_dropout,
                    train,
                );
                let Some(convolution) = convolution else { return z };
                let z = convolution.forward(&x, &z, open.as_ref().map(|open| &open.tokens), train);
                read.map_or_else(|| z.shallow_clone(), |count| z.narrow(1, 0, count))
            });
        }
        Ok(State { hidden: x, mask: given.filter(|_| read.is_none()), beside })
    }

    /// Scores by position cost a product of content with the rows of the table each.
    fn work(&self, tokens: f64, reads: Reads) -> f64 {
        let (d, f) = (self.sizes.layer.hidden as f64, self.sizes.layer.intermediate as f64);
        let places = self.sizes.places.map_or(0.0, |places| (2.0 * tokens - 1.0).min(2.0 * places.span as f64));
        let (to_position, to_content) = self.sizes.attention.named;
        let (c, p) = (f64::from(u8::from(to_position)), f64::from(u8::from(to_content)));
        let layer = |queries: f64| {
            let content = 4.0 * queries * d * (d + f) + 4.0 * tokens * d * (d + queries);
            content + 2.0 * places * d * ((c + p) * d + c * queries + p * tokens)
        };
        let read = match reads {
            Reads::First(count) => count as f64,
            Reads::All | Reads::Stages => tokens,
        };
        let convolution =
            self.sizes.convolution.map_or(0.0, |of| 2.0 * tokens * d * d * (of.kernel / of.groups) as f64);
        self.layers.len().saturating_sub(1) as f64 * layer(tokens) + layer(read) + convolution
    }

    fn token_table(&self) -> Option<&str> {
        Some(&self.token_table)
    }
}
