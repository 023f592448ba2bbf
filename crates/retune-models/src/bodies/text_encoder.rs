//! The encoder of BERT and its relatives: embeddings and post-norm layers (Devlin et al. 2018), whose weights ALBERT shares among
//! layers and to whose scores MPNet adds a bias by relative position. With that bias batches keep their padding on a GPU, and
//! attention is the plain composition.
//!
//! B batch, T tokens, D hidden size; N tokens of a packed batch.

use crate::checkpoint::Weights;
use crate::layers::{
    BucketedPositionBias, Buckets, EmbeddingSizes, LayerNames, LayerSizes, PostNormLayer, TextEmbeddings,
    text_embeddings,
};
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
    /// Path of the projection between embeddings and layers, where there is one.
    pub projection: Option<&'static str>,
    /// Which layers share their weights, where some do.
    pub sharing: Option<Sharing>,
    /// Path and rows of the table of relative positions that all layers share, where there is one, and what they are of.
    pub relative_positions: Option<(&'static str, i64, Buckets)>,
}

/// Layers in groups: a group is several layers one after the other, run several times (Lan et al. 2019, §3.1).
#[derive(Debug, Clone, Copy)]
pub struct Sharing {
    /// Number of groups.
    pub groups: i64,
    /// Layers of a group.
    pub inner: i64,
    /// Path of the layers below a group.
    pub path: &'static str,
}

impl Sharing {
    /// How often each group runs, so that there are so many runs.
    fn times(&self, runs: i64) -> Vec<usize> {
        let mut times = vec![0; self.groups as usize];
        // As transformers computes it, in floating point.
        let per_group = runs as f64 / self.groups as f64;
        (0..runs).for_each(|run| times[(run as f64 / per_group) as usize] += 1);
        times
    }
}

/// How the tensors of a text encoder are called.
#[derive(Debug, Clone, Copy)]
pub struct TextEncoderNames {
    /// Path of the layers below the base.
    pub layers: &'static str,
    /// Names inside a layer.
    pub layer: LayerNames,
}

/// A block: layers one after the other, run so many times. One layer, once, where no weights are shared: layers that share
/// weights can only be trained, or frozen, together.
struct Block {
    layers: Vec<PostNormLayer>,
    times: usize,
}

/// The encoder.
pub struct TextEncoder {
    embeddings: TextEmbeddings,
    /// From the size of the embeddings to D.
    projection: Option<Dense>,
    relative_positions: Option<BucketedPositionBias>,
    blocks: Vec<Block>,
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
        let layers = at_base.at(names.layers);
        let load =
            |path: &str, depth: usize| PostNormLayer::load(&layers.at(path).depth(depth), &names.layer, &sizes.layer);
        let blocks = match sizes.sharing {
            None => (0..sizes.layers)
                .map(|i| Ok(Block { layers: vec![load(&i.to_string(), i as usize + 1)?], times: 1 }))
                .collect::<Result<Vec<_>, ModelError>>()?,
            Some(sharing) => {
                let mut blocks = Vec::new();
                for (group, times) in sharing.times(sizes.layers).into_iter().enumerate() {
                    // Where there are more groups than layers, some never run; they are stored all the same.
                    let depth = blocks.len() + usize::from(times > 0);
                    let layer = |i: i64| load(&format!("{group}.{}.{i}", sharing.path), depth);
                    let layers = (0..sharing.inner).map(layer).collect::<Result<Vec<_>, _>>()?;
                    if times > 0 {
                        blocks.push(Block { layers, times });
                    }
                }
                blocks
            }
        };
        let bias =
            |(path, rows, buckets)| BucketedPositionBias::load(&at_base.at(path), rows, sizes.layer.heads, buckets);
        Ok(Self {
            embeddings: TextEmbeddings::load(&at_base.at("embeddings"), sizes.embeddings, weights.compute_kind())?,
            projection: sizes.projection.map(|path| at_base.at(path).dense(size, hidden)).transpose()?,
            relative_positions: sizes.relative_positions.map(bias).transpose()?,
            blocks,
            token_table: format!("{base}.embeddings.{}.weight", text_embeddings::WORD),
            sizes,
        })
    }

    /// `x` without padding and the mask that says so, where that pays; else the mask of the padding, if there is any.
    /// Hidden states of a packed batch are [1, N, D].
    fn mask(&self, given: &Tensor, x: &mut Tensor, may_pack: bool) -> Result<Option<AttentionMask>, ModelError> {
        let size = self.sizes.layer.hidden / self.sizes.layer.heads;
        let packs = may_pack && self.relative_positions.is_none() && fused::packed::suits(x.device(), size);
        if let Some(packing) = packs.then(|| Packing::new(given, x.device())).transpose()?.flatten() {
            *x = packing.pack(x);
            return Ok(Some(AttentionMask::packed(packing)));
        }
        Ok(Some(AttentionMask::padding(given, x.device())?).filter(|mask| !mask.is_trivial()))
    }
}

impl Block {
    /// Runs it over `x` [B, T, D]; of the last layer's last run only what `read` picks of its input is computed.
    fn forward(
        &self,
        x: &Tensor,
        read: Option<&dyn Fn(&Tensor) -> Tensor>,
        mask: Option<&AttentionMask>,
        bias: Option<&Tensor>,
        train: bool,
    ) -> Tensor {
        let runs = self.times * self.layers.len();
        let mut x = x.shallow_clone();
        for (run, layer) in std::iter::repeat_n(&self.layers, self.times).flatten().enumerate() {
            let queries = read.filter(|_| run + 1 == runs).map_or_else(|| x.shallow_clone(), |read| read(&x));
            x = layer.forward(&queries, &x, mask, bias, train);
        }
        x
    }
}

impl Body for TextEncoder {
    fn blocks(&self) -> usize {
        self.blocks.len()
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
        let last = self.blocks.len();
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
        let first = |x: &Tensor| match (read, packing) {
            (_, Some(packing)) => packing.firsts(x),
            (Some(count), None) => x.narrow(1, 0, count),
            (None, None) => x.shallow_clone(),
        };
        for depth in blocks {
            let read: Option<&dyn Fn(&Tensor) -> Tensor> = (depth == last && read.is_some()).then_some(&first);
            x = mode.block(depth, |train| {
                let bias = self.relative_positions.as_ref().map(|relative| relative.of(x.size()[1]));
                self.blocks[depth - 1].forward(&x, read, mask.as_ref(), bias.as_ref(), train)
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
        let layers = self.blocks.iter().map(|block| block.times * block.layers.len()).sum();
        let projection =
            if self.projection.is_some() { 2 * self.sizes.embeddings.size * self.sizes.layer.hidden } else { 0 };
        self.sizes.layer.stack_work(layers, read, tokens) + tokens * projection as f64
    }

    fn token_table(&self) -> Option<&str> {
        Some(&self.token_table)
    }
}
