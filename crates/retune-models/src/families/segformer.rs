//! SegFormer (Xie et al. 2021), transformers `SegformerModel`.
//!
//! C channels of a stage.

use crate::bodies::{MapShape, Pyramid, PyramidBlock};
use crate::checkpoint::Weights;
use crate::family::{Family, Fresh, FreshSize, TensorNames};
use crate::heads::{
    AllMlpPlan, IMAGE_CLASSIFICATION, ImagePlan, ImageReading, Pooling, SEMANTIC_SEGMENTATION, SegmenterSizes,
};
use crate::layers::{
    AttentionNames, AttentionSizes, MapLayer, MixLayer, MixSizes, OverlapPatchEmbeddings, PatchShape, SizeRule,
    drop_path::linear_rates,
};
use crate::takes::{ImageInput, Positions};
use crate::{Body, HeadPlan, ModelConfig, ModelError, Purpose, Takes};
use retune_kernels::Activation;
use serde_json::{Value, json};

/// A mixed transformer; the mean of all places of the last stage → classifier, or an all-MLP decoder over all stages.
pub static SEGFORMER: Segformer = Segformer(TensorNames {
    base: "segformer",
    spellings: &[],
    buffers: &[],
    modules: MODULES,
    lora: Ok(&["query", "value"]),
});

/// Modules in transformers 5.
const MODULES: &[(&str, &str)] = &[
    ("encoder.block.0.", "stages.0.blocks."),
    ("encoder.block.1.", "stages.1.blocks."),
    ("encoder.block.2.", "stages.2.blocks."),
    ("encoder.block.3.", "stages.3.blocks."),
    ("encoder.block.4.", "stages.4.blocks."),
    ("encoder.patch_embeddings.0", "stages.0.patch_embeddings"),
    ("encoder.patch_embeddings.1", "stages.1.patch_embeddings"),
    ("encoder.patch_embeddings.2", "stages.2.patch_embeddings"),
    ("encoder.patch_embeddings.3", "stages.3.patch_embeddings"),
    ("encoder.patch_embeddings.4", "stages.4.patch_embeddings"),
    ("encoder.layer_norm.0", "stages.0.layer_norm"),
    ("encoder.layer_norm.1", "stages.1.layer_norm"),
    ("encoder.layer_norm.2", "stages.2.layer_norm"),
    ("encoder.layer_norm.3", "stages.3.layer_norm"),
    ("encoder.layer_norm.4", "stages.4.layer_norm"),
    ("attention.self.query", "attention.q_proj"),
    ("attention.self.key", "attention.k_proj"),
    ("attention.self.value", "attention.v_proj"),
    ("attention.self.sr", "attention.sequence_reduction.sequence_reduction"),
    ("attention.self.layer_norm", "attention.sequence_reduction.layer_norm"),
    ("attention.output.dense", "attention.o_proj"),
    ("mlp.dense1", "mlp.fc1"),
    ("mlp.dense2", "mlp.fc2"),
    ("layer_norm_1", "layernorm_before"),
    ("layer_norm_2", "layernorm_after"),
    ("decode_head.linear_c", "decode_head.linear_projections"),
];

const ATTENTION: AttentionNames = AttentionNames {
    query: "attention.self.query",
    key: "attention.self.key",
    value: "attention.self.value",
    output: "attention.output.dense",
};
/// Its norms take no epsilon from the configuration: `layer_norm_eps` is never read.
const NORM_EPSILON: f64 = 1e-5;

/// Its type: how its tensors are called.
pub struct Segformer(TensorNames);

