//! One layer of a decoder: attention and feed-forward with norms before them, behind them too (Gemma 2), or side by side (GPT-NeoX).
//!
//!   y = x + N₂(Attention(N₁ x))      z = y + N₄(FeedForward(N₃ y));  side by side: z = x + Attention(N₁ x) + FeedForward(N₃ x)
//!
//! transformers' `LlamaDecoderLayer`, `Gemma2DecoderLayer`, `GPT2Block`, `GPTNeoXLayer`. B batch, T tokens, D hidden size.

use super::{Attending, DecoderAttention, DecoderAttentionNames, DecoderNetwork, DecoderSizes, NetworkNames, Norm};
use crate::ModelError;
use crate::cache::LayerCache;
use crate::checkpoint::Weights;
use retune_kernels::dropout::dropout;
use retune_kernels::tch::Tensor;

/// Tensor names of a layer, relative to it.
#[derive(Debug, Clone, Copy)]
pub struct DecoderLayerNames {
    /// Attention.
    pub attention: DecoderAttentionNames,
    /// Feed-forward.
    pub network: NetworkNames,
    /// Norm before attention.
    pub before_attention: &'static str,
    /// Norm behind it, before the residual.
    pub after_attention: Option<&'static str>,
    /// Norm before the feed-forward network.
    pub before_network: &'static str,
    /// Norm behind it, before the residual.
    pub after_network: Option<&'static str>,
}

/// Attention and feed-forward with their norms.
#[derive(Debug)]
pub struct DecoderLayer {
    attention: DecoderAttention,
    network: DecoderNetwork,
    before_attention: Norm,
    after_attention: Option<Norm>,
    before_network: Norm,
    after_network: Option<Norm>,
    parallel: bool,
    dropout: f64,
}

impl DecoderLayer {
    /// `weights` points at the layer, which is the one of this `index`.
    ///
    /// # Errors
    /// A checkpoint that does not fit.
    pub fn load(
        weights: &Weights<'_>,
        names: &DecoderLayerNames,
        sizes: &DecoderSizes,
        index: usize,
    ) -> Result<Self, ModelError> {
        let norm = |name: &str| Norm::load(&weights.at(name), sizes.norm, sizes.hidden, sizes.norm_epsilon);
        Ok(Self {
            attention: DecoderAttention::load(weights, &names.attention, sizes, index)?,
            network: DecoderNetwork::load(weights, &names.network, sizes)?,
            before_attention: norm(names.before_attention)?,
            after_attention: names.after_attention.map(norm).transpose()?,
            before_network: norm(names.before_network)?,
            after_network: names.after_network.map(norm).transpose()?,
            parallel: sizes.parallel,
            dropout: sizes.hidden_dropout,
        })
    }

    /// `x` [B, T, D]; returns [B, T, D].
    pub fn forward(&self, x: &Tensor, at: &Attending<'_>, cache: Option<&mut LayerCache>, train: bool) -> Tensor {
        let branch = |x: Tensor, norm: &Option<Norm>| {
            let x = norm.as_ref().map_or_else(|| x.shallow_clone(), |norm| norm.forward(&x));
            dropout(&x, self.dropout, train)
        };
        let attended = self.attention.forward(&self.before_attention.forward(x), at, cache, train);
        let attended = branch(attended, &self.after_attention);
        let network =
            |x: &Tensor| branch(self.network.forward(&self.before_network.forward(x), train), &self.after_network);
        if self.parallel {
            return network(x) + attended + x;
        }
        let y = x + attended;
        network(&y) + y
    }
}
