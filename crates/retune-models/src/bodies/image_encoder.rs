//! The encoder of ViT and its relatives: patches and pre-norm layers (Dosovitskiy et al. 2020), where a masked autoencoder
//! (He et al. 2021) sees only some of the patches.
//!
//! B batch, T tokens, N patches, K kept ones, D hidden size, H heads; h and w grid of patches.

use super::stage_name;
use crate::checkpoint::Weights;
use crate::explain::{self, Explains, Explanation, Score};
use crate::layers::{
    ImageEmbeddingSizes, ImageEmbeddings, LayerNames, LayerSizes, Masking, PositionEmbeddings, PreNormLayer,
    PreNormOptions, RelativePositionBias, SizeRule, patch_embeddings,
};
use crate::{Body, Head, Mode, ModelConfig, ModelError, Reads, State, Tensors};
use retune_kernels::tch::{Kind, Tensor, no_grad, with_grad};
use retune_kernels::{Activation, LayerNorm, Weight};
use std::ops::Range;

/// Beside the hidden states: rows and columns of patches, [B, 2].
pub const GRID: &str = "grid";
/// Beside those of a masked autoencoder: 1 for removed patches, [B, N].
pub const MASK: &str = "mask";
/// Beside them too: for each patch its place among kept ones followed by removed ones, [B, N].
pub const RESTORE: &str = "restore";

/// Sizes of an image encoder, read from config.json by its family.
#[derive(Debug, Clone)]
pub struct ImageEncoderSizes {
    /// Patches, tokens, positions.
    pub embeddings: ImageEmbeddingSizes,
    /// Every layer.
    pub layer: LayerSizes,
    /// What the family adds to a layer.
    pub options: PreNormOptions,
    /// Rate of stochastic depth in each layer; its length is the number of layers.
    pub drop_path: Vec<f64>,
    /// Path below the base of a relative position bias that all layers share.
    pub shared_bias: Option<&'static str>,
    /// Whether a norm follows the last layer.
    pub final_norm: bool,
    /// Whether positions are added again behind each layer but the last (YOLOS).
    pub middle_positions: bool,
    /// Depths, 0 the embeddings, whose tokens stand beside the last ones where stages are read, under the names of stages: ascending.
    pub maps: Vec<usize>,
    /// How many patches a masked autoencoder keeps: those with the lowest of the `noise` [B, N] that it then takes.
    pub kept: Option<i64>,
}

impl ImageEncoderSizes {
    /// The image sizes that it takes: a detector cuts off what does not fill a patch, others want whole patches.
    pub fn size_rule(&self) -> SizeRule {
        let patch = self.embeddings.patch;
        if self.embeddings.detection > 0 { SizeRule::at_least(patch) } else { SizeRule::multiples(patch) }
    }
}

/// The encoder.
pub struct ImageEncoder {
    embeddings: ImageEmbeddings,
    shared_bias: Option<RelativePositionBias>,
    layers: Vec<PreNormLayer>,
    norm: Option<LayerNorm>,
    middle_positions: Option<Weight>, // [layers - 1, 1, rows, D]
    sizes: ImageEncoderSizes,
}

