//! RT-DETR (Zhao et al. 2023) and RT-DETRv2 (Lv et al. 2024), transformers `RTDetrModel` and `RTDetrV2Model`: convolutions with
//! frozen norms, a hybrid encoder, queries from its maps, and a decoder that refines boxes.

use super::detr::graft;
use super::resnet;
use crate::bodies::{RefiningTransformer, RefiningTransformerSizes};
use crate::checkpoint::Weights;
use crate::family::{Family, Fresh, FreshSize, TensorNames, with};
use crate::heads::{OBJECT_DETECTION, RefinedDetectionPlan};
use crate::layers::{
    DeformableSizes, Denoising, HybridEncoderSizes, Levels, QuerySelectionSizes, ResNetSizes, ResNetVariant,
    SetLayerSizes,
};
use crate::takes::{ImageInput, Positions};
use crate::{Body, HeadPlan, ModelConfig, ModelError, Purpose, Takes};
use retune_kernels::{Activation, Sampling};
use serde_json::{Value, json};

/// Each query → classes and a box.
pub static RT_DETR: RtDetr = RtDetr { model_type: "rt_detr", class: "RTDetr", second: false, names: NAMES };
/// The same; maps may be read at points.
pub static RT_DETR_V2: RtDetr = RtDetr { model_type: "rt_detr_v2", class: "RTDetrV2", second: true, names: NAMES };

const NAMES: TensorNames = TensorNames {
    base: "model",
    // Some files have the heads beside the decoder.
    spellings: &[("model.decoder.class_embed", "class_embed"), ("model.decoder.bbox_embed", "bbox_embed")],
    // Anchors of a fixed size are made anew.
    buffers: &["num_batches_tracked", "model.anchors", "model.valid_mask"],
    modules: &[
        ("out_proj", "o_proj"),
        (".fc1", ".mlp.fc1"),
        (".fc2", ".mlp.fc2"),
        ("encoder.encoder.", "encoder.aifi."),
    ],
    lora: Ok(&["q_proj", "v_proj"]),
};

/// Its type: which of the two it is.
pub struct RtDetr {
    model_type: &'static str,
    class: &'static str,
    second: bool,
    names: TensorNames,
}

