//! SASRec (Kang and McAuley 2018) and BERT4Rec (Sun et al. 2019), as RecBole has them: BERT's layers over vectors of items. SASRec
//! scores items by its last state; BERT4Rec by a projection and a norm of the state at the hidden item, without a bias for
//! each item, which an item that nobody has met could not have.

use super::{
    albert::ALBERT,
    bert::BERT,
    deberta_v2::DEBERTA_V2,
    distilbert::DISTILBERT,
    electra::ELECTRA,
    modernbert::MODERNBERT,
    mpnet::MPNET,
    roberta::{CAMEMBERT, ROBERTA, XLM_ROBERTA},
};
use crate::Family;
use crate::family::{Fresh, FreshSize, ItemFamily, TensorNames};
use crate::heads::{NextItemPlan, TransformPlan, TransformSettings};
use retune_kernels::Activation;
use serde_json::{Value, json};

const BASE: &str = "model";

const NAMES: TensorNames = TensorNames {
    base: BASE,
    spellings: &[],
    buffers: &[],
    modules: &[],
    lora: Ok(&["attention.query", "attention.value"]),
};

/// What may make vectors of items of their texts.
const TEXT_ENCODERS: &[&dyn Family] =
    &[&BERT, &ROBERTA, &XLM_ROBERTA, &CAMEMBERT, &DISTILBERT, &ELECTRA, &ALBERT, &MPNET, &MODERNBERT, &DEBERTA_V2];

const FRESH: Option<Fresh> = Some(Fresh::without_texts(fresh));

/// Encoders of histories are small: half as wide as those of texts, as RecBole's are at the smallest size.
fn fresh(size: &FreshSize) -> Value {
    let hidden = size.hidden / 2;
    json!({
        "pad_token_id": 0, "hidden_size": hidden, "num_hidden_layers": size.layers.min(4),
        "num_attention_heads": size.heads.min(hidden / 32), "intermediate_size": 4 * hidden, "hidden_act": "gelu",
        "hidden_dropout_prob": 0.2, "attention_probs_dropout_prob": 0.2, "max_position_embeddings": 50,
        "initializer_range": 0.02, "layer_norm_eps": 1e-12,
    })
}

/// Looks back only.
pub static SASREC: ItemFamily = ItemFamily {
    model_type: "sasrec",
    class: "SASRec",
    names: NAMES,
    causal: true,
    next_item: NextItemPlan { base: BASE, transform: None },
    text_encoders: TEXT_ENCODERS,
    fresh: FRESH,
};

/// Looks both ways from an item that is hidden.
pub static BERT4REC: ItemFamily = ItemFamily {
    model_type: "bert4rec",
    class: "BERT4Rec",
    names: NAMES,
    causal: false,
    next_item: NextItemPlan {
        base: BASE,
        transform: Some(TransformPlan {
            dense: "transform.dense",
            norm: Some("transform.norm"),
            settings: |config| {
                let activation = Activation::from_name(&config.text("hidden_act")?)?;
                Ok(TransformSettings::normed(activation, config.number("layer_norm_eps")?))
            },
        }),
    },
    text_encoders: TEXT_ENCODERS,
    fresh: FRESH,
};