impl ImageEncoder {
    /// `weights` points at the top, `base` is the path of the encoder, `names` are those inside a layer.
    ///
    /// # Errors
    /// A checkpoint that does not fit.
    pub fn load(
        weights: &Weights<'_>,
        base: &str,
        names: &LayerNames,
        sizes: ImageEncoderSizes,
    ) -> Result<Self, ModelError> {
        let (d, depth) = (sizes.layer.hidden, sizes.drop_path.len());
        let base = weights.at(base);
        let layers = base.at("encoder.layer");
        let load = |i: usize| {
            let weights = layers.at(&i.to_string()).depth(i + 1);
            PreNormLayer::load(&weights, names, &sizes.layer, &sizes.options, sizes.drop_path[i])
        };
        let norm = || base.at("layernorm").depth(depth).layer_norm(d, sizes.layer.norm_epsilon);
        let grid = sizes.embeddings.grid();
        let (special, behind) = (sizes.embeddings.tokens.len() as i64, sizes.embeddings.detection);
        let middle = || {
            let rows = special + grid.0 * grid.1 + behind;
            let shape = [depth as i64 - 1, 1, rows, d];
            base.exact("encoder.mid_position_embeddings", &shape, sizes.embeddings.init)
        };
        let shared = |path| RelativePositionBias::load(&base.at(path), grid, sizes.layer.heads);
        Ok(Self {
            embeddings: ImageEmbeddings::load(&base.at("embeddings"), &sizes.embeddings)?,
            shared_bias: sizes.shared_bias.map(shared).transpose()?,
            layers: (0..depth).map(load).collect::<Result<_, _>>()?,
            norm: sizes.final_norm.then(norm).transpose()?,
            middle_positions: sizes.middle_positions.then(middle).transpose()?,
            sizes,
        })
    }

    /// The images, checked.
    fn pixels<'a>(&self, inputs: &'a Tensors) -> Result<&'a Tensor, ModelError> {
        let sizes = &self.sizes.embeddings;
        let pixels = patch_embeddings::pixel_values(inputs, sizes.channels, &self.sizes.size_rule())?;
        let size = pixels.size();
        if self.sizes.kept.is_some() && (size[2], size[3]) != sizes.image {
            let (height, width) = sizes.image;
            let problem = format!("this masked autoencoder takes {height}×{width} pixels; resize the images");
            return Err(ModelError::InputShape { name: "pixel_values".to_owned(), shape: size, problem });
        }
        Ok(pixels)
    }

    /// Which patches are kept, if not all.
    fn masking(&self, inputs: &Tensors, batch: i64) -> Result<Option<Masking>, ModelError> {
        let Some(kept) = self.sizes.kept else { return Ok(None) };
        let (noise, (h, w)) = (inputs.get("noise")?, self.sizes.embeddings.grid());
        if noise.size() != [batch, h * w] {
            let problem = format!("give one number for each patch, [{batch}, {}]", h * w);
            return Err(ModelError::InputShape { name: "noise".to_owned(), shape: noise.size(), problem });
        }
        Ok(Some(Masking::new(noise, kept)))
    }

    /// The bias that all layers share: it belongs to block 0, whichever blocks run.
    fn shared_bias(&self, grid: (i64, i64), mode: &Mode) -> Option<Tensor> {
        self.shared_bias.as_ref().map(|bias| mode.block(0, |_| bias.at(grid)))
    }

    /// The positions that are added behind block `depth`.
    fn middle_positions(&self, depth: usize, grid: (i64, i64)) -> Option<Tensor> {
        let table = self.middle_positions.as_ref()?.get(depth as i64 - 1);
        let sizes = &self.sizes.embeddings;
        let positions = PositionEmbeddings::new(table.into(), sizes.tokens.len() as i64, sizes.grid());
        Some(positions.with_behind(sizes.detection).at(grid))
    }

    /// Whether all that a head reads of several depths is there below this one.
    fn has_read(&self, depth: usize, mode: &Mode) -> bool {
        !mode.hidden_states && self.sizes.maps.last().is_some_and(|&last| depth > last)
    }

    fn normed(&self, x: Tensor) -> Tensor {
        self.norm.as_ref().map_or_else(|| x.shallow_clone(), |norm| norm.forward(&x))
    }

    /// Of all patches that an image of the usual size would have, those whose tokens the layers see.
    fn seen(&self, patches: f64) -> f64 {
        self.sizes.kept.map_or(patches, |kept| kept as f64)
    }
}

/// Rows and columns of patches, of [`GRID`].
pub fn grid_of(grid: &Tensor) -> (i64, i64) {
    (grid.int64_value(&[0, 0]), grid.int64_value(&[0, 1]))
}

impl Body for ImageEncoder {
    fn blocks(&self) -> usize {
        self.layers.len()
    }

    fn width(&self) -> i64 {
        self.sizes.layer.hidden
    }

