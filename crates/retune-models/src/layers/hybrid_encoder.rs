//! RT-DETR's encoder (Zhao et al. 2023, §4.2): attention within coarse maps, then convolutions that fuse maps, from coarse to fine
//! and back; transformers' `RTDetrHybridEncoder` with the projections before it.
//!
//! B batch, C channels of a map, D hidden size, h and w map.

use super::set_layer::SetEncoderLayer;
use super::{ConvolutionShape, NormedConvolution, SetLayerSizes, rows_and_columns};
use crate::ModelError;
use crate::checkpoint::Weights;
use retune_kernels::Activation;
use retune_kernels::tch::{Kind, Tensor};

/// Epsilon of the norms before it, which no configuration changes.
const PROJECTION_EPSILON: f64 = 1e-5;
/// Blocks of a fusion.
const BLOCKS: usize = 3;

/// Sizes and settings, from config.json.
#[derive(Debug, Clone)]
pub struct HybridEncoderSizes {
    /// C of each map, the finest first.
    pub channels: Vec<i64>,
    /// Of attention, D among them.
    pub layer: SetLayerSizes,
    /// Layers of attention over each of its maps.
    pub layers: usize,
    /// The maps with attention.
    pub attended: Vec<usize>,
    /// Of positions.
    pub temperature: f64,
    /// Whether places are known in evaluation.
    pub placed: bool,
    /// Whether norms come first.
    pub norms_first: bool,
    /// Behind convolutions.
    pub activation: Activation,
    /// Channels inside a fusion.
    pub inner: i64,
    /// Epsilon of the norms behind convolutions.
    pub epsilon: f64,
}

impl HybridEncoderSizes {
    fn convolution(
        &self,
        weights: &Weights<'_>,
        name: &str,
        (input, output, kernel, stride): (i64, i64, i64, i64),
        activation: Option<Activation>,
    ) -> Result<NormedConvolution, ModelError> {
        let shape = ConvolutionShape::new(input, output, kernel, stride);
        NormedConvolution::load(&weights.at(name), "conv", ("norm", self.epsilon, false), shape, activation)
    }
}

/// Two convolutions of one map, added (Ding et al. 2021).
#[derive(Debug)]
struct Block([NormedConvolution; 2], Activation);

/// Two maps become one: cross-stage partial connections (Wang et al. 2019).
#[derive(Debug)]
struct Fusion {
    first: NormedConvolution,
    second: NormedConvolution,
    blocks: Vec<Block>,
    last: Option<NormedConvolution>,
}

impl Fusion {
    fn load(weights: &Weights<'_>, sizes: &HybridEncoderSizes) -> Result<Self, ModelError> {
        let (outer, inner, activation) = (sizes.layer.hidden, sizes.inner, sizes.activation);
        let block = |i: usize| {
            let weights = weights.at(&format!("bottlenecks.{i}"));
            let of = |name: &str, kernel| sizes.convolution(&weights, name, (inner, inner, kernel, 1), None);
            Ok::<_, ModelError>(Block([of("conv1", 3)?, of("conv2", 1)?], activation))
        };
        let of = |name: &str, input, output| sizes.convolution(weights, name, (input, output, 1, 1), Some(activation));
        Ok(Self {
            first: of("conv1", 2 * outer, inner)?,
            second: of("conv2", 2 * outer, inner)?,
            blocks: (0..BLOCKS).map(block).collect::<Result<_, _>>()?,
            last: if inner == outer { None } else { Some(of("conv3", inner, outer)?) },
        })
    }

    /// `a` and `b` [B, D, h, w].
    fn forward(&self, a: &Tensor, b: &Tensor, train: bool) -> Tensor {
        let both = Tensor::cat(&[a, b], 1);
        let mut x = self.first.forward(&both, train);
        for Block([wide, narrow], activation) in &self.blocks {
            x = activation.forward(&(wide.forward(&x, train) + narrow.forward(&x, train)));
        }
        let x = x + self.second.forward(&both, train);
        self.last.as_ref().map_or_else(|| x.shallow_clone(), |last| last.forward(&x, train))
    }

    fn work(&self, places: f64) -> f64 {
        let blocks = self.blocks.iter().flat_map(|block| &block.0);
        [&self.first, &self.second].into_iter().chain(blocks).chain(&self.last).map(|it| it.work(places)).sum()
    }
}

/// The encoder.
#[derive(Debug)]
pub struct HybridEncoder {
    projections: Vec<NormedConvolution>,
    attention: Vec<Vec<SetEncoderLayer>>,
    lateral: Vec<NormedConvolution>,
    down: Vec<Fusion>,
    halving: Vec<NormedConvolution>,
    up: Vec<Fusion>,
    sizes: HybridEncoderSizes,
}

