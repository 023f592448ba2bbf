//! DETR below its head (Carion et al. 2020): convolutions, an encoder over the places of their last map, and a decoder of
//! queries, transformers `DetrModel`; with a decoder whose queries know where they look, `ConditionalDetrModel`.
//!
//! B batch, H and W image, h and w map, T = h·w, Q queries, D hidden size, L layers of the decoder. Blocks are the layers of the
//! convolutions, then those of the encoder, then those of the decoder.

use crate::checkpoint::{Init, Weights};
use crate::layers::{
    ConditionalDecoderLayer, MapLayer, PatchProjection, Perceptron, QueryPlaces, ResNetLayer, ResNetSizes, ResNetStem,
    SetDecoderLayer, SetEncoderLayer, SetLayerSizes, SizeRule, is_left_out, patch_embeddings, sine_positions, sines_of,
};
use crate::{Body, Mode, ModelError, Reads, State, Tensors};
use retune_kernels::tch::{Kind, Tensor};
use retune_kernels::{AttentionMask, LayerNorm, Weight};
use std::ops::Range;

/// Beside the hidden states: which pixels are there, [B, H, W].
pub(super) const PIXEL_MASK: &str = "pixel_mask";
/// Where the places of the map are, [B, T, D].
const PLACES: &str = "places";
/// What the encoder returned, [B, T, D].
const MEMORY: &str = "memory";
/// What each layer of the decoder returned, [B, L, Q, D].
pub const INTERMEDIATE: &str = "intermediate";
/// Middles that queries look around, as shares of the picture, [B, Q, 2], where they do.
pub const MIDDLES: &str = "middles";
/// PyTorch's default.
const NORM_EPSILON: f64 = 1e-5;

/// Sizes, read from config.json by the family.
#[derive(Debug, Clone)]
pub struct SetTransformerSizes {
    /// The convolutions, and their path.
    pub backbone: ResNetSizes,
    /// Layers of the encoder.
    pub encoder: Vec<SetLayerSizes>,
    /// Layers of the decoder.
    pub decoder: Vec<SetLayerSizes>,
    /// Q.
    pub queries: i64,
    /// Whether every layer of the decoder is learnt: then a norm follows each.
    pub auxiliary: bool,
    /// Whether queries look around middles of their own (Meng et al. 2021).
    pub conditional: bool,
    /// Probability that a layer of the decoder is left out while training (Fan et al. 2019).
    pub layer_drop: f64,
}

/// Layers over queries.
enum Decoder {
    Plain(Vec<SetDecoderLayer>),
    Conditional {
        layers: Vec<ConditionalDecoderLayer>,
        /// By which later layers scale where they look.
        scale: Perceptron,
        /// From learnt places to middles.
        middle: Perceptron,
    },
}

/// The body.
pub struct SetTransformer {
    stem: ResNetStem,
    layers: Vec<ResNetLayer>,
    projection: PatchProjection,
    encoder: Vec<SetEncoderLayer>,
    decoder: Decoder,
    queries: Weight, // [Q, D]
    norm: LayerNorm,
    hidden: i64,
    sizes: SetTransformerSizes,
}

/// Which of the pixels [B, C, H, W] are there, [B, H, W]: all, where the inputs do not say.
pub(super) fn pixel_mask(inputs: &Tensors, pixels: &Tensor) -> Result<Tensor, ModelError> {
    let [batch, _, height, width] = pixels.size()[..] else { panic!("pixels have four dimensions") };
    match inputs.optional(PIXEL_MASK) {
        Some(mask) if mask.size() == [batch, height, width] => Ok(mask.shallow_clone()),
        Some(mask) => {
            let problem = format!("give one number for each pixel, [{batch}, {height}, {width}]");
            Err(ModelError::InputShape { name: PIXEL_MASK.to_owned(), shape: mask.size(), problem })
        }
        None => Ok(Tensor::ones([batch, height, width], (Kind::Int64, pixels.device()))),
    }
}