impl Family for RtDetr {
    fn model_type(&self) -> &'static str {
        self.model_type
    }

    fn class(&self) -> &'static str {
        self.class
    }

    fn heads(&self) -> Vec<(&'static Purpose, Box<dyn HeadPlan>)> {
        vec![(&OBJECT_DETECTION, Box::new(RefinedDetectionPlan { decoder: "model.decoder", prior }))]
    }

    fn names(&self) -> &TensorNames {
        &self.names
    }

    fn defaults(&self) -> Vec<(&'static str, Value)> {
        let mut all = vec![
            ("initializer_range", json!(0.01)),
            ("layer_norm_eps", json!(1e-5)),
            ("batch_norm_eps", json!(1e-5)),
            ("freeze_backbone_batch_norms", json!(true)),
            ("encoder_hidden_dim", json!(256)),
            ("encoder_in_channels", json!([512, 1024, 2048])),
            ("feat_strides", json!([8, 16, 32])),
            ("encoder_layers", json!(1)),
            ("encoder_ffn_dim", json!(1024)),
            ("encoder_attention_heads", json!(8)),
            ("dropout", json!(0.0)),
            ("activation_dropout", json!(0.0)),
            ("encode_proj_layers", json!([2])),
            ("positional_encoding_temperature", json!(10_000)),
            ("encoder_activation_function", json!("gelu")),
            ("activation_function", json!("silu")),
            ("normalize_before", json!(false)),
            ("hidden_expansion", json!(1.0)),
            ("d_model", json!(256)),
            ("num_queries", json!(300)),
            ("decoder_in_channels", json!([256, 256, 256])),
            ("decoder_ffn_dim", json!(1024)),
            ("num_feature_levels", json!(3)),
            ("decoder_n_points", json!(4)),
            ("decoder_layers", json!(6)),
            ("decoder_attention_heads", json!(8)),
            ("decoder_activation_function", json!("relu")),
            ("attention_dropout", json!(0.0)),
            ("num_denoising", json!(100)),
            ("label_noise_ratio", json!(0.5)),
            ("box_noise_scale", json!(1.0)),
            ("learn_initial_query", json!(false)),
            ("with_box_refine", json!(true)),
            ("matcher_alpha", json!(0.25)),
            ("matcher_gamma", json!(2.0)),
            ("matcher_class_cost", json!(2.0)),
            ("matcher_bbox_cost", json!(5.0)),
            ("matcher_giou_cost", json!(2.0)),
            ("use_focal_loss", json!(true)),
            ("auxiliary_loss", json!(true)),
            ("focal_loss_alpha", json!(0.75)),
            ("focal_loss_gamma", json!(2.0)),
            ("weight_loss_vfl", json!(1.0)),
            ("weight_loss_bbox", json!(5.0)),
            ("weight_loss_giou", json!(2.0)),
        ];
        if self.second {
            let own = [
                ("decoder_n_levels", json!(3)),
                ("decoder_offset_scale", json!(0.5)),
                ("decoder_method", json!("default")),
            ];
            all.extend(own);
        }
        all
    }

    fn graft(&self, config: &mut ModelConfig, backbone: &ModelConfig) -> Option<Result<&'static str, ModelError>> {
        let maps = config.sizes("encoder_in_channels").map_or(3, |channels| channels.len());
        let grafted = graft(config, backbone, maps).map(|widths| {
            config.set("encoder_in_channels", json!(widths));
            "model.backbone.model"
        });
        Some(grafted)
    }

    fn fresh(&self) -> Option<Fresh> {
        Some(Fresh::without_texts(if self.second { fresh_second } else { fresh }).processed(processor))
    }

    fn takes(&self, config: &ModelConfig) -> Result<Takes, ModelError> {
        let (backbone, maps) = backbone(config)?;
        let sizes = RefiningTransformer::size_rule(&backbone, &maps);
        // Its published processors make squares of this side.
        let size = match config.get("anchor_image_size") {
            None => (640, 640),
            Some(_) => config.height_and_width("anchor_image_size")?,
        };
        let channels = backbone.channels;
        Ok(Takes::Images(ImageInput { channels, size, patch: (4, 4), sizes, positions: Positions::Free }))
    }

    fn body(&self, weights: &Weights<'_>, config: &ModelConfig) -> Result<Box<dyn Body>, ModelError> {
        let weights = weights.at(self.names.base);
        Ok(Box::new(RefiningTransformer::load(&weights, sizes(config, self.second)?)?))
    }
}

/// By which almost nothing is there, before anything was learnt.
fn prior(config: &ModelConfig) -> Result<f64, ModelError> {
    let p = config.number_or("initializer_bias_prior_prob", 1.0 / (config.label_count() + 1) as f64)?;
    if p > 0.0 && p < 1.0 {
        return Ok(-((1.0 - p) / p).ln());
    }
    Err(ModelError::of_field("initializer_bias_prior_prob", format!("is {p}, not between 0 and 1")))
}

/// The convolutions, and the stages whose maps are read.
fn backbone(config: &ModelConfig) -> Result<(ResNetSizes, Vec<usize>), ModelError> {
    let usual = json!({"model_type": "rt_detr_resnet", "out_indices": [2, 3, 4]});
    let part = match config.get("backbone_config") {
        Some(part) => part.clone(),
        None if config.get("backbone").is_some() => {
            return Err(ModelError::of_field(
                "backbone",
                "names convolutions of another library; `backbone_config` must describe them".to_owned(),
            ));
        }
        None => usual,
    };
    let part = ModelConfig::part(part)?;
    let kind = part.text("model_type")?;
    let variant = match kind.as_str() {
        "rt_detr_resnet" => ResNetVariant::Deep,
        "resnet" => ResNetVariant::Plain,
        other => {
            return Err(ModelError::of_field(
                "backbone_config",
                format!("is of type `{other}`; rt_detr_resnet and resnet are known"),
            ));
        }
    };
    let frozen = config.flag_or("freeze_backbone_batch_norms", true)?;
    let sizes = ResNetSizes { frozen, variant, ..ResNetSizes::of(&part)? };
    let halves = sizes.first_halves || sizes.widths[0] == sizes.embedding;
    if variant == ResNetVariant::Deep && !sizes.bottleneck && !halves {
        let problem = "has a first stage that widens without halving, whose shortcut would not fit".to_owned();
        return Err(ModelError::of_field("backbone_config", problem));
    }
    if variant == ResNetVariant::Deep && sizes.embedding % 2 != 0 {
        return Err(ModelError::of_field(
            "backbone_config",
            "has an odd `embedding_size`, half of which its stem takes".to_owned(),
        ));
    }
    let maps = sizes.handed_out(&part)?;
    let halved = maps.windows(2).all(|pair| sizes.stride_of(pair[1]) == 2 * sizes.stride_of(pair[0]));
    if !halved {
        let problem = "hands out maps of which one is not half of the one before".to_owned();
        return Err(ModelError::of_field("backbone_config", problem));
    }
    Ok((sizes, maps))
}

