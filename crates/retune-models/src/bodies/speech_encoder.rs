//! The encoder of Wav2Vec2 and its relatives: convolutions over samples, positions by a convolution, transformer layers (Baevski et
//! al. 2020; HuBERT, Hsu et al. 2021; WavLM, Chen et al. 2022).
//!
//! Block 0 is the convolutional front end, block 1 the projection of its frames with their positions, then come layers, then
//! convolutions that make fewer frames, where the model has them.
//! B batch, N samples, T frames, C channels of the front end, D hidden size, H heads.

use crate::checkpoint::{Init, Weights};
use crate::layers::{
    AttentionNames, AudioConvolutionSizes, AudioConvolutions, BucketedPositions, LayerNames, PositionalConvolution,
    SpecAugment, SpeechLayer, SpeechLayerSizes, SpeechShortening, SpeechShorteningSizes, fewer_frames, frame_mask,
    is_left_out,
};
use crate::takes::FrameRule;
use crate::{Body, Mode, ModelError, Reads, State, Tensors};
use retune_kernels::dropout::dropout;
use retune_kernels::tch::{Device, Kind, Tensor};
use retune_kernels::{AttentionMask, Dense, LayerNorm, Weight};
use std::ops::Range;

/// The input that says which frames are masked, bool [B, T].
const MASKED: &str = "mask_time_indices";
const MASK: &str = "attention_mask";
const INPUT: &str = "input_values";

const LAYER: LayerNames = LayerNames {
    attention: AttentionNames {
        query: "attention.q_proj",
        key: "attention.k_proj",
        value: "attention.v_proj",
        output: "attention.out_proj",
    },
    attention_norm: "layer_norm",
    intermediate: "feed_forward.intermediate_dense",
    output: "feed_forward.output_dense",
    output_norm: "final_layer_norm",
};

/// Sizes of a speech encoder, read from config.json by its family.
#[derive(Debug, Clone)]
pub struct SpeechEncoderSizes {
    /// The front end.
    pub front: AudioConvolutionSizes,
    /// Whether a norm stands before the projection of frames.
    pub projection_norm: bool,
    /// Behind the projection.
    pub projection_dropout: f64,
    /// Kernel and groups of the convolution that makes positions.
    pub positions: (i64, i64),
    /// Every layer.
    pub layer: SpeechLayerSizes,
    /// Number of layers.
    pub layers: i64,
    /// Probability that a layer is left out while training (Fan et al. 2019).
    pub layer_drop: f64,
    /// Buckets and farthest distance of relative positions, where layers have them.
    pub relative: Option<(i64, i64)>,
    /// What is masked while training.
    pub spec_augment: Option<SpecAugment>,
    /// Whether what each layer returns is kept for the head.
    pub keeps_layers: bool,
    /// Convolutions behind the layers.
    pub shortening: Option<SpeechShorteningSizes>,
}

impl SpeechEncoderSizes {
    /// How many frames the front end makes of samples.
    fn front_frames(&self) -> FrameRule {
        FrameRule::new(self.front.convolutions.iter().map(|it| (it.kernel, it.stride)))
    }

    /// How many frames the model makes of samples.
    pub fn frames(&self) -> FrameRule {
        let of = |sizes: &SpeechShorteningSizes| vec![sizes.counted(); sizes.layers as usize];
        FrameRule::padded(self.shortening.iter().flat_map(of)).behind(self.front_frames())
    }
}

/// The encoder.
pub struct SpeechEncoder {
    front: AudioConvolutions,
    projection_norm: Option<LayerNorm>,
    projection: Dense,
    /// What stands for masked frames, \[D\].
    masked: Option<Weight>,
    positions: PositionalConvolution,
    /// Behind positions, or behind the last layer where norms stand first.
    norm: LayerNorm,
    relative: Option<BucketedPositions>,
    layers: Vec<SpeechLayer>,
    shortening: Option<SpeechShortening>,
    /// Of the front end.
    frames: FrameRule,
    sizes: SpeechEncoderSizes,
}

/// What a layer returned, beside the hidden states, by its depth less one.
pub(crate) fn layer_name(index: usize) -> String {
    format!("layer.{index}")
}

