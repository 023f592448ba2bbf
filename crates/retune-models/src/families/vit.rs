//! ViT (Dosovitskiy et al. 2020), transformers `ViTForImageClassification`.

use super::image_encoder::{ImageEncoderSizes, ImageEncoderSpec, VIT_LAYER, layer_sizes};
use crate::checkpoint::Init;
use crate::heads::Pooling;
use crate::layers::{ImageEmbeddingSizes, PreNormOptions};
use crate::{ModelConfig, ModelError};

/// Class token → classifier; a pooler in the checkpoint is not used.
///
/// Also starts from masked autoencoders, whose encoder is the same; the saved model is a plain ViT.
pub fn image_classification() -> ImageEncoderSpec {
    ImageEncoderSpec {
        base: "vit",
        layer: VIT_LAYER,
        classifiers: &["classifier"],
        head_prefixes: &["classifier."],
        architecture: "ViTForImageClassification",
        model_type: "vit",
        dropped_fields: &[
            "decoder_hidden_size",
            "decoder_intermediate_size",
            "decoder_num_attention_heads",
            "decoder_num_hidden_layers",
            "mask_ratio",
            "norm_pix_loss",
        ],
        sizes: |config| sizes(config, &["cls_token"], Init::Normal(config.number_or("initializer_range", 0.02)?)),
    }
}

/// What ViT and DeiT share; `init` is that of tokens and positions.
pub(super) fn sizes(
    config: &ModelConfig,
    tokens: &'static [&'static str],
    init: Init,
) -> Result<ImageEncoderSizes, ModelError> {
    let bias = config.flag_or("qkv_bias", true)?;
    Ok(ImageEncoderSizes {
        embeddings: ImageEmbeddingSizes {
            channels: config.size_or("num_channels", 3)?,
            image: config.height_and_width("image_size")?,
            patch: config.height_and_width("patch_size")?,
            hidden: config.size("hidden_size")?,
            tokens,
            mask_token: None,
            positions: true,
            init,
            dropout: config.probability("hidden_dropout_prob")?,
        },
        layer: layer_sizes(config, config.size("intermediate_size")?, 1e-12)?,
        options: PreNormOptions {
            query_value_bias: bias,
            key_bias: bias,
            layer_scale: None,
            gated: None,
            relative_position: None,
        },
        drop_path: vec![0.0; config.size("num_hidden_layers")? as usize],
        shared_bias: None,
        final_norm: true,
        pooling: Pooling::Tokens,
        pooled_norm: None,
    })
}
