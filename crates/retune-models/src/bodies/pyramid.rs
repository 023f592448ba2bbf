//! Bodies over feature maps that shrink from stage to stage (Swin, ConvNeXt, SegFormer): a stem, then layers, with a
//! downsampling before the first layer of each stage but the first, and perhaps a norm behind its last one.
//!
//! B batch, C channels, H and W image size, h and w feature map, P and Q patch size.

use crate::checkpoint::{Init, Weights};
use crate::explain::{self, Explains, Explanation, Score};
use crate::layers::{MapLayer, PatchProjection, PositionEmbeddings, SizeRule, patch_embeddings};
use crate::{Body, Head, Mode, ModelError, Reads, State, Tensors};
use retune_kernels::LayerNorm;
use retune_kernels::dropout::dropout;
use retune_kernels::tch::{Tensor, no_grad};
use std::ops::Range;

/// The name beside hidden states of what a stage returned, [B, h, w, C]; stages count from 0.
pub fn stage_name(stage: usize) -> String {
    format!("stage.{stage}")
}

/// The name beside hidden states of height and width of the images, [B, 2], where a head asks for them.
const IMAGE: &str = "image";

/// H and W, of a state that keeps them.
///
/// # Errors
/// It does not.
pub fn image_size_of(state: &State) -> Result<(i64, i64), ModelError> {
    let size = state.beside.get(IMAGE)?;
    Ok((size.int64_value(&[0, 0]), size.int64_value(&[0, 1])))
}

/// From patches that do not overlap to the first feature map.
pub struct PatchStem {
    /// From patches to C.
    pub projection: PatchProjection,
    /// Behind it.
    pub norm: LayerNorm,
    /// Behind the norm, where there are any.
    pub positions: Option<PositionEmbeddings>,
    /// Behind those.
    pub dropout: f64,
    /// Colour channels.
    pub channels: i64,
    /// P and Q.
    pub patch: (i64, i64),
    /// C.
    pub width: i64,
    /// Whether what does not fill a patch is padded; else it is cut off.
    pub pads: bool,
}

impl PatchStem {
    /// The projection of patches, at `weights`.
    ///
    /// # Errors
    /// A checkpoint that does not fit.
    pub fn projection(
        weights: &Weights<'_>,
        channels: i64,
        patch: (i64, i64),
        width: i64,
    ) -> Result<PatchProjection, ModelError> {
        PatchProjection::load(weights, channels, patch, width, Init::Normal(weights.initializer_range()))
    }
}

impl MapLayer for PatchStem {
    fn forward(&self, pixels: &Tensor, train: bool) -> Tensor {
        let ((p, q), size) = (self.patch, pixels.size());
        let (bottom, right) = ((p - size[1] % p) % p, (q - size[2] % q) % q);
        let whole = !self.pads || bottom + right == 0;
        let padded = if whole { pixels.shallow_clone() } else { pixels.constant_pad_nd([0, 0, 0, right, 0, bottom]) };
        let mut x = self.norm.forward(&self.projection.forward_channels_last(&padded));
        if let Some(positions) = &self.positions {
            let [_, h, w, c] = x.size()[..] else { panic!("patches have four dimensions") };
            x = &x + positions.at((h, w)).view([1, h, w, c]).to_kind(x.kind());
        }
        dropout(&x, self.dropout, train)
    }

    fn work(&self, places: f64) -> f64 {
        2.0 * places * (self.channels * self.patch.0 * self.patch.1 * self.width) as f64
    }
}

/// A layer, with the downsampling before it at the begin of a stage.
pub struct PyramidBlock {
    /// Before the layer.
    pub downsampling: Option<Box<dyn MapLayer>>,
    /// The layer.
    pub layer: Box<dyn MapLayer>,
    /// Behind the layer, at the end of a stage.
    pub norm: Option<LayerNorm>,
    /// The stage, from 0.
    pub stage: usize,
    /// How many places of the first map one place of this one stands for.
    pub area: f64,
}

