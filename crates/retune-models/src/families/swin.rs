//! Swin (Liu et al. 2021), transformers `SwinModel`.
//!
//! C channels of a stage.

use super::vit;
use crate::bodies::{MapShape, PatchStem, Pyramid, PyramidBlock};
use crate::checkpoint::{Init, Weights};
use crate::family::{Family, Fresh, FreshSize, TensorNames};
use crate::heads::{IMAGE_CLASSIFICATION, ImagePlan, ImageReading, Pooling};
use crate::layers::{
    AttentionNames, LayerNames, LayerSizes, MapLayer, PatchMerging, PositionEmbeddings, SizeRule, WindowLayer,
    WindowOptions, drop_path::linear_rates, patch_merging::DEFAULT_EPSILON,
};
use crate::takes::{ImageInput, Positions};
use crate::{Body, HeadPlan, ModelConfig, ModelError, Purpose, Takes};
use retune_kernels::Activation;
use serde_json::{Value, json};

/// Windows that are shifted; the mean of all patches of the last stage → classifier.
pub static SWIN: Swin =
    Swin(TensorNames { buffers: &["relative_position_index"], modules: MODULES, ..vit::names("swin") });

/// Modules in transformers 5.
pub(super) const MODULES: &[(&str, &str)] = &[
    ("attention.self.query", "attention.q_proj"),
    ("attention.self.key", "attention.k_proj"),
    ("attention.self.value", "attention.v_proj"),
    ("attention.output.dense", "attention.o_proj"),
    ("intermediate.dense", "mlp.fc1"),
    (".output.dense", ".mlp.fc2"),
];

/// Its type: how its tensors are called.
pub struct Swin(TensorNames);

/// Names inside a layer.
pub(super) const LAYER: LayerNames = LayerNames {
    attention: AttentionNames {
        query: "attention.self.query",
        key: "attention.self.key",
        value: "attention.self.value",
        output: "attention.output.dense",
    },
    ..vit::LAYER
};
const BIAS_TABLE: &str = "attention.self.relative_position_bias_table";

impl Family for Swin {
    fn model_type(&self) -> &'static str {
        "swin"
    }

    fn class(&self) -> &'static str {
        "Swin"
    }

    fn heads(&self) -> Vec<(&'static Purpose, Box<dyn HeadPlan>)> {
        vec![(&IMAGE_CLASSIFICATION, Box::new(ImagePlan(|_| Ok(ImageReading::new(Pooling::Mean)))))]
    }

    fn names(&self) -> &TensorNames {
        &self.0
    }

    fn fresh(&self) -> Option<Fresh> {
        Some(Fresh::without_texts(fresh))
    }

    fn takes(&self, config: &ModelConfig) -> Result<Takes, ModelError> {
        let absolute = config.flag_or("use_absolute_embeddings", false)?;
        let positions = if absolute { Positions::InterpolatedOnRequest } else { Positions::Free };
        let input = ImageInput::new(config, positions)?;
        // What does not fill a patch is padded.
        Ok(Takes::Images(ImageInput { sizes: SizeRule::at_least(input.patch), ..input }))
    }

    fn defaults(&self) -> Vec<(&'static str, Value)> {
        vec![
            ("image_size", json!(224)),
            ("patch_size", json!(4)),
            ("num_channels", json!(3)),
            ("embed_dim", json!(96)),
            ("depths", json!([2, 2, 6, 2])),
            ("num_heads", json!([3, 6, 12, 24])),
            ("window_size", json!(7)),
            ("hidden_act", json!("gelu")),
        ]
    }

    fn body(&self, weights: &Weights<'_>, config: &ModelConfig) -> Result<Box<dyn Body>, ModelError> {
        Ok(Box::new(pyramid(&weights.at(self.0.base), config, Windows::Fitted)?))
    }
}

/// What becomes of the windows on a map that is smaller than one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Windows {
    /// They shrink to it.
    Fitted,
    /// It is padded to them, as in a backbone, which has no norm behind its last stage either.
    Kept,
}

