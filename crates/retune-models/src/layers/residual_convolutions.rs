//! Layers of ResNet (He et al. 2015), transformers `ResNetBottleNeckLayer` and `ResNetBasicLayer`, with batch norm or with one
//! that is frozen, as detectors have it; and of ResNet-D (He et al. 2018, §4.2), `RTDetrResNetBackbone`.
//!
//! B batch, C and D channels, H and W map, k kernel.

use super::normed_convolution::NORM_EPSILON;
use super::{ConvolutionShape, MapLayer, NormedConvolution};
use crate::checkpoint::Weights;
use crate::{ModelConfig, ModelError};
use retune_kernels::Activation;
use retune_kernels::tch::{Kind, Tensor};
use serde_json::Value;

/// By how much a bottleneck is narrower.
const REDUCTION: i64 = 4;

/// Whose names tensors have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConvolutionNames {
    /// transformers' `ResNetModel`.
    HuggingFace,
    /// timm's `ResNet`.
    Timm,
}

/// What is done where the map is halved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResNetVariant {
    /// One wide convolution begins; shortcuts skip places.
    Plain,
    /// Three small ones begin; shortcuts take means of places.
    Deep,
}

/// How a network is made, from its configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct ResNetSizes {
    /// Colour channels.
    pub channels: i64,
    /// Channels behind the stem.
    pub embedding: i64,
    /// Channels of each stage.
    pub widths: Vec<i64>,
    /// Layers of each stage.
    pub depths: Vec<i64>,
    /// Whether layers are bottlenecks of three convolutions; else they have two.
    pub bottleneck: bool,
    /// Behind norms.
    pub activation: Activation,
    /// Whether the first stage halves the map.
    pub first_halves: bool,
    /// Whether the first convolution of a bottleneck halves the map; else its second.
    pub early: bool,
    /// Whether norms are frozen.
    pub frozen: bool,
    /// Whose names tensors have.
    pub names: ConvolutionNames,
    /// How maps are halved.
    pub variant: ResNetVariant,
    /// Pixels along a side for a place of a map that is halved no further, where there is such: convolutions behind it read places that
    /// lie as far apart as they would on halved maps (DC5; Yu et al. 2017).
    pub coarsest: Option<i64>,
}

impl ResNetSizes {
    /// Of the fields of a `ResNetConfig`, which may be a part of another configuration.
    ///
    /// # Errors
    /// Fields that are missing or wrong.
    pub fn of(config: &ModelConfig) -> Result<Self, ModelError> {
        let list = |field: &str, usual: &[i64]| match config.get(field) {
            None | Some(Value::Null) => Ok(usual.to_vec()),
            Some(_) => config.sizes(field),
        };
        let (widths, depths) = (list("hidden_sizes", &[256, 512, 1024, 2048])?, list("depths", &[3, 4, 6, 3])?);
        if widths.len() != depths.len() || widths.is_empty() {
            let problem = format!("has {} entries, `hidden_sizes` {}", depths.len(), widths.len());
            return Err(ModelError::Config { field: "depths".to_owned(), problem });
        }
        let text = |field: &str, usual: &str| match config.get(field) {
            None | Some(Value::Null) => Ok(usual.to_owned()),
            Some(_) => config.text(field),
        };
        let bottleneck = match text("layer_type", "bottleneck")?.as_str() {
            "bottleneck" => true,
            "basic" => false,
            other => {
                let problem = format!("is `{other}`, neither bottleneck nor basic");
                return Err(ModelError::Config { field: "layer_type".to_owned(), problem });
            }
        };
        Ok(Self {
            channels: config.size_or("num_channels", 3)?,
            embedding: config.size_or("embedding_size", 64)?,
            widths,
            depths,
            bottleneck,
            activation: Activation::from_name(&text("hidden_act", "relu")?)?,
            first_halves: config.flag_or("downsample_in_first_stage", false)?,
            early: config.flag_or("downsample_in_bottleneck", false)?,
            frozen: false,
            names: ConvolutionNames::HuggingFace,
            variant: ResNetVariant::Plain,
            coarsest: None,
        })
    }

