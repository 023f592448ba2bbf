//! BEiT (Bao et al. 2021), transformers `BeitModel`.

use super::vit;
use crate::bodies::ImageEncoderSizes;
use crate::checkpoint::Init;
use crate::family::{ImageFamily, TensorNames};
use crate::heads::{ImagePlan, ImageReading, PooledNorm, Pooling};
use crate::layers::{PositionTable, PreNormOptions, drop_path::linear_rates};
use crate::takes::Positions;
use crate::{ModelConfig, ModelError};

/// Relative positions, layer scale; the classifier reads the normed mean of the patches, or the class token.
pub static BEIT: ImageFamily = ImageFamily {
    model_type: "beit",
    class: "Beit",
    class_suffix: |_| "",
    names: TensorNames { buffers: &["relative_position_index"], ..vit::names("beit") },
    layer: vit::LAYER,
    classifier: ImagePlan(reading),
    positions: Positions::Interpolated,
    sizes,
};

fn has_mean_pooling(config: &ModelConfig) -> Result<bool, ModelError> {
    config.flag_or("use_mean_pooling", true)
}

fn reading(config: &ModelConfig) -> Result<ImageReading, ModelError> {
    if !has_mean_pooling(config)? {
        return Ok(ImageReading::new(Pooling::Tokens));
    }
    let epsilon = config.number_or("layer_norm_eps", 1e-12)?;
    // Checkpoints of masked image models have no pooler.
    let norm = PooledNorm { path: "beit.pooler.layernorm", epsilon, may_be_missing: true };
    Ok(ImageReading { norm: Some(norm), ..ImageReading::new(Pooling::MeanOfPatches) })
}

fn sizes(config: &ModelConfig) -> Result<ImageEncoderSizes, ModelError> {
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
    Ok(sizes)
}