fn sizes(config: &ModelConfig, second: bool) -> Result<RefiningTransformerSizes, ModelError> {
    let (backbone, maps) = backbone(config)?;
    let (hidden, encoded) = (config.size("d_model")?, config.size("encoder_hidden_dim")?);
    let (count, levels) = (maps.len(), config.size("num_feature_levels")? as usize);
    for field in ["encoder_in_channels", "decoder_in_channels"] {
        let found = config.sizes(field)?;
        if found.len() != count {
            return Err(ModelError::of_field(
                field,
                format!("has {} entries, but the convolutions hand out {count} maps", found.len()),
            ));
        }
        if field == "decoder_in_channels" && found.iter().any(|&channels| channels != encoded) {
            return Err(ModelError::of_field(
                field,
                format!("is {found:?}, but the encoder's maps have {encoded} channels"),
            ));
        }
    }
    if levels < count || (levels > count + 1 && hidden != encoded) {
        return Err(ModelError::of_field(
            "num_feature_levels",
            format!("is {levels}, which does not fit {count} maps of {encoded} channels"),
        ));
    }
    if second && config.size("decoder_n_levels")? as usize != levels {
        return Err(ModelError::of_field("decoder_n_levels", format!("is not `num_feature_levels`, {levels}")));
    }
    if encoded % 4 != 0 {
        return Err(ModelError::of_field(
            "encoder_hidden_dim",
            "is no multiple of 4, so that places have no sines and cosines".to_owned(),
        ));
    }
    // A list that may be empty.
    let attended = match config.get("encode_proj_layers").and_then(Value::as_array) {
        Some(list) => list.iter().map(|at| at.as_u64().map(|at| at as usize).filter(|at| *at < count)).collect(),
        None => None,
    };
    let Some(attended) = attended else {
        return Err(ModelError::of_field(
            "encode_proj_layers",
            format!("is no list of numbers of maps from 0 to {}", count - 1),
        ));
    };
    let layers = config.number_or("encoder_layers", 1.0)?;
    if layers < 0.0 || layers.fract() != 0.0 {
        return Err(ModelError::of_field("encoder_layers", format!("is {layers}, no number of layers")));
    }
    let layer = |part: &str, hidden: i64, attention: &str, activation: &str| {
        Ok::<_, ModelError>(SetLayerSizes {
            hidden,
            heads: config.size(&format!("{part}_attention_heads"))?,
            intermediate: config.size(&format!("{part}_ffn_dim"))?,
            activation: Activation::from_name(&config.text(activation)?)?,
            dropout: config.probability("dropout")?,
            attention_dropout: config.probability(attention)?,
            activation_dropout: config.probability("activation_dropout")?,
            epsilon: config.number("layer_norm_eps")?,
        })
    };
    let decoder = layer("decoder", hidden, "attention_dropout", "decoder_activation_function")?;
    let auxiliary = config.flag_or("auxiliary_loss", true)?;
    let noised = config.number_or("num_denoising", 0.0)? as i64;
    let denoising = Denoising {
        queries: noised,
        classes: config.label_count(),
        label_noise: config.number("label_noise_ratio")?,
        box_noise: config.number("box_noise_scale")?,
    };
    Ok(RefiningTransformerSizes {
        encoder: HybridEncoderSizes {
            channels: maps.iter().map(|&stage| backbone.width_of(stage)).collect(),
            layer: layer("encoder", encoded, "dropout", "encoder_activation_function")?,
            layers: layers as usize,
            attended,
            temperature: config.number("positional_encoding_temperature")?,
            placed: config.get("eval_size").is_none(),
            norms_first: config.flag_or("normalize_before", false)?,
            activation: Activation::from_name(&config.text("activation_function")?)?,
            inner: (encoded as f64 * config.number("hidden_expansion")?) as i64,
            epsilon: config.number("batch_norm_eps")?,
        },
        selection: QuerySelectionSizes {
            hidden,
            channels: vec![encoded; count],
            levels,
            queries: config.size("num_queries")?,
            labels: config.label_count(),
            prior: prior(config)?,
            own: config.flag_or("learn_initial_query", false)?,
            fixed: anchored(config)?,
            epsilons: (config.number("layer_norm_eps")?, config.number("batch_norm_eps")?),
        },
        decoder: vec![decoder; config.size("decoder_layers")? as usize],
        cross: DeformableSizes {
            hidden,
            heads: decoder.heads,
            levels: levels as i64,
            points: config.size("decoder_n_points")?,
            offset_scale: if second { config.number("decoder_offset_scale")? } else { 0.5 },
            stores_scale: second,
            sampling: match second.then(|| config.text("decoder_method")).transpose()?.as_deref() {
                None | Some("default") => Sampling::Bilinear,
                Some("discrete") => Sampling::Nearest,
                Some(other) => {
                    return Err(ModelError::of_field(
                        "decoder_method",
                        format!("is `{other}`, neither default nor discrete"),
                    ));
                }
            },
        },
        denoising: (noised > 0).then_some(denoising),
        auxiliary,
        backbone,
        maps,
    })
}