impl SpeechEncoder {
    /// `weights` points at the top, `base` is the path of the encoder.
    ///
    /// # Errors
    /// A checkpoint that does not fit.
    pub fn load(weights: &Weights<'_>, base: &str, sizes: SpeechEncoderSizes) -> Result<Self, ModelError> {
        let base = weights.at(base);
        let (d, epsilon) = (sizes.layer.hidden, sizes.layer.norm_epsilon);
        let channels = sizes.front.convolutions.last().map_or(1, |it| it.channels);
        let (first, encoder) = (base.depth(1), base.at("encoder").depth(1));
        let projection = first.at("feature_projection");
        let projection_norm = || projection.at("layer_norm").layer_norm(channels, epsilon);
        // Published checkpoints lack it where they were fine-tuned elsewhere; nothing but training reads it.
        let neck = first.neck();
        let masked = || neck.exact("masked_spec_embed", &[d], Init::Uniform(1.0));
        let has_masked = sizes.spec_augment.is_some() && neck.is_at_hand("masked_spec_embed");
        let norm_depth = if sizes.layer.norm_first { sizes.layers as usize + 1 } else { 1 };
        let layers = encoder.at("layers");
        let relative = sizes.relative.map(|(buckets, farthest)| {
            let table = layers.at("0.attention.rel_attn_embed").depth(2);
            BucketedPositions::load(&table, buckets, farthest, sizes.layer.heads)
        });
        let shortening = |it| SpeechShortening::load(&base.at("adapter"), sizes.layers as usize + 2, d, it);
        let layer = |i: i64| SpeechLayer::load(&layers.at(&i.to_string()).depth(i as usize + 2), &LAYER, sizes.layer);
        Ok(Self {
            front: AudioConvolutions::load(&base.at("feature_extractor.conv_layers"), &sizes.front)?,
            projection_norm: sizes.projection_norm.then(projection_norm).transpose()?,
            projection: projection.at("projection").dense(channels, d)?,
            masked: has_masked.then(masked).transpose()?,
            positions: PositionalConvolution::load(
                &encoder.at("pos_conv_embed.conv"),
                d,
                sizes.positions,
                sizes.front.activation,
            )?,
            norm: encoder.at("layer_norm").depth(norm_depth).layer_norm(d, epsilon)?,
            relative: relative.transpose()?,
            layers: (0..sizes.layers).map(layer).collect::<Result<_, _>>()?,
            shortening: sizes.shortening.map(shortening).transpose()?,
            frames: sizes.front_frames(),
            sizes,
        })
    }

    /// The samples, and how many of them each row has, where a mask says it.
    fn samples<'a>(&self, inputs: &'a Tensors) -> Result<(&'a Tensor, Option<Vec<i64>>), ModelError> {
        let samples = inputs.get(INPUT)?;
        let refuse = |name: &str, shape: Vec<i64>, problem: String| {
            Err(ModelError::InputShape { name: name.to_owned(), shape, problem })
        };
        let least = self.frames.receptive_field();
        let enough = |count: i64| count >= least;
        match samples.size()[..] {
            [_, count] if enough(count) => {}
            [_, _] => return refuse(INPUT, samples.size(), format!("give at least {least} samples")),
            _ => return refuse(INPUT, samples.size(), "give [batch, samples]".to_owned()),
        }
        let Some(mask) = inputs.optional(MASK) else { return Ok((samples, None)) };
        if mask.size() != samples.size() {
            return refuse(MASK, mask.size(), format!("the input_values have {:?}", samples.size()));
        }
        let counts = mask.to_kind(Kind::Int64).sum_dim_intlist([1i64].as_slice(), false, Kind::Int64);
        let counts = Vec::<i64>::try_from(counts.to_device(Device::Cpu))?;
        if let Some((row, count)) = counts.iter().enumerate().find(|(_, count)| !enough(**count)) {
            let problem =
                format!("row {row} has {count} samples, of which no frame can be made; give at least {least}");
            return refuse(MASK, mask.size(), problem);
        }
        Ok((samples, Some(counts)))
    }

    /// Which of the frames are no padding, int64 [B, T], for rows of so many samples.
    fn frame_mask(&self, samples: &[i64], frames: i64) -> Tensor {
        frame_mask(samples.iter().map(|&count| self.frames.frames(count)), frames)
    }

    /// Block 1: `x` [B, T, C]; returns [B, T, D].
    fn project(&self, x: &Tensor, mask: Option<&Tensor>, masked: Option<&Tensor>, train: bool) -> Tensor {
        let x = self.projection_norm.as_ref().map_or(x.shallow_clone(), |norm| norm.forward(x));
        let x = dropout(&self.projection.forward(&x, train), self.sizes.projection_dropout, train);
        let mut x = match &self.sizes.spec_augment {
            Some(options) => options.apply(x, mask, (masked, self.masked.as_deref()), train),
            None => x,
        };
        if let Some(mask) = mask {
            x = x.masked_fill(&mask.to_device(x.device()).eq(0).unsqueeze(2), 0.0);
        }
        let x = &x + self.positions.forward(&x);
        let x = if self.sizes.layer.norm_first { x } else { self.norm.forward(&x) };
        dropout(&x, self.sizes.layer.hidden_dropout, train)
    }

    /// Block `index` of those that make fewer frames. None is left out while training: the number of frames would no longer be what
    /// is counted.
    fn shorten(&self, state: State, index: usize, mode: &Mode) -> Result<State, ModelError> {
        let (Some(sizes), Some(shortening)) = (&self.sizes.shortening, &self.shortening) else {
            panic!("no convolutions behind the layers")
        };
        let frames = sizes.frames(state.hidden.size()[1]);
        let State { hidden: x, mask, beside } = fewer_frames(state, frames, sizes.counted(), INPUT)?;
        let depth = self.layers.len() + 2 + index;
        let hidden = mode.block(depth, |train| shortening.forward(&x, index, train));
        Ok(State { hidden, mask, beside })
    }

    /// Whether a layer is left out of this pass; the first one of relative positions never is.
    fn is_dropped(&self, layer: usize, train: bool) -> bool {
        let p = self.sizes.layer_drop;
        !(layer == 0 && self.relative.is_some()) && is_left_out(p, train)
    }
}

