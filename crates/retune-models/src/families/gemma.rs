//! Gemma 1 and 2 (Gemma Team 2024), transformers `GemmaModel` and `Gemma2Model`: norms of 1 + weight, scaled embeddings; the second
//! has norms behind its branches too, windows in every other layer, and bounded scores.

use super::llama::{self, BODY, CAUSAL, NAMES, NEXT_TOKEN};
use crate::bodies::{LayerKind, TextDecoderNames, TextDecoderSizes};
use crate::family::DecoderFamily;
use crate::heads::{NextTokenPlan, softcap};
use crate::layers::{DecoderLayerNames, DecoderSizes, NormKind};
use crate::{ModelConfig, ModelError};
use retune_kernels::Activation;
use serde_json::{Value, json};

/// The first.
pub static GEMMA: DecoderFamily = FIRST;

const FIRST: DecoderFamily = DecoderFamily {
    model_type: "gemma",
    class: "Gemma",
    causal_ending: CAUSAL,
    names: NAMES,
    body: BODY,
    next_token: NEXT_TOKEN,
    defaults: || {
        let own = [
            ("hidden_size", json!(3072)),
            ("intermediate_size", json!(24576)),
            ("num_hidden_layers", json!(28)),
            ("num_attention_heads", json!(16)),
            ("hidden_act", json!("gelu_pytorch_tanh")),
        ];
        gemma_defaults(own)
    },
    sizes: |config| sizes(config, "hidden_act"),
};

/// The second.
pub static GEMMA2: DecoderFamily = DecoderFamily {
    model_type: "gemma2",
    class: "Gemma2",
    body: TextDecoderNames {
        layer: DecoderLayerNames {
            after_attention: Some("post_attention_layernorm"),
            before_network: "pre_feedforward_layernorm",
            after_network: Some("post_feedforward_layernorm"),
            ..BODY.layer
        },
        ..BODY
    },
    next_token: NextTokenPlan { softcap: Some("final_logit_softcapping"), ..NEXT_TOKEN },
    defaults: || {
        let own = [
            ("hidden_size", json!(2304)),
            ("intermediate_size", json!(9216)),
            ("num_hidden_layers", json!(26)),
            ("num_attention_heads", json!(8)),
            ("num_key_value_heads", json!(4)),
            ("hidden_activation", json!("gelu_pytorch_tanh")),
            ("query_pre_attn_scalar", json!(256)),
            ("sliding_window", json!(4096)),
            ("final_logit_softcapping", json!(30.0)),
            ("attn_logit_softcapping", json!(50.0)),
        ];
        gemma_defaults(own)
    },
    sizes: |config| {
        let sizes = sizes(config, "hidden_activation")?;
        let scale = 1.0 / config.number("query_pre_attn_scalar")?.sqrt();
        let layer = DecoderSizes { scale, softcap: softcap(config, Some("attn_logit_softcapping"))?, ..sizes.layer };
        let (count, window) = (sizes.kinds.len(), llama::window(config)?);
        let types = llama::layer_types(config, count)?;
        let slides = types.unwrap_or_else(|| (0..count).map(|i| i % 2 == 0).collect());
        let kinds = slides.iter().map(|slides| LayerKind { window: window.filter(|_| *slides), rotary: 0 }).collect();
        Ok(TextDecoderSizes { layer, kinds, ..sizes })
    },
    ..FIRST
};

fn gemma_defaults<const N: usize>(own: [(&'static str, Value); N]) -> Vec<(&'static str, Value)> {
    let shared = [
        ("vocab_size", json!(256_000)),
        ("head_dim", json!(256)),
        ("max_position_embeddings", json!(8192)),
        ("tie_word_embeddings", json!(true)),
    ];
    llama::defaults(&own.into_iter().chain(shared).collect::<Vec<_>>())
}

fn sizes(config: &ModelConfig, activation: &str) -> Result<TextDecoderSizes, ModelError> {
    if config.flag_or("use_bidirectional_attention", false)? {
        let problem = "is true; only attention that looks back is supported".to_owned();
        return Err(ModelError::Config { field: "use_bidirectional_attention".to_owned(), problem });
    }
    let bias = config.flag_or("attention_bias", false)?;
    let sizes = llama::sizes(config, bias, bias, None)?;
    // Older configurations say `gelu` and mean its approximation, as transformers reads them.
    let activation = match config.text(activation)?.as_str() {
        "gelu" => Activation::GeluTanh,
        name => Activation::from_name(name)?,
    };
    let padding = match config.as_map().get("pad_token_id") {
        None => Some(0),
        Some(_) => sizes.padding,
    };
    Ok(TextDecoderSizes {
        padding,
        filler: padding,
        embedding_scale: (sizes.layer.hidden as f64).sqrt(),
        layer: DecoderSizes { norm: NormKind::RmsPlusOne, activation, ..sizes.layer },
        ..sizes
    })
}