impl Family for Segformer {
    fn model_type(&self) -> &'static str {
        "segformer"
    }

    fn class(&self) -> &'static str {
        "Segformer"
    }

    fn heads(&self) -> Vec<(&'static Purpose, Box<dyn HeadPlan>)> {
        vec![
            (&IMAGE_CLASSIFICATION, Box::new(ImagePlan(|_| Ok(ImageReading::new(Pooling::Mean))))),
            (&SEMANTIC_SEGMENTATION, Box::new(AllMlpPlan(decoder))),
        ]
    }

    fn names(&self) -> &TensorNames {
        &self.0
    }

    fn defaults(&self) -> Vec<(&'static str, Value)> {
        vec![
            ("num_channels", json!(3)),
            ("num_encoder_blocks", json!(4)),
            ("depths", json!([2, 2, 2, 2])),
            ("sr_ratios", json!([8, 4, 2, 1])),
            ("hidden_sizes", json!([32, 64, 160, 256])),
            ("patch_sizes", json!([7, 3, 3, 3])),
            ("strides", json!([4, 2, 2, 2])),
            ("num_attention_heads", json!([1, 2, 5, 8])),
            ("mlp_ratios", json!([4, 4, 4, 4])),
            ("hidden_act", json!("gelu")),
            ("hidden_dropout_prob", json!(0.0)),
            ("attention_probs_dropout_prob", json!(0.0)),
            ("classifier_dropout_prob", json!(0.1)),
            ("initializer_range", json!(0.02)),
            ("drop_path_rate", json!(0.1)),
            ("decoder_hidden_size", json!(256)),
            ("semantic_loss_ignore_index", json!(255)),
            ("reshape_last_stage", json!(true)),
        ]
    }

    fn fresh(&self) -> Option<Fresh> {
        Some(Fresh::without_texts(fresh).processed(processor))
    }

    fn takes(&self, config: &ModelConfig) -> Result<Takes, ModelError> {
        let stages = stages(config)?;
        let size = match config.get("image_size") {
            None => (512, 512),
            Some(_) => config.height_and_width("image_size")?,
        };
        let (channels, first) = (config.size("num_channels")?, stages[0].patch.stride);
        let sizes = SizeRule::at_least((least_side(&stages), least_side(&stages)));
        Ok(Takes::Images(ImageInput { channels, size, patch: (first, first), sizes, positions: Positions::Free }))
    }

    fn body(&self, weights: &Weights<'_>, config: &ModelConfig) -> Result<Box<dyn Body>, ModelError> {
        let stages = stages(config)?;
        let count = stages.iter().map(|stage| stage.depth).sum::<i64>() as usize;
        let rates = linear_rates(config.probability("drop_path_rate")?, count);
        let encoder = weights.at(self.0.base).at("encoder");
        let mut blocks: Vec<PyramidBlock> = Vec::with_capacity(count);
        let (mut embedding, mut area) = (None, 1.0);
        let mut stem = None;
        for (i, stage) in stages.iter().enumerate() {
            let weights = encoder.at(&format!("patch_embeddings.{i}")).depth(if i == 0 { 0 } else { blocks.len() + 1 });
            let patches = OverlapPatchEmbeddings::load(&weights, stage.patch, NORM_EPSILON)?;
            if i == 0 {
                stem = Some(Box::new(patches) as Box<dyn MapLayer>);
            } else {
                embedding = Some(Box::new(patches) as Box<dyn MapLayer>);
                area *= (stage.patch.stride * stage.patch.stride) as f64;
            }
            for j in 0..stage.depth {
                let number = blocks.len();
                let weights = encoder.at(&format!("block.{i}.{j}")).depth(number + 1);
                let sizes = MixSizes { drop_path: rates[number], ..stage.layer };
                let layer = Box::new(MixLayer::load(&weights, &ATTENTION, sizes)?);
                let norm = (j + 1 == stage.depth).then(|| {
                    let weights = encoder.at(&format!("layer_norm.{i}")).depth(number + 1);
                    weights.layer_norm(stage.layer.attention.hidden, NORM_EPSILON)
                });
                let norm = norm.transpose()?;
                blocks.push(PyramidBlock { downsampling: embedding.take(), layer, norm, stage: i, area });
            }
        }
        let width = stages[stages.len() - 1].layer.attention.hidden;
        let reshapes = config.flag_or("reshape_last_stage", true)?;
        Ok(Box::new(Pyramid {
            stem: stem.expect("there is a first stage"),
            channels: config.size("num_channels")?,
            sizes: SizeRule::at_least((least_side(&stages), least_side(&stages))),
            blocks,
            width,
            keeps_size: false,
            shape: if reshapes { MapShape::ChannelsFirst } else { MapShape::Tokens },
        }))
    }
}

/// A stage, as config.json says it.
struct Stage {
    depth: i64,
    patch: PatchShape,
    layer: MixSizes,
}

