//! MobileViTV2's block (Mehta & Rastegari 2022, §3): a convolution of each channel, then a transformer whose attention costs as much as
//! there are places: one score for each, by which keys are summed to one vector that all values are multiplied by. transformers'
//! `MobileViTV2Layer`.
//!
//! B batch, C channels, D width of the transformer, F of its middle, P patch side, H and W map, N whole patches.

use super::inverted_residual::named;
use super::{ConvolutionShape, MapLayer, NormedConvolution};
use crate::ModelError;
use crate::checkpoint::{Init, Weights};
use retune_kernels::dropout::dropout;
use retune_kernels::tch::{Kind, Tensor};
use retune_kernels::{Activation, Weight};

/// How a block is made.
#[derive(Debug, Clone, Copy)]
pub struct SeparableSizes {
    /// C.
    pub channels: i64,
    /// D.
    pub hidden: i64,
    /// F.
    pub intermediate: i64,
    /// Layers of the transformer.
    pub depth: usize,
    /// Side of the convolution's kernel, odd.
    pub kernel: i64,
    /// P.
    pub patch: i64,
    /// Of the convolution and the middle.
    pub activation: Activation,
    /// Added to variances.
    pub norm_epsilon: f64,
    /// On the shares by which keys are summed.
    pub attention_dropout: f64,
    /// Behind both projections of the feed-forward network.
    pub feed_forward_dropout: f64,
}

/// A convolution of single places: a projection of their channels.
#[derive(Debug)]
struct Pointwise {
    weight: Weight, // [O, I, 1, 1]
    bias: Option<Weight>,
}

impl Pointwise {
    fn load(
        weights: &Weights<'_>,
        name: &str,
        (input, output): (i64, i64),
        has_bias: bool,
    ) -> Result<Self, ModelError> {
        let (weights, init) = (weights.at(name).at("convolution"), Init::Normal(weights.initializer_range()));
        let bias = || weights.compute("bias", &[output], Init::Constant(0.0));
        Ok(Self {
            weight: weights.compute("weight", &[output, input, 1, 1], init)?,
            bias: has_bias.then(bias).transpose()?,
        })
    }

    /// `x` [.., I]; returns [.., O].
    fn forward(&self, x: &Tensor) -> Tensor {
        x.linear(&self.weight.flatten(1, -1), self.bias.as_deref())
    }
}

/// A norm over all channels of all places of an image.
#[derive(Debug)]
struct WholeNorm {
    weight: Weight, // [D]
    bias: Weight,
    epsilon: f64,
}

impl WholeNorm {
    fn load(weights: &Weights<'_>, size: i64, epsilon: f64) -> Result<Self, ModelError> {
        let (weight, bias) = (weights.norm_part("weight", size, 1.0)?, weights.norm_part("bias", size, 0.0)?);
        Ok(Self { weight, bias, epsilon })
    }

    /// `x` [B, P², N, D].
    fn forward(&self, x: &Tensor) -> Tensor {
        let whole = x.to_kind(Kind::Float);
        let normed = whole.layer_norm(&x.size()[1..], None::<&Tensor>, None::<&Tensor>, self.epsilon, false);
        (normed * &*self.weight + &*self.bias).to_kind(x.kind())
    }
}

/// A layer of the transformer.
#[derive(Debug)]
struct SeparableAttention {
    norm_before: WholeNorm,
    /// To a score, a key and a value.
    joint: Pointwise,
    output: Pointwise,
    norm_after: WholeNorm,
    up: Pointwise,
    down: Pointwise,
}

impl SeparableAttention {
    fn load(weights: &Weights<'_>, sizes: &SeparableSizes) -> Result<Self, ModelError> {
        let (d, f, epsilon) = (sizes.hidden, sizes.intermediate, sizes.norm_epsilon);
        Ok(Self {
            norm_before: WholeNorm::load(&weights.at("layernorm_before"), d, epsilon)?,
            joint: Pointwise::load(weights, "attention.qkv_proj", (d, 1 + 2 * d), true)?,
            output: Pointwise::load(weights, "attention.out_proj", (d, d), true)?,
            norm_after: WholeNorm::load(&weights.at("layernorm_after"), d, epsilon)?,
            up: Pointwise::load(weights, "ffn.conv1", (d, f), true)?,
            down: Pointwise::load(weights, "ffn.conv2", (f, d), true)?,
        })
    }

