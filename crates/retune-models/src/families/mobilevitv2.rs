//! MobileViTV2 (Mehta & Rastegari 2022), transformers `MobileViTV2Model`: inverted residuals, then stages of a convolution and a transformer
//! whose attention costs as much as there are places. All widths follow from one number.
//!
//! C channels of a stage.

use super::mobilevit::{decoder, list, steps};
use crate::bodies::{MapShape, Pyramid, PyramidBlock};
use crate::checkpoint::Weights;
use crate::family::{Family, TensorNames};
use crate::heads::{AsppPlan, IMAGE_CLASSIFICATION, ImagePlan, ImageReading, Pooling, SEMANTIC_SEGMENTATION};
use crate::layers::{
    ConvolutionChain, ConvolutionShape, InvertedSizes, MapLayer, SeparableLayer, SeparableSizes, SizeRule, divisible,
};
use crate::takes::{ImageInput, Positions};
use crate::{Body, HeadPlan, ModelConfig, ModelError, Purpose, Takes};
use retune_kernels::Activation;
use serde_json::{Value, json};

/// The mean of all places of the last map → classifier; or DeepLabv3's head over it.
pub static MOBILEVITV2: MobileVitV2 = MobileVitV2(TensorNames {
    base: "mobilevitv2",
    spellings: &[],
    buffers: &[],
    modules: &[],
    lora: Err("mobilevitv2 is made of convolutions, beside which LoRA has no adapters here; use another method"),
});

/// Inverted residuals of the first two stages, which no configuration changes.
const RESIDUALS: [usize; 2] = [1, 2];
/// Widths of the stages, and what they are multiples of, where `width_multiplier` is 1.
const WIDTHS: [(f64, i64); 5] = [(64.0, 16), (128.0, 8), (256.0, 8), (384.0, 8), (512.0, 8)];
/// The middle of a feed-forward network is a multiple of this.
const MIDDLE: i64 = 16;

/// Its type: how its tensors are called.
pub struct MobileVitV2(TensorNames);

impl Family for MobileVitV2 {
    fn model_type(&self) -> &'static str {
        "mobilevitv2"
    }

    fn class(&self) -> &'static str {
        "MobileViTV2"
    }

    fn heads(&self) -> Vec<(&'static Purpose, Box<dyn HeadPlan>)> {
        // Its class has no dropout before the classifier, whatever the configuration says of one.
        let reading = |_: &ModelConfig| Ok(ImageReading::new(Pooling::Mean));
        vec![
            (&IMAGE_CLASSIFICATION, Box::new(ImagePlan(reading))),
            (&SEMANTIC_SEGMENTATION, Box::new(AsppPlan(decoder))),
        ]
    }

    fn names(&self) -> &TensorNames {
        &self.0
    }

    fn defaults(&self) -> Vec<(&'static str, Value)> {
        vec![
            ("num_channels", json!(3)),
            ("image_size", json!(256)),
            ("patch_size", json!(2)),
            ("expand_ratio", json!(2.0)),
            ("hidden_act", json!("swish")),
            ("conv_kernel_size", json!(3)),
            ("output_stride", json!(32)),
            ("classifier_dropout_prob", json!(0.1)),
            ("initializer_range", json!(0.02)),
            ("layer_norm_eps", json!(1e-5)),
            ("aspp_out_channels", json!(512)),
            ("atrous_rates", json!([6, 12, 18])),
            ("aspp_dropout_prob", json!(0.1)),
            ("semantic_loss_ignore_index", json!(255)),
            ("n_attn_blocks", json!([2, 4, 3])),
            ("base_attn_unit_dims", json!([128, 192, 256])),
            ("width_multiplier", json!(1.0)),
            ("ffn_multiplier", json!(2)),
            ("attn_dropout", json!(0.0)),
            ("ffn_dropout", json!(0.0)),
        ]
    }

    fn takes(&self, config: &ModelConfig) -> Result<Takes, ModelError> {
        Ok(Takes::Images(ImageInput {
            channels: config.size("num_channels")?,
            size: config.height_and_width("image_size")?,
            patch: (2, 2),
            sizes: least(config)?,
            positions: Positions::Free,
        }))
    }

    fn body(&self, weights: &Weights<'_>, config: &ModelConfig) -> Result<Box<dyn Body>, ModelError> {
        let base = weights.at(self.0.base);
        let multiplier = multiplier(config)?;
        let (channels, expansion) = (config.size("num_channels")?, config.number("expand_ratio")?);
        let activation = Activation::from_name(&config.text("hidden_act")?)?;
        let inverted =
            |input, output, stride, dilation| InvertedSizes { input, output, stride, dilation, expansion, activation };
        let first = divisible((32.0 * multiplier).clamp(16.0, 64.0), 8, 16);
        let widths = WIDTHS.map(|(width, divisor)| divisible(width * multiplier, divisor, divisor));
        let stem = ConvolutionShape::new(channels, first, 3, 2);
        let stem = ConvolutionChain::single(&base.depth(0).at("conv_stem"), stem, activation)?;
        let mut blocks: Vec<PyramidBlock> = Vec::new();
        let (mut input, mut area) = (first, 1.0);
        for (stage, &count) in RESIDUALS.iter().enumerate() {
            let halves = 1 + stage as i64;
            area *= (halves * halves) as f64;
            for i in 0..count {
                let weights = base.depth(blocks.len() + 1).at(&format!("encoder.layer.{stage}.layer.{i}"));
                let sizes = inverted(input, widths[stage], if i == 0 { halves } else { 1 }, 1);
                let layer = Box::new(ConvolutionChain::inverted(&weights, sizes)?);
                input = widths[stage];
                blocks.push(PyramidBlock { downsampling: None, layer, norm: None, stage, area });
            }
        }
        for (i, (stride, dilation)) in steps(config)?.into_iter().enumerate() {
            let stage = RESIDUALS.len() + i;
            let weights = base.depth(blocks.len() + 1).at(&format!("encoder.layer.{stage}"));
            let down = inverted(input, widths[stage], stride, dilation);
            let down = ConvolutionChain::inverted(&weights.at("downsampling_layer"), down)?;
            let layer = Box::new(SeparableLayer::load(&weights, sizes(config, i, widths[stage], activation)?)?);
            (input, area) = (widths[stage], area * (stride * stride) as f64);
            let downsampling = Some(Box::new(down) as Box<dyn MapLayer>);
            blocks.push(PyramidBlock { downsampling, layer, norm: None, stage, area });
        }
        let (stem, sizes, width) = (Box::new(stem), least(config)?, input);
        Ok(Box::new(Pyramid {
            stem,
            channels,
            sizes,
            blocks,
            width,
            keeps_size: false,
            shape: MapShape::ChannelsFirst,
        }))
    }
}

