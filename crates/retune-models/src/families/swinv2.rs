//! Swin V2 (Liu et al. 2022), transformers `Swinv2Model`: Swin with cosines for scores, biases made of distances, and norms behind its
//! layers and merges.
//!
//! C channels of a stage.

use super::swin::{LAYER, layer_sizes, stem};
use crate::bodies::{MapShape, Pyramid, PyramidBlock};
use crate::checkpoint::Weights;
use crate::family::{Family, Fresh, FreshSize, TensorNames, with};
use crate::heads::{IMAGE_CLASSIFICATION, ImagePlan, ImageReading, Pooling};
use crate::layers::{
    CosineWindowLayer, CosineWindowOptions, MapLayer, PatchMerging, SizeRule, drop_path::linear_rates,
};
use crate::takes::{ImageInput, Positions};
use crate::{Body, HeadPlan, ModelConfig, ModelError, Purpose, Takes};
use serde_json::{Value, json};

/// The mean of all patches of the last stage → classifier.
pub static SWINV2: SwinV2 = SwinV2(TensorNames {
    base: "swinv2",
    spellings: &[],
    buffers: &["relative_position_index", "relative_coords_table"],
    modules: &[],
    lora: Ok(&["query", "value"]),
});

/// Its type: how its tensors are called.
pub struct SwinV2(TensorNames);

impl Family for SwinV2 {
    fn model_type(&self) -> &'static str {
        "swinv2"
    }

    fn class(&self) -> &'static str {
        "Swinv2"
    }

    fn heads(&self) -> Vec<(&'static Purpose, Box<dyn HeadPlan>)> {
        vec![(&IMAGE_CLASSIFICATION, Box::new(ImagePlan(|_| Ok(ImageReading::new(Pooling::Mean)))))]
    }

    fn names(&self) -> &TensorNames {
        &self.0
    }

    fn fresh(&self) -> Option<Fresh> {
        Some(Fresh::without_texts(fresh))
    }

    fn takes(&self, config: &ModelConfig) -> Result<Takes, ModelError> {
        let input = ImageInput::new(config, Positions::Free)?;
        // What does not fill a patch is padded.
        Ok(Takes::Images(ImageInput { sizes: SizeRule::at_least(input.patch), ..input }))
    }

    fn defaults(&self) -> Vec<(&'static str, Value)> {
        vec![
            ("image_size", json!(224)),
            ("patch_size", json!(4)),
            ("num_channels", json!(3)),
            ("embed_dim", json!(96)),
            ("depths", json!([2, 2, 6, 2])),
            ("num_heads", json!([3, 6, 12, 24])),
            ("window_size", json!(7)),
            ("hidden_act", json!("gelu")),
        ]
    }

    fn body(&self, weights: &Weights<'_>, config: &ModelConfig) -> Result<Box<dyn Body>, ModelError> {
        if config.flag_or("use_absolute_embeddings", false)? {
            let problem =
                "is true; transformers' class has a place too many in its table, and cannot run it".to_owned();
            return Err(ModelError::of_field("use_absolute_embeddings", problem));
        }
        let base = weights.at(self.0.base);
        let (depths, heads) = (config.sizes("depths")?, config.sizes("num_heads")?);
        let learnt = learnt_windows(config, depths.len())?;
        if heads.len() != depths.len() {
            let problem = format!("has {} entries, `depths` has {}", heads.len(), depths.len());
            return Err(ModelError::of_field("num_heads", problem));
        }
        let (width, bias) = (config.size("embed_dim")?, config.flag_or("qkv_bias", true)?);
        let (wanted, stem) = (config.size("window_size")?, stem(&base.at("embeddings"), config, width)?);
        let rows = config.height_and_width("image_size")?.0 / stem.patch.0;
        let count = depths.iter().sum::<i64>() as usize;
        let rates = linear_rates(config.number_or("drop_path_rate", 0.1)?, count);
        let mut blocks: Vec<PyramidBlock> = Vec::with_capacity(count);
        let mut merging = None;
        for (stage, (&depth, &heads)) in depths.iter().zip(&heads).enumerate() {
            let sizes = layer_sizes(config, width << stage, heads)?;
            let weights = base.at(&format!("encoder.layers.{stage}"));
            // Windows follow from the size of images that the configuration states, whatever comes.
            let of_stage = rows >> stage;
            let window = wanted.min(of_stage);
            if window < 1 {
                let problem = format!("leaves nothing for stage {}", stage + 1);
                return Err(ModelError::of_field("image_size", problem));
            }
            for i in 0..depth {
                let number = blocks.len();
                let shift = if i % 2 == 0 || of_stage <= window { 0 } else { wanted / 2 };
                let (learnt_window, drop_path) = (learnt[stage], rates[number]);
                let options = CosineWindowOptions { window, shift, learnt_window, bias, drop_path };
                let weights = weights.at(&format!("blocks.{i}")).depth(number + 1);
                let layer = Box::new(CosineWindowLayer::load(&weights, &LAYER, &sizes, options)?);
                let area = 4f64.powi(stage as i32);
                blocks.push(PyramidBlock { downsampling: merging.take(), layer, norm: None, stage, area });
            }
            if stage + 1 < depths.len() {
                let weights = weights.at("downsample").depth(blocks.len() + 1);
                merging = Some(Box::new(PatchMerging::normed_behind(&weights, sizes.hidden)?) as Box<dyn MapLayer>);
            }
        }
        let last = width << (depths.len() - 1);
        let norm = base.at("layernorm").depth(count).layer_norm(last, config.number_or("layer_norm_eps", 1e-5)?)?;
        blocks.last_mut().expect("sizes are not empty").norm = Some(norm);
        let (channels, sizes) = (stem.channels, SizeRule::at_least(stem.patch));
        let stem = Box::new(stem);
        Ok(Box::new(Pyramid { stem, channels, sizes, blocks, width: last, keeps_size: false, shape: MapShape::Tokens }))
    }
}

/// The windows of pretraining of so many stages, 0 where they are those of the layers.
fn learnt_windows(config: &ModelConfig, stages: usize) -> Result<Vec<i64>, ModelError> {
    let Some(value) = config.get("pretrained_window_sizes") else { return Ok(vec![0; stages]) };
    let list = value.as_array().and_then(|list| list.iter().map(Value::as_i64).collect::<Option<Vec<i64>>>());
    let fits = |list: &Vec<i64>| list.len() >= stages && list.iter().all(|&window| window >= 0 && window != 1);
    list.filter(fits).ok_or_else(|| {
        let problem = format!("is {value}, not 0 or the side of a window, from 2 on, for each of {stages} stages");
        ModelError::of_field("pretrained_window_sizes", problem)
    })
}

fn fresh(size: &FreshSize) -> Value {
    with(super::swin::fresh(size), json!({"pretrained_window_sizes": [0, 0, 0, 0]}))
}
