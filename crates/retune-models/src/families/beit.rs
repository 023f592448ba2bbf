//! BEiT (Bao et al. 2021), transformers `BeitModel`.

use super::vit;
use crate::bodies::ImageEncoderSizes;
use crate::checkpoint::Init;
use crate::family::{ImageFamily, TensorNames};
use crate::heads::{
    ImagePlan, ImageReading, MapSource, PooledNorm, Pooling, SEMANTIC_SEGMENTATION, UpernetNames, UpernetPlan,
    UpernetSizes,
};
use crate::layers::{PositionTable, PreNormOptions, drop_path::linear_rates};
use crate::takes::Positions;
use crate::{ModelConfig, ModelError};
use serde_json::{Value, json};

/// Relative positions, layer scale; the classifier reads the normed mean of the patches, or the class token.
pub static BEIT: ImageFamily = ImageFamily {
    model_type: "beit",
    class: "Beit",
    class_suffix: |_| "",
    names: TensorNames { buffers: &["relative_position_index"], ..vit::names("beit") },
    layer: vit::LAYER,
    classifier: ImagePlan(|config| reading(config, "beit.pooler.layernorm")),
    others: || {
        vec![(
            &SEMANTIC_SEGMENTATION,
            Box::new(UpernetPlan { sizes: |config| decoder(config, DECODER), settle: choose_maps }),
        )]
    },
    positions: Positions::Interpolated,
    sizes,
    fresh: None,
};

/// Names inside the decoder.
const DECODER: UpernetNames =
    UpernetNames { parts: ("conv", "bn"), pooled: ("psp_modules.", ".1"), bottleneck: "bottleneck" };
/// Which hidden states a decoder reads: as many as it has scales.
const MAPS: usize = 4;

fn has_mean_pooling(config: &ModelConfig) -> Result<bool, ModelError> {
    config.flag_or("use_mean_pooling", true)
}

pub(super) fn reading(config: &ModelConfig, norm: &'static str) -> Result<ImageReading, ModelError> {
    if !has_mean_pooling(config)? {
        return Ok(ImageReading::new(Pooling::Tokens));
    }
    let epsilon = config.number_or("layer_norm_eps", 1e-12)?;
    // Checkpoints of masked image models have no pooler.
    let norm = PooledNorm { path: norm, epsilon, may_be_missing: true };
    Ok(ImageReading { norm: Some(norm), ..ImageReading::new(Pooling::MeanOfPatches) })
}

pub(super) fn sizes(config: &ModelConfig) -> Result<ImageEncoderSizes, ModelError> {
    let mut sizes = vit::sizes(config, &["cls_token"], Init::Constant(0.0))?;
    let scale = config.number_or("layer_scale_init_value", 0.1)?;
    let absolute = config.flag_or("use_absolute_position_embeddings", false)?;
    sizes.embeddings.positions = if absolute { PositionTable::Learned } else { PositionTable::Absent };
    sizes.embeddings.mask_token = config.flag_or("use_mask_token", false)?.then_some(&[1, 1]);
    sizes.options = PreNormOptions {
        query_value_bias: true,
        key_bias: false,
        layer_scale: (scale > 0.0).then_some(("lambda_1", "lambda_2", scale)),
        gated: None,
        relative_position: config
            .flag_or("use_relative_position_bias", false)?
            .then_some(("attention.attention.relative_position_bias", sizes.embeddings.grid())),
    };
    let shared = config.flag_or("use_shared_relative_position_bias", false)?;
    sizes.shared_bias = shared.then_some("encoder.relative_position_bias");
    sizes.drop_path = linear_rates(config.probability("drop_path_rate")?, sizes.drop_path.len());
    sizes.final_norm = !has_mean_pooling(config)?;
    // A classifier's configuration may name others than a decoder can read.
    sizes.maps = maps(config).unwrap_or_default();
    Ok(sizes)
}

/// The decoder over four depths.
pub(super) fn decoder(config: &ModelConfig, names: UpernetNames) -> Result<UpernetSizes, ModelError> {
    maps(config)?;
    UpernetSizes::of(config, names, MapSource::OneScale(config.size("hidden_size")?), false)
}

/// The numbers of hidden states that config.json names, counted from 1 for the embeddings.
fn named(config: &ModelConfig) -> Option<Vec<i64>> {
    let list = config.get("out_indices").or_else(|| config.get("segmentation_indices"))?;
    list.as_array()?.iter().map(Value::as_i64).collect()
}

/// The depths whose hidden states a decoder reads.
fn maps(config: &ModelConfig) -> Result<Vec<usize>, ModelError> {
    let refuse = |problem: String| Err(ModelError::Config { field: "out_indices".to_owned(), problem });
    let Some(named) = named(config) else {
        return refuse("is missing; four numbers of hidden states are needed".to_owned());
    };
    let layers = config.size("num_hidden_layers")?;
    // Hugging Face's classes count hidden states from 1, the embeddings among them: the last layer of all is not read.
    let fits = named.len() == MAPS && named[0] >= 1 && named[MAPS - 1] <= layers + 1;
    if !fits || named.windows(2).any(|pair| pair[0] >= pair[1]) {
        return refuse(format!("is {named:?}, not four ascending numbers from 1 to {}", layers + 1));
    }
    Ok(named.iter().map(|&number| number as usize - 1).collect())
}

/// Where a configuration names no four depths, those at a third, a half, two thirds and the end, as published decoders have
/// them: 3, 5, 7 and 11 of 12 layers.
pub(super) fn choose_maps(config: &mut ModelConfig) {
    let Ok(layers) = config.size("num_hidden_layers") else { return };
    if named(config).is_some_and(|named| named.len() == MAPS) || layers < MAPS as i64 {
        return;
    }
    let mut chosen = vec![layers / 3 - 1, layers / 2 - 1, layers * 2 / 3 - 1, layers - 1];
    for i in 0..MAPS {
        let least = if i == 0 { 1 } else { chosen[i - 1] + 1 };
        chosen[i] = chosen[i].max(least);
    }
    let stages: Vec<String> = chosen.iter().map(|number| format!("stage{number}")).collect();
    config.set("out_indices", json!(chosen));
    config.set("out_features", json!(stages));
}
