//! Swin (Liu et al. 2021), transformers `SwinForImageClassification`.
//!
//! B batch, H and W feature map, C channels of a stage.

use crate::checkpoint::{Init, Weights};
use crate::explain::{self, Explanation, Score};
use crate::heads::{ImageClassificationHead, Pooling};
use crate::layers::{
    LayerNames, LayerSizes, PatchMerging, PatchProjection, PositionEmbeddings, SizeRule, WindowLayer, WindowOptions,
    drop_path::linear_rates, patch_embeddings, patch_merging::DEFAULT_EPSILON,
};
use crate::registry::Family;
use crate::{Mode, Model, ModelConfig, ModelError, Tensors};
use retune_kernels::dropout::dropout;
use retune_kernels::tch::{Tensor, no_grad};
use retune_kernels::{Activation, LayerNorm};

const LAYER: LayerNames = LayerNames {
    query: "attention.self.query",
    key: "attention.self.key",
    value: "attention.self.value",
    attention_output: "attention.output.dense",
    attention_norm: "layernorm_before",
    intermediate: "intermediate.dense",
    output: "output.dense",
    output_norm: "layernorm_after",
};

/// The mean of all patches of the last stage → classifier.
pub struct SwinForImageClassification;

impl Family for SwinForImageClassification {
    fn base_prefix(&self) -> String {
        "swin.".to_owned()
    }

    fn head_prefixes(&self) -> Vec<String> {
        vec!["classifier.".to_owned()]
    }

    fn architecture(&self) -> String {
        "SwinForImageClassification".to_owned()
    }

    fn build(&self, weights: &Weights<'_>, config: &ModelConfig) -> Result<Box<dyn Model>, ModelError> {
        let (channels, depths) = (config.size_or("num_channels", 3)?, config.sizes("depths")?);
        let (image, patch) = (config.height_and_width("image_size")?, config.height_and_width("patch_size")?);
        let (width, heads) = (config.size("embed_dim")?, config.sizes("num_heads")?);
        if heads.len() != depths.len() {
            let problem = format!("has {} entries, `depths` has {}", heads.len(), depths.len());
            return Err(ModelError::Config { field: "num_heads".to_owned(), problem });
        }
        let window = config.size("window_size")?;
        let hidden_dropout = config.probability("hidden_dropout_prob")?;
        let norm_epsilon = config.number_or("layer_norm_eps", 1e-5)?;
        let bias = config.flag_or("qkv_bias", true)?;
        let count = depths.iter().sum::<i64>() as usize;
        let rates = linear_rates(config.number_or("drop_path_rate", 0.1)?, count);
        let base = weights.at("swin");
        let embeddings = base.at("embeddings");
        let positions = if config.flag_or("use_absolute_embeddings", false)? {
            let grid = (image.0 / patch.0, image.1 / patch.1);
            let shape = [1, grid.0 * grid.1, width];
            let table = embeddings.exact("position_embeddings", &shape, Init::Constant(0.0))?;
            Some(PositionEmbeddings::new(table, 0, grid))
        } else {
            None
        };
        let mut blocks = Vec::with_capacity(count);
        let mut merge = None;
        for (stage, (&depth, &heads)) in depths.iter().zip(&heads).enumerate() {
            let hidden = width << stage;
            let sizes = LayerSizes {
                hidden,
                heads,
                intermediate: (config.number_or("mlp_ratio", 4.0)? * hidden as f64) as i64,
                activation: Activation::from_name(&config.text("hidden_act")?)?,
                norm_epsilon,
                hidden_dropout,
                attention_dropout: config.probability("attention_probs_dropout_prob")?,
            };
            let weights = base.at(&format!("encoder.layers.{stage}"));
            for i in 0..depth {
                let number = blocks.len();
                let shift = if i % 2 == 0 { 0 } else { window / 2 };
                let options = WindowOptions { window, shift, bias, drop_path: rates[number] };
                let weights = weights.at(&format!("blocks.{i}")).depth(number + 1);
                let layer = WindowLayer::load(
                    &weights,
                    &LAYER,
                    "attention.self.relative_position_bias_table",
                    &sizes,
                    options,
                )?;
                blocks.push(Block { merge: merge.take(), layer, sizes, stage });
            }
            if stage + 1 < depths.len() {
                merge = Some(PatchMerging::load(&weights.at("downsample").depth(blocks.len() + 1), hidden)?);
            }
        }
        let last = width << (depths.len() - 1);
        Ok(Box::new(Swin {
            projection: PatchProjection::load(
                &embeddings.at("patch_embeddings.projection"),
                channels,
                patch,
                width,
                Init::Normal(weights.initializer_range()),
            )?,
            embedding_norm: embeddings.at("norm").layer_norm(width, DEFAULT_EPSILON)?,
            positions,
            norm: base.at("layernorm").depth(count).layer_norm(last, norm_epsilon)?,
            head: ImageClassificationHead::load(
                &weights.depth(count + 1),
                &["classifier"],
                Pooling::Mean,
                None,
                last,
                config.label_count(),
            )?,
            blocks,
            channels,
            patch,
            window,
            dropout: hidden_dropout,
        }))
    }
}