    /// The maps that a configuration hands out, by their stage; 0 is the stem.
    ///
    /// # Errors
    /// Maps that there are not.
    pub fn handed_out(&self, config: &ModelConfig) -> Result<Vec<usize>, ModelError> {
        let refuse = |field: &str, problem: String| Err(ModelError::Config { field: field.to_owned(), problem });
        let stages = self.widths.len();
        let list = |field: &str| config.get(field).and_then(Value::as_array);
        let found = match (list("out_features"), list("out_indices")) {
            (Some(names), _) => {
                let stage = |name: &Value| match name.as_str()? {
                    "stem" => Some(0),
                    // timm calls maps by the module that makes them.
                    "act1" if self.names == ConvolutionNames::Timm => Some(0),
                    other if self.names == ConvolutionNames::Timm && other.starts_with("layer") => {
                        other.strip_prefix("layer")?.parse().ok()
                    }
                    other => other.strip_prefix("stage")?.parse().ok(),
                };
                names.iter().map(stage).collect::<Option<Vec<usize>>>()
            }
            (None, Some(places)) => {
                // From the end, too.
                let stage = |place: &Value| {
                    let place = place.as_i64()?;
                    usize::try_from(if place < 0 { place + stages as i64 + 1 } else { place }).ok()
                };
                places.iter().map(stage).collect()
            }
            (None, None) => Some(vec![stages]),
        };
        match found {
            Some(maps) if !maps.is_empty() && maps.is_sorted_by(|a, b| a < b) && maps[maps.len() - 1] <= stages => {
                Ok(maps)
            }
            _ => {
                refuse("out_features", format!("(or `out_indices`) is no rising list of stem and stages 1 to {stages}"))
            }
        }
    }

    /// Channels of the map of a stage; 0 is the stem.
    pub fn width_of(&self, stage: usize) -> i64 {
        stage.checked_sub(1).map_or(self.embedding, |stage| self.widths[stage])
    }

    /// Pixels along a side for a place of the map of a stage; 0 is the stem.
    pub fn stride_of(&self, stage: usize) -> i64 {
        let halved = self.halved(stage);
        self.coarsest.map_or(halved, |coarsest| halved.min(coarsest.max(4)))
    }

    /// The same if every map were halved.
    fn halved(&self, stage: usize) -> i64 {
        4 << (stage.saturating_sub(1) as u32 + u32::from(self.first_halves && stage > 0))
    }

    /// Places from one that convolutions of a stage read to the next; 0 is the stem.
    fn dilation_of(&self, stage: usize) -> i64 {
        self.halved(stage) / self.stride_of(stage)
    }

    /// A network of timm's by its name.
    pub fn named(name: &str) -> Option<Self> {
        let (depths, bottleneck) = match name.split('.').next()? {
            "resnet18" => ([2, 2, 2, 2], false),
            "resnet34" => ([3, 4, 6, 3], false),
            "resnet50" => ([3, 4, 6, 3], true),
            "resnet101" => ([3, 4, 23, 3], true),
            "resnet152" => ([3, 8, 36, 3], true),
            _ => return None,
        };
        let widths = [64, 128, 256, 512].map(|width| if bottleneck { width * REDUCTION } else { width });
        Some(Self {
            channels: 3,
            embedding: 64,
            widths: widths.to_vec(),
            depths: depths.to_vec(),
            bottleneck,
            activation: Activation::Relu,
            first_halves: false,
            early: false,
            frozen: true,
            names: ConvolutionNames::Timm,
            variant: ResNetVariant::Plain,
            coarsest: None,
        })
    }

    /// Pixels along a side for a place of the last map.
    pub fn stride(&self) -> i64 {
        self.stride_of(self.widths.len())
    }

