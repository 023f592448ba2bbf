//! ViT (Dosovitskiy et al. 2020), transformers `ViTModel`.

use crate::bodies::{ImageEncoderSizes, layer_sizes};
use crate::checkpoint::Init;
use crate::family::{Fresh, FreshSize, ImageFamily, TensorNames};
use crate::heads::{ImagePlan, ImageReading, Pooling};
use crate::layers::{AttentionNames, ImageEmbeddingSizes, LayerNames, PositionTable, PreNormOptions};
use crate::takes::Positions;
use crate::{ModelConfig, ModelError};
use serde_json::{Value, json};

/// Class token → classifier; a pooler in the checkpoint is not used.
pub static VIT: ImageFamily = ImageFamily {
    model_type: "vit",
    class: "ViT",
    class_suffix: |_| "",
    names: names("vit"),
    layer: LAYER,
    classifier: ImagePlan(|_| Ok(ImageReading::new(Pooling::Tokens))),
    others: Vec::new,
    positions: Positions::InterpolatedOnRequest,
    sizes: |config| sizes(config, &["cls_token"], Init::Normal(config.number_or("initializer_range", 0.02)?)),
    fresh: Some(Fresh::without_texts(fresh)),
};

/// The usual names below `base`.
pub(super) const fn names(base: &'static str) -> TensorNames {
    TensorNames { base, spellings: &[], buffers: &[], modules: MODULES, lora: Ok(&["query", "value"]) }
}

/// Modules in transformers 5.
const MODULES: &[(&str, &str)] = &[
    ("encoder.layer.", "layers."),
    ("attention.attention.query", "attention.q_proj"),
    ("attention.attention.key", "attention.k_proj"),
    ("attention.attention.value", "attention.v_proj"),
    ("attention.output.dense", "attention.o_proj"),
    ("intermediate.dense", "mlp.fc1"),
    (".output.dense", ".mlp.fc2"),
];

/// Names inside a layer.
pub(super) const LAYER: LayerNames = LayerNames {
    attention: AttentionNames {
        query: "attention.attention.query",
        key: "attention.attention.key",
        value: "attention.attention.value",
        output: "attention.output.dense",
    },
    attention_norm: "layernorm_before",
    intermediate: "intermediate.dense",
    output: "output.dense",
    output_norm: "layernorm_after",
};

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
            registers: 0,
            detection: 0,
            mask_token: None,
            positions: PositionTable::Learned,
            antialiased: false,
            init,
            projection: Init::Normal(config.number_or("initializer_range", 0.02)?),
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
        kept: None,
        middle_positions: false,
        maps: Vec::new(),
    })
}

/// Those of DeiT (Touvron et al. 2020), the first two less deep, of small images in fine patches: what is learnt from nothing
/// is learnt from few.
pub(super) fn fresh(size: &FreshSize) -> Value {
    let (hidden, layers, heads) = size.of([(192, 4, 3), (192, 8, 3), (384, 12, 6), (768, 12, 12)]);
    let (image, patch) = size.of([(64, 8), (96, 8), (224, 16), (224, 16)]);
    json!({
        "hidden_size": hidden, "num_hidden_layers": layers, "num_attention_heads": heads, "intermediate_size": 4 * hidden,
        "hidden_act": "gelu", "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0, "initializer_range": 0.02,
        "layer_norm_eps": 1e-12, "image_size": image, "patch_size": patch, "num_channels": 3, "qkv_bias": true,
    })
}
