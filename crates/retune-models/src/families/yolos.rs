//! YOLOS (Fang et al. 2021), transformers `YolosModel`: a ViT with detection tokens.

use super::{vit, vit_mae};
use crate::bodies::{ImageEncoder, ImageEncoderSizes};
use crate::checkpoint::{Init, Weights};
use crate::family::{Family, Fresh, FreshSize, TensorNames, with};
use crate::heads::{DetectionPlan, OBJECT_DETECTION};
use crate::takes::{ImageInput, Positions};
use crate::{Body, HeadPlan, ModelConfig, ModelError, Purpose, Takes};
use serde_json::{Value, json};

/// Each detection token → a class and a box.
pub static YOLOS: Yolos = Yolos(TensorNames { modules: &[], ..vit::names("vit") });

/// The class token.
const FRONT: &[&str] = &["cls_token"];

/// Its type: how its tensors are called.
pub struct Yolos(TensorNames);

impl Family for Yolos {
    fn model_type(&self) -> &'static str {
        "yolos"
    }

    fn class(&self) -> &'static str {
        "Yolos"
    }

    fn heads(&self) -> Vec<(&'static Purpose, Box<dyn HeadPlan>)> {
        vec![(
            &OBJECT_DETECTION,
            Box::new(DetectionPlan { front: FRONT.len() as i64, class_layers: 3, queries: "num_detection_tokens" }),
        )]
    }

    fn names(&self) -> &TensorNames {
        &self.0
    }

    fn defaults(&self) -> Vec<(&'static str, Value)> {
        vec![
            ("hidden_size", json!(768)),
            ("num_hidden_layers", json!(12)),
            ("num_attention_heads", json!(12)),
            ("intermediate_size", json!(3072)),
            ("hidden_act", json!("gelu")),
            ("layer_norm_eps", json!(1e-12)),
            ("image_size", json!([512, 864])),
            ("patch_size", json!(16)),
            ("num_channels", json!(3)),
            ("qkv_bias", json!(true)),
            ("num_detection_tokens", json!(100)),
            ("use_mid_position_embeddings", json!(true)),
        ]
    }

    /// A ViT, or the encoder of a masked autoencoder, whose classifier read no detection tokens.
    fn over(&self, other: &str) -> Option<fn(&mut ModelConfig)> {
        fn change(config: &mut ModelConfig) {
            vit_mae::DECODER_FIELDS.iter().for_each(|field| config.remove(field));
            // Its class takes nothing but a pair.
            if let Ok((height, width)) = config.height_and_width("image_size") {
                config.set("image_size", json!([height, width]));
            }
            config.set("num_detection_tokens", json!(100));
            config.set("use_mid_position_embeddings", json!(false));
        }
        let known = [vit::VIT.model_type, vit_mae::VIT_MAE.model_type()];
        known.contains(&other).then_some(change as fn(&mut ModelConfig))
    }

    fn fresh(&self) -> Option<Fresh> {
        Some(Fresh::without_texts(fresh).processed(processor))
    }

    fn takes(&self, config: &ModelConfig) -> Result<Takes, ModelError> {
        let input = ImageInput::new(config, Positions::Interpolated)?;
        Ok(Takes::Images(ImageInput { sizes: sizes(config)?.size_rule(), ..input }))
    }

    fn body(&self, weights: &Weights<'_>, config: &ModelConfig) -> Result<Box<dyn Body>, ModelError> {
        Ok(Box::new(ImageEncoder::load(weights, self.0.base, &vit::LAYER, sizes(config)?)?))
    }
}

fn sizes(config: &ModelConfig) -> Result<ImageEncoderSizes, ModelError> {
    if config.flag_or("auxiliary_loss", false)? {
        let problem = "is true, but its layers have no outputs of their own; set it to false".to_owned();
        return Err(ModelError::Config { field: "auxiliary_loss".to_owned(), problem });
    }
    let mut sizes = vit::sizes(config, FRONT, Init::Constant(0.0))?;
    sizes.embeddings.detection = config.size("num_detection_tokens")?;
    sizes.middle_positions = config.flag_or("use_mid_position_embeddings", true)?;
    Ok(sizes)
}

/// Mini and small as its authors' tiny and small.
fn fresh(size: &FreshSize) -> Value {
    let (hidden, layers, heads) = size.of([(192, 4, 3), (192, 12, 3), (384, 12, 6), (768, 12, 12)]);
    let side = side(size);
    let own = json!({
        "hidden_size": hidden, "num_hidden_layers": layers, "num_attention_heads": heads, "intermediate_size": 4 * hidden,
        "image_size": [side, side], "patch_size": 16, "num_detection_tokens": 100, "use_mid_position_embeddings": false,
    });
    with(vit::fresh(size), own)
}

/// Squares, for which there are positions.
fn processor(size: &FreshSize) -> Value {
    let side = side(size);
    json!({"image_processor_type": "YolosImageProcessor", "size": {"height": side, "width": side}})
}

fn side(size: &FreshSize) -> i64 {
    size.of([256, 384, 512, 512])
}
