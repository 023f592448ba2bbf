//! ConvNeXt (Liu et al. 2022), transformers `ConvNextForImageClassification`: the convolutional reference.
//!
//! B batch, C channels, H and W image size. Feature maps are [B, h, w, C] throughout.

use crate::checkpoint::{Init, Weights};
use crate::explain::{self, Explanation, Score};
use crate::heads::{ImageClassificationHead, Pooling};
use crate::layers::conv_next_layer::NORM_EPSILON;
use crate::layers::{
    ConvNextLayer, ConvNextSizes, PatchProjection, SizeRule, drop_path::linear_rates, patch_embeddings,
};
use crate::registry::Family;
use crate::{Mode, Model, ModelConfig, ModelError, Tensors};
use retune_kernels::tch::{Tensor, no_grad};
use retune_kernels::{Activation, LayerNorm};

/// Each stage after the first halves the map, and nothing may vanish; what does not divide is cut off.
pub fn image_sizes(config: &ModelConfig) -> Result<SizeRule, ModelError> {
    let (patch, stages) = (config.height_and_width("patch_size")?, config.sizes("hidden_sizes")?.len());
    let shrink = 1 << (stages - 1);
    Ok(SizeRule::at_least((patch.0 * shrink, patch.1 * shrink)))
}

/// The normed mean of the last feature map → classifier.
pub struct ConvNextForImageClassification;

impl Family for ConvNextForImageClassification {
    fn base_prefix(&self) -> String {
        "convnext.".to_owned()
    }

    fn head_prefixes(&self) -> Vec<String> {
        vec!["classifier.".to_owned()]
    }

    fn architecture(&self) -> String {
        "ConvNextForImageClassification".to_owned()
    }

    fn build(&self, weights: &Weights<'_>, config: &ModelConfig) -> Result<Box<dyn Model>, ModelError> {
        let (widths, depths) = (config.sizes("hidden_sizes")?, config.sizes("depths")?);
        if widths.len() != depths.len() {
            let problem = format!("has {} entries, `depths` has {}", widths.len(), depths.len());
            return Err(ModelError::Config { field: "hidden_sizes".to_owned(), problem });
        }
        let (channels, patch) = (config.size_or("num_channels", 3)?, config.height_and_width("patch_size")?);
        let activation = Activation::from_name(&config.text("hidden_act")?)?;
        let layer_scale = config.number_or("layer_scale_init_value", 1e-6)?;
        let count = depths.iter().sum::<i64>() as usize;
        let rates = linear_rates(config.probability("drop_path_rate")?, count);
        let (base, init) = (weights.at("convnext"), Init::Normal(weights.initializer_range()));
        let embeddings = base.at("embeddings");
        let mut blocks = Vec::with_capacity(count);
        for (stage, (&width, &depth)) in widths.iter().zip(&depths).enumerate() {
            let weights = base.at(&format!("encoder.stages.{stage}"));
            let mut downsampling = match stage {
                0 => None,
                _ => Some(Downsampling::load(
                    &weights.at("downsampling_layer").depth(blocks.len() + 1),
                    widths[stage - 1],
                    width,
                    init,
                )?),
            };
            for i in 0..depth {
                let number = blocks.len();
                let sizes = ConvNextSizes { channels: width, activation, layer_scale, drop_path: rates[number] };
                let layer = ConvNextLayer::load(&weights.at(&format!("layers.{i}")).depth(number + 1), sizes)?;
                blocks.push(Block { downsampling: downsampling.take(), layer, stage });
            }
        }
        let last = widths[widths.len() - 1];
        let head = weights.depth(count + 1);
        let pooled_norm = head.at("convnext.layernorm").layer_norm(last, config.number_or("layer_norm_eps", 1e-12)?)?;
        Ok(Box::new(ConvNext {
            projection: PatchProjection::load(&embeddings.at("patch_embeddings"), channels, patch, widths[0], init)?,
            embedding_norm: embeddings.at("layernorm").layer_norm(widths[0], NORM_EPSILON)?,
            head: ImageClassificationHead::load(
                &head,
                &["classifier"],
                Pooling::Mean,
                Some(pooled_norm),
                last,
                config.label_count(),
            )?,
            blocks,
            image_sizes: image_sizes(config)?,
            channels,
            patch,
            widths,
        }))
    }
}