    /// The stem, at the path of the network.
    ///
    /// # Errors
    /// A checkpoint that does not fit.
    pub fn stem(&self, weights: &Weights<'_>) -> Result<ResNetStem, ModelError> {
        let of = |paths: [String; 2], (input, output, kernel), stride| {
            self.convolution(
                weights,
                paths,
                ConvolutionShape::new(input, output, kernel, stride),
                Some(self.activation),
            )
        };
        let half = self.embedding / 2;
        let convolutions = match (self.variant, self.names) {
            (ResNetVariant::Deep, _) => {
                let paths =
                    |i: i64| ["convolution", "normalization"].map(|part| format!("embedder.embedder.{i}.{part}"));
                vec![
                    of(paths(0), (self.channels, half, 3), 2)?,
                    of(paths(1), (half, half, 3), 1)?,
                    of(paths(2), (half, self.embedding, 3), 1)?,
                ]
            }
            (ResNetVariant::Plain, names) => {
                let paths = match names {
                    ConvolutionNames::HuggingFace => {
                        ["embedder.embedder.convolution", "embedder.embedder.normalization"]
                    }
                    ConvolutionNames::Timm => ["conv1", "bn1"],
                };
                vec![of(paths.map(str::to_owned), (self.channels, self.embedding, 7), 2)?]
            }
        };
        Ok(ResNetStem(convolutions))
    }

    fn convolution(
        &self,
        weights: &Weights<'_>,
        [convolution, norm]: [String; 2],
        shape: ConvolutionShape,
        activation: Option<Activation>,
    ) -> Result<NormedConvolution, ModelError> {
        let norm = (norm.as_str(), NORM_EPSILON, self.frozen);
        NormedConvolution::load(weights, &convolution, norm, shape, activation)
    }

    /// All layers, each with its stage; the first one is of depth `first`.
    ///
    /// # Errors
    /// A checkpoint that does not fit.
    pub fn layers(&self, weights: &Weights<'_>, first: usize) -> Result<Vec<(usize, ResNetLayer)>, ModelError> {
        let mut layers = Vec::new();
        let mut input = self.embedding;
        for (stage, (&width, &depth)) in self.widths.iter().zip(&self.depths).enumerate() {
            for number in 0..depth {
                let halves = number == 0 && (stage > 0 || self.first_halves);
                let weights = weights.depth(first + layers.len());
                layers.push((stage, self.layer(&weights, (stage, number), (input, width), halves)?));
                input = width;
            }
        }
        Ok(layers)
    }