impl Body for SpeechEncoder {
    fn blocks(&self) -> usize {
        self.layers.len() + 1 + self.sizes.shortening.map_or(0, |it| it.layers as usize)
    }

    fn width(&self) -> i64 {
        self.sizes.shortening.map_or(self.sizes.layer.hidden, |it| it.width)
    }

    fn begin(&self, inputs: &Tensors, mode: &Mode) -> Result<State, ModelError> {
        let (samples, counts) = self.samples(inputs)?;
        let hidden = mode.block(0, |_| self.front.forward(samples));
        let frames = hidden.size()[1];
        let mut state = State { mask: counts.map(|counts| self.frame_mask(&counts, frames)), ..State::new(hidden) };
        if let Some(masked) = inputs.optional(MASKED) {
            let expected = [samples.size()[0], frames];
            if masked.size() != expected {
                let problem = format!("give one for each frame, {expected:?}");
                return Err(ModelError::InputShape { name: MASKED.to_owned(), shape: masked.size(), problem });
            }
            state.beside.insert(MASKED, masked.shallow_clone());
        }
        Ok(state)
    }

    fn run(&self, from: State, blocks: Range<usize>, _reads: Reads, mode: &Mode) -> Result<State, ModelError> {
        let last = self.layers.len() + 1;
        let behind = blocks.start.max(last + 1)..blocks.end;
        let blocks = blocks.start..blocks.end.min(last + 1);
        let State { hidden: mut x, mask: given, mut beside } = from;
        let layers = blocks.end > 2 && !blocks.is_empty();
        let mask = given.as_ref().filter(|_| layers).map(|given| AttentionMask::padding(given, x.device()));
        let mask = mask.transpose()?.filter(|mask| !mask.is_trivial());
        let frames = x.size()[1];
        let relative = self.relative.as_ref().filter(|_| layers).map(|it| mode.block(2, |_| it.at(frames)));
        for depth in blocks {
            x = mode.block(depth, |train| {
                if depth == 1 {
                    return self.project(&x, given.as_ref(), beside.optional(MASKED), train);
                }
                let index = depth - 2;
                if self.is_dropped(index, train) {
                    return x.shallow_clone();
                }
                self.layers[index].forward(&x, mask.as_ref(), relative.as_ref(), train)
            });
            if self.sizes.keeps_layers {
                beside.insert(&layer_name(depth - 1), x.shallow_clone());
            }
            if depth == last && self.sizes.layer.norm_first {
                x = mode.block(depth, |_| self.norm.forward(&x));
            }
        }
        let state = State { hidden: x, mask: given, beside };
        behind.into_iter().try_fold(state, |state, depth| self.shorten(state, depth - last - 1, mode))
    }

    /// `size` counts the frames that the model makes.
    fn work(&self, size: f64, _reads: Reads) -> f64 {
        let (mut size, mut behind) = (size, 0.0);
        for sizes in self.sizes.shortening.iter().flat_map(|it| vec![it; it.layers as usize]) {
            behind += sizes.work(size);
            size *= sizes.stride as f64;
        }
        let samples = (size - 1.0) * self.frames.hop() as f64 + self.frames.receptive_field() as f64;
        let (mut length, mut before, mut work) = (samples, 1.0, 0.0);
        for it in &self.sizes.front.convolutions {
            length = ((length - it.kernel as f64) / it.stride as f64 + 1.0).max(1.0);
            work += 2.0 * length * before * (it.kernel * it.channels) as f64;
            before = it.channels as f64;
        }
        let (d, (kernel, groups)) = (self.sizes.layer.hidden as f64, self.sizes.positions);
        work += 2.0 * length * d * (before + d * kernel as f64 / groups as f64);
        work + behind + self.sizes.layers as f64 * SpeechLayer::work(&self.sizes.layer, length)
    }

    fn begin_is_costly(&self) -> bool {
        true
    }
}