/// How Hugging Face gives back the last feature map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MapShape {
    /// [B, h·w, C].
    Tokens,
    /// [B, C, h, w].
    ChannelsFirst,
}

/// The body; hidden states are [B, h, w, C].
pub struct Pyramid {
    /// Block 0: pixels [B, H, W, C] to the first map.
    pub stem: Box<dyn MapLayer>,
    /// Colour channels that the stem takes.
    pub channels: i64,
    /// Image sizes that it takes.
    pub sizes: SizeRule,
    /// The others.
    pub blocks: Vec<PyramidBlock>,
    /// C of the last stage.
    pub width: i64,
    /// Whether the size of the images is kept beside the hidden states.
    pub keeps_size: bool,
    /// How the last map is given back.
    pub shape: MapShape,
}

impl Body for Pyramid {
    fn blocks(&self) -> usize {
        self.blocks.len()
    }

    fn width(&self) -> i64 {
        self.width
    }

    fn begin(&self, inputs: &Tensors, mode: &Mode) -> Result<State, ModelError> {
        let pixels = patch_embeddings::pixel_values(inputs, self.channels, &self.sizes)?.permute([0, 2, 3, 1]);
        let mut state = State::new(mode.block(0, |train| self.stem.forward(&pixels, train)));
        if self.keeps_size {
            let [batch, h, w, _] = pixels.size()[..] else { panic!("images have four dimensions") };
            state.beside.insert(IMAGE, Tensor::from_slice(&[h, w]).expand([batch, 2], false));
        }
        Ok(state)
    }

    /// Where stages are read, the maps of all but the last stand beside the hidden states under their [`stage_name`].
    fn run(&self, from: State, blocks: Range<usize>, reads: Reads, mode: &Mode) -> Result<State, ModelError> {
        let State { hidden: mut x, mask, mut beside } = from;
        for depth in blocks {
            let PyramidBlock { downsampling, layer, norm, stage, .. } = &self.blocks[depth - 1];
            x = mode.block(depth, |train| {
                let y = downsampling.as_ref().map_or_else(|| x.shallow_clone(), |down| down.forward(&x, train));
                let y = layer.forward(&y, train);
                norm.as_ref().map_or_else(|| y.shallow_clone(), |norm| norm.forward(&y))
            });
            let ends = self.blocks.get(depth).is_some_and(|next| next.stage != *stage);
            if reads == Reads::Stages && ends {
                beside.insert(&stage_name(*stage), x.shallow_clone());
            }
        }
        Ok(State { hidden: x, mask, beside })
    }

    fn last_hidden_state(&self, state: &State) -> Tensor {
        match self.shape {
            MapShape::Tokens => state.hidden.flatten(1, 2),
            MapShape::ChannelsFirst => state.hidden.permute([0, 3, 1, 2]),
        }
    }

    fn work(&self, patches: f64, _reads: Reads) -> f64 {
        let of_block = |block: &PyramidBlock| {
            let places = patches / block.area;
            block.layer.work(places) + block.downsampling.as_ref().map_or(0.0, |down| down.work(places))
        };
        self.stem.work(patches) + self.blocks.iter().map(of_block).sum::<f64>()
    }

    fn explains(&self) -> Option<&dyn Explains> {
        Some(self)
    }
}

impl Explains for Pyramid {
    fn explanations(&self) -> &'static [Explanation] {
        &[Explanation::Gradient]
    }

    fn explain(
        &self,
        inputs: &Tensors,
        _how: Explanation,
        head: &dyn Head,
        score: Score<'_>,
    ) -> Result<Tensor, ModelError> {
        let mode = Mode::evaluation();
        let run = || self.run(self.begin(inputs, &mode)?, 1..self.blocks.len() + 1, Reads::All, &mode);
        explain::of_feature_map(&no_grad(run)?.hidden, head, score)
    }
}