impl HybridEncoder {
    /// `weights` points at the model.
    ///
    /// # Errors
    /// A checkpoint that does not fit.
    pub fn load(weights: &Weights<'_>, sizes: HybridEncoderSizes) -> Result<Self, ModelError> {
        let (hidden, encoder) = (sizes.layer.hidden, weights.at("encoder"));
        let projection = |(i, &input): (usize, &i64)| {
            let weights = weights.at(&format!("encoder_input_proj.{i}"));
            let shape = ConvolutionShape::new(input, hidden, 1, 1);
            NormedConvolution::load(&weights, "0", ("1", PROJECTION_EPSILON, false), shape, None)
        };
        let attention = |map: usize| {
            let layer = |i: usize| {
                let layer = SetEncoderLayer::load(&encoder.at(&format!("encoder.{map}.layers.{i}")), sizes.layer)?;
                Ok(layer.with_norms_first(sizes.norms_first))
            };
            (0..sizes.layers).map(layer).collect::<Result<Vec<_>, ModelError>>()
        };
        let steps = 0..sizes.channels.len() - 1;
        let convolutions = |name: &str, kernel, stride| {
            let of = |i| {
                let shape = (hidden, hidden, kernel, stride);
                sizes.convolution(&encoder, &format!("{name}.{i}"), shape, Some(sizes.activation))
            };
            steps.clone().map(of).collect::<Result<Vec<_>, ModelError>>()
        };
        let fusions = |name: &str| {
            let of = |i| Fusion::load(&encoder.at(&format!("{name}.{i}")), &sizes);
            steps.clone().map(of).collect::<Result<Vec<_>, ModelError>>()
        };
        Ok(Self {
            projections: sizes.channels.iter().enumerate().map(projection).collect::<Result<_, _>>()?,
            attention: (0..sizes.attended.len()).map(attention).collect::<Result<_, _>>()?,
            lateral: convolutions("lateral_convs", 1, 1)?,
            down: fusions("fpn_blocks")?,
            halving: convolutions("downsample_convs", 3, 2)?,
            up: fusions("pan_blocks")?,
            sizes,
        })
    }

    /// `maps` [B, h, w, C], the finest first, each half of the one before; returns as many [B, D, h, w] in the dtype of computation. Attention computes
    /// in `kind`.
    pub fn forward(&self, maps: &[Tensor], kind: Kind, train: bool) -> Vec<Tensor> {
        let project =
            |(map, projection): (&Tensor, &NormedConvolution)| projection.forward(&map.permute([0, 3, 1, 2]), train);
        let mut maps: Vec<Tensor> = maps.iter().zip(&self.projections).map(project).collect();
        for (layers, &map) in self.attention.iter().zip(&self.sizes.attended) {
            if !layers.is_empty() {
                maps[map] = self.attend(&maps[map], layers, kind, train);
            }
        }
        let last = maps.len() - 1;
        for (i, (lateral, fusion)) in self.lateral.iter().zip(&self.down).enumerate() {
            let coarse = lateral.forward(&maps[last - i], train);
            let size = coarse.size();
            let wide = coarse.upsample_nearest2d([2 * size[2], 2 * size[3]], Some(2.0), Some(2.0));
            let fused = fusion.forward(&wide, &maps[last - i - 1], train);
            (maps[last - i], maps[last - i - 1]) = (coarse, fused);
        }
        for (i, (halving, fusion)) in self.halving.iter().zip(&self.up).enumerate() {
            let halved = halving.forward(&maps[i], train);
            maps[i + 1] = fusion.forward(&halved, &maps[i + 1], train);
        }
        maps
    }

    fn attend(&self, map: &Tensor, layers: &[SetEncoderLayer], kind: Kind, train: bool) -> Tensor {
        let [batch, hidden, height, width] = map.size()[..] else { panic!("maps have four dimensions") };
        let mut x = map.flatten(2, 3).transpose(1, 2).to_kind(kind);
        let places = match train || self.sizes.placed {
            true => rows_and_columns((height, width), hidden, self.sizes.temperature, map.device()).unsqueeze(0),
            false => Tensor::zeros([1, 1, hidden], (Kind::Float, map.device())),
        };
        for layer in layers {
            x = layer.forward(&x, &places, None, train);
        }
        x.to_kind(map.kind()).transpose(1, 2).reshape([batch, hidden, height, width])
    }

    /// Floating-point operations for a finest map of so many places.
    pub fn work(&self, finest: f64) -> f64 {
        let places = |map: usize| finest / 4f64.powi(map as i32);
        let projections = self.projections.iter().enumerate().map(|(map, it)| it.work(places(map)));
        let (d, inner) = (self.sizes.layer.hidden as f64, self.sizes.layer.intermediate as f64);
        let attention = self.sizes.attended.iter().map(|&map| {
            let tokens = places(map);
            self.sizes.layers as f64 * tokens * d * (8.0 * d + 4.0 * tokens + 4.0 * inner)
        });
        let last = self.projections.len() - 1;
        let down = self.lateral.iter().zip(&self.down).enumerate();
        let down = down.map(|(i, (lateral, it))| lateral.work(places(last - i)) + it.work(places(last - i - 1)));
        let up = self.halving.iter().zip(&self.up).enumerate();
        let up = up.map(|(i, (halving, it))| halving.work(places(i + 1)) + it.work(places(i + 1)));
        projections.chain(attention).chain(down).chain(up).sum()
    }
}
