//! Encoders of histories of items as data.

use super::{Family, Fresh, TensorNames};
use crate::bodies::{ItemEncoder, ItemEncoderSizes, TextItemEncoder};
use crate::checkpoint::Weights;
use crate::heads::{NEXT_ITEM, NextItemPlan, SENTENCE_EMBEDDINGS};
use crate::item_texts::ITEM_BACKBONE;
use crate::layers::LayerSizes;
use crate::{Body, Head, HeadPlan, ModelConfig, ModelError, Purpose, Takes};
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
    /// Families of text encoders that can make its vectors of items and learn with it.
    pub text_encoders: &'static [&'static dyn Family],
    /// How it is made from nothing.
    pub fresh: Option<Fresh>,
}

/// Field with the configuration of the text encoder inside.
const BACKBONE: &str = "backbone_config";

/// A text encoder, and how it makes a vector of a text.
type TextEncoder = (Box<dyn Body>, Box<dyn Head>);

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
            first_block: 0,
        })
    }

    /// The text encoder inside, if there is one, and how it makes vectors of texts.
    fn text_encoder(&self, weights: &Weights<'_>, config: &ModelConfig) -> Result<Option<TextEncoder>, ModelError> {
        let Some(inner) = config.get(BACKBONE) else { return Ok(None) };
        let inner = ModelConfig::part(inner.clone())?;
        let named = inner.model_type()?;
        let found = self.text_encoders.iter().find(|family| family.model_type().eq(&named));
        let family = found.ok_or_else(|| {
            let known: Vec<&str> = self.text_encoders.iter().map(|family| family.model_type()).collect();
            let problem = format!("is of `{named}`; the text encoders that learn with items are {}", known.join(", "));
            ModelError::of_field(BACKBONE, problem)
        })?;
        let at = weights.at(ITEM_BACKBONE);
        let body = family.body(&at, &inner)?;
        let plan = family.heads().into_iter().find(|(purpose, _)| purpose.key.eq(SENTENCE_EMBEDDINGS.key));
        let (_, plan) = plan.ok_or_else(|| ModelError::of_field(BACKBONE, "makes no vectors of texts".to_owned()))?;
        let pooling = plan.build(&at, &inner, body.as_ref())?;
        Ok(Some((body, pooling)))
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

    fn fresh(&self) -> Option<Fresh> {
        self.fresh
    }

    /// Items, and the one that stands for a hidden item.
    fn takes(&self, config: &ModelConfig) -> Result<Takes, ModelError> {
        let sizes = self.sizes(config)?;
        let vocabulary = 1 + sizes.items + i64::from(!self.causal);
        Ok(Takes::Tokens { longest: Some(sizes.positions as usize), vocabulary: vocabulary as usize })
    }

    fn body(&self, weights: &Weights<'_>, config: &ModelConfig) -> Result<Box<dyn Body>, ModelError> {
        let sizes = self.sizes(config)?;
        let Some((texts, pooling)) = self.text_encoder(weights, config)? else {
            return Ok(Box::new(ItemEncoder::load(weights, self.names.base, sizes)?));
        };
        if sizes.features != Some(texts.width()) {
            let (said, width) = (sizes.features.unwrap_or_default(), texts.width());
            let problem = format!("is {said}, but the text encoder of {BACKBONE} is {width} wide");
            return Err(ModelError::of_field("item_features", problem));
        }
        let sizes = ItemEncoderSizes { first_block: texts.blocks() + 1, ..sizes };
        let items = ItemEncoder::load(weights, self.names.base, sizes)?;
        Ok(Box::new(TextItemEncoder::new(texts, pooling, items)))
    }
}
