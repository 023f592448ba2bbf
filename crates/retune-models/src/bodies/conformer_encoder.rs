//! The encoder of Wav2Vec2-BERT: conformer layers over the frames of a filter bank (Barrault et al. 2023, "Seamless"), and behind
//! them layers that make fewer frames, where the model has them.
//!
//! transformers' `Wav2Vec2BertModel`. Block 0 is the projection of frames, then come layers, then those behind them. B batch, T
//! frames, F features of a frame, D hidden size.

use super::layer_name;
use crate::checkpoint::{Init, Weights};
use crate::layers::{
    ConformerAdapter, ConformerAdapterSizes, ConformerLayer, ConformerNetwork, ConformerSizes, SpecAugment,
    fewer_frames, is_left_out,
};
use crate::takes::FrameRule;
use crate::{Body, Mode, ModelError, Reads, State, Tensors};
use retune_kernels::dropout::dropout;
use retune_kernels::tch::{Device, Kind, Tensor};
use retune_kernels::{Activation, AttentionMask, Dense, LayerNorm, Weight};
use std::ops::Range;

const INPUT: &str = "input_features";
const MASKED: &str = "mask_time_indices";
const MASK: &str = "attention_mask";

/// Sizes of the encoder, read from config.json by its family.
#[derive(Debug, Clone)]
pub struct ConformerEncoderSizes {
    /// F.
    pub features: i64,
    /// Behind the projection.
    pub projection_dropout: f64,
    /// Every layer.
    pub layer: ConformerSizes,
    /// Number of layers.
    pub layers: i64,
    /// Probability that a layer is left out while training.
    pub layer_drop: f64,
    /// What is masked while training.
    pub spec_augment: Option<SpecAugment>,
    /// Layers that make fewer frames, and their number.
    pub adapter: Option<(ConformerAdapterSizes, i64)>,
    /// Whether a feed-forward network stands before those.
    pub network: bool,
    /// Whether what each layer returns is kept for the head.
    pub keeps_layers: bool,
}

impl ConformerEncoderSizes {
    /// How many frames become of so many.
    pub fn frames(&self) -> FrameRule {
        let of = |(sizes, count): &(ConformerAdapterSizes, i64)| vec![sizes.counted(); *count as usize];
        FrameRule::padded(self.adapter.iter().flat_map(of))
    }
}

/// A projection to another number of features, with its norm.
type Narrowing = (Dense, LayerNorm);

/// The encoder.
pub struct ConformerEncoder {
    projection_norm: LayerNorm,
    projection: Dense,
    masked: Option<Weight>, // [D]
    layers: Vec<ConformerLayer>,
    network: Option<ConformerNetwork>,
    narrowing: Option<Narrowing>,
    adapters: Vec<ConformerAdapter>,
    sizes: ConformerEncoderSizes,
}

