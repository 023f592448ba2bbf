//! The front end of Wav2Vec2 and its relatives: convolutions over samples, with a norm in the first of them or in all (Baevski et
//! al. 2020, §2).
//!
//! Hugging Face's `Wav2Vec2FeatureEncoder`. B batch, N samples, C channels, T frames, K kernel.

use crate::ModelError;
use crate::checkpoint::{Init, Weights};
use retune_kernels::tch::{Kind, Tensor};
use retune_kernels::{Activation, LayerNorm, Weight};

/// Added to variances; the classes fix this number.
const NORM_EPSILON: f64 = 1e-5;

/// One convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AudioConvolution {
    /// C of its result.
    pub channels: i64,
    /// K.
    pub kernel: i64,
    /// Its stride.
    pub stride: i64,
}

/// Where the norms are, `feat_extract_norm`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrontNorm {
    /// Each channel over time, in the first convolution alone.
    Group,
    /// Each frame over its channels, in all of them.
    Layer,
}

/// Sizes and settings.
#[derive(Debug, Clone)]
pub struct AudioConvolutionSizes {
    /// All of them, the first one first.
    pub convolutions: Vec<AudioConvolution>,
    /// Whether they have a bias.
    pub bias: bool,
    /// Where the norms are.
    pub norm: FrontNorm,
    /// Behind each.
    pub activation: Activation,
}

#[derive(Debug)]
enum Norm {
    None,
    Group(Weight, Weight),
    Layer(LayerNorm),
}

#[derive(Debug)]
struct Block {
    weight: Weight, // [C, C of the one before, K]
    bias: Option<Weight>,
    norm: Norm,
    stride: i64,
}

/// The convolutions.
#[derive(Debug)]
pub struct AudioConvolutions {
    blocks: Vec<Block>,
    activation: Activation,
}

impl AudioConvolutions {
    /// `weights` points at `….feature_extractor.conv_layers`.
    pub fn load(weights: &Weights<'_>, sizes: &AudioConvolutionSizes) -> Result<Self, ModelError> {
        let mut before = 1;
        let blocks = sizes.convolutions.iter().enumerate().map(|(i, it)| {
            let (at, fan_in) = (weights.at(&i.to_string()), before * it.kernel);
            let convolution = at.at("conv");
            // As PyTorch's kaiming initialisation.
            let init = Init::Normal((2.0 / fan_in as f64).sqrt());
            let weight = convolution.compute("weight", &[it.channels, before, it.kernel], init)?;
            let bound = Init::Uniform(1.0 / (fan_in as f64).sqrt());
            let bias = sizes.bias.then(|| convolution.compute("bias", &[it.channels], bound)).transpose()?;
            let norm = at.at("layer_norm");
            let norm = match sizes.norm {
                FrontNorm::Layer => Norm::Layer(norm.layer_norm(it.channels, NORM_EPSILON)?),
                FrontNorm::Group if i == 0 => Norm::Group(
                    norm.exact("weight", &[it.channels], Init::Constant(1.0))?,
                    norm.exact("bias", &[it.channels], Init::Constant(0.0))?,
                ),
                FrontNorm::Group => Norm::None,
            };
            before = it.channels;
            Ok::<_, ModelError>(Block { weight, bias, norm, stride: it.stride })
        });
        Ok(Self { blocks: blocks.collect::<Result<_, _>>()?, activation: sizes.activation })
    }

    /// `samples` [B, N]; returns [B, T, C].
    pub fn forward(&self, samples: &Tensor) -> Tensor {
        let mut x = samples.unsqueeze(1);
        for block in &self.blocks {
            let bias = block.bias.as_deref();
            x = x.to_kind(block.weight.kind()).conv1d(&block.weight, bias, [block.stride], [0], [1], 1);
            x = match &block.norm {
                Norm::None => x,
                Norm::Layer(norm) => norm.forward(&x.transpose(1, 2).contiguous()).transpose(1, 2),
                Norm::Group(weight, bias) => {
                    let channels = weight.size()[0];
                    let normed =
                        x.to_kind(Kind::Float).group_norm(channels, Some(&**weight), Some(&**bias), NORM_EPSILON, true);
                    normed.to_kind(x.kind())
                }
            };
            x = self.activation.forward(&x);
        }
        x.transpose(1, 2).contiguous()
    }
}
