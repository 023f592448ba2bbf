//! The encoder of Moonshine: three convolutions over samples with a norm over the whole sound, then pre-norm layers with rotary
//! positions (Jeffries et al. 2024, §3.1).
//!
//! transformers' `MoonshineEncoder`. Block 0 is the convolutions, the others are layers. B batch, N samples, C frames of the first
//! convolution, T frames, D hidden size.

use crate::cache::seen;
use crate::checkpoint::{Init, Weights};
use crate::layers::{Attending, DecoderLayer, DecoderLayerNames, DecoderSizes, Norm, Rotary, frame_mask};
use crate::takes::FrameRule;
use crate::{Body, Mode, ModelError, Reads, State, Tensors};
use retune_kernels::tch::{Device, Kind, Tensor};
use retune_kernels::{Activation, Weight};
use std::ops::Range;

/// Kernel and stride of each convolution, fixed by the class.
const CONVOLUTIONS: [(i64, i64); 3] = [(127, 64), (7, 3), (3, 2)];
/// Added to variances by the norm over the whole sound.
const NORM_EPSILON: f64 = 1e-5;
const SAMPLES: &str = "input_values";
const MASK: &str = "attention_mask";
/// How many samples each row has, int64 \[B\]: then what is padding changes nothing at all. transformers knows masks alone, of which
/// the norm over the whole sound hears nothing.
const COUNTS: &str = "sample_counts";

/// Sizes of the encoder, read from config.json by its family.
#[derive(Debug, Clone)]
pub struct WaveformEncoderSizes {
    /// Every layer.
    pub layer: DecoderSizes,
    /// Number of layers.
    pub layers: usize,
    /// Positions.
    pub rotary: Rotary,
}

impl WaveformEncoderSizes {
    /// How many frames become of samples.
    pub fn frames() -> FrameRule {
        FrameRule::new(CONVOLUTIONS)
    }
}

/// The encoder.
pub struct WaveformEncoder {
    convolutions: [(Weight, Option<Weight>); 3],
    scale: Weight, // [D]
    shift: Weight, // [D]
    layers: Vec<DecoderLayer>,
    norm: Norm,
    sizes: WaveformEncoderSizes,
}

impl WaveformEncoder {
    /// `weights` points at the encoder, `names` are those inside a layer.
    ///
    /// # Errors
    /// A checkpoint that does not fit.
    pub fn load(
        weights: &Weights<'_>,
        names: &DecoderLayerNames,
        sizes: WaveformEncoderSizes,
    ) -> Result<Self, ModelError> {
        let d = sizes.layer.hidden;
        let init = Init::Normal(weights.initializer_range());
        let convolution = |index: usize, (before, after): (i64, i64)| {
            let at = weights.at(&format!("conv{}", index + 1));
            let weight = at.compute("weight", &[after, before, CONVOLUTIONS[index].0], init)?;
            let bias = (index > 0).then(|| at.compute("bias", &[after], Init::Constant(0.0)));
            Ok::<_, ModelError>((weight, bias.transpose()?))
        };
        let layers = weights.at("layers");
        let layer = |i: usize| DecoderLayer::load(&layers.at(&i.to_string()).depth(i + 1), names, &sizes.layer, i);
        let norm = weights.at("layer_norm").depth(sizes.layers);
        let of_sound = weights.at("groupnorm");
        Ok(Self {
            convolutions: [convolution(0, (1, d))?, convolution(1, (d, 2 * d))?, convolution(2, (2 * d, d))?],
            scale: of_sound.norm_part("weight", d, 1.0)?,
            shift: of_sound.norm_part("bias", d, 0.0)?,
            layers: (0..sizes.layers).map(layer).collect::<Result<_, _>>()?,
            norm: Norm::load(&norm, sizes.layer.norm, d, sizes.layer.norm_epsilon)?,
            sizes,
        })
    }

    /// `samples` [B, N], of which each row has so many, where that is known; returns [B, T, D].
    fn frames(&self, samples: &Tensor, counts: Option<&[i64]>) -> Tensor {
        let [first, second, third] = &self.convolutions;
        let convolved = |x: &Tensor, (weight, bias): &(Weight, Option<Weight>), stride: i64| {
            x.to_kind(weight.kind()).conv1d(weight, bias.as_deref(), [stride], [0], [1], 1)
        };
        let x = convolved(&samples.unsqueeze(1), first, CONVOLUTIONS[0].1).tanh();
        let x = self.normed(&x.to_kind(Kind::Float), counts);
        let x = Activation::Gelu.forward(&convolved(&x, second, CONVOLUTIONS[1].1));
        Activation::Gelu.forward(&convolved(&x, third, CONVOLUTIONS[2].1)).transpose(1, 2).contiguous()
    }

