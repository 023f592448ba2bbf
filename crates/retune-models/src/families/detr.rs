//! DETR (Carion et al. 2020) and Conditional DETR (Meng et al. 2021), transformers `DetrModel` and `ConditionalDetrModel`: ResNet with
//! frozen norms, an encoder, and a decoder of queries.

use super::resnet;
use crate::bodies::{SetTransformer, SetTransformerSizes};
use crate::checkpoint::Weights;
use crate::family::{Family, Fresh, FreshSize, TensorNames, with};
use crate::heads::{DetectionPlan, OBJECT_DETECTION};
use crate::layers::{ResNetSizes, SetLayerSizes, SizeRule};
use crate::takes::{ImageInput, Positions};
use crate::{Body, HeadPlan, ModelConfig, ModelError, Purpose, Takes};
use retune_kernels::Activation;
use serde_json::{Value, json};

/// Each query → a class and a box.
pub static DETR: Detr = Detr {
    model_type: "detr",
    class: "Detr",
    conditional: false,
    names: TensorNames {
        base: "model",
        spellings: &[],
        buffers: &["num_batches_tracked"],
        modules: &[("out_proj", "o_proj"), (".fc1", ".mlp.fc1"), (".fc2", ".mlp.fc2")],
        lora: Ok(&["q_proj", "v_proj"]),
    },
};
/// The same with classes by themselves, and queries that know where they look.
pub static CONDITIONAL_DETR: Detr = Detr {
    model_type: "conditional_detr",
    class: "ConditionalDetr",
    conditional: true,
    names: TensorNames {
        modules: &[
            ("out_proj", "o_proj"),
            (".fc1", ".mlp.fc1"),
            (".fc2", ".mlp.fc2"),
            (".sa_qcontent_proj", ".self_attn.q_content_proj"),
            (".sa_qpos_proj", ".self_attn.q_pos_proj"),
            (".sa_kcontent_proj", ".self_attn.k_content_proj"),
            (".sa_kpos_proj", ".self_attn.k_pos_proj"),
            (".sa_v_proj", ".self_attn.v_proj"),
            (".ca_qcontent_proj", ".encoder_attn.q_content_proj"),
            (".ca_qpos_proj", ".encoder_attn.q_pos_proj"),
            (".ca_kcontent_proj", ".encoder_attn.k_content_proj"),
            (".ca_kpos_proj", ".encoder_attn.k_pos_proj"),
            (".ca_v_proj", ".encoder_attn.v_proj"),
            (".ca_qpos_sine_proj", ".encoder_attn.q_pos_sine_proj"),
        ],
        ..DETR.names
    },
};

/// Its type: which of the two it is.
pub struct Detr {
    model_type: &'static str,
    class: &'static str,
    conditional: bool,
    names: TensorNames,
}

