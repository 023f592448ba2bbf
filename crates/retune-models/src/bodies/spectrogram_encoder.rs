//! The encoder of AST: overlapping patches of a spectrogram, and pre-norm layers (Gong et al. 2021).
//!
//! B batch, F frames, M bins, P patch size, T tokens, D hidden size.

use crate::checkpoint::{Init, Weights};
use crate::layers::{LayerNames, LayerSizes, PreNormLayer, PreNormOptions};
use crate::{Body, Mode, ModelError, Reads, State, Tensors};
use retune_kernels::dropout::dropout;
use retune_kernels::tch::{Kind, Tensor};
use retune_kernels::{LayerNorm, Weight};
use std::ops::Range;

/// Tokens before those of the patches: the class token, and that of distillation.
const SPECIAL: i64 = 2;

/// Sizes of an encoder of spectrograms, read from config.json by its family.
#[derive(Debug, Clone)]
pub struct SpectrogramEncoderSizes {
    /// F and M.
    pub spectrogram: (i64, i64),
    /// P, along both.
    pub patch: i64,
    /// From one patch to the next, along frequency and along time.
    pub strides: (i64, i64),
    /// Every layer.
    pub layer: LayerSizes,
    /// What the family adds to a layer.
    pub options: PreNormOptions,
    /// Number of layers.
    pub layers: i64,
}

impl SpectrogramEncoderSizes {
    /// Patches along frequency and along time.
    pub fn grid(&self) -> (i64, i64) {
        let ((frames, bins), (along_bins, along_frames)) = (self.spectrogram, self.strides);
        ((bins - self.patch) / along_bins + 1, (frames - self.patch) / along_frames + 1)
    }
}

/// The encoder.
pub struct SpectrogramEncoder {
    class: Weight,        // [1, 1, D]
    distillation: Weight, // [1, 1, D]
    projection: Weight,   // [D, 1, P, P]
    bias: Weight,
    positions: Weight, // [1, T, D]
    layers: Vec<PreNormLayer>,
    norm: LayerNorm,
    sizes: SpectrogramEncoderSizes,
}

impl SpectrogramEncoder {
    /// `weights` points at the top, `base` is the path of the encoder, `names` are those inside a layer.
    ///
    /// # Errors
    /// A checkpoint that does not fit.
    pub fn load(
        weights: &Weights<'_>,
        base: &str,
        names: &LayerNames,
        sizes: SpectrogramEncoderSizes,
    ) -> Result<Self, ModelError> {
        let base = weights.at(base);
        let (d, p, init) = (sizes.layer.hidden, sizes.patch, Init::Normal(weights.initializer_range()));
        let (rows, columns) = sizes.grid();
        let embeddings = base.at("embeddings");
        let projection = embeddings.at("patch_embeddings.projection");
        let layers = base.at("encoder.layer");
        let layer = |i: i64| {
            let weights = layers.at(&i.to_string()).depth(i as usize + 1);
            PreNormLayer::load(&weights, names, &sizes.layer, &sizes.options, 0.0)
        };
        let norm = base.at("layernorm").depth(sizes.layers as usize);
        Ok(Self {
            class: embeddings.exact("cls_token", &[1, 1, d], init)?,
            distillation: embeddings.exact("distillation_token", &[1, 1, d], init)?,
            projection: projection.compute("weight", &[d, 1, p, p], init)?,
            bias: projection.compute("bias", &[d], Init::Constant(0.0))?,
            positions: embeddings.exact("position_embeddings", &[1, rows * columns + SPECIAL, d], init)?,
            layers: (0..sizes.layers).map(layer).collect::<Result<_, _>>()?,
            norm: norm.layer_norm(d, sizes.layer.norm_epsilon)?,
            sizes,
        })
    }

    /// `spectrograms` [B, F, M]; returns [B, T, D].
    fn embed(&self, spectrograms: &Tensor, train: bool) -> Tensor {
        let (along_bins, along_frames) = self.sizes.strides;
        let image = spectrograms.unsqueeze(1).transpose(2, 3).to_kind(self.projection.kind());
        let patches = image.conv2d(&self.projection, Some(&*self.bias), [along_bins, along_frames], [0, 0], [1, 1], 1);
        let patches = patches.flatten(2, 3).transpose(1, 2);
        let [batch, _, d] = patches.size()[..] else { panic!("patches have three dimensions") };
        let special = [&self.class, &self.distillation].map(|token| token.expand([batch, 1, d], false));
        let [class, distillation] = special;
        let tokens = Tensor::cat(&[class, distillation, patches.to_kind(Kind::Float)], 1) + &*self.positions;
        dropout(&tokens.to_kind(patches.kind()), self.sizes.layer.hidden_dropout, train)
    }
}

/// `input_values` [B, F, C] of just these frames and columns, and no mask; `named` says what the model takes and what is fixed of it.
///
/// # Errors
/// Another shape, or a mask.
pub(super) fn of_one_size<'a>(
    inputs: &'a Tensors,
    (frames, columns): (i64, i64),
    (named, fixed): (&str, &str),
) -> Result<&'a Tensor, ModelError> {
    let refused = |name: &str, shape, problem| ModelError::InputShape { name: name.to_owned(), shape, problem };
    let values = inputs.get("input_values")?;
    if values.dim() != 3 || values.size()[1..] != [frames, columns] {
        let problem = format!("give [batch, {frames}, {columns}]: this model takes {named} of one {fixed}");
        return Err(refused("input_values", values.size(), problem));
    }
    match inputs.optional("attention_mask") {
        None => Ok(values),
        Some(mask) => {
            let problem = format!("this model takes none: shorter {named} are padded");
            Err(refused("attention_mask", mask.size(), problem))
        }
    }
}

impl Body for SpectrogramEncoder {
    fn blocks(&self) -> usize {
        self.layers.len()
    }

    fn width(&self) -> i64 {
        self.sizes.layer.hidden
    }

    fn begin(&self, inputs: &Tensors, mode: &Mode) -> Result<State, ModelError> {
        let values = of_one_size(inputs, self.sizes.spectrogram, ("spectrograms", "size"))?;
        Ok(State::new(mode.block(0, |train| self.embed(values, train))))
    }

    fn run(&self, from: State, blocks: Range<usize>, reads: Reads, mode: &Mode) -> Result<State, ModelError> {
        let State { hidden: mut x, mask, beside } = from;
        let grid = self.sizes.grid();
        for depth in blocks {
            let layer = &self.layers[depth - 1];
            x = mode.block(depth, |train| {
                if depth < self.layers.len() {
                    return layer.forward(&x, grid, None, train);
                }
                let computed = match reads {
                    Reads::First(count) => x.narrow(1, 0, count),
                    Reads::All | Reads::Stages => x.shallow_clone(),
                };
                self.norm.forward(&layer.forward_read(&computed, &layer.read(&x), grid, None, train))
            });
        }
        Ok(State { hidden: x, mask, beside })
    }

    /// All sounds are as much work as any other.
    fn work(&self, _size: f64, reads: Reads) -> f64 {
        let ((rows, columns), sizes) = (self.sizes.grid(), &self.sizes.layer);
        let patches = (rows * columns) as f64;
        let projection = 2.0 * patches * (self.sizes.patch * self.sizes.patch * sizes.hidden) as f64;
        let tokens = patches + SPECIAL as f64;
        let read = match reads {
            Reads::First(count) => count as f64,
            Reads::All | Reads::Stages => tokens,
        };
        projection + sizes.stack_work(self.layers.len(), read, tokens)
    }
}