    fn layer(
        &self,
        weights: &Weights<'_>,
        (stage, number): (usize, i64),
        (input, width): (i64, i64),
        halves: bool,
    ) -> Result<ResNetLayer, ModelError> {
        let (layer, timm) = match self.names {
            ConvolutionNames::HuggingFace => (weights.at(&format!("encoder.stages.{stage}.layers.{number}")), false),
            ConvolutionNames::Timm => (weights.at(&format!("layer{}.{number}", stage + 1)), true),
        };
        let paths = |i: usize| match timm {
            false => ["convolution", "normalization"].map(|part| format!("layer.{i}.{part}")),
            true => ["conv", "bn"].map(|part| format!("{part}{}", i + 1)),
        };
        // In place of a map that is halved, convolutions read places that lie further apart, from the one behind where it would be on.
        let (before, dilation) = (self.dilation_of(stage), self.dilation_of(stage + 1));
        let stride = if halves && before == dilation { 2 } else { 1 };
        let first = if number == 0 { before } else { dilation };
        let narrow = width / REDUCTION;
        let plain = ConvolutionShape::new;
        let wide = |shape: ConvolutionShape, dilation| ConvolutionShape { dilation, ..shape };
        let convolutions = match self.bottleneck {
            true if self.early => {
                vec![
                    plain(input, narrow, 1, stride),
                    wide(plain(narrow, narrow, 3, 1), first),
                    plain(narrow, width, 1, 1),
                ]
            }
            true => {
                vec![
                    plain(input, narrow, 1, 1),
                    wide(plain(narrow, narrow, 3, stride), first),
                    plain(narrow, width, 1, 1),
                ]
            }
            false => vec![wide(plain(input, width, 3, stride), first), wide(plain(width, width, 3, 1), dilation)],
        };
        let last = convolutions.len() - 1;
        let load = |(i, &shape): (usize, &ConvolutionShape)| {
            // The inner ones of a transformers' layer take ReLU whatever the configuration says.
            let activation = (i != last).then_some(Activation::Relu);
            self.convolution(&layer, paths(i), shape, activation)
        };
        // Means of places come before the shortcut's convolution, which then skips none. In layers of two convolutions they come
        // wherever channels change, and only there.
        let means = self.variant == ResNetVariant::Deep && if self.bottleneck { halves } else { input != width };
        let shortcut = || {
            let paths = match (timm, means) {
                (false, false) => ["shortcut.convolution", "shortcut.normalization"],
                (false, true) => ["shortcut.1.convolution", "shortcut.1.normalization"],
                (true, _) => ["downsample.0", "downsample.1"],
            };
            let stride = if means { 1 } else { stride };
            self.convolution(&layer, paths.map(str::to_owned), ConvolutionShape::new(input, width, 1, stride), None)
        };
        // The first layer of a stage of layers of two convolutions has one in any case.
        let always = self.variant == ResNetVariant::Deep && !self.bottleneck && number == 0;
        Ok(ResNetLayer {
            convolutions: convolutions.iter().enumerate().map(load).collect::<Result<_, _>>()?,
            shortcut: (stride > 1 || input != width || always).then(shortcut).transpose()?,
            means,
            activation: self.activation,
        })
    }
}

/// Convolutions and a pooling: a fourth of the sides.
#[derive(Debug)]
pub struct ResNetStem(Vec<NormedConvolution>);

impl MapLayer for ResNetStem {
    fn forward(&self, pixels: &Tensor, train: bool) -> Tensor {
        // In bf16 oneDNN is faster with the channels of a place side by side, and so is all around it; in fp32 it is not.
        let reduced = self.0.first().is_some_and(|first| first.kind() != Kind::Float);
        let pixels = if reduced { pixels.contiguous() } else { pixels.shallow_clone() };
        let mut y = pixels.permute([0, 3, 1, 2]);
        for convolution in &self.0 {
            y = convolution.forward(&y, train);
        }
        y.max_pool2d([3, 3], [2, 2], [1, 1], [1, 1], false).permute([0, 2, 3, 1])
    }

    fn work(&self, places: f64) -> f64 {
        self.0.iter().map(|it| it.work(4.0 * places)).sum()
    }
}

/// Convolutions beside a shortcut.
#[derive(Debug)]
pub struct ResNetLayer {
    convolutions: Vec<NormedConvolution>,
    shortcut: Option<NormedConvolution>,
    /// Whether the shortcut takes means of two by two places.
    means: bool,
    activation: Activation,
}

impl MapLayer for ResNetLayer {
    fn forward(&self, x: &Tensor, train: bool) -> Tensor {
        let x = x.permute([0, 3, 1, 2]);
        let mut y = x.shallow_clone();
        for convolution in &self.convolutions {
            y = convolution.forward(&y, train);
        }
        let beside = match self.means {
            true => x.avg_pool2d([2, 2], [2, 2], [0, 0], true, true, None::<i64>),
            false => x,
        };
        let beside = self.shortcut.as_ref().map_or_else(|| beside.shallow_clone(), |it| it.forward(&beside, train));
        self.activation.forward(&(y + beside)).permute([0, 2, 3, 1])
    }

    fn work(&self, places: f64) -> f64 {
        // The first of those that halve the map works on what was before it; near enough.
        self.convolutions.iter().chain(&self.shortcut).map(|it| it.work(places)).sum()
    }
}
