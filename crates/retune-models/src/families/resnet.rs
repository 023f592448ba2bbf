//! ResNet (He et al. 2015), transformers `ResNetModel`.
//!
//! C channels of a stage.

use crate::bodies::{MapShape, Pyramid, PyramidBlock};
use crate::checkpoint::Weights;
use crate::family::{Family, Fresh, FreshSize, TensorNames, with};
use crate::heads::{IMAGE_CLASSIFICATION, ImagePlan, ImageReading, Pooling};
use crate::layers::{ResNetSizes, SizeRule};
use crate::takes::{ImageInput, Positions};
use crate::{Body, HeadPlan, ModelConfig, ModelError, Purpose, Takes};
use serde_json::{Value, json};

/// Convolutions; the mean of all places of the last stage → classifier.
pub static RESNET: ResNet = ResNet(TensorNames {
    base: "resnet",
    spellings: &[],
    buffers: &[],
    modules: &[],
    lora: Err("ResNet has no dense layers below its head; use another method"),
});

/// Its type: how its tensors are called.
pub struct ResNet(TensorNames);

impl Family for ResNet {
    fn model_type(&self) -> &'static str {
        "resnet"
    }

    fn class(&self) -> &'static str {
        "ResNet"
    }

    fn heads(&self) -> Vec<(&'static Purpose, Box<dyn HeadPlan>)> {
        let reading = |_: &ModelConfig| Ok(ImageReading::new(Pooling::Mean).named(&["classifier.1"]));
        vec![(&IMAGE_CLASSIFICATION, Box::new(ImagePlan(reading)))]
    }

    fn names(&self) -> &TensorNames {
        &self.0
    }

    fn defaults(&self) -> Vec<(&'static str, Value)> {
        vec![
            ("num_channels", json!(3)),
            ("embedding_size", json!(64)),
            ("hidden_sizes", json!([256, 512, 1024, 2048])),
            ("depths", json!([3, 4, 6, 3])),
            ("layer_type", json!("bottleneck")),
            ("hidden_act", json!("relu")),
            ("downsample_in_first_stage", json!(false)),
            ("downsample_in_bottleneck", json!(false)),
        ]
    }

    fn fresh(&self) -> Option<Fresh> {
        Some(Fresh::without_texts(|size| with(fresh(size), json!({"image_size": size.of([96, 128, 224, 224])}))))
    }

    fn takes(&self, config: &ModelConfig) -> Result<Takes, ModelError> {
        let sizes = ResNetSizes::of(config)?;
        let size = match config.get("image_size") {
            None => (224, 224),
            Some(_) => config.height_and_width("image_size")?,
        };
        Ok(Takes::Images(ImageInput {
            channels: sizes.channels,
            size,
            patch: (4, 4),
            sizes: SizeRule::at_least((1, 1)),
            positions: Positions::Free,
        }))
    }

    fn body(&self, weights: &Weights<'_>, config: &ModelConfig) -> Result<Box<dyn Body>, ModelError> {
        Ok(Box::new(pyramid(&weights.at(self.0.base), config)?))
    }
}

/// How many places of the first map one place of a stage stands for.
pub(super) fn area(sizes: &ResNetSizes, stage: usize) -> f64 {
    4f64.powi(stage as i32 + i32::from(sizes.first_halves))
}

/// The body, at the path of its parts.
pub(super) fn pyramid(base: &Weights<'_>, config: &ModelConfig) -> Result<Pyramid, ModelError> {
    let sizes = ResNetSizes::of(config)?;
    let stem = sizes.stem(&base.depth(0))?;
    let block = |(stage, layer)| PyramidBlock {
        downsampling: None,
        layer: Box::new(layer) as Box<dyn crate::layers::MapLayer>,
        norm: None,
        stage,
        area: area(&sizes, stage),
    };
    Ok(Pyramid {
        stem: Box::new(stem),
        channels: sizes.channels,
        sizes: SizeRule::at_least((1, 1)),
        blocks: sizes.layers(base, 1)?.into_iter().map(block).collect(),
        width: sizes.widths[sizes.widths.len() - 1],
        keeps_size: false,
        shape: MapShape::ChannelsFirst,
    })
}

/// From small on ResNet-18 and ResNet-50, before them half as wide and half as deep; as a part of detectors, too.
pub(super) fn fresh(size: &FreshSize) -> Value {
    let (embedding, widths) = size.of([
        (32, [32, 64, 128, 256]),
        (64, [64, 128, 256, 512]),
        (64, [64, 128, 256, 512]),
        (64, [256, 512, 1024, 2048]),
    ]);
    json!({
        "model_type": "resnet", "num_channels": 3, "embedding_size": embedding, "hidden_sizes": widths,
        "depths": size.of([[2, 2, 2, 2], [1, 1, 1, 1], [2, 2, 2, 2], [3, 4, 6, 3]]),
        "layer_type": size.of(["basic", "basic", "basic", "bottleneck"]), "hidden_act": "relu",
        "downsample_in_first_stage": false, "downsample_in_bottleneck": false,
    })
}