    fn begin(&self, inputs: &Tensors, mode: &Mode) -> Result<State, ModelError> {
        let pixels = self.pixels(inputs)?;
        let batch = pixels.size()[0];
        let masking = self.masking(inputs, batch)?;
        let mut grid = (0, 0);
        let hidden = mode.block(0, |train| {
            let kept = masking.as_ref().map(|masking| &masking.kept);
            let (x, of_patches) = self.embeddings.forward(pixels, kept, train);
            grid = of_patches;
            x
        });
        let mut state = State::new(hidden);
        state.beside.insert(GRID, Tensor::from_slice(&[grid.0, grid.1]).expand([batch, 2], false));
        if let Some(masking) = masking {
            state.beside.insert(MASK, masking.mask);
            state.beside.insert(RESTORE, masking.restore);
        }
        Ok(state)
    }

    fn run(&self, from: State, blocks: Range<usize>, reads: Reads, mode: &Mode) -> Result<State, ModelError> {
        let State { hidden: mut x, mask, mut beside } = from;
        let grid = grid_of(beside.get(GRID)?);
        let mut keep = |depth: usize, x: &Tensor| {
            let of = |at: &usize| reads == Reads::Stages && *at == depth;
            if let Some(number) = self.sizes.maps.iter().position(of) {
                beside.insert(&stage_name(number), x.shallow_clone());
            }
        };
        if blocks.start == 1 {
            keep(0, &x);
        }
        let bias = if blocks.is_empty() { None } else { self.shared_bias(grid, mode) };
        for depth in blocks {
            let layer = &self.layers[depth - 1];
            if reads == Reads::Stages {
                if self.has_read(depth, mode) {
                    break;
                }
                x = mode.block(depth, |train| layer.forward(&x, grid, bias.as_ref(), train));
                keep(depth, &x);
                if depth == self.layers.len() {
                    x = mode.block(depth, |_| self.normed(x.shallow_clone()));
                }
                continue;
            }
            x = mode.block(depth, |train| {
                if depth < self.layers.len() {
                    let y = layer.forward(&x, grid, bias.as_ref(), train);
                    let positions = self.middle_positions(depth, grid);
                    return positions.map_or_else(|| y.shallow_clone(), |it| &y + it.to_kind(y.kind()));
                }
                let computed = match reads {
                    Reads::First(count) => x.narrow(1, 0, count),
                    Reads::All | Reads::Stages => x.shallow_clone(),
                };
                self.normed(layer.forward_read(&computed, &layer.read(&x), grid, bias.as_ref(), train))
            });
        }
        Ok(State { hidden: x, mask, beside })
    }

    /// Detection tokens behind the patches again.
    fn last_hidden_state(&self, state: &State) -> Tensor {
        let (special, detection) = (self.sizes.embeddings.tokens.len() as i64, self.sizes.embeddings.detection);
        let x = &state.hidden;
        if detection == 0 {
            return x.shallow_clone();
        }
        let front = special + detection;
        let parts = [(0, special), (front, x.size()[1] - front), (special, detection)];
        Tensor::cat(&parts.map(|(from, count)| x.narrow(1, from, count)), 1)
    }

    fn work(&self, patches: f64, reads: Reads) -> f64 {
        let sizes = &self.sizes.embeddings;
        let projection = 2.0 * patches * (sizes.channels * sizes.patch.0 * sizes.patch.1 * sizes.hidden) as f64;
        let tokens = self.seen(patches) + (sizes.tokens.len() as i64 + sizes.registers + sizes.detection) as f64;
        let read = match reads {
            Reads::First(count) => count as f64,
            Reads::All | Reads::Stages => tokens,
        };
        projection + self.sizes.layer.stack_work(self.layers.len(), read, tokens)
    }

    fn explains(&self) -> Option<&dyn Explains> {
        // What a masked autoencoder does not see has no place on a map, and a detector answers for many places at once.
        if self.sizes.kept.is_some() || self.sizes.embeddings.detection > 0 { None } else { Some(self) }
    }
}

