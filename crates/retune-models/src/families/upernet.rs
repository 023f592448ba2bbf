//! UPerNet (Xiao et al. 2018), transformers `UperNetForSemanticSegmentation`: a decoder over a backbone of another family, whose
//! configuration stands inside its own.

use super::{convnext, resnet, swin};
use crate::bodies::{MapShape, Pyramid};
use crate::checkpoint::Weights;
use crate::family::{Family, TensorNames};
use crate::heads::{MapSource, SEMANTIC_SEGMENTATION, StageSource, UpernetNames, UpernetPlan, UpernetSizes};
use crate::layers::{ResNetSizes, conv_next_layer, patch_merging};
use crate::{Body, HeadPlan, ModelConfig, ModelError, Purpose, Takes};
use serde_json::{Value, json};

/// A class for each pixel.
pub static UPERNET: UperNet = UperNet(TensorNames {
    base: "backbone",
    spellings: &[("backbone.", "backbone.swin.")],
    // The norm behind the last stage of a Swin, which a backbone does not use.
    buffers: &["backbone.swin.layernorm.weight", "backbone.swin.layernorm.bias", "relative_position_index"],
    modules: MODULES,
    lora: Ok(&["query", "value"]),
});

/// Swin's modules in transformers 5; the other backbones have none of them.
const MODULES: &[(&str, &str)] = &[
    ("backbone.encoder.layers.", "backbone.swin.encoder.layers."),
    ("attention.self.query", "attention.q_proj"),
    ("attention.self.key", "attention.k_proj"),
    ("attention.self.value", "attention.v_proj"),
    ("attention.output.dense", "attention.o_proj"),
    ("intermediate.dense", "mlp.fc1"),
    (".output.dense", ".mlp.fc2"),
];

/// Names inside the decoder.
const DECODER: UpernetNames =
    UpernetNames { parts: ("conv", "batch_norm"), pooled: ("psp_modules.", ".1"), bottleneck: "bottleneck" };

/// Its type: how its tensors are called.
pub struct UperNet(TensorNames);

impl Family for UperNet {
    fn model_type(&self) -> &'static str {
        "upernet"
    }

    fn class(&self) -> &'static str {
        "UperNet"
    }

    fn heads(&self) -> Vec<(&'static Purpose, Box<dyn HeadPlan>)> {
        vec![(&SEMANTIC_SEGMENTATION, Box::new(UpernetPlan { sizes: decoder, settle: |_| () }))]
    }

    fn names(&self) -> &TensorNames {
        &self.0
    }

    fn defaults(&self) -> Vec<(&'static str, Value)> {
        vec![
            ("hidden_size", json!(512)),
            ("initializer_range", json!(0.02)),
            ("pool_scales", json!([1, 2, 3, 6])),
            ("use_auxiliary_head", json!(true)),
            ("auxiliary_loss_weight", json!(0.4)),
            ("auxiliary_channels", json!(256)),
            ("auxiliary_num_convs", json!(1)),
            ("auxiliary_concat_input", json!(false)),
            ("loss_ignore_index", json!(255)),
        ]
    }

    fn takes(&self, config: &ModelConfig) -> Result<Takes, ModelError> {
        let (kind, part) = backbone(config)?;
        kind.family().takes(&part)
    }

    fn over(&self, other: &str) -> Option<fn(&mut ModelConfig)> {
        Backbone::named(other).map(|_| over as fn(&mut ModelConfig))
    }

    fn body(&self, weights: &Weights<'_>, config: &ModelConfig) -> Result<Box<dyn Body>, ModelError> {
        let (kind, part) = backbone(config)?;
        let base = weights.at(self.0.base);
        let pyramid = match kind {
            Backbone::Swin => swin::pyramid(&base, &part, swin::Windows::Kept)?,
            Backbone::ConvNext => convnext::pyramid(&base, &part, convnext::Version::First)?,
            Backbone::ConvNextV2 => convnext::pyramid(&base, &part, convnext::Version::Second)?,
            Backbone::ResNet => resnet::pyramid(&base, &part)?,
        };
        Ok(Box::new(Pyramid { keeps_size: true, shape: MapShape::ChannelsFirst, ..pyramid }))
    }
}

/// A family that serves as backbone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Backbone {
    Swin,
    ConvNext,
    ConvNextV2,
    ResNet,
}

impl Backbone {
    const ALL: [Self; 4] = [Self::Swin, Self::ConvNext, Self::ConvNextV2, Self::ResNet];

    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.family().model_type().eq(name))
    }

    fn family(self) -> &'static dyn Family {
        match self {
            Self::Swin => &swin::SWIN,
            Self::ConvNext => &convnext::CONVNEXT,
            Self::ConvNextV2 => &convnext::CONVNEXTV2,
            Self::ResNet => &resnet::RESNET,
        }
    }

    /// C of each stage, and how many places of the first map one of its places stands for.
    fn stages(self, part: &ModelConfig) -> Result<Vec<(i64, f64)>, ModelError> {
        let quarters = |stage: usize| 4f64.powi(stage as i32);
        Ok(match self {
            Self::Swin => {
                let width = part.size("embed_dim")?;
                (0..part.sizes("depths")?.len()).map(|stage| (width << stage, quarters(stage))).collect()
            }
            Self::ConvNext | Self::ConvNextV2 => {
                let widths = part.sizes("hidden_sizes")?;
                widths.into_iter().enumerate().map(|(stage, width)| (width, quarters(stage))).collect()
            }
            Self::ResNet => {
                let sizes = ResNetSizes::of(part)?;
                let of = |(stage, &width): (usize, &i64)| (width, resnet::area(&sizes, stage));
                sizes.widths.iter().enumerate().map(of).collect()
            }
        })
    }

    /// What the norm of a stage adds to variances, where stages have norms.
    fn epsilon(self) -> Option<f64> {
        match self {
            Self::Swin => Some(patch_merging::DEFAULT_EPSILON),
            Self::ConvNext | Self::ConvNextV2 => Some(conv_next_layer::NORM_EPSILON),
            Self::ResNet => None,
        }
    }
}

