//! MobileViT (Mehta & Rastegari 2021), transformers `MobileViTModel`: inverted residuals, then stages of a convolution, a
//! transformer over patches and a convolution.
//!
//! C channels of a stage.

use super::vit;
use crate::bodies::{MapShape, Pyramid, PyramidBlock};
use crate::checkpoint::Weights;
use crate::family::{Becomes, Family, TensorNames};
use crate::heads::{
    AsppPlan, AsppSizes, IMAGE_CLASSIFICATION, ImagePlan, ImageReading, Pooling, SEMANTIC_SEGMENTATION,
};
use crate::layers::{
    ConvolutionChain, ConvolutionShape, InvertedSizes, LayerSizes, MapLayer, MobileLayer, MobileSizes, SizeRule,
};
use crate::takes::{ImageInput, Positions};
use crate::{Body, HeadPlan, ModelConfig, ModelError, Purpose, Takes};
use retune_kernels::Activation;
use serde_json::{Value, json};

/// The mean of all places of the last, widened map → classifier.
pub static MOBILEVIT: MobileVit = MobileVit { segments: false, names: NAMES };
/// The same without the last convolution, under DeepLabv3's head.
static SEGMENTER: MobileVit = MobileVit { segments: true, names: NAMES };

const NAMES: TensorNames =
    TensorNames { base: "mobilevit", spellings: &[], buffers: &[], modules: &[], lora: Ok(&["query", "value"]) };
/// Layers of the transformers of the last three stages, which no configuration changes.
const DEPTHS: [usize; 3] = [2, 4, 3];
/// Inverted residuals of the stages before, likewise.
const RESIDUALS: [usize; 2] = [1, 3];

/// Its type: what it is used for.
pub struct MobileVit {
    segments: bool,
    names: TensorNames,
}

impl Family for MobileVit {
    fn model_type(&self) -> &'static str {
        "mobilevit"
    }

    fn class(&self) -> &'static str {
        "MobileViT"
    }

    fn heads(&self) -> Vec<(&'static Purpose, Box<dyn HeadPlan>)> {
        if self.segments {
            return vec![(&SEMANTIC_SEGMENTATION, Box::new(AsppPlan(decoder)))];
        }
        let reading = |config: &ModelConfig| {
            let dropout = config.probability("classifier_dropout_prob")?;
            Ok(ImageReading { dropout, ..ImageReading::new(Pooling::Mean) })
        };
        vec![(&IMAGE_CLASSIFICATION, Box::new(ImagePlan(reading)))]
    }

    /// A segmenter is a body of its own.
    fn becomes(&self, purpose: Option<&Purpose>) -> Option<Becomes> {
        let segments = purpose == Some(&SEMANTIC_SEGMENTATION);
        segments.then_some(Becomes { family: &SEGMENTER, change: |_| () })
    }

    fn names(&self) -> &TensorNames {
        &self.names
    }

    fn defaults(&self) -> Vec<(&'static str, Value)> {
        vec![
            ("num_channels", json!(3)),
            ("image_size", json!(256)),
            ("patch_size", json!(2)),
            ("hidden_sizes", json!([144, 192, 240])),
            ("neck_hidden_sizes", json!([16, 32, 64, 96, 128, 160, 640])),
            ("num_attention_heads", json!(4)),
            ("mlp_ratio", json!(2.0)),
            ("expand_ratio", json!(4.0)),
            ("hidden_act", json!("silu")),
            ("conv_kernel_size", json!(3)),
            ("output_stride", json!(32)),
            ("hidden_dropout_prob", json!(0.1)),
            ("attention_probs_dropout_prob", json!(0.0)),
            ("classifier_dropout_prob", json!(0.1)),
            ("initializer_range", json!(0.02)),
            ("layer_norm_eps", json!(1e-5)),
            ("qkv_bias", json!(true)),
            ("aspp_out_channels", json!(256)),
            ("atrous_rates", json!([6, 12, 18])),
            ("aspp_dropout_prob", json!(0.1)),
            ("semantic_loss_ignore_index", json!(255)),
        ]
    }

    fn takes(&self, config: &ModelConfig) -> Result<Takes, ModelError> {
        Ok(Takes::Images(ImageInput {
            channels: config.size("num_channels")?,
            size: config.height_and_width("image_size")?,
            patch: (2, 2),
            sizes: SizeRule::at_least((1, 1)),
            positions: Positions::Free,
        }))
    }

    fn body(&self, weights: &Weights<'_>, config: &ModelConfig) -> Result<Box<dyn Body>, ModelError> {
        let base = weights.at(self.names.base);
        let [necks, widths] = [list(config, "neck_hidden_sizes", 7)?, list(config, "hidden_sizes", 3)?];
        let activation = Activation::from_name(&config.text("hidden_act")?)?;
        let channels = config.size("num_channels")?;
        let expansion = config.number("expand_ratio")?;
        let inverted =
            |input, output, stride, dilation| InvertedSizes { input, output, stride, dilation, expansion, activation };
        let stem = ConvolutionShape::new(channels, necks[0], 3, 2);
        let stem = ConvolutionChain::single(&base.depth(0).at("conv_stem"), stem, activation)?;
        let mut blocks: Vec<PyramidBlock> = Vec::new();
        let mut area = 1.0;
        for (stage, &count) in RESIDUALS.iter().enumerate() {
            let (mut input, output, first) = (necks[stage], necks[stage + 1], 1 + stage as i64);
            area *= (first * first) as f64;
            for i in 0..count {
                let weights = base.depth(blocks.len() + 1).at(&format!("encoder.layer.{stage}.layer.{i}"));
                let stride = if i == 0 { first } else { 1 };
                let layer = ConvolutionChain::inverted(&weights, inverted(input, output, stride, 1))?;
                input = output;
                blocks.push(PyramidBlock { downsampling: None, layer: Box::new(layer), norm: None, stage, area });
            }
        }
        for (i, (&width, (stride, dilation))) in widths.iter().zip(steps(config)?).enumerate() {
            let (stage, depth) = (RESIDUALS.len() + i, blocks.len() + 1);
            let (input, output) = (necks[stage], necks[stage + 1]);
            let weights = base.depth(depth).at(&format!("encoder.layer.{stage}"));
            let down = inverted(input, output, stride, dilation);
            let down = ConvolutionChain::inverted(&weights.at("downsampling_layer"), down)?;
            let layer =
                MobileLayer::load(&weights, &vit::LAYER, sizes(config, (output, width, DEPTHS[i]), activation)?)?;
            let ends = i + 1 == widths.len() && !self.segments;
            // A segmenter has none, from which a classifier may start.
            let layer =
                if ends { layer.expanded(&base.depth(depth).neck().at("conv_1x1_exp"), necks[6])? } else { layer };
            area *= (stride * stride) as f64;
            let downsampling = Some(Box::new(down) as Box<dyn MapLayer>);
            blocks.push(PyramidBlock { downsampling, layer: Box::new(layer), norm: None, stage, area });
        }
        Ok(Box::new(Pyramid {
            stem: Box::new(stem),
            channels,
            sizes: SizeRule::at_least((1, 1)),
            blocks,
            width: necks[if self.segments { 5 } else { 6 }],
            keeps_size: false,
            shape: MapShape::ChannelsFirst,
        }))
    }
}

