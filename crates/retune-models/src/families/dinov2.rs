//! DINOv2 (Oquab et al. 2023), also with registers (Darcet et al. 2023), transformers `Dinov2Model` and `Dinov2WithRegistersModel`.

use super::vit;
use crate::bodies::{ImageEncoderSizes, layer_sizes};
use crate::checkpoint::{Init, TensorNames};
use crate::family::{Fresh, FreshSize, ImageFamily, with};
use crate::heads::{ImagePlan, ImageReading, Pooling};
use crate::layers::{ImageEmbeddingSizes, LayerNames, LayerSizes, PositionTable, PreNormOptions};
use crate::takes::Positions;
use crate::{ModelConfig, ModelError};
use serde_json::{Value, json};

/// Layer scale, SwiGLU in the giant; the classifier reads the class token beside the mean of the patches.
pub static DINOV2: ImageFamily = FIRST;

const FIRST: ImageFamily = ImageFamily {
    model_type: "dinov2",
    class: "Dinov2",
    class_suffix: |_| "",
    names: TensorNames { modules: MODULES, ..vit::names("dinov2") },
    layer: LayerNames {
        attention_norm: "norm1",
        output_norm: "norm2",
        intermediate: "mlp.fc1",
        output: "mlp.fc2",
        ..vit::LAYER
    },
    classifier: ImagePlan(|_| Ok(ImageReading::new(Pooling::FirstAndMeanOfPatches))),
    others: Vec::new,
    positions: Positions::Interpolated,
    sizes,
    fresh: Some(Fresh::without_texts(fresh)),
};

/// The same with tokens that have no place and that no head reads, in which layers keep what is of no patch.
pub static DINOV2_WITH_REGISTERS: ImageFamily = ImageFamily {
    model_type: "dinov2_with_registers",
    class: "Dinov2WithRegisters",
    names: TensorNames { modules: MODULES, ..vit::names("dinov2_with_registers") },
    classifier: ImagePlan(|config| {
        Ok(ImageReading { registers: registers(config)?, ..ImageReading::new(Pooling::FirstAndMeanOfPatches) })
    }),
    sizes: |config| {
        let sizes = sizes(config)?;
        let embeddings = ImageEmbeddingSizes {
            registers: registers(config)?,
            mask_token: Some(&[1]),
            antialiased: true,
            ..sizes.embeddings
        };
        Ok(ImageEncoderSizes { embeddings, ..sizes })
    },
    fresh: Some(Fresh::without_texts(|size| with(fresh(size), json!({"num_register_tokens": 4})))),
    ..FIRST
};

/// R.
fn registers(config: &ModelConfig) -> Result<i64, ModelError> {
    match config.get("num_register_tokens") {
        None => Ok(4),
        Some(Value::Number(none)) if none.as_i64() == Some(0) => Ok(0),
        Some(_) => config.size("num_register_tokens"),
    }
}

/// Modules in transformers 5.
const MODULES: &[(&str, &str)] = &[
    ("attention.attention.query", "attention.q_proj"),
    ("attention.attention.key", "attention.k_proj"),
    ("attention.attention.value", "attention.v_proj"),
    ("attention.output.dense", "attention.o_proj"),
    // `gate_proj` and `up_proj`.
    ("mlp.weights_in", ""),
    ("mlp.weights_out", "mlp.down_proj"),
];

fn sizes(config: &ModelConfig) -> Result<ImageEncoderSizes, ModelError> {
    let hidden = config.size("hidden_size")?;
    let wide = (hidden as f64 * config.number_or("mlp_ratio", 4.0)?) as i64;
    let gated = config.flag_or("use_swiglu_ffn", false)?;
    // Two thirds, so that three matrices cost what two did, rounded up to a multiple of eight.
    let intermediate = if gated { ((wide as f64 * 2.0 / 3.0) as i64 + 7) / 8 * 8 } else { wide };
    let bias = config.flag_or("qkv_bias", true)?;
    let layers = config.size("num_hidden_layers")? as usize;
    let init = Init::Normal(config.number_or("initializer_range", 0.02)?);
    Ok(ImageEncoderSizes {
        embeddings: ImageEmbeddingSizes {
            channels: config.size_or("num_channels", 3)?,
            image: config.height_and_width("image_size")?,
            patch: config.height_and_width("patch_size")?,
            hidden,
            tokens: &["cls_token"],
            registers: 0,
            detection: 0,
            mask_token: config.flag_or("use_mask_token", true)?.then_some(&[1]),
            positions: PositionTable::Learned,
            antialiased: false,
            init,
            projection: init,
            dropout: config.probability("hidden_dropout_prob")?,
        },
        layer: LayerSizes {
            // Hugging Face's layer has no dropout after attention and feed-forward.
            hidden_dropout: 0.0,
            feed_forward_dropout: 0.0,
            ..layer_sizes(config, intermediate, 1e-6)?
        },
        options: PreNormOptions {
            query_value_bias: bias,
            key_bias: bias,
            layer_scale: Some((
                "layer_scale1.lambda1",
                "layer_scale2.lambda1",
                config.number_or("layerscale_value", 1.0)?,
            )),
            gated: gated.then_some("mlp"),
            relative_position: None,
        },
        drop_path: vec![config.probability("drop_path_rate")?; layers],
        shared_bias: None,
        final_norm: true,
        kept: None,
        middle_positions: false,
        maps: Vec::new(),
    })
}

fn fresh(size: &FreshSize) -> Value {
    let own = json!({"mlp_ratio": 4, "layer_norm_eps": 1e-6, "layerscale_value": 1.0, "drop_path_rate": 0.0,
        "use_swiglu_ffn": false});
    with(vit::fresh(size), own)
}