impl ImageEncoder {
    /// [B, h, w]: what the head reads of each patch, and what the special tokens that it reads take from each patch in
    /// the last attention. That one is looked at behind its norm: the gradient before a norm is orthogonal to what is
    /// normed, so that their product would vanish.
    fn gradient_map(&self, inputs: &Tensors, head: &dyn Head, score: Score<'_>) -> Result<Tensor, ModelError> {
        let mode = Mode::evaluation();
        let last_depth = self.layers.len();
        let below = || self.run(self.begin(inputs, &mode)?, 1..last_depth, Reads::All, &mode);
        let State { hidden: x, mask, beside } = no_grad(below)?;
        let grid = grid_of(beside.get(GRID)?);
        let bias = no_grad(|| self.shared_bias(grid, &mode));
        let last = &self.layers[last_depth - 1];
        let read = no_grad(|| explain::watched(&last.read(&x)));
        with_grad(|| {
            let hidden = self.normed(last.forward_read(&x, &read, grid, bias.as_ref(), false));
            let patches = grid.0 * grid.1;
            let special = hidden.size()[1] - patches;
            let leaf = explain::watched(&hidden.narrow(1, special, patches));
            let tokens = Tensor::cat(&[hidden.narrow(1, 0, special), leaf.shallow_clone()], 1);
            let outputs = head.forward(&State { hidden: tokens, mask, beside }, false)?;
            explain::contributions(&score(&outputs)?, &[read, leaf], grid)
        })
    }

    /// [B, h, w]: how much of each patch attention carries into what the head reads.
    fn rollout(&self, inputs: &Tensors, head: &dyn Head) -> Result<Tensor, ModelError> {
        let mode = Mode::evaluation();
        let State { hidden: mut x, beside, .. } = self.begin(inputs, &mode)?;
        let grid = grid_of(beside.get(GRID)?);
        let bias = self.shared_bias(grid, &mode);
        let mut attentions = Vec::with_capacity(self.layers.len());
        for layer in &self.layers {
            attentions.push(layer.attention(&x, grid, bias.as_ref()));
            x = layer.forward(&x, grid, bias.as_ref(), false);
        }
        let (batch, tokens, patches) = (x.size()[0], x.size()[1], grid.0 * grid.1);
        let reads = head.shares(tokens).to_device(x.device()).view([1, 1, tokens]);
        let carried = reads.matmul(&explain::rollout(&attentions)); // [B, 1, T]
        Ok(carried.narrow(2, tokens - patches, patches).reshape([batch, grid.0, grid.1]).to_kind(Kind::Float))
    }
}

impl Explains for ImageEncoder {
    fn explanations(&self) -> &'static [Explanation] {
        &[Explanation::Gradient, Explanation::Rollout]
    }

    fn explain(
        &self,
        inputs: &Tensors,
        how: Explanation,
        head: &dyn Head,
        score: Score<'_>,
    ) -> Result<Tensor, ModelError> {
        match how {
            Explanation::Gradient => self.gradient_map(inputs, head, score),
            Explanation::Rollout => no_grad(|| self.rollout(inputs, head)),
        }
    }
}

/// Layer sizes of the config fields that all families of this kind share; `epsilon` is what an absent one means.
///
/// # Errors
/// Fields that are missing or wrong.
pub fn layer_sizes(config: &ModelConfig, intermediate: i64, epsilon: f64) -> Result<LayerSizes, ModelError> {
    Ok(LayerSizes {
        hidden: config.size("hidden_size")?,
        heads: config.size("num_attention_heads")?,
        intermediate,
        activation: Activation::from_name(&config.text("hidden_act")?)?,
        norm_epsilon: config.number_or("layer_norm_eps", epsilon)?,
        hidden_dropout: config.probability("hidden_dropout_prob")?,
        feed_forward_dropout: config.probability("hidden_dropout_prob")?,
        attention_dropout: config.probability("attention_probs_dropout_prob")?,
    })
}
