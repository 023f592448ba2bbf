//! ConvNeXt (Liu et al. 2022) and its second version (Woo et al. 2023), transformers `ConvNextModel` and `ConvNextV2Model`: the convolutional
//! reference.

use crate::bodies::{MapShape, PatchStem, Pyramid, PyramidBlock};
use crate::checkpoint::Weights;
use crate::family::{Family, Fresh, FreshSize, TensorNames};
use crate::heads::{IMAGE_CLASSIFICATION, ImagePlan, ImageReading, PooledNorm, Pooling};
use crate::layers::conv_next_layer::NORM_EPSILON;
use crate::layers::{ConvNextLayer, ConvNextSizes, Downsampling, MapLayer, SizeRule, drop_path::linear_rates};
use crate::takes::{ImageInput, Positions};
use crate::{Body, HeadPlan, ModelConfig, ModelError, Purpose, Takes};
use retune_kernels::Activation;
use serde_json::{Value, json};

/// The normed mean of the last feature map → classifier.
pub static CONVNEXT: ConvNext = ConvNext {
    model_type: "convnext",
    class: "ConvNext",
    names: TensorNames { base: "convnext", ..NAMES },
    version: Version::First,
    reading: |config| reading(config, "convnext.layernorm"),
};
/// The same with normed responses in place of scales.
pub static CONVNEXTV2: ConvNext = ConvNext {
    model_type: "convnextv2",
    class: "ConvNextV2",
    names: TensorNames { base: "convnextv2", ..NAMES },
    version: Version::Second,
    reading: |config| reading(config, "convnextv2.layernorm"),
};

const NAMES: TensorNames = TensorNames {
    base: "",
    spellings: &[],
    buffers: &[],
    modules: &[],
    lora: Err("convnext has no attention and so no usual targets; name its projections: pwconv1, pwconv2"),
};

/// What sets the layers of the two apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    /// Each channel has a scale.
    First,
    /// Responses are normed.
    Second,
}

/// Its type: what sets the two apart.
pub struct ConvNext {
    model_type: &'static str,
    class: &'static str,
    names: TensorNames,
    version: Version,
    reading: fn(&ModelConfig) -> Result<ImageReading, ModelError>,
}

impl Family for ConvNext {
    fn model_type(&self) -> &'static str {
        self.model_type
    }

    fn class(&self) -> &'static str {
        self.class
    }

    fn heads(&self) -> Vec<(&'static Purpose, Box<dyn HeadPlan>)> {
        vec![(&IMAGE_CLASSIFICATION, Box::new(ImagePlan(self.reading)))]
    }

    fn names(&self) -> &TensorNames {
        &self.names
    }

    fn fresh(&self) -> Option<Fresh> {
        Some(Fresh::without_texts(if self.version == Version::First { fresh } else { fresh_second }))
    }

    fn takes(&self, config: &ModelConfig) -> Result<Takes, ModelError> {
        let sizes = image_sizes(config)?;
        Ok(Takes::Images(ImageInput { sizes, ..ImageInput::new(config, Positions::Free)? }))
    }

    fn defaults(&self) -> Vec<(&'static str, Value)> {
        vec![
            ("image_size", json!(224)),
            ("patch_size", json!(4)),
            ("num_channels", json!(3)),
            ("hidden_sizes", json!([96, 192, 384, 768])),
            ("depths", json!([3, 3, 9, 3])),
            ("hidden_act", json!("gelu")),
        ]
    }

    fn body(&self, weights: &Weights<'_>, config: &ModelConfig) -> Result<Box<dyn Body>, ModelError> {
        Ok(Box::new(pyramid(&weights.at(self.names.base), config, self.version)?))
    }
}

