//! Attention of decoders, and of encoders that a decoder reads: to the tokens themselves or to another text's (cross-attention),
//! with grouped queries (Ainslie et al. 2023), rotary positions or a bias by position, and a cache of keys and values.
//!
//! transformers' `LlamaAttention`, `Qwen3Attention`, `GPT2Attention`, `GPTNeoXAttention`, `Phi3Attention`, `BartAttention`,
//! `T5Attention`. B batch, T tokens, S keys, D hidden size, H heads, G heads of keys, K head size; M texts that are read, of which
//! each serves B / M rows that stand side by side.

use super::{Angles, DecoderSizes, RmsNorm};
use crate::ModelError;
use crate::cache::LayerCache;
use crate::checkpoint::Weights;
use retune_kernels::tch::Tensor;
use retune_kernels::{AttentionMask, AttentionOptions, Dense, fused};

/// How the projections to queries, keys and values are stored.
#[derive(Debug, Clone, Copy)]
pub enum ProjectionNames {
    /// Apart.
    Apart {
        /// Queries.
        query: &'static str,
        /// Keys.
        key: &'static str,
        /// Values.
        value: &'static str,
    },
    /// In one: all queries, then all keys, then all values.
    Blocks(&'static str),
    /// In one: query, key and value of a head after those of the head before.
    Heads(&'static str),
}

/// Tensor names, relative to the layer.
#[derive(Debug, Clone, Copy)]
pub struct DecoderAttentionNames {
    /// Queries, keys and values.
    pub projections: ProjectionNames,
    /// Projection after attention.
    pub output: &'static str,
    /// Norms of each head's query and key.
    pub norms: Option<(&'static str, &'static str)>,
}

#[derive(Debug)]
enum Projections {
    Apart([Dense; 3]),
    Blocks(Dense),
    Heads(Dense),
}

/// What a layer attends with beside its input.
#[derive(Debug, Clone, Copy)]
pub struct Attending<'a> {
    /// Which keys may be seen.
    pub mask: &'a AttentionMask,
    /// Rotary angles of these tokens, where positions are rotary.
    pub angles: Option<&'a Angles>,
    /// Added to the scores, [1, H, T, S].
    pub bias: Option<&'a Tensor>,
    /// What is attended to in place of the tokens themselves, [M, S, D].
    pub memory: Option<&'a Tensor>,
    /// Whether some token sees none, as padding before a text does.
    pub closed_rows: bool,
}

/// Projections and head layout.
#[derive(Debug)]
pub struct DecoderAttention {
    projections: Projections,
    output: Dense,
    norms: Option<(RmsNorm, RmsNorm)>,
    heads: i64,
    key_heads: i64,
    size: i64,
    scale: f64,
    softcap: Option<f64>,
    dropout: f64,
}

impl DecoderAttention {
    /// `weights` points at the layer, which is the one of this `index`.
    ///
    /// # Errors
    /// A checkpoint that does not fit.
    pub fn load(
        weights: &Weights<'_>,
        names: &DecoderAttentionNames,
        sizes: &DecoderSizes,
        index: usize,
    ) -> Result<Self, ModelError> {
        let (d, size) = (sizes.hidden, sizes.head_size);
        let (queries, keys) = (sizes.heads * size, sizes.key_heads * size);
        let stored = |name: &str, output, bias| weights.at(name).dense_stored(d, output, bias, sizes.transposed);
        let dense = |name: &str, output| stored(name, output, sizes.query_bias);
        let norm = |name: &str| RmsNorm::load(&weights.at(name), size, sizes.norm_epsilon, sizes.norm_plus_one());
        Ok(Self {
            projections: match names.projections {
                ProjectionNames::Apart { query, key, value } => Projections::Apart([
                    dense(query, queries)?,
                    stored(key, keys, sizes.key_bias)?,
                    dense(value, keys)?,
                ]),
                ProjectionNames::Blocks(path) => Projections::Blocks(dense(path, queries + 2 * keys)?),
                ProjectionNames::Heads(path) => Projections::Heads(dense(path, 3 * queries)?),
            },
            output: weights.at(names.output).dense_stored(queries, d, sizes.output_bias, sizes.transposed)?,
            norms: names.norms.map(|(q, k)| Ok::<_, ModelError>((norm(q)?, norm(k)?))).transpose()?,
            heads: sizes.heads,
            key_heads: sizes.key_heads,
            size,
            scale: if sizes.scale_by_layer { sizes.scale / (index + 1) as f64 } else { sizes.scale },
            softcap: sizes.softcap,
            dropout: sizes.attention_dropout,
        })
    }