/// A layer, with the downsampling before it at the begin of a stage.
struct Block {
    downsampling: Option<Downsampling>,
    layer: ConvNextLayer,
    stage: usize,
}

/// Norm, then a 2×2 convolution of stride 2.
struct Downsampling {
    norm: LayerNorm,
    projection: PatchProjection,
}

impl Downsampling {
    fn load(weights: &Weights<'_>, input: i64, output: i64, init: Init) -> Result<Self, ModelError> {
        Ok(Self {
            norm: weights.at("0").layer_norm(input, NORM_EPSILON)?,
            projection: PatchProjection::load(&weights.at("1"), input, (2, 2), output, init)?,
        })
    }

    fn forward(&self, x: &Tensor) -> Tensor {
        self.projection.forward_channels_last(&self.norm.forward(x))
    }
}

struct ConvNext {
    projection: PatchProjection,
    embedding_norm: LayerNorm,
    blocks: Vec<Block>,
    head: ImageClassificationHead,
    image_sizes: SizeRule,
    channels: i64,
    patch: (i64, i64),
    widths: Vec<i64>,
}

impl ConvNext {
    /// Returns [B, h, w, C].
    fn encode(&self, inputs: &Tensors, mode: &Mode) -> Result<Tensor, ModelError> {
        let pixels = patch_embeddings::pixel_values(inputs, self.channels, &self.image_sizes)?;
        let mut x = mode.block(0, |_| self.embedding_norm.forward(&self.projection.forward(pixels)));
        for (i, block) in self.blocks.iter().enumerate() {
            x = mode.block(i + 1, |train| {
                let y = block.downsampling.as_ref().map_or_else(|| x.shallow_clone(), |down| down.forward(&x));
                block.layer.forward(&y, train)
            });
        }
        Ok(x)
    }
}

impl Model for ConvNext {
    fn forward(&self, inputs: &Tensors, mode: &Mode) -> Result<Tensors, ModelError> {
        let x = self.encode(inputs, mode)?;
        let logits = mode.block(self.blocks() + 1, |train| self.head.forward(&x.flatten(1, 2), train));
        let mut outputs = Tensors::from([("logits", logits)]);
        if mode.hidden_states {
            // [B, C, h, w], as Hugging Face has it.
            outputs.insert("last_hidden_state", x.permute([0, 3, 1, 2]));
        }
        Ok(outputs)
    }

    fn explanations(&self) -> &'static [Explanation] {
        &[Explanation::Gradient]
    }

    fn explain(&self, inputs: &Tensors, how: Explanation, score: Score<'_>) -> Result<Tensor, ModelError> {
        explain::demand(self, how)?;
        let map = no_grad(|| self.encode(inputs, &Mode::evaluation()))?;
        explain::of_feature_map(&map, &self.head, score)
    }

    fn blocks(&self) -> usize {
        self.blocks.len()
    }

    fn forward_flops(&self, length: usize) -> f64 {
        let mut flops = 2.0 * length as f64 * (self.channels * self.patch.0 * self.patch.1 * self.widths[0]) as f64;
        for Block { downsampling, layer, stage } in &self.blocks {
            let positions = length as f64 / 4f64.powi(*stage as i32);
            flops += layer.forward_flops(positions);
            if downsampling.is_some() {
                flops += 8.0 * positions * (self.widths[stage - 1] * self.widths[*stage]) as f64;
            }
        }
        flops
    }

    fn max_length(&self) -> Option<usize> {
        None
    }

    fn vocabulary_size(&self) -> Option<usize> {
        None
    }
}
