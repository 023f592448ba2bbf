//! Layers of ResNet (He et al. 2015), transformers `ResNetBottleNeckLayer` and `ResNetBasicLayer`, with batch norm or with one
//! that is frozen, as detectors have it.
//!
//! B batch, C and D channels, H and W map, k kernel.

use super::MapLayer;
use crate::checkpoint::{Init, Weights};
use crate::{ModelConfig, ModelError};
use retune_kernels::tch::{Kind, Tensor};
use retune_kernels::{Activation, BatchNorm, Weight};
use serde_json::Value;

/// PyTorch's defaults, which no configuration changes.
const EPSILON: f64 = 1e-5;
const MOMENTUM: f64 = 0.1;
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
        })
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
        })
    }

    /// Pixels along a side for a place of the last map.
    pub fn stride(&self) -> i64 {
        4 << (self.widths.len() as u32 - 1 + u32::from(self.first_halves))
    }

    /// The stem, at the path of the network.
    ///
    /// # Errors
    /// A checkpoint that does not fit.
    pub fn stem(&self, weights: &Weights<'_>) -> Result<ResNetStem, ModelError> {
        let paths = match self.names {
            ConvolutionNames::HuggingFace => ["embedder.embedder.convolution", "embedder.embedder.normalization"],
            ConvolutionNames::Timm => ["conv1", "bn1"],
        };
        let shape = (self.channels, self.embedding, 7);
        Ok(ResNetStem(Convolution::load(weights, paths.map(str::to_owned), shape, 2, Some(self.activation), self)?))
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
        let stride = if halves { 2 } else { 1 };
        let narrow = width / REDUCTION;
        // Input and output channels, kernel, stride.
        let convolutions = match self.bottleneck {
            true if self.early => vec![(input, narrow, 1, stride), (narrow, narrow, 3, 1), (narrow, width, 1, 1)],
            true => vec![(input, narrow, 1, 1), (narrow, narrow, 3, stride), (narrow, width, 1, 1)],
            false => vec![(input, width, 3, stride), (width, width, 3, 1)],
        };
        let last = convolutions.len() - 1;
        let load = |(i, &(from, to, kernel, stride)): (usize, &(i64, i64, i64, i64))| {
            // The inner ones of a transformers' layer take ReLU whatever the configuration says.
            let activation = (i != last).then_some(Activation::Relu);
            Convolution::load(&layer, paths(i), (from, to, kernel), stride, activation, self)
        };
        let shortcut = || {
            let paths = match timm {
                false => ["shortcut.convolution", "shortcut.normalization"],
                true => ["downsample.0", "downsample.1"],
            };
            Convolution::load(&layer, paths.map(str::to_owned), (input, width, 1), stride, None, self)
        };
        Ok(ResNetLayer {
            convolutions: convolutions.iter().enumerate().map(load).collect::<Result<_, _>>()?,
            shortcut: (halves || input != width).then(shortcut).transpose()?,
            activation: self.activation,
        })
    }
}

/// A norm of channels.
#[derive(Debug)]
enum ChannelNorm {
    Batch(BatchNorm),
    /// Weight, bias, mean and variance, none of which ever changes.
    Frozen([Weight; 4]),
}

impl ChannelNorm {
    fn load(weights: &Weights<'_>, size: i64, frozen: bool) -> Result<Self, ModelError> {
        if !frozen {
            return Ok(Self::Batch(weights.batch_norm(size, EPSILON, MOMENTUM)?));
        }
        let filled =
            |name: &str, value: f64| weights.fixed(name, Tensor::full([size], value, (Kind::Float, weights.device())));
        let (weight, bias) = (filled("weight", 1.0)?, filled("bias", 0.0)?);
        Ok(Self::Frozen([weight, bias, filled("running_mean", 0.0)?, filled("running_var", 1.0)?]))
    }

    /// `x` [B, C, H, W] in fp32.
    fn forward(&self, x: &Tensor, train: bool) -> Tensor {
        match self {
            Self::Batch(norm) => norm.forward(x, train),
            Self::Frozen([weight, bias, mean, variance]) => {
                let scale = &**weight * (&**variance + EPSILON).rsqrt();
                let shift = &**bias - &**mean * &scale;
                x * scale.view([1, -1, 1, 1]) + shift.view([1, -1, 1, 1])
            }
        }
    }
}

/// A convolution without bias, its norm, and perhaps an activation.
#[derive(Debug)]
struct Convolution {
    weight: Weight, // [D, C, k, k]
    norm: ChannelNorm,
    shape: (i64, i64, i64),
    stride: i64,
    activation: Option<Activation>,
}

impl Convolution {
    fn load(
        weights: &Weights<'_>,
        [convolution, norm]: [String; 2],
        (input, output, kernel): (i64, i64, i64),
        stride: i64,
        activation: Option<Activation>,
        sizes: &ResNetSizes,
    ) -> Result<Self, ModelError> {
        // He et al. 2015, by fan out, as there.
        let init = Init::Normal((2.0 / (output * kernel * kernel) as f64).sqrt());
        let shape = [output, input, kernel, kernel];
        Ok(Self {
            weight: weights.at(&convolution).compute("weight", &shape, init)?,
            norm: ChannelNorm::load(&weights.at(&norm), output, sizes.frozen)?,
            shape: (input, output, kernel),
            stride,
            activation,
        })
    }

    /// `x` [B, C, H, W] in fp32.
    fn forward(&self, x: &Tensor, train: bool) -> Tensor {
        let pad = self.shape.2 / 2;
        let x = x.to_kind(self.weight.kind());
        let y = x.conv2d(&self.weight, None::<&Tensor>, [self.stride; 2], [pad; 2], [1, 1], 1);
        let y = self.norm.forward(&y.to_kind(Kind::Float), train);
        self.activation.map_or_else(|| y.shallow_clone(), |activation| activation.forward(&y))
    }

    /// For a result of so many places.
    fn work(&self, places: f64) -> f64 {
        let (input, output, kernel) = self.shape;
        2.0 * places * (input * output * kernel * kernel) as f64
    }
}

/// A wide convolution and a pooling: a fourth of the sides.
#[derive(Debug)]
pub struct ResNetStem(Convolution);

impl MapLayer for ResNetStem {
    fn forward(&self, pixels: &Tensor, train: bool) -> Tensor {
        let y = self.0.forward(&pixels.permute([0, 3, 1, 2]).to_kind(Kind::Float), train);
        y.max_pool2d([3, 3], [2, 2], [1, 1], [1, 1], false).permute([0, 2, 3, 1])
    }

    fn work(&self, places: f64) -> f64 {
        self.0.work(4.0 * places)
    }
}

/// Convolutions beside a shortcut.
#[derive(Debug)]
pub struct ResNetLayer {
    convolutions: Vec<Convolution>,
    shortcut: Option<Convolution>,
    activation: Activation,
}

impl MapLayer for ResNetLayer {
    fn forward(&self, x: &Tensor, train: bool) -> Tensor {
        let x = x.permute([0, 3, 1, 2]);
        let mut y = x.shallow_clone();
        for convolution in &self.convolutions {
            y = convolution.forward(&y, train);
        }
        let beside = self.shortcut.as_ref().map_or_else(|| x.shallow_clone(), |it| it.forward(&x, train));
        self.activation.forward(&(y + beside)).permute([0, 2, 3, 1])
    }

    fn work(&self, places: f64) -> f64 {
        // The first of those that halve the map works on what was before it; near enough.
        self.convolutions.iter().chain(&self.shortcut).map(|it| it.work(places)).sum()
    }
}