    /// `x` [B, P², N, D]: places of equal position in their patches know of each other.
    fn forward(&self, x: &Tensor, sizes: &SeparableSizes, train: bool) -> Tensor {
        let joint = self.joint.forward(&self.norm_before.forward(x));
        let score = joint.narrow(-1, 0, 1).to_kind(Kind::Float).softmax(2, Kind::Float);
        let shares = dropout(&score, sizes.attention_dropout, train).to_kind(x.kind());
        let (key, value) = (joint.narrow(-1, 1, sizes.hidden), joint.narrow(-1, 1 + sizes.hidden, sizes.hidden));
        let context = (key * shares).sum_dim_intlist(2, true, x.kind());
        let x = x + self.output.forward(&(value.relu() * context));
        let middle = sizes.activation.forward(&self.up.forward(&self.norm_after.forward(&x)));
        let transformed = self.down.forward(&dropout(&middle, sizes.feed_forward_dropout, train));
        x + dropout(&transformed, sizes.feed_forward_dropout, train)
    }
}

/// The block.
#[derive(Debug)]
pub struct SeparableLayer {
    local: NormedConvolution,
    inner: Pointwise,
    layers: Vec<SeparableAttention>,
    norm: WholeNorm,
    outer: NormedConvolution,
    sizes: SeparableSizes,
}

impl SeparableLayer {
    /// `weights` points at `encoder.layer.<index>`.
    ///
    /// # Errors
    /// A checkpoint that does not fit.
    pub fn load(weights: &Weights<'_>, sizes: SeparableSizes) -> Result<Self, ModelError> {
        let SeparableSizes { channels: c, hidden: d, kernel, .. } = sizes;
        let local = ConvolutionShape { groups: c, ..ConvolutionShape::new(c, c, kernel, 1) };
        let layer = |i: usize| SeparableAttention::load(&weights.at(&format!("transformer.layer.{i}")), &sizes);
        Ok(Self {
            local: named(&weights.at("conv_kxk"), local, Some(sizes.activation))?,
            inner: Pointwise::load(weights, "conv_1x1", (c, d), false)?,
            layers: (0..sizes.depth).map(layer).collect::<Result<_, _>>()?,
            norm: WholeNorm::load(&weights.at("layernorm"), d, sizes.norm_epsilon)?,
            outer: named(&weights.at("conv_projection"), ConvolutionShape::new(d, c, 1, 1), None)?,
            sizes,
        })
    }

    /// `x` [B, H, W, D] through the transformer. What does not fill a patch is not read, and 0 behind it.
    fn attend(&self, x: &Tensor, train: bool) -> Tensor {
        let [batch, height, width, d] = x.size()[..] else { panic!("feature maps have four dimensions") };
        let p = self.sizes.patch;
        let (rows, columns) = (height / p, width / p);
        let whole = x.narrow(1, 0, rows * p).narrow(2, 0, columns * p);
        let places = whole.reshape([batch, rows, p, columns, p, d]).permute([0, 2, 4, 1, 3, 5]);
        let mut places = places.reshape([batch, p * p, rows * columns, d]);
        for layer in &self.layers {
            places = layer.forward(&places, &self.sizes, train);
        }
        let map = self.norm.forward(&places).view([batch, p, p, rows, columns, d]).permute([0, 3, 1, 4, 2, 5]);
        let map = map.reshape([batch, rows * p, columns * p, d]);
        let (bottom, right) = (height - rows * p, width - columns * p);
        if bottom + right == 0 { map } else { map.constant_pad_nd([0, 0, 0, right, 0, bottom]) }
    }
}

impl MapLayer for SeparableLayer {
    fn forward(&self, x: &Tensor, train: bool) -> Tensor {
        let x = x.permute([0, 3, 1, 2]).to_kind(Kind::Float);
        let local = self.local.forward(&x, train).permute([0, 2, 3, 1]).to_kind(self.inner.weight.kind());
        let attended = self.attend(&self.inner.forward(&local), train);
        self.outer.forward(&attended.permute([0, 3, 1, 2]), train).permute([0, 2, 3, 1])
    }

    fn work(&self, places: f64) -> f64 {
        let SeparableSizes { channels, hidden, intermediate, depth, .. } = self.sizes;
        let of_layer = hidden * (1 + 3 * hidden + 2 * intermediate);
        let products = (channels * hidden) as f64 + depth as f64 * of_layer as f64;
        2.0 * places * products + self.local.work(places) + self.outer.work(places)
    }
}