/// The family of the backbone, and its configuration as its class reads it.
fn backbone(config: &ModelConfig) -> Result<(Backbone, ModelConfig), ModelError> {
    let refuse = |field: &str, problem: String| Err(ModelError::of_field(field, problem));
    let known = || Backbone::ALL.map(|one| one.family().model_type()).join(", ");
    if config.flag_or("use_timm_backbone", false)? {
        return refuse("use_timm_backbone", format!("is true; known backbones are {}", known()));
    }
    let Some(part) = config.get("backbone_config").filter(|part| part.is_object()) else {
        return refuse("backbone_config", format!("is missing; known backbones are {}", known()));
    };
    let mut part = ModelConfig::part(part.clone())?;
    let named = part.model_type()?;
    let Some(kind) = Backbone::named(&named) else {
        return refuse("backbone_config", format!("is of type `{named}`; known are {}", known()));
    };
    for (field, value) in kind.family().defaults() {
        if part.get(field).is_none() {
            part.set(field, value);
        }
    }
    Ok((kind, part))
}

/// The stages that the decoder reads, counted from 0, of so many.
fn read(part: &ModelConfig, count: usize) -> Result<Vec<usize>, ModelError> {
    let refuse =
        |problem: String| Err(ModelError::Config { field: "backbone_config.out_features".to_owned(), problem });
    let named: Vec<Option<usize>> = match (part.get("out_features"), part.get("out_indices")) {
        (Some(Value::Array(names)), _) => {
            let number = |name: &Value| name.as_str()?.strip_prefix("stage")?.parse().ok();
            names.iter().map(number).collect()
        }
        (None, Some(Value::Array(numbers))) => {
            let number = |number: &Value| {
                let number = number.as_i64()?;
                usize::try_from(if number < 0 { number + count as i64 + 1 } else { number }).ok()
            };
            numbers.iter().map(number).collect()
        }
        _ => vec![Some(count)],
    };
    let stages: Option<Vec<usize>> = named.iter().map(|&number| number?.checked_sub(1)).collect();
    let fits = |stages: &Vec<usize>| {
        !stages.is_empty() && stages.iter().all(|&stage| stage < count) && stages.windows(2).all(|two| two[0] < two[1])
    };
    let what = || part.get("out_features").or_else(|| part.get("out_indices")).map_or(String::new(), Value::to_string);
    stages
        .filter(fits)
        .map_or_else(|| refuse(format!("is {}, not some of stage1 to stage{count} in their order", what())), Ok)
}

/// What the decoder needs to know of the backbone.
fn decoder(config: &ModelConfig) -> Result<UpernetSizes, ModelError> {
    let (kind, part) = backbone(config)?;
    let stages = kind.stages(&part)?;
    let of = |stage: usize| {
        let (width, area) = stages[stage];
        let norm = kind.epsilon().map(|epsilon| (format!("backbone.hidden_states_norms.stage{}", stage + 1), epsilon));
        StageSource { stage, width, area, norm }
    };
    let read: Vec<StageSource> = read(&part, stages.len())?.into_iter().map(of).collect();
    let sizes = UpernetSizes::of(config, DECODER, MapSource::Stages(read, stages.len()), true)?;
    if sizes.auxiliary.is_some()
        && let Some(stated) = config.get("auxiliary_in_channels")
        && stated.as_i64() != sizes.source.widths().get(2).copied()
    {
        let problem =
            format!("is {stated}, but the auxiliary head reads a map of {} channels", sizes.source.widths()[2]);
        return Err(ModelError::Config { field: "auxiliary_in_channels".to_owned(), problem });
    }
    Ok(sizes)
}

/// Makes the configuration of a backbone's classifier that of a segmenter over all its stages; the head is no wider than the
/// last of them.
fn over(backbone: &mut ModelConfig) {
    let count = backbone.sizes("depths").map_or(0, |depths| depths.len());
    let mut part = backbone.clone();
    let labels = ["id2label", "label2id", "num_labels", "problem_type", "architectures", "transformers_version"];
    labels.iter().for_each(|field| part.remove(field));
    part.set("out_features", (1..=count).map(|stage| format!("stage{stage}")).collect());
    part.set("out_indices", (1..=count).collect());
    let last = backbone_widths(&part).last().copied();
    let inner: Vec<String> = backbone.as_map().keys().filter(|key| !labels.contains(&key.as_str())).cloned().collect();
    inner.iter().for_each(|field| backbone.remove(field));
    for (field, value) in UPERNET.defaults() {
        backbone.set(field, value);
    }
    if let Some(width) = last {
        backbone.set("hidden_size", json!(width.min(512)));
        backbone.set("auxiliary_channels", json!(width.min(256)));
    }
    backbone.set("use_auxiliary_head", json!(count > 2));
    backbone.set("backbone_config", Value::Object(part.as_map().clone()));
}

/// C of each stage; none where the configuration is not to be understood, which loading says.
fn backbone_widths(part: &ModelConfig) -> Vec<i64> {
    let kind = part.model_type().ok().and_then(|named| Backbone::named(&named));
    let stages = kind.and_then(|kind| kind.stages(part).ok()).unwrap_or_default();
    stages.into_iter().map(|(width, _)| width).collect()
}