/// The body, at the path of its parts.
pub(super) fn pyramid(base: &Weights<'_>, config: &ModelConfig, windows: Windows) -> Result<Pyramid, ModelError> {
    let (depths, heads) = (config.sizes("depths")?, config.sizes("num_heads")?);
    if heads.len() != depths.len() {
        let problem = format!("has {} entries, `depths` has {}", heads.len(), depths.len());
        return Err(ModelError::Config { field: "num_heads".to_owned(), problem });
    }
    let (width, window, bias) =
        (config.size("embed_dim")?, config.size("window_size")?, config.flag_or("qkv_bias", true)?);
    let count = depths.iter().sum::<i64>() as usize;
    let rates = linear_rates(config.number_or("drop_path_rate", 0.1)?, count);
    let mut blocks: Vec<PyramidBlock> = Vec::with_capacity(count);
    let mut merging = None;
    for (stage, (&depth, &heads)) in depths.iter().zip(&heads).enumerate() {
        let sizes = layer_sizes(config, width << stage, heads)?;
        let weights = base.at(&format!("encoder.layers.{stage}"));
        for i in 0..depth {
            let number = blocks.len();
            let shift = if i % 2 == 0 { 0 } else { window / 2 };
            let fitted = windows == Windows::Fitted;
            let options = WindowOptions { window, shift, bias, fitted, drop_path: rates[number] };
            let weights = weights.at(&format!("blocks.{i}")).depth(number + 1);
            let layer = Box::new(WindowLayer::load(&weights, &LAYER, BIAS_TABLE, &sizes, options)?);
            let area = 4f64.powi(stage as i32);
            blocks.push(PyramidBlock { downsampling: merging.take(), layer, norm: None, stage, area });
        }
        if stage + 1 < depths.len() {
            let weights = weights.at("downsample").depth(blocks.len() + 1);
            merging = Some(Box::new(PatchMerging::load(&weights, sizes.hidden)?) as Box<dyn MapLayer>);
        }
    }
    let last = width << (depths.len() - 1);
    if windows == Windows::Fitted {
        let norm = base.at("layernorm").depth(count).layer_norm(last, config.number_or("layer_norm_eps", 1e-5)?)?;
        blocks.last_mut().expect("sizes are not empty").norm = Some(norm);
    }
    let stem = stem(&base.at("embeddings"), config, width)?;
    let (channels, sizes) = (stem.channels, SizeRule::at_least(stem.patch));
    let stem = Box::new(stem);
    Ok(Pyramid { stem, channels, sizes, blocks, width: last, keeps_size: false, shape: MapShape::Tokens })
}

pub(super) fn stem(weights: &Weights<'_>, config: &ModelConfig, width: i64) -> Result<PatchStem, ModelError> {
    let (image, patch) = (config.height_and_width("image_size")?, config.height_and_width("patch_size")?);
    let channels = config.size_or("num_channels", 3)?;
    let positions = || {
        let grid = (image.0 / patch.0, image.1 / patch.1);
        let table = weights.exact("position_embeddings", &[1, grid.0 * grid.1, width], Init::Constant(0.0))?;
        Ok::<_, ModelError>(PositionEmbeddings::new(table, 0, grid))
    };
    Ok(PatchStem {
        projection: PatchStem::projection(&weights.at("patch_embeddings.projection"), channels, patch, width)?,
        norm: weights.at("norm").layer_norm(width, DEFAULT_EPSILON)?,
        positions: config.flag_or("use_absolute_embeddings", false)?.then(positions).transpose()?,
        dropout: config.probability("hidden_dropout_prob")?,
        channels,
        patch,
        width,
        pads: true,
    })
}

pub(super) fn layer_sizes(config: &ModelConfig, hidden: i64, heads: i64) -> Result<LayerSizes, ModelError> {
    Ok(LayerSizes {
        hidden,
        heads,
        intermediate: (config.number_or("mlp_ratio", 4.0)? * hidden as f64) as i64,
        activation: Activation::from_name(&config.text("hidden_act")?)?,
        norm_epsilon: config.number_or("layer_norm_eps", 1e-5)?,
        hidden_dropout: config.probability("hidden_dropout_prob")?,
        feed_forward_dropout: config.probability("hidden_dropout_prob")?,
        attention_dropout: config.probability("attention_probs_dropout_prob")?,
    })
}

/// Base is what its authors call tiny. A window is as large as the last map: transformers runs none that is larger.
pub(super) fn fresh(size: &FreshSize) -> Value {
    let (image, window) = size.of([(128, 4), (128, 4), (224, 7), (224, 7)]);
    let (width, heads) = size.of([(32, 1), (64, 2), (64, 2), (96, 3)]);
    let depths = size.of([[2, 2, 2, 2], [2, 2, 2, 2], [2, 2, 6, 2], [2, 2, 6, 2]]);
    json!({
        "image_size": image, "patch_size": 4, "num_channels": 3, "embed_dim": width, "depths": depths,
        "num_heads": [heads, 2 * heads, 4 * heads, 8 * heads], "window_size": window, "mlp_ratio": 4.0, "qkv_bias": true,
        "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0, "drop_path_rate": size.of([0.0, 0.0, 0.1, 0.1]),
        "hidden_act": "gelu", "use_absolute_embeddings": false, "initializer_range": 0.02, "layer_norm_eps": 1e-5,
    })
}
