//! MobileViT's block (Mehta & Rastegari 2021, §3.1): convolutions, then a transformer in which places of equal position in their
//! patches attend to each other, then convolutions over what came in beside what came out. transformers' `MobileViTLayer`.
//!
//! B batch, C channels, D width of the transformer, P patch side, H and W map, h = ⌈H/P⌉ and w = ⌈W/P⌉ patches.

use super::inverted_residual::named;
use super::{ConvolutionShape, LayerNames, LayerSizes, MapLayer, NormedConvolution, PreNormLayer, PreNormOptions};
use crate::ModelError;
use crate::checkpoint::{Init, Weights};
use retune_kernels::tch::{Kind, Tensor};
use retune_kernels::{LayerNorm, Weight};

/// How a block is made.
#[derive(Debug, Clone, Copy)]
pub struct MobileSizes {
    /// C.
    pub channels: i64,
    /// Side of the convolutions' kernels, odd.
    pub kernel: i64,
    /// P.
    pub patch: i64,
    /// Of the transformer.
    pub layer: LayerSizes,
    /// Its layers.
    pub depth: usize,
    /// Whether its projections to queries, keys and values have a bias.
    pub bias: bool,
}

/// The block.
#[derive(Debug)]
pub struct MobileLayer {
    local: NormedConvolution,
    inner: Weight, // [D, C, 1, 1]
    layers: Vec<PreNormLayer>,
    norm: LayerNorm,
    outer: NormedConvolution,
    fusion: NormedConvolution,
    /// Behind it, at the end of a classifier's last stage.
    expansion: Option<NormedConvolution>,
    sizes: MobileSizes,
}

impl MobileLayer {
    /// `weights` points at `encoder.layer.<index>`.
    ///
    /// # Errors
    /// A checkpoint that does not fit.
    pub fn load(weights: &Weights<'_>, names: &LayerNames, sizes: MobileSizes) -> Result<Self, ModelError> {
        let MobileSizes { channels: c, kernel, layer: LayerSizes { hidden: d, activation, norm_epsilon, .. }, .. } =
            sizes;
        let options = PreNormOptions {
            query_value_bias: sizes.bias,
            key_bias: sizes.bias,
            layer_scale: None,
            gated: None,
            relative_position: None,
        };
        let convolution = |name: &str, input, output, kernel| {
            named(&weights.at(name), ConvolutionShape::new(input, output, kernel, 1), Some(activation))
        };
        let layer = |i: usize| {
            PreNormLayer::load(&weights.at(&format!("transformer.layer.{i}")), names, &sizes.layer, &options, 0.0)
        };
        let init = Init::Normal(weights.initializer_range());
        Ok(Self {
            local: convolution("conv_kxk", c, c, kernel)?,
            inner: weights.at("conv_1x1.convolution").compute("weight", &[d, c, 1, 1], init)?,
            layers: (0..sizes.depth).map(layer).collect::<Result<_, _>>()?,
            norm: weights.at("layernorm").layer_norm(d, norm_epsilon)?,
            outer: convolution("conv_projection", d, c, 1)?,
            fusion: convolution("fusion", 2 * c, c, kernel)?,
            expansion: None,
            sizes,
        })
    }

    /// The same with a convolution at `weights` behind it, to so many channels.
    ///
    /// # Errors
    /// A checkpoint that does not fit.
    pub fn expanded(self, weights: &Weights<'_>, width: i64) -> Result<Self, ModelError> {
        let shape = ConvolutionShape::new(self.sizes.channels, width, 1, 1);
        Ok(Self { expansion: Some(named(weights, shape, Some(self.sizes.layer.activation))?), ..self })
    }

    /// `x` [B, H, W, D] through the transformer. A map that patches do not fill is scaled until they do, and back.
    fn attend(&self, x: &Tensor, train: bool) -> Tensor {
        let [batch, height, width, d] = x.size()[..] else { panic!("feature maps have four dimensions") };
        let p = self.sizes.patch;
        let (rows, columns) = ((height + p - 1) / p, (width + p - 1) / p);
        let whole = (rows * p, columns * p);
        let tokens = scaled(x, whole).reshape([batch, rows, p, columns, p, d]).permute([0, 2, 4, 1, 3, 5]);
        let mut tokens = tokens.reshape([batch * p * p, rows * columns, d]);
        for layer in &self.layers {
            tokens = layer.forward(&tokens, (rows, columns), None, train);
        }
        let map = self.norm.forward(&tokens).view([batch, p, p, rows, columns, d]).permute([0, 3, 1, 4, 2, 5]);
        scaled(&map.reshape([batch, whole.0, whole.1, d]), (height, width))
    }
}

/// `x` [B, H, W, D] brought to so many rows and columns.
fn scaled(x: &Tensor, (height, width): (i64, i64)) -> Tensor {
    if x.size()[1..3] == [height, width] {
        return x.shallow_clone();
    }
    let first = x.permute([0, 3, 1, 2]).to_kind(Kind::Float);
    first.upsample_bilinear2d([height, width], false, None, None).permute([0, 2, 3, 1]).to_kind(x.kind())
}

impl MapLayer for MobileLayer {
    fn forward(&self, x: &Tensor, train: bool) -> Tensor {
        let x = x.permute([0, 3, 1, 2]).to_kind(Kind::Float);
        let local = self.local.forward(&x, train).permute([0, 2, 3, 1]).to_kind(self.inner.kind());
        let inner = self.inner.flatten(1, -1);
        let attended = self.attend(&local.linear(&inner, None::<&Tensor>), train);
        let outer = self.outer.forward(&attended.permute([0, 3, 1, 2]), train);
        let mut y = self.fusion.forward(&Tensor::cat(&[x, outer], 1), train);
        if let Some(expansion) = &self.expansion {
            y = expansion.forward(&y, train);
        }
        y.permute([0, 2, 3, 1])
    }

    fn work(&self, places: f64) -> f64 {
        let MobileSizes { channels, patch, layer, depth, .. } = self.sizes;
        let (groups, inner) = ((patch * patch) as f64, 2.0 * places * (channels * layer.hidden) as f64);
        let tokens = places / groups;
        let convolutions = [&self.local, &self.outer, &self.fusion].into_iter().chain(&self.expansion);
        inner + depth as f64 * groups * layer.work(tokens, tokens) + convolutions.map(|it| it.work(places)).sum::<f64>()
    }
}