impl SetTransformer {
    /// `weights` points at the model.
    ///
    /// # Errors
    /// A checkpoint that does not fit.
    pub fn load(weights: &Weights<'_>, hidden: i64, sizes: SetTransformerSizes) -> Result<Self, ModelError> {
        let backbone = weights.at("backbone.conv_encoder.model");
        let stem = sizes.backbone.stem(&backbone.depth(0))?;
        let layers: Vec<ResNetLayer> =
            sizes.backbone.layers(&backbone, 1)?.into_iter().map(|(_, layer)| layer).collect();
        let first = layers.len() + 1;
        let width = sizes.backbone.widths[sizes.backbone.widths.len() - 1];
        let init = Init::Normal(weights.initializer_range());
        let projection = weights.at("input_projection").depth(first);
        let encoder = |(i, of): (usize, &SetLayerSizes)| {
            SetEncoderLayer::load(&weights.at(&format!("encoder.layers.{i}")).depth(first + i), *of)
        };
        let behind = first + sizes.encoder.len();
        let decoding = weights.at("decoder");
        let layer = |i: usize| decoding.at(&format!("layers.{i}")).depth(behind + i);
        let of_layers = || sizes.decoder.iter().enumerate();
        let decoder = if sizes.conditional {
            let conditional = |(i, of): (usize, &SetLayerSizes)| ConditionalDecoderLayer::load(&layer(i), *of, i == 0);
            let perceptron = |name: &str, outputs: i64| {
                Perceptron::load(&decoding.depth(behind).at(name), &[hidden, hidden, outputs], init)
            };
            Decoder::Conditional {
                layers: of_layers().map(conditional).collect::<Result<_, _>>()?,
                scale: perceptron("query_scale", hidden)?,
                middle: perceptron("ref_point_head", 2)?,
            }
        } else {
            let plain = |(i, of): (usize, &SetLayerSizes)| SetDecoderLayer::load(&layer(i), *of);
            Decoder::Plain(of_layers().map(plain).collect::<Result<_, _>>()?)
        };
        let last = behind + sizes.decoder.len() - 1;
        Ok(Self {
            stem,
            layers,
            projection: PatchProjection::load(&projection, width, (1, 1), hidden, init)?,
            encoder: sizes.encoder.iter().enumerate().map(encoder).collect::<Result<_, _>>()?,
            decoder,
            queries: weights.at("query_position_embeddings").depth(behind).exact(
                "weight",
                &[sizes.queries, hidden],
                Init::Normal(1.0),
            )?,
            norm: weights.at("decoder.layernorm").depth(last).layer_norm(hidden, NORM_EPSILON)?,
            hidden,
            sizes,
        })
    }

    /// From the last map [B, h, w, C] to its places, with where they are and which are there.
    fn places(&self, state: State, mode: &Mode, depth: usize) -> Result<State, ModelError> {
        let State { hidden: map, beside, .. } = state;
        let size = map.size();
        let pixels = beside.get(PIXEL_MASK)?.to_kind(Kind::Float).unsqueeze(0);
        let mask = pixels.upsample_nearest2d([size[1], size[2]], None, None).squeeze_dim(0).ne(0.0);
        let hidden = mode.block(depth, |_| self.projection.forward_channels_last(&map).flatten(1, 2));
        let mut state = State::new(hidden);
        state.beside.insert(PLACES, sine_positions(&mask, self.hidden, 0.0));
        state.mask = Some(mask.flatten(1, 2).to_kind(Kind::Int64).to_device(retune_kernels::tch::Device::Cpu));
        Ok(state)
    }
}

impl Body for SetTransformer {
    fn blocks(&self) -> usize {
        self.layers.len() + self.encoder.len() + self.sizes.decoder.len()
    }

    fn width(&self) -> i64 {
        self.hidden
    }

    fn begin(&self, inputs: &Tensors, mode: &Mode) -> Result<State, ModelError> {
        let pixels = patch_embeddings::pixel_values(inputs, self.sizes.backbone.channels, &SizeRule::at_least((1, 1)))?;
        let mask = pixel_mask(inputs, pixels)?;
        let pixels = pixels.permute([0, 2, 3, 1]);
        let mut state = State::new(mode.block(0, |train| self.stem.forward(&pixels, train)));
        state.beside.insert(PIXEL_MASK, mask);
        Ok(state)
    }

