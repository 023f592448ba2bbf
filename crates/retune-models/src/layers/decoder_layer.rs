//! One layer of a decoder, or of an encoder that a decoder reads: attention and feed-forward with norms before them, behind them too
//! (Gemma 2), side by side (GPT-NeoX), or behind the residuals (BART); with attention to another text in between, where there is one.
//!
//!   y = x + N₂(Attention(N₁ x))      z = y + N₄(FeedForward(N₃ y));  side by side: z = x + Attention(N₁ x) + FeedForward(N₃ x)
//!   behind the residuals: y = N₁(x + Attention x)      z = N₃(y + FeedForward y)
//!
//! transformers' `LlamaDecoderLayer`, `Gemma2DecoderLayer`, `GPT2Block`, `GPTNeoXLayer`, `BartEncoderLayer`, `BartDecoderLayer`,
//! `T5Block`. B batch, T tokens, D hidden size.

use super::{Attending, DecoderAttention, DecoderAttentionNames, DecoderNetwork, DecoderSizes, NetworkNames, Norm};
use crate::ModelError;
use crate::cache::LayerCache;
use crate::checkpoint::Weights;
use retune_kernels::dropout::dropout;
use retune_kernels::tch::{Kind, Tensor};

/// Tensor names of cross-attention, relative to the layer.
#[derive(Debug, Clone, Copy)]
pub struct CrossNames {
    /// Attention.
    pub attention: DecoderAttentionNames,
    /// Its norm.
    pub norm: &'static str,
}

/// Tensor names of a layer, relative to it.
#[derive(Debug, Clone, Copy)]
pub struct DecoderLayerNames {
    /// Attention.
    pub attention: DecoderAttentionNames,
    /// Feed-forward.
    pub network: NetworkNames,
    /// Norm before attention; behind its residual, where norms stand there.
    pub before_attention: &'static str,
    /// Norm behind it, before the residual.
    pub after_attention: Option<&'static str>,
    /// Attention to another text.
    pub cross: Option<CrossNames>,
    /// Norm before the feed-forward network; behind its residual, where norms stand there.
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
    cross: Option<(DecoderAttention, Norm)>,
    before_network: Norm,
    after_network: Option<Norm>,
    parallel: bool,
    post_norm: bool,
    dropout: f64,
    kind: Kind,
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
        let cross = |cross: CrossNames| {
            Ok::<_, ModelError>((DecoderAttention::load(weights, &cross.attention, sizes, index)?, norm(cross.norm)?))
        };
        Ok(Self {
            attention: DecoderAttention::load(weights, &names.attention, sizes, index)?,
            cross: names.cross.map(cross).transpose()?,
            network: DecoderNetwork::load(weights, &names.network, sizes)?,
            before_attention: norm(names.before_attention)?,
            after_attention: names.after_attention.map(norm).transpose()?,
            before_network: norm(names.before_network)?,
            after_network: names.after_network.map(norm).transpose()?,
            parallel: sizes.parallel,
            post_norm: sizes.post_norm,
            dropout: sizes.hidden_dropout,
            kind: weights.compute_kind(),
        })
    }

    /// `x` [B, T, D]; returns [B, T, D] in the dtype of `x`, which may be fp32 where the layer computes in bf16: what is added up over
    /// many layers then loses nothing on the way, as under autocast. `read` says how another text is attended to, where the layer does
    /// that.
    pub fn forward(
        &self,
        x: &Tensor,
        at: &Attending<'_>,
        read: Option<&Attending<'_>>,
        mut cache: Option<&mut LayerCache>,
        train: bool,
    ) -> Tensor {
        let cross = self.cross.as_ref().zip(read);
        if self.post_norm {
            let after = |branch: &Tensor, x: &Tensor, norm: &Norm| norm.after_residual(branch, x, self.dropout, train);
            let attended = self.attention.forward(x, at, cache.as_deref_mut(), train);
            let mut y = after(&attended, x, &self.before_attention);
            if let Some(((attention, norm), read)) = cross {
                y = after(&attention.forward(&y, read, cache, train), &y, norm);
            }
            return after(&self.network.forward(&y, train), &y, &self.before_network);
        }
        let branch = |x: Tensor, norm: &Option<Norm>| {
            let x = norm.as_ref().map_or_else(|| x.shallow_clone(), |norm| norm.forward(&x));
            dropout(&x, self.dropout, train)
        };
        let normed = |x: &Tensor, norm: &Norm| norm.forward_as(x, self.kind);
        let attended = self.attention.forward(&normed(x, &self.before_attention), at, cache.as_deref_mut(), train);
        let attended = branch(attended, &self.after_attention);
        let network =
            |x: &Tensor| branch(self.network.forward(&normed(x, &self.before_network), train), &self.after_network);
        if self.parallel {
            return network(x) + attended + x;
        }
        let mut y = x + attended;
        if let Some(((attention, norm), read)) = cross {
            y = branch(attention.forward(&normed(&y, norm), read, cache, train), &None) + y;
        }
        network(&y) + y
    }
}