impl Family for Detr {
    fn model_type(&self) -> &'static str {
        self.model_type
    }

    fn class(&self) -> &'static str {
        self.class
    }

    fn heads(&self) -> Vec<(&'static Purpose, Box<dyn HeadPlan>)> {
        let plan = DetectionPlan { front: 0, class_layers: 1, queries: "num_queries" };
        vec![(&OBJECT_DETECTION, Box::new(plan))]
    }

    fn names(&self) -> &TensorNames {
        &self.names
    }

    fn defaults(&self) -> Vec<(&'static str, Value)> {
        let mut all = vec![
            ("num_channels", json!(3)),
            ("num_queries", json!(if self.conditional { 300 } else { 100 })),
            ("d_model", json!(256)),
            ("encoder_layers", json!(6)),
            ("encoder_ffn_dim", json!(2048)),
            ("encoder_attention_heads", json!(8)),
            ("decoder_layers", json!(6)),
            ("decoder_ffn_dim", json!(2048)),
            ("decoder_attention_heads", json!(8)),
            ("activation_function", json!("relu")),
            ("dropout", json!(0.1)),
            ("attention_dropout", json!(0.0)),
            ("activation_dropout", json!(0.0)),
            ("position_embedding_type", json!("sine")),
        ];
        if self.conditional {
            all.extend([("focal_alpha", json!(0.25)), ("class_cost", json!(2))]);
        }
        all
    }

    fn graft(&self, config: &mut ModelConfig, backbone: &ModelConfig) -> Option<Result<&'static str, ModelError>> {
        Some(graft(config, backbone, 1).map(|_| BACKBONE))
    }

    fn fresh(&self) -> Option<Fresh> {
        (!self.conditional).then_some(Fresh::without_texts(fresh).processed(processor))
    }

    fn takes(&self, config: &ModelConfig) -> Result<Takes, ModelError> {
        let backbone = convolutions(config)?;
        // Its published processors bring the shorter side to 800 pixels.
        let (channels, patch) = (backbone.channels, (4, 4));
        let sizes = SizeRule::at_least((1, 1));
        Ok(Takes::Images(ImageInput { channels, size: (800, 800), patch, sizes, positions: Positions::Free }))
    }

    fn body(&self, weights: &Weights<'_>, config: &ModelConfig) -> Result<Box<dyn Body>, ModelError> {
        let refuse = |field: &str, problem: &str| Err(ModelError::of_field(field, problem));
        if config.text("position_embedding_type")? != "sine" {
            return refuse("position_embedding_type", "is not `sine`, the only one that is known");
        }
        let hidden = config.size("d_model")?;
        if hidden % 4 != 0 {
            return refuse("d_model", "is no multiple of 4, so that places have no sines and cosines");
        }
        let layer = |part: &str| {
            Ok::<_, ModelError>(SetLayerSizes {
                hidden,
                heads: config.size(&format!("{part}_attention_heads"))?,
                intermediate: config.size(&format!("{part}_ffn_dim"))?,
                activation: Activation::from_name(&config.text("activation_function")?)?,
                dropout: config.probability("dropout")?,
                attention_dropout: config.probability("attention_dropout")?,
                activation_dropout: config.probability("activation_dropout")?,
                // PyTorch's default, which no configuration changes.
                epsilon: 1e-5,
            })
        };
        let layers =
            |part: &str| Ok::<_, ModelError>(vec![layer(part)?; config.size(&format!("{part}_layers"))? as usize]);
        let sizes = SetTransformerSizes {
            backbone: convolutions(config)?,
            encoder: layers("encoder")?,
            decoder: layers("decoder")?,
            queries: config.size("num_queries")?,
            conditional: self.conditional,
            auxiliary: config.flag_or("auxiliary_loss", false)?,
            // DETR's class has the field, too, and `encoder_layerdrop`, but reads neither.
            layer_drop: if self.conditional { config.probability("decoder_layerdrop")? } else { 0.0 },
        };
        Ok(Box::new(SetTransformer::load(&weights.at(self.names.base), hidden, sizes)?))
    }
}

/// Where the convolutions stand.
pub(super) const BACKBONE: &str = "model.backbone.conv_encoder.model";

/// Makes a ResNet of this configuration the backbone, so many of whose last maps are read where nothing else was said. Returns the
/// channels of those that are.
///
/// # Errors
/// A configuration that does not fit.
pub(super) fn graft(config: &mut ModelConfig, backbone: &ModelConfig, maps: usize) -> Result<Vec<i64>, ModelError> {
    let sizes = ResNetSizes::of(backbone)?;
    let mut part = backbone.clone();
    let said = ModelConfig::part(config.get("backbone_config").cloned().unwrap_or_else(|| json!({})))?;
    let read = match said.get("out_features").or(said.get("out_indices")) {
        Some(_) => sizes.handed_out(&said)?,
        None => (1..=sizes.widths.len()).skip(sizes.widths.len().saturating_sub(maps)).collect(),
    };
    let name = |&stage: &usize| if stage == 0 { "stem".to_owned() } else { format!("stage{stage}") };
    part.set("out_features", read.iter().map(name).collect());
    part.set("out_indices", read.iter().copied().collect());
    for field in ["backbone", "backbone_kwargs"] {
        config.remove(field);
    }
    for field in ["use_timm_backbone", "use_pretrained_backbone"] {
        config.set(field, json!(false));
    }
    config.set("num_channels", json!(sizes.channels));
    config.set("backbone_config", Value::Object(part.as_map().clone()));
    Ok(read.iter().map(|&stage| sizes.width_of(stage)).collect())
}