    /// `x` [B, D, C] with mean 0 and variance 1 over all of a sound.
    fn normed(&self, x: &Tensor, counts: Option<&[i64]>) -> Tensor {
        let Some(counts) = counts else {
            return x.group_norm(1, Some(&*self.scale), Some(&*self.shift), NORM_EPSILON, true);
        };
        let [_, features, frames] = x.size()[..] else { panic!("frames have three dimensions") };
        let first = FrameRule::new([CONVOLUTIONS[0]]);
        let real: Vec<f32> = counts.iter().map(|&count| first.frames(count) as f32).collect();
        let real = Tensor::from_slice(&real).to_device(x.device()).view([-1, 1, 1]);
        let heard = Tensor::arange(frames, (Kind::Float, x.device())).view([1, 1, -1]).lt_tensor(&real);
        let mean_of = |x: &Tensor| {
            let sum = (x * &heard).sum_dim_intlist([1i64, 2].as_slice(), true, Kind::Float);
            sum / (&real * features as f64)
        };
        let apart = x - mean_of(x);
        let scale = (mean_of(&apart.square()) + NORM_EPSILON).rsqrt();
        apart * scale * self.scale.view([1, -1, 1]) + self.shift.view([1, -1, 1])
    }
}

impl Body for WaveformEncoder {
    fn blocks(&self) -> usize {
        self.layers.len()
    }

    fn width(&self) -> i64 {
        self.sizes.layer.hidden
    }

    /// `input_values` [B, N], and `sample_counts` \[B\] or `attention_mask` [B, N], where there is one.
    fn begin(&self, inputs: &Tensors, mode: &Mode) -> Result<State, ModelError> {
        let samples = inputs.get(SAMPLES)?;
        let refuse = |name: &str, shape: Vec<i64>, problem: String| {
            Err(ModelError::InputShape { name: name.to_owned(), shape, problem })
        };
        let rule = WaveformEncoderSizes::frames();
        let least = rule.receptive_field();
        let [batch, longest] = match samples.size()[..] {
            [batch, count] if count >= least => [batch, count],
            _ => return refuse(SAMPLES, samples.size(), format!("give [batch, samples], at least {least} of them")),
        };
        let counts = inputs.optional(COUNTS).map(|counts| Vec::<i64>::try_from(counts.to_device(Device::Cpu)));
        let counts = counts.transpose()?;
        if let Some(counts) = &counts {
            let fits = |&count: &i64| (least..=longest).contains(&count);
            if counts.len() as i64 != batch || !counts.iter().all(fits) {
                let problem = format!("give one for each of {batch} rows, from {least} to {longest}");
                return refuse(COUNTS, vec![counts.len() as i64], problem);
            }
        }
        let hidden = mode.block(0, |_| self.frames(samples, counts.as_deref()));
        let frames = hidden.size()[1];
        let mask = match (counts, inputs.optional(MASK)) {
            (Some(counts), _) => Some(frame_mask(counts.iter().map(|&count| rule.frames(count)), frames)),
            (None, Some(mask)) if mask.size() != samples.size() => {
                return refuse(MASK, mask.size(), format!("the {SAMPLES} have {:?}", samples.size()));
            }
            // As transformers has it: what the first sample of a frame says.
            (None, Some(mask)) => Some(mask.slice(1, 0, None, rule.hop()).narrow(1, 0, frames).to_kind(Kind::Int64)),
            (None, None) => None,
        };
        Ok(State { mask, ..State::new(hidden) })
    }

    fn run(&self, from: State, blocks: Range<usize>, _reads: Reads, mode: &Mode) -> Result<State, ModelError> {
        let State { hidden: mut x, mask: given, beside } = from;
        let mask = seen(given.as_ref(), &x)?;
        let frames = x.size()[1];
        let places = Tensor::arange(frames, (Kind::Int64, x.device())).unsqueeze(0);
        let angles = self.sizes.rotary.angles(&places, frames).of_neighbours();
        let at = Attending { mask: &mask, angles: Some(&angles), bias: None, memory: None, closed_rows: false };
        for depth in blocks {
            x = mode.block(depth, |train| {
                let y = self.layers[depth - 1].forward(&x, &at, None, None, train);
                if depth == self.layers.len() { self.norm.forward(&y) } else { y }
            });
        }
        Ok(State { hidden: x, mask: given, beside })
    }

    /// `size` counts frames.
    fn work(&self, size: f64, _reads: Reads) -> f64 {
        let d = self.sizes.layer.hidden as f64;
        let [first, second, third] = CONVOLUTIONS.map(|(kernel, _)| kernel as f64);
        let (of_third, of_second) = (CONVOLUTIONS[2].1 as f64, (CONVOLUTIONS[2].1 * CONVOLUTIONS[1].1) as f64);
        let front = 2.0 * size * d * (2.0 * d * third + of_third * 2.0 * d * second + of_second * first);
        front + self.sizes.layers as f64 * self.sizes.layer.work(size, size, false)
    }

    fn begin_is_costly(&self) -> bool {
        true
    }
}