impl ConformerEncoder {
    /// `weights` points at the top, `base` is the path of the encoder.
    ///
    /// # Errors
    /// A checkpoint that does not fit.
    pub fn load(weights: &Weights<'_>, base: &str, sizes: ConformerEncoderSizes) -> Result<Self, ModelError> {
        let base = weights.at(base);
        let (d, epsilon) = (sizes.layer.attention.hidden, sizes.layer.norm_epsilon);
        let first = base.at("feature_projection");
        // Published checkpoints may lack it where they were fine-tuned elsewhere; nothing but training reads it.
        let neck = base.neck();
        let masked = || neck.exact("masked_spec_embed", &[d], Init::Uniform(1.0));
        let has_masked = sizes.spec_augment.is_some() && neck.is_at_hand("masked_spec_embed");
        let last = sizes.layers as usize;
        let layers = base.at("encoder.layers");
        let layer = |i: i64| ConformerLayer::load(&layers.at(&i.to_string()).depth(i as usize + 1), sizes.layer);
        let network = || {
            let at = base.at("intermediate_ffn").depth(last);
            ConformerNetwork::load(&at, (d, Activation::Relu), &sizes.layer)
        };
        let behind = base.at("adapter").depth(last + 1);
        let narrowing = |width: i64| {
            Ok::<_, ModelError>((
                behind.at("proj").dense(d, width)?,
                behind.at("proj_layer_norm").layer_norm(width, epsilon)?,
            ))
        };
        let width = sizes.adapter.as_ref().map_or(d, |(adapter, _)| adapter.layer.attention.hidden);
        let adapters = sizes.adapter.iter().flat_map(|(adapter, count)| (0..*count).map(move |i| (adapter, i)));
        let adapter = |(adapter, i): (&ConformerAdapterSizes, i64)| {
            let at = behind.at(&format!("layers.{i}")).depth(last + 1 + i as usize);
            ConformerAdapter::load(&at, adapter)
        };
        Ok(Self {
            projection_norm: first.at("layer_norm").layer_norm(sizes.features, epsilon)?,
            projection: first.at("projection").dense(sizes.features, d)?,
            masked: has_masked.then(masked).transpose()?,
            layers: (0..sizes.layers).map(layer).collect::<Result<_, _>>()?,
            network: sizes.network.then(network).transpose()?,
            narrowing: (width != d).then(|| narrowing(width)).transpose()?,
            adapters: adapters.map(adapter).collect::<Result<_, _>>()?,
            sizes,
        })
    }

    /// `features` [B, T, F]; returns [B, T, D], zeros at padding.
    fn project(&self, features: &Tensor, mask: Option<&Tensor>, masked: Option<&Tensor>, train: bool) -> Tensor {
        let x = self.projection.forward(&self.projection_norm.forward(features), train);
        let x = dropout(&x, self.sizes.projection_dropout, train);
        let x = match &self.sizes.spec_augment {
            Some(options) => options.apply(x, mask, (masked, self.masked.as_deref()), train),
            None => x,
        };
        let x = match mask {
            Some(mask) => x.masked_fill(&padding(mask, x.device()), 0.0),
            None => x,
        };
        dropout(&x, self.sizes.layer.hidden_dropout, train)
    }

    /// Block `index` of those that make fewer frames.
    fn shorten(&self, state: State, index: usize, mode: &Mode) -> Result<State, ModelError> {
        let Some((sizes, _)) = &self.sizes.adapter else { panic!("no layers behind the encoder") };
        let frames = sizes.frames(state.hidden.size()[1]);
        let State { hidden: x, mask, beside } = fewer_frames(state, frames, sizes.counted(), INPUT)?;
        let seen = mask.as_ref().map(|mask| AttentionMask::padding(mask, x.device())).transpose()?;
        let seen = seen.filter(|mask| !mask.is_trivial());
        let depth = self.layers.len() + 1 + index;
        let hidden = mode.block(depth, |train| {
            let narrowing = self.narrowing.as_ref().filter(|_| index == 0);
            let narrowed = narrowing.map(|(dense, norm)| norm.forward(&dense.forward(&x, train)));
            // None is left out while training: the number of frames would no longer be what is counted.
            self.adapters[index].forward(narrowed.as_ref().unwrap_or(&x), seen.as_ref(), train)
        });
        Ok(State { hidden, mask, beside })
    }
}

/// True at frames that are none, [B, T, 1].
fn padding(mask: &Tensor, device: Device) -> Tensor {
    mask.to_device(device).eq(0).unsqueeze(2)
}

impl Body for ConformerEncoder {
    fn blocks(&self) -> usize {
        self.layers.len() + self.adapters.len()
    }

    fn width(&self) -> i64 {
        self.sizes.adapter.as_ref().map_or(self.sizes.layer.attention.hidden, |(it, _)| it.layer.attention.hidden)
    }

