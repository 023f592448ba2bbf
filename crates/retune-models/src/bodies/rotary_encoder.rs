//! The encoder of ModernBERT (Warner et al. 2024): pre-norm layers with rotary positions, attention to all tokens in some layers and
//! to those nearby in the others, gated feed-forward networks, a final norm.
//!
//!   y = x + Drop(Attention(LN(x)))      z = y + GeGLU(LN(y)); the first layer has no norm before attention
//!
//! Batches keep their padding on a GPU; attention to tokens nearby is the plain composition over all pairs of tokens.
//! B batch, T tokens, D hidden size, F width of the gate.

use crate::checkpoint::{Init, Weights};
use crate::layers::rotary_attention::{Nearby, Sees};
use crate::layers::{GatedFeedForward, GatedOptions, Rotary, RotaryAttention, RotaryAttentionSizes};
use crate::{Body, Mode, ModelError, Reads, State, Tensors};
use retune_kernels::dropout::dropout;
use retune_kernels::tch::{Kind, Tensor};
use retune_kernels::{AttentionMask, LayerNorm, Table, fused};
use std::ops::Range;

/// What a layer attends to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Span {
    /// All tokens.
    Global,
    /// Those nearby.
    Local,
}

/// Sizes of the encoder, read from config.json by its family.
#[derive(Debug, Clone)]
pub struct RotaryEncoderSizes {
    /// Rows of the token table.
    pub vocabulary: i64,
    /// The token of padding: it learns nothing.
    pub padding: Option<i64>,
    /// Longest text of pretraining.
    pub longest: i64,
    /// After the norm of the embeddings.
    pub embedding_dropout: f64,
    /// D, and what else attention has.
    pub attention: RotaryAttentionSizes,
    /// F.
    pub intermediate: i64,
    /// Names and settings of the feed-forward networks.
    pub gated: GatedOptions,
    /// Added to variances.
    pub norm_epsilon: f64,
    /// Whether norms have a bias.
    pub norm_bias: bool,
    /// What each layer attends to.
    pub spans: Vec<Span>,
    /// How many places to either side are nearby.
    pub reach: i64,
    /// Positions in layers that attend to all tokens, and in the others.
    pub rotary: (Rotary, Rotary),
}

#[derive(Debug)]
struct Layer {
    norm_before: Option<LayerNorm>,
    attention: RotaryAttention,
    norm_after: LayerNorm,
    feed_forward: GatedFeedForward,
    span: Span,
}

/// The encoder.
pub struct RotaryEncoder {
    tokens: Table,
    norm: LayerNorm,
    layers: Vec<Layer>,
    final_norm: LayerNorm,
    token_table: String,
    sizes: RotaryEncoderSizes,
    kind: Kind,
}

/// Below the base.
const TOKENS: &str = "embeddings.tok_embeddings";

impl RotaryEncoder {
    /// `weights` points at the top, `base` is the path of the encoder.
    ///
    /// # Errors
    /// A checkpoint that does not fit.
    pub fn load(weights: &Weights<'_>, base: &str, sizes: RotaryEncoderSizes) -> Result<Self, ModelError> {
        let (at_base, d) = (weights.at(base), sizes.attention.hidden);
        let norm = |weights: &Weights<'_>, name: &str| {
            weights.at(name).layer_norm_with(d, sizes.norm_epsilon, sizes.norm_bias)
        };
        let layer = |(i, &span): (usize, &Span)| {
            let weights = at_base.at(&format!("layers.{i}")).depth(i + 1);
            Ok::<_, ModelError>(Layer {
                norm_before: (i > 0).then(|| norm(&weights, "attn_norm")).transpose()?,
                attention: RotaryAttention::load(&weights.at("attn"), &sizes.attention)?,
                norm_after: norm(&weights, "mlp_norm")?,
                feed_forward: GatedFeedForward::load(&weights.at("mlp"), d, sizes.intermediate, &sizes.gated)?,
                span,
            })
        };
        let init = Init::Normal(weights.initializer_range());
        Ok(Self {
            tokens: at_base.at(TOKENS).table("weight", [sizes.vocabulary, d], init)?.with_padding(sizes.padding),
            norm: norm(&at_base, "embeddings.norm")?,
            layers: sizes.spans.iter().enumerate().map(layer).collect::<Result<_, _>>()?,
            final_norm: norm(&at_base.depth(sizes.spans.len()), "final_norm")?,
            token_table: format!("{base}.{TOKENS}.weight"),
            kind: weights.compute_kind(),
            sizes,
        })
    }
}