/// A list of so many numbers.
pub(super) fn list(config: &ModelConfig, field: &str, count: usize) -> Result<Vec<i64>, ModelError> {
    let list = config.sizes(field)?;
    if list.len() == count {
        return Ok(list);
    }
    Err(ModelError::of_field(field, format!("has {} entries, not {count}", list.len())))
}

/// Stride and dilation of the convolution that begins each of the last stages: behind a step that is left out, places are
/// as far apart as they would have been.
pub(super) fn steps(config: &ModelConfig) -> Result<[(i64, i64); 3], ModelError> {
    Ok(match config.size("output_stride")? {
        8 => [(2, 1), (1, 1), (1, 2)],
        16 => [(2, 1), (2, 1), (1, 1)],
        // As Hugging Face's class takes any other number.
        _ => [(2, 1); 3],
    })
}

fn sizes(
    config: &ModelConfig,
    (channels, hidden, depth): (i64, i64, usize),
    activation: Activation,
) -> Result<MobileSizes, ModelError> {
    let kernel = config.size("conv_kernel_size")?;
    if kernel % 2 == 0 {
        let problem = format!("is {kernel}; a kernel of an even side does not keep the size of its map");
        return Err(ModelError::of_field("conv_kernel_size", problem));
    }
    let dropout = config.probability("hidden_dropout_prob")?;
    let layer = LayerSizes {
        hidden,
        heads: config.size("num_attention_heads")?,
        intermediate: (hidden as f64 * config.number("mlp_ratio")?) as i64,
        activation,
        norm_epsilon: config.number("layer_norm_eps")?,
        hidden_dropout: dropout,
        feed_forward_dropout: dropout,
        attention_dropout: config.probability("attention_probs_dropout_prob")?,
    };
    let (patch, bias) = (config.size("patch_size")?, config.flag_or("qkv_bias", true)?);
    Ok(MobileSizes { channels, kernel, patch, layer, depth, bias })
}

/// What the head needs to know.
pub(super) fn decoder(config: &ModelConfig) -> Result<AsppSizes, ModelError> {
    // Two stages before those have a step of one and one of two places.
    let area = steps(config)?.iter().fold(4.0, |area, (stride, _)| area * (stride * stride) as f64);
    Ok(AsppSizes {
        area,
        hidden: config.size("aspp_out_channels")?,
        rates: list(config, "atrous_rates", 3)?,
        dropout: config.probability("aspp_dropout_prob")?,
        classifier_dropout: config.probability("classifier_dropout_prob")?,
    })
}
