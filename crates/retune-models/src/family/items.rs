//! Encoders of histories of items as data.

use super::{Family, TensorNames};
use crate::bodies::{ItemEncoder, ItemEncoderSizes};
use crate::checkpoint::Weights;
use crate::heads::{NEXT_ITEM, NextItemPlan};
use crate::layers::LayerSizes;
use crate::{Body, HeadPlan, ModelConfig, ModelError, Purpose, Takes};
use retune_kernels::Activation;
use serde_json::{Value, json};

/// A family of encoders of histories. No library defines its configurations; they are written in Hugging Face's style.
pub struct ItemFamily {
    /// `model_type`.
    pub model_type: &'static str,
    /// How the names of classes begin.
    pub class: &'static str,
    /// How tensors are called.
    pub names: TensorNames,
    /// Whether no item sees later ones.
    pub causal: bool,
    /// The head.
    pub next_item: NextItemPlan,
}

impl ItemFamily {
    fn sizes(&self, config: &ModelConfig) -> Result<ItemEncoderSizes, ModelError> {
        let dropout = config.probability("hidden_dropout_prob")?;
        Ok(ItemEncoderSizes {
            items: config.size("num_items")?,
            features: config.get("item_features").map(|_| config.size("item_features")).transpose()?,
            positions: config.size("max_position_embeddings")?,
            layer: LayerSizes {
                hidden: config.size("hidden_size")?,
                heads: config.size("num_attention_heads")?,
                intermediate: config.size("intermediate_size")?,
                activation: Activation::from_name(&config.text("hidden_act")?)?,
                norm_epsilon: config.number("layer_norm_eps")?,
                hidden_dropout: dropout,
                feed_forward_dropout: dropout,
                attention_dropout: config.probability("attention_probs_dropout_prob")?,
            },
            layers: config.size("num_hidden_layers")?,
            causal: self.causal,
        })
    }
}

impl Family for ItemFamily {
    fn model_type(&self) -> &'static str {
        self.model_type
    }

    fn class(&self) -> &'static str {
        self.class
    }

    fn heads(&self) -> Vec<(&'static Purpose, Box<dyn HeadPlan>)> {
        vec![(&NEXT_ITEM, Box::new(self.next_item))]
    }

    fn names(&self) -> &TensorNames {
        &self.names
    }

    /// RecBole's sizes.
    fn defaults(&self) -> Vec<(&'static str, Value)> {
        vec![
            ("num_items", json!(1)),
            ("hidden_size", json!(64)),
            ("num_hidden_layers", json!(2)),
            ("num_attention_heads", json!(2)),
            ("intermediate_size", json!(256)),
            ("hidden_act", json!("gelu")),
            ("hidden_dropout_prob", json!(0.2)),
            ("attention_probs_dropout_prob", json!(0.2)),
            ("max_position_embeddings", json!(50)),
            ("initializer_range", json!(0.02)),
            ("layer_norm_eps", json!(1e-12)),
        ]
    }

    /// Items, and the one that stands for a hidden item.
    fn takes(&self, config: &ModelConfig) -> Result<Takes, ModelError> {
        let sizes = self.sizes(config)?;
        let vocabulary = 1 + sizes.items + i64::from(!self.causal);
        Ok(Takes::Tokens { longest: Some(sizes.positions as usize), vocabulary: vocabulary as usize })
    }

    fn body(&self, weights: &Weights<'_>, config: &ModelConfig) -> Result<Box<dyn Body>, ModelError> {
        Ok(Box::new(ItemEncoder::load(weights, self.names.base, self.sizes(config)?)?))
    }
}
