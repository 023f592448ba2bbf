//! Bodies over feature maps that shrink from stage to stage (Swin, ConvNeXt): a stem, then layers, with a downsampling before
//! the first layer of each stage but the first.
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

/// From pixels to the first feature map.
pub struct Stem {
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
    /// The image sizes it takes.
    pub sizes: SizeRule,
    /// Whether what does not fill a patch is padded; else it is cut off.
    pub pads: bool,
}

impl Stem {
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

    /// `pixels` [B, C, H, W]; returns [B, h, w, C].
    fn forward(&self, pixels: &Tensor, train: bool) -> Tensor {
        let ((p, q), size) = (self.patch, pixels.size());
        let (bottom, right) = ((p - size[2] % p) % p, (q - size[3] % q) % q);
        let whole = !self.pads || bottom + right == 0;
        let padded = if whole { pixels.shallow_clone() } else { pixels.constant_pad_nd([0, right, 0, bottom]) };
        let mut x = self.norm.forward(&self.projection.forward(&padded));
        if let Some(positions) = &self.positions {
            let [_, h, w, c] = x.size()[..] else { panic!("patches have four dimensions") };
            x = &x + positions.at((h, w)).view([1, h, w, c]).to_kind(x.kind());
        }
        dropout(&x, self.dropout, train)
    }
}

/// A layer, with the downsampling before it at the begin of a stage.
pub struct PyramidBlock {
    /// Before the layer.
    pub downsampling: Option<Box<dyn MapLayer>>,
    /// The layer.
    pub layer: Box<dyn MapLayer>,
    /// The stage, from 0: so often the map was halved.
    pub stage: usize,
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
    /// Block 0.
    pub stem: Stem,
    /// The others.
    pub blocks: Vec<PyramidBlock>,
    /// Behind the last block.
    pub norm: Option<LayerNorm>,
    /// C of the last stage.
    pub width: i64,
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
        let pixels = patch_embeddings::pixel_values(inputs, self.stem.channels, &self.stem.sizes)?;
        Ok(State::new(mode.block(0, |train| self.stem.forward(pixels, train))))
    }

    fn run(&self, from: State, blocks: Range<usize>, _reads: Reads, mode: &Mode) -> Result<State, ModelError> {
        let State { hidden: mut x, mask, beside } = from;
        for depth in blocks {
            let PyramidBlock { downsampling, layer, .. } = &self.blocks[depth - 1];
            x = mode.block(depth, |train| {
                let y = downsampling.as_ref().map_or_else(|| x.shallow_clone(), |down| down.forward(&x, train));
                let y = layer.forward(&y, train);
                let norm = self.norm.as_ref().filter(|_| depth == self.blocks.len());
                norm.map_or_else(|| y.shallow_clone(), |norm| norm.forward(&y))
            });
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
        let Stem { channels, patch, width, .. } = self.stem;
        let stem = 2.0 * patches * (channels * patch.0 * patch.1 * width) as f64;
        let of_block = |block: &PyramidBlock| {
            let places = patches / 4f64.powi(block.stage as i32);
            block.layer.work(places) + block.downsampling.as_ref().map_or(0.0, |down| down.work(places))
        };
        stem + self.blocks.iter().map(of_block).sum::<f64>()
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
