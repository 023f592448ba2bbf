//! Deformable DETR (Zhu et al. 2020), transformers `DeformableDetrModel`: ResNet with frozen norms, an encoder of several maps and a
//! decoder of queries, both of which look at a few places.

use super::detr::{BACKBONE, convolutions, graft};
use crate::bodies::{DeformableTransformer, DeformableTransformerSizes};
use crate::checkpoint::Weights;
use crate::family::{Family, TensorNames};
use crate::heads::{DeformableDetectionPlan, OBJECT_DETECTION};
use crate::layers::{ConvolutionNames, DeformableSizes, ResNetSizes, SetLayerSizes, SizeRule};
use crate::takes::{ImageInput, Positions};
use crate::{Body, HeadPlan, ModelConfig, ModelError, Purpose, Takes};
use retune_kernels::{Activation, Sampling};
use serde_json::{Value, json};

/// Each query → classes and a box.
pub static DEFORMABLE_DETR: DeformableDetr = DeformableDetr(TensorNames {
    base: "model",
    // Some files have the heads beside the decoder.
    spellings: &[("model.decoder.class_embed", "class_embed"), ("model.decoder.bbox_embed", "bbox_embed")],
    buffers: &["num_batches_tracked"],
    modules: &[("self_attn.out_proj", "self_attn.o_proj"), (".fc1", ".mlp.fc1"), (".fc2", ".mlp.fc2")],
    lora: Ok(&["q_proj", "v_proj"]),
});

/// Its type: how its tensors are called.
pub struct DeformableDetr(TensorNames);

impl Family for DeformableDetr {
    fn model_type(&self) -> &'static str {
        "deformable_detr"
    }

    fn class(&self) -> &'static str {
        "DeformableDetr"
    }

    fn heads(&self) -> Vec<(&'static Purpose, Box<dyn HeadPlan>)> {
        vec![(&OBJECT_DETECTION, Box::new(DeformableDetectionPlan))]
    }

    fn names(&self) -> &TensorNames {
        &self.0
    }

    fn defaults(&self) -> Vec<(&'static str, Value)> {
        vec![
            ("num_channels", json!(3)),
            ("num_queries", json!(300)),
            ("d_model", json!(256)),
            ("encoder_layers", json!(6)),
            ("encoder_ffn_dim", json!(1024)),
            ("encoder_attention_heads", json!(8)),
            ("decoder_layers", json!(6)),
            ("decoder_ffn_dim", json!(1024)),
            ("decoder_attention_heads", json!(8)),
            ("activation_function", json!("relu")),
            ("dropout", json!(0.1)),
            ("attention_dropout", json!(0.0)),
            ("activation_dropout", json!(0.0)),
            ("position_embedding_type", json!("sine")),
            ("num_feature_levels", json!(4)),
            ("encoder_n_points", json!(4)),
            ("decoder_n_points", json!(4)),
            ("two_stage", json!(false)),
            ("two_stage_num_proposals", json!(300)),
            ("with_box_refine", json!(false)),
            ("focal_alpha", json!(0.25)),
        ]
    }

    fn graft(&self, config: &mut ModelConfig, backbone: &ModelConfig) -> Option<Result<&'static str, ModelError>> {
        let maps = if config.size("num_feature_levels").is_ok_and(|levels| levels == 1) { 1 } else { 3 };
        Some(graft(config, backbone, maps).map(|_| BACKBONE))
    }

    fn takes(&self, config: &ModelConfig) -> Result<Takes, ModelError> {
        let (channels, patch) = (backbone(config)?.0.channels, (4, 4));
        // Its published processors bring the shorter side to 800 pixels.
        let sizes = SizeRule::at_least((1, 1));
        Ok(Takes::Images(ImageInput { channels, size: (800, 800), patch, sizes, positions: Positions::Free }))
    }

    fn body(&self, weights: &Weights<'_>, config: &ModelConfig) -> Result<Box<dyn Body>, ModelError> {
        Ok(Box::new(DeformableTransformer::load(&weights.at(self.0.base), sizes(config)?)?))
    }
}

/// The convolutions, and the stages whose maps are read.
fn backbone(config: &ModelConfig) -> Result<(ResNetSizes, Vec<usize>), ModelError> {
    let sizes = convolutions(config)?;
    let one = config.size("num_feature_levels")? == 1;
    let part = config.get("backbone_config").filter(|part| part.is_object());
    let said =
        part.is_some_and(|part| part.get("out_features").or(part.get("out_indices")).is_some_and(|it| !it.is_null()));
    let maps = match part {
        Some(part) if said => sizes.handed_out(&ModelConfig::part(part.clone())?)?,
        _ if sizes.names == ConvolutionNames::Timm => {
            if one {
                vec![4]
            } else {
                vec![2, 3, 4]
            }
        }
        _ => vec![sizes.widths.len()],
    };
    if maps.contains(&0) {
        return Err(ModelError::of_field(
            "backbone_config",
            "hands out the stem, which is not encoded here".to_owned(),
        ));
    }
    Ok((sizes, maps))
}

fn sizes(config: &ModelConfig) -> Result<DeformableTransformerSizes, ModelError> {
    if config.text("position_embedding_type")? != "sine" {
        return Err(ModelError::of_field(
            "position_embedding_type",
            "is not `sine`, the only one that is known".to_owned(),
        ));
    }
    let (proposes, refines) = (config.flag_or("two_stage", false)?, config.flag_or("with_box_refine", false)?);
    if proposes && !refines {
        return Err(ModelError::of_field("two_stage", "is true, which needs `with_box_refine`".to_owned()));
    }
    let (backbone, maps) = backbone(config)?;
    let levels = config.size("num_feature_levels")?;
    if levels < maps.len() as i64 {
        return Err(ModelError::of_field(
            "num_feature_levels",
            format!("is {levels}, but the convolutions hand out {} maps", maps.len()),
        ));
    }
    let hidden = config.size("d_model")?;
    let layers = |part: &str| {
        let layer = SetLayerSizes {
            hidden,
            heads: config.size(&format!("{part}_attention_heads"))?,
            intermediate: config.size(&format!("{part}_ffn_dim"))?,
            activation: Activation::from_name(&config.text("activation_function")?)?,
            dropout: config.probability("dropout")?,
            attention_dropout: config.probability("attention_dropout")?,
            activation_dropout: config.probability("activation_dropout")?,
            // PyTorch's default, which no configuration changes.
            epsilon: 1e-5,
        };
        Ok::<_, ModelError>(vec![layer; config.size(&format!("{part}_layers"))? as usize])
    };
    let looks = |part: &str| {
        Ok::<_, ModelError>(DeformableSizes {
            hidden,
            heads: config.size(&format!("{part}_attention_heads"))?,
            levels,
            points: config.size(&format!("{part}_n_points"))?,
            offset_scale: 0.5,
            stores_scale: false,
            sampling: Sampling::Bilinear,
        })
    };
    Ok(DeformableTransformerSizes {
        encoder: layers("encoder")?,
        own: looks("encoder")?,
        decoder: layers("decoder")?,
        cross: looks("decoder")?,
        queries: config.size(if proposes { "two_stage_num_proposals" } else { "num_queries" })?,
        labels: config.label_count(),
        proposes,
        refines,
        auxiliary: config.flag_or("auxiliary_loss", false)?,
        backbone,
        maps,
    })
}
