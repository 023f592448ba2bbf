//! The encoder of KWT: the frames of a short sound, projected, behind a class token, and post-norm layers (Berg et al. 2021).
//!
//! B batch, F frames, C coefficients, T tokens (F and the class token), D hidden size.

use super::spectrogram_encoder::of_one_size;
use crate::checkpoint::{Init, Weights};
use crate::layers::{AttentionSizes, LayerNames, LayerSizes, PostNormLayer};
use crate::{Body, Mode, ModelError, Reads, State, Tensors};
use retune_kernels::dropout::dropout;
use retune_kernels::tch::{Kind, Tensor};
use retune_kernels::{Dense, Weight};
use std::ops::Range;

/// Sizes of the encoder, read from config.json by its family.
#[derive(Debug, Clone)]
pub struct KeywordEncoderSizes {
    /// F and C.
    pub frames: (i64, i64),
    /// Every layer; queries, keys and values have no bias.
    pub layer: LayerSizes,
    /// Number of layers.
    pub layers: i64,
}

/// Tensor names below the encoder.
#[derive(Debug, Clone, Copy)]
pub struct KeywordEncoderNames {
    /// Projection of frames.
    pub projection: &'static str,
    /// The class token.
    pub class: &'static str,
    /// Of all tokens.
    pub positions: &'static str,
    /// Of the layers, by their number from 0.
    pub layers: &'static str,
    /// Inside a layer.
    pub layer: LayerNames,
}

/// The encoder.
pub struct KeywordEncoder {
    projection: Dense,
    class: Weight,     // [D]
    positions: Weight, // [T, D]
    layers: Vec<PostNormLayer>,
    sizes: KeywordEncoderSizes,
}

impl KeywordEncoder {
    /// `weights` points at the top, `base` is the path of the encoder.
    ///
    /// # Errors
    /// A checkpoint that does not fit.
    pub fn load(
        weights: &Weights<'_>,
        base: &str,
        names: &KeywordEncoderNames,
        sizes: KeywordEncoderSizes,
    ) -> Result<Self, ModelError> {
        let base = weights.at(base);
        let (d, init) = (sizes.layer.hidden, Init::Normal(weights.initializer_range()));
        let attention = AttentionSizes { query_value_bias: false, key_bias: false, ..sizes.layer.attention() };
        let layers = base.at(names.layers);
        let layer = |i: i64| {
            let weights = layers.at(&i.to_string()).depth(i as usize + 1);
            PostNormLayer::load_with(&weights, &names.layer, &sizes.layer, &attention)
        };
        Ok(Self {
            projection: base.at(names.projection).dense(sizes.frames.1, d)?,
            class: base.exact(names.class, &[d], init)?,
            positions: base.exact(names.positions, &[sizes.frames.0 + 1, d], init)?,
            layers: (0..sizes.layers).map(layer).collect::<Result<_, _>>()?,
            sizes,
        })
    }

    /// `frames` [B, F, C]; returns [B, T, D].
    fn embed(&self, frames: &Tensor, train: bool) -> Tensor {
        let projected = self.projection.forward(frames, train);
        let class = self.class.expand([frames.size()[0], 1, self.sizes.layer.hidden], false);
        let tokens = Tensor::cat(&[class, projected.to_kind(Kind::Float)], 1) + &*self.positions;
        dropout(&tokens.to_kind(projected.kind()), self.sizes.layer.hidden_dropout, train)
    }
}

impl Body for KeywordEncoder {
    fn blocks(&self) -> usize {
        self.layers.len()
    }

    fn width(&self) -> i64 {
        self.sizes.layer.hidden
    }

    fn begin(&self, inputs: &Tensors, mode: &Mode) -> Result<State, ModelError> {
        let values = of_one_size(inputs, self.sizes.frames, ("sounds", "length"))?;
        Ok(State::new(mode.block(0, |train| self.embed(values, train))))
    }

    fn run(&self, from: State, blocks: Range<usize>, reads: Reads, mode: &Mode) -> Result<State, ModelError> {
        let State { hidden: mut x, mask, beside } = from;
        for depth in blocks {
            let layer = &self.layers[depth - 1];
            x = mode.block(depth, |train| {
                let computed = match reads {
                    Reads::First(count) if depth == self.layers.len() => x.narrow(1, 0, count),
                    Reads::First(_) | Reads::All | Reads::Stages => x.shallow_clone(),
                };
                layer.forward(&computed, &x, None, None, train)
            });
        }
        Ok(State { hidden: x, mask, beside })
    }

    /// All sounds are as much work as any other.
    fn work(&self, _size: f64, reads: Reads) -> f64 {
        let ((frames, coefficients), sizes) = (self.sizes.frames, &self.sizes.layer);
        let tokens = frames as f64 + 1.0;
        let read = match reads {
            Reads::First(count) => count as f64,
            Reads::All | Reads::Stages => tokens,
        };
        2.0 * (frames * coefficients * sizes.hidden) as f64 + sizes.stack_work(self.layers.len(), read, tokens)
    }
}