/// The body, at the path of its parts.
pub(super) fn pyramid(base: &Weights<'_>, config: &ModelConfig, version: Version) -> Result<Pyramid, ModelError> {
    let (widths, depths) = (config.sizes("hidden_sizes")?, config.sizes("depths")?);
    if widths.len() != depths.len() {
        let problem = format!("has {} entries, `depths` has {}", widths.len(), depths.len());
        return Err(ModelError::Config { field: "hidden_sizes".to_owned(), problem });
    }
    let activation = Activation::from_name(&config.text("hidden_act")?)?;
    let (layer_scale, norms_responses) = match version {
        Version::First => (config.number_or("layer_scale_init_value", 1e-6)?, false),
        Version::Second => (0.0, true),
    };
    let count = depths.iter().sum::<i64>() as usize;
    let rates = linear_rates(config.probability("drop_path_rate")?, count);
    let mut blocks: Vec<PyramidBlock> = Vec::with_capacity(count);
    for (stage, (&channels, &depth)) in widths.iter().zip(&depths).enumerate() {
        let weights = base.at(&format!("encoder.stages.{stage}"));
        let mut downsampling = None;
        if stage > 0 {
            let weights = weights.at("downsampling_layer").depth(blocks.len() + 1);
            let before = Downsampling::load(&weights, (widths[stage - 1], channels))?;
            downsampling = Some(Box::new(before) as Box<dyn MapLayer>);
        }
        for i in 0..depth {
            let number = blocks.len();
            let sizes = ConvNextSizes { channels, activation, layer_scale, norms_responses, drop_path: rates[number] };
            let weights = weights.at(&format!("layers.{i}")).depth(number + 1);
            let layer = Box::new(ConvNextLayer::load(&weights, sizes)?);
            let area = 4f64.powi(stage as i32);
            blocks.push(PyramidBlock { downsampling: downsampling.take(), layer, norm: None, stage, area });
        }
    }
    let stem = Box::new(stem(&base.at("embeddings"), config, widths[0])?);
    let (channels, sizes) = (stem.channels, image_sizes(config)?);
    let width = widths[widths.len() - 1];
    Ok(Pyramid { stem, channels, sizes, blocks, width, keeps_size: false, shape: MapShape::ChannelsFirst })
}

fn stem(weights: &Weights<'_>, config: &ModelConfig, width: i64) -> Result<PatchStem, ModelError> {
    let (channels, patch) = (config.size_or("num_channels", 3)?, config.height_and_width("patch_size")?);
    Ok(PatchStem {
        projection: PatchStem::projection(&weights.at("patch_embeddings"), channels, patch, width)?,
        norm: weights.at("layernorm").layer_norm(width, NORM_EPSILON)?,
        positions: None,
        dropout: 0.0,
        channels,
        patch,
        width,
        pads: false,
    })
}

/// Each stage after the first halves the map, and nothing may vanish; what does not divide is cut off.
fn image_sizes(config: &ModelConfig) -> Result<SizeRule, ModelError> {
    let (patch, stages) = (config.height_and_width("patch_size")?, config.sizes("hidden_sizes")?.len());
    let shrink = 1 << (stages - 1);
    Ok(SizeRule::at_least((patch.0 * shrink, patch.1 * shrink)))
}

fn reading(config: &ModelConfig, path: &'static str) -> Result<ImageReading, ModelError> {
    let epsilon = config.number_or("layer_norm_eps", 1e-12)?;
    let norm = PooledNorm { path, epsilon, may_be_missing: false };
    Ok(ImageReading { norm: Some(norm), ..ImageReading::new(Pooling::Mean) })
}

/// From mini on, those that timm calls atto and pico, and its authors' tiny.
fn fresh(size: &FreshSize) -> Value {
    let width = size.of([32, 40, 64, 96]);
    json!({
        "image_size": size.of([96, 128, 224, 224]), "patch_size": 4, "num_channels": 3,
        "hidden_sizes": [width, 2 * width, 4 * width, 8 * width],
        "depths": size.of([[2, 2, 2, 2], [2, 2, 6, 2], [2, 2, 6, 2], [3, 3, 9, 3]]), "hidden_act": "gelu",
        "initializer_range": 0.02, "layer_norm_eps": 1e-12, "drop_path_rate": size.of([0.0, 0.0, 0.1, 0.1]),
        // So small a factor as its authors' 1e-6 takes as many steps as they had.
        "layer_scale_init_value": size.of([0.1, 0.1, 0.1, 1e-6]),
    })
}

/// Without a scale.
fn fresh_second(size: &FreshSize) -> Value {
    let mut config = fresh(size);
    if let Value::Object(map) = &mut config {
        map.remove("layer_scale_init_value");
    }
    config
}
