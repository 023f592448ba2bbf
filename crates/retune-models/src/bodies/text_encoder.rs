//! The encoder of BERT and its relatives: embeddings and post-norm layers (Devlin et al. 2018).
//!
//! B batch, T tokens, D hidden size; N tokens of a packed batch.

use crate::checkpoint::Weights;
use crate::layers::{EmbeddingSizes, LayerNames, LayerSizes, PostNormLayer, TextEmbeddings, text_embeddings};
use crate::{Body, Mode, ModelError, Reads, State, Tensors};
use retune_kernels::tch::Tensor;
use retune_kernels::{AttentionMask, Dense, Packing, fused};
use std::ops::Range;

/// Sizes of a text encoder, read from config.json by its family.
#[derive(Debug, Clone, Copy)]
pub struct TextEncoderSizes {
    /// Embedding tables.
    pub embeddings: EmbeddingSizes,
    /// Every layer.
    pub layer: LayerSizes,
    /// Number of layers.
    pub layers: i64,
}

/// How the tensors of a text encoder are called.
#[derive(Debug, Clone, Copy)]
pub struct TextEncoderNames {
    /// Path of the layers below the base.
    pub layers: &'static str,
    /// Names inside a layer.
    pub layer: LayerNames,
}

/// The encoder.
pub struct TextEncoder {
    embeddings: TextEmbeddings,
    /// From the size of the embeddings to D, where they differ.
    projection: Option<Dense>,
    layers: Vec<PostNormLayer>,
    token_table: String,
    sizes: TextEncoderSizes,
}

impl TextEncoder {
    /// `weights` points at the top, `base` is the path of the encoder.
    ///
    /// # Errors
    /// A checkpoint that does not fit.
    pub fn load(
        weights: &Weights<'_>,
        base: &str,
        names: &TextEncoderNames,
        sizes: TextEncoderSizes,
    ) -> Result<Self, ModelError> {
        let at_base = weights.at(base);
        let (size, hidden) = (sizes.embeddings.size, sizes.layer.hidden);
        let project = || at_base.at("embeddings_project").dense(size, hidden);
        let layers = at_base.at(names.layers);
        let load =
            |i: i64| PostNormLayer::load(&layers.at(&i.to_string()).depth(i as usize + 1), &names.layer, &sizes.layer);
        Ok(Self {
            embeddings: TextEmbeddings::load(&at_base.at("embeddings"), sizes.embeddings, weights.compute_kind())?,
            projection: (size != hidden).then(project).transpose()?,
            layers: (0..sizes.layers).map(load).collect::<Result<_, _>>()?,
            token_table: format!("{base}.embeddings.{}.weight", text_embeddings::WORD),
            sizes,
        })
    }

    /// `x` without padding and the mask that says so, where that pays; else the mask of the padding, if there is any.
    /// Hidden states of a packed batch are [1, N, D].
    fn mask(&self, given: &Tensor, x: &mut Tensor, may_pack: bool) -> Result<Option<AttentionMask>, ModelError> {
        let size = self.sizes.layer.hidden / self.sizes.layer.heads;
        let packs = may_pack && fused::packed::suits(x.device(), size);
        if let Some(packing) = packs.then(|| Packing::new(given, x.device())).transpose()?.flatten() {
            *x = packing.pack(x);
            return Ok(Some(AttentionMask::packed(packing)));
        }
        Ok(Some(AttentionMask::padding(given, x.device())?).filter(|mask| !mask.is_trivial()))
    }
}

impl Body for TextEncoder {
    fn blocks(&self) -> usize {
        self.layers.len()
    }

    fn width(&self) -> i64 {
        self.sizes.layer.hidden
    }

    fn begin(&self, inputs: &Tensors, mode: &Mode) -> Result<State, ModelError> {
        let input_ids = inputs.get("input_ids")?;
        let hidden = mode.block(0, |train| {
            let x = self.embeddings.forward(input_ids, inputs.optional("token_type_ids"), train);
            self.projection.as_ref().map_or(x.shallow_clone(), |p| p.forward(&x, train))
        });
        Ok(State { mask: inputs.optional("attention_mask").map(Tensor::shallow_clone), ..State::new(hidden) })
    }

    fn run(&self, from: State, blocks: Range<usize>, reads: Reads, mode: &Mode) -> Result<State, ModelError> {
        let last = self.layers.len();
        let read = match reads {
            Reads::First(count) if blocks.contains(&last) => Some(count),
            _ => None,
        };
        let State { hidden: mut x, mask: given, beside } = from;
        let mask = match &given {
            // A packed batch can give back no more than the first token of each of its sequences.
            Some(given) if !blocks.is_empty() => self.mask(given, &mut x, read == Some(1))?,
            _ => None,
        };
        let packing = mask.as_ref().and_then(AttentionMask::packing);
        for depth in blocks {
            x = mode.block(depth, |train| {
                let computed = match (read, packing) {
                    (Some(count), None) if depth == last => x.narrow(1, 0, count),
                    (Some(_), Some(packing)) if depth == last => packing.firsts(&x),
                    _ => x.shallow_clone(),
                };
                self.layers[depth - 1].forward(&computed, &x, mask.as_ref(), train)
            });
        }
        let hidden = if packing.is_some() { x.transpose(0, 1) } else { x }; // [1, B, D] → [B, 1, D]
        Ok(State { hidden, mask: given.filter(|_| read.is_none()), beside })
    }

    fn work(&self, tokens: f64, reads: Reads) -> f64 {
        let read = match reads {
            Reads::First(count) => count as f64,
            Reads::All | Reads::Stages => tokens,
        };
        self.sizes.layer.stack_work(self.layers.len(), read, tokens)
    }

    fn token_table(&self) -> Option<&str> {
        Some(&self.token_table)
    }
}