/// A layer, with the downsampling before it at the begin of a stage.
struct Block {
    merge: Option<PatchMerging>,
    layer: WindowLayer,
    sizes: LayerSizes,
    stage: usize,
}

struct Swin {
    projection: PatchProjection,
    embedding_norm: LayerNorm,
    positions: Option<PositionEmbeddings>,
    blocks: Vec<Block>,
    norm: LayerNorm,
    head: ImageClassificationHead,
    channels: i64,
    patch: (i64, i64),
    window: i64,
    dropout: f64,
}

impl Swin {
    /// Returns [B, h, w, C].
    fn embed(&self, pixels: &Tensor, train: bool) -> Tensor {
        let (p, q) = self.patch;
        let size = pixels.size();
        let (bottom, right) = ((p - size[2] % p) % p, (q - size[3] % q) % q);
        let padded =
            if bottom + right == 0 { pixels.shallow_clone() } else { pixels.constant_pad_nd([0, right, 0, bottom]) };
        let mut x = self.embedding_norm.forward(&self.projection.forward(&padded));
        if let Some(positions) = &self.positions {
            let [_, h, w, c] = x.size()[..] else { panic!("patches have four dimensions") };
            x = &x + positions.at((h, w)).view([1, h, w, c]).to_kind(x.kind());
        }
        dropout(&x, self.dropout, train)
    }

    /// Returns [B, h, w, C].
    fn encode(&self, inputs: &Tensors, mode: &Mode) -> Result<Tensor, ModelError> {
        // What does not fill a patch is padded.
        let pixels = patch_embeddings::pixel_values(inputs, self.channels, &SizeRule::at_least(self.patch))?;
        let mut x = mode.block(0, |train| self.embed(pixels, train));
        for (i, block) in self.blocks.iter().enumerate() {
            x = mode.block(i + 1, |train| {
                let y = block.merge.as_ref().map_or_else(|| x.shallow_clone(), |merge| merge.forward(&x, train));
                let y = block.layer.forward(&y, train);
                if i + 1 == self.blocks.len() { self.norm.forward(&y) } else { y }
            });
        }
        Ok(x)
    }
}

impl Model for Swin {
    fn forward(&self, inputs: &Tensors, mode: &Mode) -> Result<Tensors, ModelError> {
        let hidden = self.encode(inputs, mode)?.flatten(1, 2); // [B, T, C]
        let logits = mode.block(self.blocks() + 1, |train| self.head.forward(&hidden, train));
        let mut outputs = Tensors::from([("logits", logits)]);
        if mode.hidden_states {
            outputs.insert("last_hidden_state", hidden);
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
        let width = self.blocks[0].sizes.hidden;
        let mut flops = 2.0 * length as f64 * (self.channels * self.patch.0 * self.patch.1 * width) as f64;
        for Block { merge, sizes, stage, .. } in &self.blocks {
            let patches = length as f64 / 4f64.powi(*stage as i32);
            let area = (self.window * self.window) as f64;
            flops += patches / area * sizes.forward_flops(area, area);
            if merge.is_some() {
                flops += 4.0 * patches * (sizes.hidden * sizes.hidden) as f64;
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
