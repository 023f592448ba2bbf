//! The encoder of Whisper: two convolutions over a log-mel spectrogram, fixed positions, pre-norm layers (Radford et al. 2022, §2.2).
//!
//! transformers' `WhisperEncoder`. B batch, M bins, F frames of the spectrogram, T frames of the encoder, F/2, D hidden size.

use super::layer_name;
use crate::checkpoint::{Init, Weights};
use crate::layers::{LayerNames, SpecAugment, SpeechLayer, SpeechLayerSizes, is_left_out, whisper_sinusoids};
use crate::{Body, Mode, ModelError, Reads, State, Tensors};
use retune_kernels::dropout::dropout;
use retune_kernels::tch::{Kind, Tensor};
use retune_kernels::{Activation, LayerNorm, Weight};
use std::ops::Range;

/// Places that a convolution reads.
const KERNEL: i64 = 3;

/// Sizes of the encoder, read from config.json by its family.
#[derive(Debug, Clone)]
pub struct LogMelEncoderSizes {
    /// M.
    pub bins: i64,
    /// T.
    pub positions: i64,
    /// Every layer.
    pub layer: SpeechLayerSizes,
    /// Number of layers.
    pub layers: i64,
    /// Probability that a layer is left out while training (Fan et al. 2019).
    pub layer_drop: f64,
    /// What of the spectrogram is masked while training.
    pub spec_augment: Option<SpecAugment>,
    /// Whether what each layer returns is kept for the head.
    pub keeps_layers: bool,
}

impl LogMelEncoderSizes {
    /// F.
    pub fn frames(&self) -> i64 {
        2 * self.positions
    }
}

/// The encoder.
pub struct LogMelEncoder {
    convolutions: [(Weight, Weight); 2],
    positions: Weight, // [T, D]
    layers: Vec<SpeechLayer>,
    norm: LayerNorm,
    sizes: LogMelEncoderSizes,
}

impl LogMelEncoder {
    /// `weights` points at the encoder, `names` are those inside a layer.
    ///
    /// # Errors
    /// A checkpoint that does not fit.
    pub fn load(weights: &Weights<'_>, names: &LayerNames, sizes: LogMelEncoderSizes) -> Result<Self, ModelError> {
        let d = sizes.layer.hidden;
        let init = Init::Normal(weights.initializer_range());
        let convolution = |name: &str, channels: i64| {
            let at = weights.at(name);
            let weight = at.compute("weight", &[d, channels, KERNEL], init)?;
            Ok::<_, ModelError>((weight, at.compute("bias", &[d], Init::Constant(0.0))?))
        };
        let layers = weights.at("layers");
        let layer = |i: i64| SpeechLayer::load(&layers.at(&i.to_string()).depth(i as usize + 1), names, sizes.layer);
        let positions = whisper_sinusoids(sizes.positions, d, weights.device());
        Ok(Self {
            convolutions: [convolution("conv1", sizes.bins)?, convolution("conv2", d)?],
            positions: weights.at("embed_positions").fixed("weight", positions)?,
            layers: (0..sizes.layers).map(layer).collect::<Result<_, _>>()?,
            norm: weights.at("layer_norm").depth(sizes.layers as usize).layer_norm(d, sizes.layer.norm_epsilon)?,
            sizes,
        })
    }

    /// `features` [B, M, F]; returns [B, T, D].
    fn embed(&self, features: &Tensor, train: bool) -> Tensor {
        let [first, second] = &self.convolutions;
        let mut x = self.augment(features, train).to_kind(first.0.kind());
        for ((weight, bias), stride) in [(first, 1), (second, 2)] {
            x = Activation::Gelu.forward(&x.conv1d(weight, Some(&**bias), [stride], [1], [1], 1));
        }
        let x = x.transpose(1, 2).to_kind(Kind::Float) + &*self.positions;
        dropout(&x.to_kind(first.0.kind()), self.sizes.layer.hidden_dropout, train)
    }

    /// Zeros in spans of time and of bins.
    fn augment(&self, features: &Tensor, train: bool) -> Tensor {
        let Some(options) = self.sizes.spec_augment.filter(|_| train) else { return features.shallow_clone() };
        let [batch, bins, frames] = features.size()[..] else { panic!("spectrograms have three dimensions") };
        let draw = |spans: &crate::layers::Spans, width: i64| spans.draw(&vec![width; batch as usize], width);
        let mut x = features.shallow_clone();
        if let Some(masked) = draw(&options.time, frames) {
            x = x.masked_fill(&masked.to_device(x.device()).unsqueeze(1), 0.0);
        }
        if let Some(masked) = draw(&options.feature, bins) {
            x = x.masked_fill(&masked.to_device(x.device()).unsqueeze(2), 0.0);
        }
        x
    }
}

impl Body for LogMelEncoder {
    fn blocks(&self) -> usize {
        self.layers.len()
    }

    fn width(&self) -> i64 {
        self.sizes.layer.hidden
    }

    fn begin(&self, inputs: &Tensors, mode: &Mode) -> Result<State, ModelError> {
        let features = inputs.get("input_features")?;
        let (bins, frames) = (self.sizes.bins, self.sizes.frames());
        if features.dim() != 3 || features.size()[1..] != [bins, frames] {
            let problem = format!("give [batch, {bins}, {frames}]: this model takes log-mel spectrograms of one size");
            return Err(ModelError::InputShape { name: "input_features".to_owned(), shape: features.size(), problem });
        }
        Ok(State::new(mode.block(0, |train| self.embed(features, train))))
    }

    fn run(&self, from: State, blocks: Range<usize>, _reads: Reads, mode: &Mode) -> Result<State, ModelError> {
        let State { hidden: mut x, mask, mut beside } = from;
        if self.sizes.keeps_layers && blocks.start == 1 {
            beside.insert(&layer_name(0), x.shallow_clone());
        }
        for depth in blocks {
            x = mode.block(depth, |train| {
                let layer = &self.layers[depth - 1];
                let y = if is_left_out(self.sizes.layer_drop, train) {
                    x.shallow_clone()
                } else {
                    layer.forward(&x, None, None, train)
                };
                if depth == self.layers.len() { self.norm.forward(&y) } else { y }
            });
            if self.sizes.keeps_layers {
                beside.insert(&layer_name(depth), x.shallow_clone());
            }
        }
        Ok(State { hidden: x, mask, beside })
    }

    /// All sounds are as much work as any other.
    fn work(&self, _size: f64, _reads: Reads) -> f64 {
        let (d, m, t) = (self.sizes.layer.hidden as f64, self.sizes.bins as f64, self.sizes.positions as f64);
        let convolutions = 2.0 * KERNEL as f64 * t * d * (2.0 * m + d);
        convolutions + self.sizes.layers as f64 * SpeechLayer::work(&self.sizes.layer, t)
    }

    fn begin_is_costly(&self) -> bool {
        true
    }
}