    /// `input_features` [B, T, F] and `attention_mask` [B, T], where there is one; `mask_time_indices` bool [B, T].
    fn begin(&self, inputs: &Tensors, mode: &Mode) -> Result<State, ModelError> {
        let features = inputs.get(INPUT)?;
        let refuse = |name: &str, shape: Vec<i64>, problem: String| {
            Err(ModelError::InputShape { name: name.to_owned(), shape, problem })
        };
        let [batch, frames] = match features.size()[..] {
            [batch, frames, size] if frames > 0 && size == self.sizes.features => [batch, frames],
            _ => return refuse(INPUT, features.size(), format!("give [batch, frames, {}]", self.sizes.features)),
        };
        for name in [MASK, MASKED] {
            if let Some(other) = inputs.optional(name).filter(|it| it.size() != [batch, frames]) {
                return refuse(name, other.size(), format!("the {INPUT} are of {frames} frames"));
            }
        }
        let mask = inputs.optional(MASK).map(|mask| mask.to_kind(Kind::Int64));
        if let Some(mask) = &mask {
            // Frames are counted from the first on.
            let rises = mask.diff::<Tensor>(1, 1, None, None).gt(0).any();
            if bool::try_from(rises)? {
                return refuse(MASK, mask.size(), "padding stands behind a sound, not before it".to_owned());
            }
        }
        let given = inputs.optional(MASKED);
        let hidden = mode.block(0, |train| self.project(features, mask.as_ref(), given, train));
        Ok(State { mask, ..State::new(hidden) })
    }

    fn run(&self, from: State, blocks: Range<usize>, _reads: Reads, mode: &Mode) -> Result<State, ModelError> {
        let (mut state, layers) = (from, self.layers.len());
        let mine = blocks.start..blocks.end.min(layers + 1);
        if !mine.is_empty() {
            let State { hidden: mut x, mask: given, mut beside } = state;
            let mask = given.as_ref().map(|given| AttentionMask::padding(given, x.device())).transpose()?;
            let mask = mask.filter(|mask| !mask.is_trivial());
            let closed = given.as_ref().filter(|_| mask.is_some()).map(|given| padding(given, x.device()));
            let [hidden, heads] = [self.sizes.layer.attention.hidden, self.sizes.layer.attention.heads];
            let positions = self.sizes.layer.attention.positions.of(x.size()[1], (hidden, heads), x.device());
            if self.sizes.keeps_layers && mine.start == 1 {
                beside.insert(&layer_name(0), x.shallow_clone());
            }
            for depth in mine {
                x = mode.block(depth, |train| {
                    if is_left_out(self.sizes.layer_drop, train) {
                        return x.shallow_clone();
                    }
                    self.layers[depth - 1].forward(&x, (mask.as_ref(), closed.as_ref()), &positions, train)
                });
                if self.sizes.keeps_layers {
                    beside.insert(&layer_name(depth), x.shallow_clone());
                }
                if let Some(network) = self.network.as_ref().filter(|_| depth == layers) {
                    x = mode.block(depth, |train| &x + network.forward(&x, train) * 0.5);
                }
            }
            state = State { hidden: x, mask: given, beside };
        }
        for depth in blocks.start.max(layers + 1)..blocks.end {
            state = self.shorten(state, depth - layers - 1, mode)?;
        }
        Ok(state)
    }

    /// `size` counts the frames that the model makes.
    fn work(&self, size: f64, _reads: Reads) -> f64 {
        let (mut frames, mut work) = (size, 0.0);
        if let Some((sizes, count)) = &self.sizes.adapter {
            for _ in 0..*count {
                work += ConformerAdapter::work(sizes, frames);
                frames *= sizes.stride as f64;
            }
        }
        let d = self.sizes.layer.attention.hidden as f64;
        work += 2.0 * frames * d * self.sizes.features as f64;
        work + self.sizes.layers as f64 * ConformerLayer::work(&self.sizes.layer, frames)
    }
}
