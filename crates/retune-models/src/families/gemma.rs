//! Gemma 1 to 3 (Gemma Team 2024, 2025), transformers `GemmaModel`, `Gemma2Model` and `Gemma3TextModel`: norms of 1 + weight, scaled
//! embeddings; the second has norms behind its branches too, windows in every other layer, and bounded scores; the third norms of
//! queries and keys, and angles of their own for layers with windows.

use super::llama::{self, BODY, CAUSAL, HEADS, NAMES, NEXT_TOKEN};
use super::rope::{USUAL, rotary_of_type};
use crate::bodies::{LayerKind, Positions, TextDecoderNames, TextDecoderSizes};
use crate::family::{DecoderFamily, DecoderHeads};
use crate::heads::{NextTokenPlan, softcap};
use crate::layers::{DecoderAttentionNames, DecoderLayerNames, DecoderSizes, NormKind, RopeScaling};
use crate::{ModelConfig, ModelError};
use retune_kernels::Activation;
use serde_json::{Value, json};

/// The first.
pub static GEMMA: DecoderFamily = FIRST;

const FIRST: DecoderFamily = DecoderFamily {
    model_type: "gemma",
    class: "Gemma",
    causal_class: None,
    causal_ending: CAUSAL,
    names: NAMES,
    body: BODY,
    heads: HEADS,
    others: &[],
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
    sizes: |config| {
        let sizes = sizes(config, llama::ACTIVATION)?;
        // Its older configurations say `gelu` and mean the approximation, as transformers reads them; later ones mean what they say.
        let activation = match sizes.layer.activation {
            Activation::Gelu => Activation::GeluTanh,
            other => other,
        };
        Ok(TextDecoderSizes { layer: DecoderSizes { activation, ..sizes.layer }, ..sizes })
    },
    fresh: None,
};

/// The second.
pub static GEMMA2: DecoderFamily = SECOND;

const SECOND: DecoderFamily = DecoderFamily {
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
    heads: DecoderHeads {
        next_token: Some(NextTokenPlan { softcap: Some("final_logit_softcapping"), ..NEXT_TOKEN }),
        ..HEADS
    },
    defaults: || {
        let own = [("final_logit_softcapping", json!(30.0)), ("attn_logit_softcapping", json!(50.0))];
        second_defaults().into_iter().chain(own).collect()
    },
    sizes: |config| {
        let sizes = bounded(config)?;
        let (count, window) = (sizes.kinds.len(), llama::window(config)?);
        let types = llama::layer_types(config, count)?;
        let slides = types.unwrap_or_else(|| (0..count).map(|i| i % 2 == 0).collect());
        let kinds = slides.iter().map(|slides| LayerKind { window: window.filter(|_| *slides), rotary: 0 }).collect();
        Ok(TextDecoderSizes { kinds, ..sizes })
    },
    ..FIRST
};

/// The third, for texts.
pub static GEMMA3: DecoderFamily = DecoderFamily {
    model_type: "gemma3_text",
    class: "Gemma3Text",
    causal_class: Some("Gemma3"),
    heads: DecoderHeads { token: None, ..SECOND.heads },
    body: TextDecoderNames {
        layer: DecoderLayerNames {
            attention: DecoderAttentionNames {
                norms: Some(("self_attn.q_norm", "self_attn.k_norm")),
                ..SECOND.body.layer.attention
            },
            ..SECOND.body.layer
        },
        ..SECOND.body
    },
    defaults: || {
        let all = second_defaults().into_iter().map(|(field, value)| match field {
            "vocab_size" => (field, json!(262_208)),
            "max_position_embeddings" => (field, json!(131_072)),
            _ => (field, value),
        });
        all.collect()
    },
    sizes: |config| {
        let sizes = scaled(config)?;
        let (count, size) = (sizes.kinds.len(), sizes.layer.head_size);
        // transformers takes a window as given wherever a layer slides.
        let usual = Some(4096).filter(|_| !config.as_map().contains_key("sliding_window"));
        let window = llama::window(config)?.or(usual);
        let pattern = config.size_or("sliding_window_pattern", 6)? as usize;
        let types = llama::layer_types(config, count)?;
        let slides = types.unwrap_or_else(|| (1..=count).map(|i| i % pattern != 0).collect());
        if window.is_none() && slides.contains(&true) {
            let problem = "is null, but there are layers with sliding attention".to_owned();
            return Err(ModelError::Config { field: "sliding_window".to_owned(), problem });
        }
        let rotary = vec![
            rotary_of_type(config, "full_attention", size, ("rope_theta", 1e6), true)?,
            rotary_of_type(config, "sliding_attention", size, ("rope_local_base_freq", 1e4), false)?,
        ];
        let grows = rotary.iter().any(|rotary| matches!(rotary.scaling, RopeScaling::Dynamic { .. }));
        let kind = |slides: &bool| LayerKind { window: window.filter(|_| *slides), rotary: usize::from(*slides) };
        Ok(TextDecoderSizes {
            kinds: slides.iter().map(kind).collect(),
            longest: Some(config.size("max_position_embeddings")? as usize).filter(|_| !grows),
            positions: Positions::Rotary(rotary),
            ..sizes
        })
    },
    ..SECOND
};

fn second_defaults() -> Vec<(&'static str, Value)> {
    let own = [
        ("hidden_size", json!(2304)),
        ("intermediate_size", json!(9216)),
        ("num_hidden_layers", json!(26)),
        ("num_attention_heads", json!(8)),
        ("num_key_value_heads", json!(4)),
        ("hidden_activation", json!("gelu_pytorch_tanh")),
        ("query_pre_attn_scalar", json!(256)),
        ("sliding_window", json!(4096)),
    ];
    // It has another name for this field.
    gemma_defaults(own).into_iter().filter(|(field, _)| *field != llama::ACTIVATION).collect()
}

/// Sizes from the second on: scores have a scale of their own. The second bounds them, too; the third has the field and does not read it.
fn scaled(config: &ModelConfig) -> Result<TextDecoderSizes, ModelError> {
    let sizes = sizes(config, "hidden_activation")?;
    let scale = 1.0 / config.number("query_pre_attn_scalar")?.sqrt();
    Ok(TextDecoderSizes { layer: DecoderSizes { scale, ..sizes.layer }, ..sizes })
}

fn bounded(config: &ModelConfig) -> Result<TextDecoderSizes, ModelError> {
    let sizes = scaled(config)?;
    let layer = DecoderSizes { softcap: softcap(config, Some("attn_logit_softcapping"))?, ..sizes.layer };
    Ok(TextDecoderSizes { layer, ..sizes })
}

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
    let sizes = llama::sizes(config, bias, bias, activation, USUAL)?;
    let padding = match config.as_map().get("pad_token_id") {
        None => Some(0),
        Some(_) => sizes.padding,
    };
    Ok(TextDecoderSizes {
        padding,
        filler: padding,
        embedding_scale: (sizes.layer.hidden as f64).sqrt(),
        layer: DecoderSizes { norm: NormKind::RmsPlusOne, ..sizes.layer },
        ..sizes
    })
}