/// Sizes of the maps whose anchors are fixed.
fn anchored(config: &ModelConfig) -> Result<Option<Levels>, ModelError> {
    if config.get("anchor_image_size").is_none() {
        return Ok(None);
    }
    let (height, width) = config.height_and_width("anchor_image_size")?;
    let strides = config.sizes("feat_strides")?;
    Ok(Some(Levels(strides.iter().map(|stride| (height / stride, width / stride)).collect())))
}

/// Small and base over ResNet-18 and ResNet-50, as its authors have them. Norms of convolutions that know nothing learn, too.
fn fresh(size: &FreshSize) -> Value {
    let convolutions = json!({"model_type": "rt_detr_resnet", "out_features": ["stage2", "stage3", "stage4"],
        "out_indices": [2, 3, 4]});
    let convolutions = with(resnet::fresh(size), convolutions);
    let (hidden, inner, heads) = size.of([(96, 256, 4), (128, 512, 4), (256, 1024, 8), (256, 1024, 8)]);
    let expansion = size.of([0.5, 0.5, 0.5, 1.0]);
    let channels: Vec<Value> = convolutions["hidden_sizes"].as_array().into_iter().flatten().skip(1).cloned().collect();
    json!({
        "backbone_config": convolutions, "freeze_backbone_batch_norms": false, "encoder_in_channels": channels,
        "encoder_hidden_dim": hidden, "encoder_ffn_dim": inner, "encoder_attention_heads": heads, "encoder_layers": 1,
        "d_model": hidden, "decoder_in_channels": [hidden, hidden, hidden], "decoder_ffn_dim": inner,
        "decoder_attention_heads": heads, "decoder_layers": size.of([2, 3, 3, 6]), "hidden_expansion": expansion,
        "num_queries": size.of([100, 300, 300, 300]),
    })
}

fn fresh_second(size: &FreshSize) -> Value {
    with(fresh(size), json!({"decoder_n_levels": 3, "decoder_offset_scale": 0.5, "decoder_method": "default"}))
}

fn processor(size: &FreshSize) -> Value {
    let side = size.of([256, 384, 640, 640]);
    json!({"image_processor_type": "RTDetrImageProcessor", "size": {"height": side, "width": side}})
}