impl Body for RotaryEncoder {
    fn blocks(&self) -> usize {
        self.layers.len()
    }

    fn width(&self) -> i64 {
        self.sizes.attention.hidden
    }

    fn begin(&self, inputs: &Tensors, mode: &Mode) -> Result<State, ModelError> {
        let input_ids = inputs.get("input_ids")?;
        let hidden = mode.block(0, |train| {
            let tokens = self.tokens.lookup(input_ids, train);
            fused::norm_dropout(&tokens, &self.norm, self.sizes.embedding_dropout, train).to_kind(self.kind)
        });
        Ok(State { mask: inputs.optional("attention_mask").map(Tensor::shallow_clone), ..State::new(hidden) })
    }

    fn run(&self, from: State, blocks: Range<usize>, reads: Reads, mode: &Mode) -> Result<State, ModelError> {
        let (last, any) = (self.layers.len(), !blocks.is_empty());
        let read = match reads {
            Reads::First(count) if blocks.contains(&last) => Some(count),
            _ => None,
        };
        let State { hidden: mut x, mask: given, beside } = from;
        let (tokens, device) = (x.size()[1], x.device());
        let mask = given.as_ref().filter(|_| any).map(|given| AttentionMask::padding(given, device)).transpose()?;
        let mask = mask.filter(|mask| !mask.is_trivial());
        let places = Tensor::arange(tokens, (Kind::Int64, device)).unsqueeze(0);
        let (global, local) = (&self.sizes.rotary.0, &self.sizes.rotary.1);
        let angles = (global.angles(&places, tokens), local.angles(&places, tokens));
        let padded = given.as_ref().filter(|_| mask.is_some());
        let nearby = Nearby::new(tokens, self.sizes.reach, padded, device)?;
        for depth in blocks {
            let layer = &self.layers[depth - 1];
            let queries = read.filter(|_| depth == last).unwrap_or(tokens);
            let (angles, sees) = match layer.span {
                Span::Global => (&angles.0, Sees { mask: mask.as_ref(), ..Sees::default() }),
                Span::Local => (&angles.1, nearby.sees(mask.as_ref())),
            };
            x = mode.block(depth, |train| {
                let normed = layer.norm_before.as_ref().map_or_else(|| x.shallow_clone(), |norm| norm.forward(&x));
                let attended = layer.attention.forward(&normed, queries, angles, sees, train);
                let y = x.narrow(1, 0, queries) + dropout(&attended, self.sizes.attention.dropout, train);
                let z = &y + layer.feed_forward.forward(&layer.norm_after.forward(&y), train);
                if depth == last { self.final_norm.forward(&z) } else { z }
            });
        }
        Ok(State { hidden: x, mask: given.filter(|_| read.is_none()), beside })
    }

    fn work(&self, tokens: f64, reads: Reads) -> f64 {
        let (d, f) = (self.sizes.attention.hidden as f64, self.sizes.intermediate as f64);
        let layer = |queries: f64| 6.0 * tokens * d * d + 2.0 * queries * d * (d + 2.0 * tokens + 3.0 * f);
        let read = match reads {
            Reads::First(count) => count as f64,
            Reads::All | Reads::Stages => tokens,
        };
        self.layers.len().saturating_sub(1) as f64 * layer(tokens) + layer(read)
    }

    fn token_table(&self) -> Option<&str> {
        Some(&self.token_table)
    }
}