fn multiplier(config: &ModelConfig) -> Result<f64, ModelError> {
    let multiplier = config.number("width_multiplier")?;
    if multiplier > 0.0 {
        return Ok(multiplier);
    }
    Err(ModelError::of_field("width_multiplier", format!("is {multiplier}, not above 0")))
}

/// The last map holds a whole patch.
fn least(config: &ModelConfig) -> Result<SizeRule, ModelError> {
    // The last place of a map stands for the first of so many pixels.
    let pixels = steps(config)?.iter().fold(4, |pixels, (stride, _)| pixels * stride);
    let side = (config.size("patch_size")? - 1) * pixels + 1;
    Ok(SizeRule::at_least((side, side)))
}

/// Of the `i`-th of the last three stages.
fn sizes(config: &ModelConfig, i: usize, channels: i64, activation: Activation) -> Result<SeparableSizes, ModelError> {
    let kernel = config.size("conv_kernel_size")?;
    if kernel % 2 == 0 {
        let problem = format!("is {kernel}; a kernel of an even side does not keep the size of its map");
        return Err(ModelError::of_field("conv_kernel_size", problem));
    }
    let [widths, depths] = [list(config, "base_attn_unit_dims", 3)?, list(config, "n_attn_blocks", 3)?];
    let hidden = divisible(widths[i] as f64 * multiplier(config)?, 8, 8);
    let intermediate = (config.number("ffn_multiplier")? * hidden as f64) as i64 / MIDDLE * MIDDLE;
    if intermediate < MIDDLE {
        let problem = format!("leaves nothing of {hidden} channels, by whole multiples of {MIDDLE}");
        return Err(ModelError::of_field("ffn_multiplier", problem));
    }
    Ok(SeparableSizes {
        channels,
        hidden,
        intermediate,
        depth: depths[i] as usize,
        kernel,
        patch: config.size("patch_size")?,
        activation,
        norm_epsilon: config.number("layer_norm_eps")?,
        attention_dropout: config.probability("attn_dropout")?,
        feed_forward_dropout: config.probability("ffn_dropout")?,
    })
}
