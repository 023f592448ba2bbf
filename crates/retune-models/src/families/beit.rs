//! BEiT (Bao et al. 2021), transformers `BeitForImageClassification`.

use super::image_encoder::{ImageEncoderSizes, ImageEncoderSpec, VIT_LAYER};
use super::vit;
use crate::checkpoint::Init;
use crate::heads::Pooling;
use crate::layers::{PreNormOptions, drop_path::linear_rates};
use crate::{ModelConfig, ModelError};

/// Relative positions, layer scale; the classifier reads the normed mean of the patches, or the class token.
pub fn image_classification() -> ImageEncoderSpec {
    ImageEncoderSpec {
        base: "beit",
        layer: VIT_LAYER,
        classifiers: &["classifier"],
        // Checkpoints of masked image models have no pooler.
        head_prefixes: &["beit.pooler.", "classifier."],
        architecture: "BeitForImageClassification",
        model_type: "beit",
        dropped_fields: &[],
        sizes,
    }
}

fn sizes(config: &ModelConfig) -> Result<ImageEncoderSizes, ModelError> {
    let mut sizes = vit::sizes(config, &["cls_token"], Init::Constant(0.0))?;
    let mean_pooling = config.flag_or("use_mean_pooling", true)?;
    let scale = config.number_or("layer_scale_init_value", 0.1)?;
    sizes.embeddings.positions = config.flag_or("use_absolute_position_embeddings", false)?;
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
    sizes.final_norm = !mean_pooling;
    sizes.pooling = if mean_pooling { Pooling::MeanOfPatches } else { Pooling::Tokens };
    sizes.pooled_norm = mean_pooling.then_some("pooler.layernorm");
    Ok(sizes)
}