fn stages(config: &ModelConfig) -> Result<Vec<Stage>, ModelError> {
    let count = config.size("num_encoder_blocks")? as usize;
    let list = |field: &str| {
        let list = config.sizes(field)?;
        if list.len() == count {
            return Ok(list);
        }
        let problem = format!("has {} entries, `num_encoder_blocks` is {count}", list.len());
        Err(ModelError::Config { field: field.to_owned(), problem })
    };
    let (depths, widths, heads) = (list("depths")?, list("hidden_sizes")?, list("num_attention_heads")?);
    let (sides, strides, reductions, ratios) =
        (list("patch_sizes")?, list("strides")?, list("sr_ratios")?, list("mlp_ratios")?);
    let activation = Activation::from_name(&config.text("hidden_act")?)?;
    let channels = config.size("num_channels")?;
    let stage = |i: usize| {
        let attention = AttentionSizes {
            hidden: widths[i],
            heads: heads[i],
            dropout: config.probability("attention_probs_dropout_prob")?,
            query_value_bias: true,
            key_bias: true,
        };
        Ok(Stage {
            depth: depths[i],
            patch: PatchShape {
                side: sides[i],
                stride: strides[i],
                channels: if i == 0 { channels } else { widths[i - 1] },
                width: widths[i],
            },
            layer: MixSizes {
                attention,
                reduction: reductions[i],
                intermediate: widths[i] * ratios[i],
                activation,
                dropout: config.probability("hidden_dropout_prob")?,
                drop_path: 0.0,
                norm_epsilon: NORM_EPSILON,
            },
        })
    };
    (0..count).map(stage).collect()
}

/// The shortest side of an image of which every stage still has a place to attend to.
fn least_side(stages: &[Stage]) -> i64 {
    let fits = |side: i64| {
        let mut side = side;
        stages.iter().all(|stage| {
            side = stage.patch.places(side);
            side >= stage.layer.reduction
        })
    };
    // Every stage shrinks by whole factors, so that the search ends.
    (1..).find(|&side| fits(side)).expect("some image is large enough")
}

/// What the decoder needs to know of the stages.
fn decoder(config: &ModelConfig) -> Result<SegmenterSizes, ModelError> {
    if !config.flag_or("reshape_last_stage", true)? {
        let problem = "is false, with which Hugging Face's decoder takes the width of the last stage for its height";
        return Err(ModelError::Config { field: "reshape_last_stage".to_owned(), problem: problem.to_owned() });
    }
    let mut area = 1.0;
    let stages = stages(config)?.into_iter().enumerate().map(|(i, stage)| {
        area *= if i == 0 { 1.0 } else { (stage.patch.stride * stage.patch.stride) as f64 };
        (stage.patch.width, area)
    });
    Ok(SegmenterSizes {
        stages: stages.collect(),
        hidden: config.size("decoder_hidden_size")?,
        dropout: config.probability("classifier_dropout_prob")?,
    })
}

/// From mini on MiT-B0, B1 and B2; tiny is half as wide as the first.
fn fresh(size: &FreshSize) -> Value {
    json!({
        "num_channels": 3, "num_encoder_blocks": 4, "depths": size.of([[2, 2, 2, 2], [2, 2, 2, 2], [2, 2, 2, 2], [3, 4, 6, 3]]),
        "sr_ratios": [8, 4, 2, 1], "patch_sizes": [7, 3, 3, 3], "strides": [4, 2, 2, 2],
        "hidden_sizes": size.of([[16, 32, 80, 128], [32, 64, 160, 256], [64, 128, 320, 512], [64, 128, 320, 512]]),
        "num_attention_heads": [1, 2, 5, 8], "mlp_ratios": [4, 4, 4, 4], "hidden_act": "gelu", "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0, "classifier_dropout_prob": 0.1, "initializer_range": 0.02,
        "drop_path_rate": size.of([0.0, 0.1, 0.1, 0.1]), "layer_norm_eps": 1e-6,
        "decoder_hidden_size": size.of([128, 256, 256, 768]), "semantic_loss_ignore_index": 255, "image_size": side(size),
    })
}

fn processor(size: &FreshSize) -> Value {
    let side = side(size);
    json!({"image_processor_type": "SegformerImageProcessor", "size": {"height": side, "width": side}})
}

fn side(size: &FreshSize) -> i64 {
    size.of([128, 256, 512, 512])
}