    fn run(&self, from: State, blocks: Range<usize>, _reads: Reads, mode: &Mode) -> Result<State, ModelError> {
        let mut state = from;
        let (first, behind) = (self.layers.len() + 1, self.layers.len() + 1 + self.encoder.len());
        let mut intermediate: Vec<Tensor> =
            state.beside.optional(INTERMEDIATE).map(|all| all.unbind(1)).unwrap_or_default();
        for depth in blocks {
            if depth < first {
                let x = state.hidden.shallow_clone();
                state.hidden = mode.block(depth, |train| self.layers[depth - 1].forward(&x, train));
                continue;
            }
            if depth == first {
                state = self.places(state, mode, depth)?;
            }
            if depth == behind {
                let batch = state.hidden.size()[0];
                let empty = Tensor::zeros(
                    [batch, self.sizes.queries, self.hidden],
                    (state.hidden.kind(), state.hidden.device()),
                );
                let memory = std::mem::replace(&mut state.hidden, empty);
                state.beside.insert(MEMORY, memory);
                if let Decoder::Conditional { middle, .. } = &self.decoder {
                    let middles = mode.block(depth, |train| {
                        let own = self.queries.unsqueeze(0).to_kind(state.hidden.kind());
                        middle.forward_exact(&own, train).sigmoid().repeat([batch, 1, 1])
                    });
                    state.beside.insert(MIDDLES, middles);
                }
            }
            let mask =
                state.mask.as_ref().map(|mask| AttentionMask::padding(mask, state.hidden.device())).transpose()?;
            let (x, places) = (state.hidden.shallow_clone(), state.beside.get(PLACES)?);
            if depth < behind {
                state.hidden =
                    mode.block(depth, |train| self.encoder[depth - first].forward(&x, places, mask.as_ref(), train));
                continue;
            }
            let number = depth - behind;
            let memory = state.beside.get(MEMORY)?;
            // What plain layers have no use for.
            let middles = if self.sizes.conditional { state.beside.get(MIDDLES)? } else { memory };
            let is_last = number + 1 == self.sizes.decoder.len();
            let mut left_out = false;
            state.hidden = mode.block(depth, |train| {
                left_out = is_left_out(self.sizes.layer_drop, train);
                if left_out {
                    return x.shallow_clone();
                }
                let own = self.queries.unsqueeze(0).expand_as(&x);
                let y = match &self.decoder {
                    Decoder::Plain(layers) => {
                        layers[number].forward((&x, &own), (memory, places), mask.as_ref(), train)
                    }
                    Decoder::Conditional { layers, scale, .. } => {
                        let middles = sines_of(middles, self.hidden).to_kind(x.kind());
                        let middles = if number == 0 { middles } else { middles * scale.forward(&x, train) };
                        let at = QueryPlaces { own: &own, middles: &middles };
                        layers[number].forward(&x, at, (memory, places), mask.as_ref(), train)
                    }
                };
                if self.sizes.auxiliary { self.norm.forward(&y) } else { y }
            });
            match (self.sizes.auxiliary, left_out) {
                (true, false) if !is_last => intermediate.push(state.hidden.shallow_clone()),
                // What the layer before it said is then the last that is said.
                (true, true) if is_last => drop(intermediate.pop()),
                _ => (),
            }
            if is_last {
                let y = state.hidden.shallow_clone();
                state.hidden = mode.block(depth, |_| self.norm.forward(&y));
            }
        }
        if intermediate.is_empty() {
            return Ok(state.without(INTERMEDIATE));
        }
        state.beside.insert(INTERMEDIATE, Tensor::stack(&intermediate, 1));
        Ok(state)
    }

    fn work(&self, patches: f64, _reads: Reads) -> f64 {
        let mut places = patches;
        let mut sum = self.stem.work(patches);
        let per_stage = self.sizes.backbone.depths.iter();
        let mut layers = self.layers.iter();
        for (stage, &depth) in per_stage.enumerate() {
            places = patches / (self.sizes.backbone.stride_of(stage + 1) as f64 / 4.0).powi(2);
            sum += layers.by_ref().take(depth as usize).map(|layer| layer.work(places)).sum::<f64>();
        }
        let (d, q) = (self.hidden as f64, self.sizes.queries as f64);
        let attention = |queries: f64, keys: f64| 4.0 * (queries + keys) * d * d + 4.0 * queries * keys * d;
        let network = |of: &SetLayerSizes, tokens: f64| 4.0 * tokens * d * of.intermediate as f64;
        let encoder = self.sizes.encoder.iter().map(|of| attention(places, places) + network(of, places));
        let decoder = self.sizes.decoder.iter().map(|of| attention(q, q) + attention(q, places) + network(of, q));
        sum + encoder.sum::<f64>() + decoder.sum::<f64>()
    }

    fn begin_is_costly(&self) -> bool {
        true
    }
}