/// The convolutions: Hugging Face's own or timm's, by their name.
pub(super) fn convolutions(config: &ModelConfig) -> Result<ResNetSizes, ModelError> {
    let refuse = |field: &str, problem: String| Err(ModelError::of_field(field, problem));
    let part = config.get("backbone_config").filter(|part| part.is_object()).cloned();
    let kind = part.as_ref().and_then(|part| part.get("model_type")).and_then(Value::as_str);
    let kind = kind.unwrap_or("timm_backbone").to_owned();
    match (kind.as_str(), part) {
        ("resnet", Some(part)) => {
            let sizes = ResNetSizes::of(&ModelConfig::part(part)?)?;
            Ok(ResNetSizes { frozen: true, ..sizes })
        }
        ("timm_backbone", part) => {
            let named = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
            let inner = part.as_ref().and_then(|part| named(part.get("backbone")));
            let name = inner.or_else(|| named(config.get("backbone"))).unwrap_or_else(|| "resnet50".to_owned());
            let coarsest = output_stride(config, part.as_ref())?;
            match ResNetSizes::named(&name) {
                Some(sizes) => Ok(ResNetSizes { channels: config.size("num_channels")?, coarsest, ..sizes }),
                None => refuse("backbone", format!("is `{name}`; resnet18, 34, 50, 101 and 152 are known")),
            }
        }
        (other, _) => refuse("backbone_config", format!("is of type `{other}`; resnet and timm's are known")),
    }
}

/// Pixels for a place of the last map of timm's convolutions (DC5): as their own configuration says, and without one as `dilation` does.
/// With Hugging Face's convolutions neither means anything.
fn output_stride(config: &ModelConfig, part: Option<&Value>) -> Result<Option<i64>, ModelError> {
    let Some(part) = part else { return Ok(config.flag_or("dilation", false)?.then_some(16)) };
    match part.get("output_stride").filter(|stride| !stride.is_null()) {
        None => Ok(None),
        Some(stride) => {
            let known = stride.as_i64().filter(|stride| [8, 16, 32].contains(stride));
            let refused = || ModelError::of_field("output_stride", format!("is {stride}; 8, 16 and 32 are known"));
            known.map(Some).ok_or_else(refused)
        }
    }
}

/// Base as its authors have it. Norms of the convolutions never learn, so that a backbone that has learnt is worth most here.
fn fresh(size: &FreshSize) -> Value {
    let (hidden, layers, inner) = size.of([(128, 2, 512), (192, 3, 768), (256, 3, 1024), (256, 6, 2048)]);
    json!({
        "use_timm_backbone": false, "use_pretrained_backbone": false, "num_channels": 3,
        "backbone_config": with(resnet::fresh(size), json!({"out_features": ["stage4"], "out_indices": [4]})),
        "num_queries": 100, "d_model": hidden, "encoder_layers": layers, "decoder_layers": layers,
        "encoder_ffn_dim": inner, "decoder_ffn_dim": inner, "encoder_attention_heads": size.of([4, 6, 8, 8]),
        "decoder_attention_heads": size.of([4, 6, 8, 8]), "activation_function": "relu", "dropout": 0.1,
        "attention_dropout": 0.0, "activation_dropout": 0.0, "encoder_layerdrop": 0.0, "decoder_layerdrop": 0.0,
        "position_embedding_type": "sine", "auxiliary_loss": size.of([false, true, true, true]),
    })
}

fn processor(size: &FreshSize) -> Value {
    let (short, long) = size.of([(256, 427), (384, 640), (480, 800), (800, 1333)]);
    json!({"image_processor_type": "DetrImageProcessor", "size": {"shortest_edge": short, "longest_edge": long}})
}