    /// Queries [B, T, H, K], keys and values [B, T, G, K].
    fn project(&self, x: &Tensor, train: bool) -> [Tensor; 3] {
        let (batch, tokens) = (x.size()[0], x.size()[1]);
        let split = |x: &Tensor, heads: i64| x.reshape([batch, tokens, heads, self.size]);
        match &self.projections {
            Projections::Apart([query, key, value]) => [
                split(&query.forward(x, train), self.heads),
                split(&key.forward(x, train), self.key_heads),
                split(&value.forward(x, train), self.key_heads),
            ],
            Projections::Blocks(joint) => {
                let joint = split(&joint.forward(x, train), self.heads + 2 * self.key_heads);
                let part = |first, heads| joint.narrow(2, first, heads);
                let (h, g) = (self.heads, self.key_heads);
                [part(0, h), part(h, g), part(h + g, g)]
            }
            Projections::Heads(joint) => {
                let joint = joint.forward(x, train).reshape([batch, tokens, self.heads, 3 * self.size]);
                [0, 1, 2].map(|i| joint.narrow(3, i * self.size, self.size))
            }
        }
    }

    /// `x` [B, T, D] attends to itself and to what is in the cache, or to the memory, whose keys and values the cache keeps.
    /// Returns [B, T, D].
    pub fn forward(&self, x: &Tensor, at: &Attending<'_>, cache: Option<&mut LayerCache>, train: bool) -> Tensor {
        match at.memory {
            None => self.attend_to_itself(x, at, cache, train),
            Some(memory) => self.attend_to(memory, x, at, cache, train),
        }
    }

    fn attend_to_itself(&self, x: &Tensor, at: &Attending<'_>, cache: Option<&mut LayerCache>, train: bool) -> Tensor {
        let [mut query, mut key, value] = self.project(x, train);
        if let Some((of_query, of_key)) = &self.norms {
            (query, key) = (of_query.forward(&query), of_key.forward(&key));
        }
        if let Some(angles) = at.angles {
            (query, key) = (angles.rotate(&query), angles.rotate(&key));
        }
        let join = |x: Tensor| x.flatten(2, 3);
        let [query, key, value] = [query, key, value].map(join);
        let [key, value] = match cache {
            Some(cache) => cache.append(&key, &value),
            None => [key, value],
        };
        let attended = fused::attention(&query, &key, &value, self.heads, &self.options(at), train);
        self.output.forward(&attended, train)
    }

    fn attend_to(
        &self,
        memory: &Tensor,
        x: &Tensor,
        at: &Attending<'_>,
        cache: Option<&mut LayerCache>,
        train: bool,
    ) -> Tensor {
        let Projections::Apart([of_query, of_key, of_value]) = &self.projections else {
            panic!("projections of cross-attention are stored apart")
        };
        let project = || [of_key.forward(memory, train), of_value.forward(memory, train)];
        let [key, value] = match cache {
            Some(cache) => cache.of_memory(project),
            None => project(),
        };
        let query = of_query.forward(x, train);
        // Rows that read the same text are more queries of it.
        let [rows, tokens, width] = query.size()[..] else { panic!("hidden states have three dimensions") };
        let texts = key.size()[0];
        let query = query.reshape([texts, rows / texts * tokens, width]);
        let attended = fused::attention(&query, &key, &value, self.heads, &self.options(at), train);
        self.output.forward(&attended.reshape([rows, tokens, width]), train)
    }

    fn options<'a>(&self, at: &Attending<'a>) -> AttentionOptions<'a> {
        AttentionOptions {
            mask: Some(at.mask),
            bias: at.bias,
            scale: Some(self.scale),
            softcap: self.softcap,
            dropout: self.dropout,
            closed_rows: at.closed_rows,
        }
    }
}
