//! Llama (Touvron et al. 2023), Mistral (Jiang et al. 2023), Qwen2 and Qwen3 (Yang et al. 2024, 2025): transformers `LlamaModel`
//! and its siblings.

use super::rope::{self, RopeFields, USUAL};
use crate::bodies::{LayerKind, Positions, TextDecoderNames, TextDecoderSizes};
use crate::family::{DecoderFamily, DecoderHeads, Fresh, FreshPieces, FreshSize, FreshTokens, TensorNames};
use crate::heads::{NextTokenPlan, QUESTION_ANSWERING, SpanPlan, TokenPlan};
use crate::layers::{
    DecoderAttentionNames, DecoderLayerNames, DecoderSizes, NetworkNames, NormKind, ProjectionNames, RopeScaling,
};
use crate::{ModelConfig, ModelError};
use retune_kernels::Activation;
use serde_json::{Value, json};

/// The plain one.
pub static LLAMA: DecoderFamily = DecoderFamily { others: &[(&QUESTION_ANSWERING, &LLAMA_SPANS)], ..PLAIN };

/// Its class for question answering calls the decoder by an older name, as those of Qwen do.
static LLAMA_SPANS: DecoderFamily = DecoderFamily { names: NAMES_OF_SPANS, heads: SPANS_ALONE, ..PLAIN };

const PLAIN: DecoderFamily = DecoderFamily {
    model_type: "llama",
    class: "Llama",
    causal_class: None,
    causal_ending: CAUSAL,
    names: NAMES,
    body: BODY,
    heads: HEADS,
    others: &[],
    defaults: || defaults(&[("max_position_embeddings", json!(2048))]),
    sizes: |config| {
        let bias = config.flag_or("attention_bias", false)?;
        let sizes = sizes(config, bias, bias, ACTIVATION, USUAL)?;
        let network_bias = config.flag_or("mlp_bias", false)?;
        Ok(TextDecoderSizes { layer: DecoderSizes { network_bias, ..sizes.layer }, ..sizes })
    },
    fresh: Some(Fresh::texts(FreshTokens::Decoder, FreshPieces::Bpe, 2048, fresh)),
};

/// With a sliding window.
pub static MISTRAL: DecoderFamily = DecoderFamily {
    model_type: "mistral",
    class: "Mistral",
    heads: DecoderHeads { spans: Some(SPANS), ..HEADS },
    defaults: || {
        let own = [("max_position_embeddings", json!(131_072)), ("sliding_window", json!(4096))];
        let own = own.into_iter().chain([("num_key_value_heads", json!(8)), ("intermediate_size", json!(14336))]);
        defaults(&own.collect::<Vec<_>>())
    },
    sizes: |config| {
        let window = window(config)?;
        let sizes = sizes(config, false, false, ACTIVATION, USUAL)?;
        let kinds = sizes.kinds.iter().map(|kind| LayerKind { window, ..*kind }).collect();
        Ok(TextDecoderSizes { kinds, ..sizes })
    },
    ..PLAIN
};

/// With a bias on queries, keys and values.
pub static QWEN2: DecoderFamily = DecoderFamily { others: &[(&QUESTION_ANSWERING, &QWEN2_SPANS)], ..BIASED };

static QWEN2_SPANS: DecoderFamily = DecoderFamily { names: NAMES_OF_SPANS, heads: SPANS_ALONE, ..BIASED };

const BIASED: DecoderFamily = DecoderFamily {
    model_type: "qwen2",
    class: "Qwen2",
    defaults: qwen_defaults,
    sizes: |config| {
        with_windows(
            config,
            sizes(config, true, false, ACTIVATION, USUAL)?,
            config.flag_or("use_sliding_window", false)?,
        )
    },
    ..PLAIN
};

/// With norms of queries and keys, and heads of a size of their own.
pub static QWEN3: DecoderFamily = DecoderFamily { others: &[(&QUESTION_ANSWERING, &QWEN3_SPANS)], ..NORMED };

static QWEN3_SPANS: DecoderFamily = DecoderFamily { names: NAMES_OF_SPANS, heads: SPANS_ALONE, ..NORMED };

const NORMED: DecoderFamily = DecoderFamily {
    model_type: "qwen3",
    class: "Qwen3",
    body: TextDecoderNames {
        layer: DecoderLayerNames {
            attention: DecoderAttentionNames {
                norms: Some(("self_attn.q_norm", "self_attn.k_norm")),
                ..BODY.layer.attention
            },
            ..BODY.layer
        },
        ..BODY
    },
    defaults: || qwen_defaults().into_iter().chain([("head_dim", json!(128))]).collect(),
    sizes: |config| {
        let bias = config.flag_or("attention_bias", false)?;
        with_windows(
            config,
            sizes(config, bias, bias, ACTIVATION, USUAL)?,
            config.flag_or("use_sliding_window", false)?,
        )
    },
    fresh: None,
    ..PLAIN
};

/// The usual field with the activation.
pub(super) const ACTIVATION: &str = "hidden_act";

/// The usual ending of classes for next tokens.
pub(super) const CAUSAL: &str = "ForCausalLM";

/// Names of Llama and all that follow it.
pub(super) const NAMES: TensorNames = TensorNames {
    base: "model",
    spellings: &[],
    buffers: &["rotary_emb.inv_freq"],
    modules: &[],
    lora: Ok(&["q_proj", "v_proj"]),
};

/// Names of the body.
pub(super) const BODY: TextDecoderNames = TextDecoderNames {
    tokens: "embed_tokens",
    positions: "",
    layers: "layers",
    layer: DecoderLayerNames {
        attention: DecoderAttentionNames {
            projections: ProjectionNames::Apart {
                query: "self_attn.q_proj",
                key: "self_attn.k_proj",
                value: "self_attn.v_proj",
            },
            output: "self_attn.o_proj",
            norms: None,
        },
        network: NetworkNames::Gated { gate: "mlp.gate_proj", up: "mlp.up_proj", down: "mlp.down_proj" },
        before_attention: "input_layernorm",
        after_attention: None,
        cross: None,
        before_network: "post_attention_layernorm",
        after_network: None,
    },
    norm: "norm",
};

/// The same where the class calls the decoder by its older name.
const NAMES_OF_SPANS: TensorNames = TensorNames { base: "transformer", ..NAMES };

/// The head for next tokens.
pub(super) const NEXT_TOKEN: NextTokenPlan = NextTokenPlan { projection: "lm_head", softcap: None };

/// The head for question answering, transformers' `GenericForQuestionAnswering`.
pub(super) const SPANS: SpanPlan = SpanPlan { transform: None, outputs: "qa_outputs", dropout: &[] };

/// All heads under the usual name of the decoder.
pub(super) const HEADS: DecoderHeads =
    DecoderHeads { token: Some(TokenPlan::GENERIC), ..DecoderHeads::new(NEXT_TOKEN) };

const SPANS_ALONE: DecoderHeads = DecoderHeads { spans: Some(SPANS), ..DecoderHeads::NONE };

/// What `LlamaConfig` assumes, with what a sibling assumes otherwise in `own`.
pub(super) fn defaults(own: &[(&'static str, Value)]) -> Vec<(&'static str, Value)> {
    let usual = [
        ("vocab_size", json!(32000)),
        ("hidden_size", json!(4096)),
        ("intermediate_size", json!(11008)),
        ("num_hidden_layers", json!(32)),
        ("num_attention_heads", json!(32)),
        ("hidden_act", json!("silu")),
        ("initializer_range", json!(0.02)),
        ("rms_norm_eps", json!(1e-6)),
        ("attention_dropout", json!(0.0)),
        ("tie_word_embeddings", json!(false)),
    ];
    let others = usual.into_iter().filter(|(field, _)| own.iter().all(|(other, _)| other != field));
    others.chain(own.iter().cloned()).collect()
}

fn qwen_defaults() -> Vec<(&'static str, Value)> {
    defaults(&[
        ("vocab_size", json!(151_936)),
        ("intermediate_size", json!(22016)),
        ("max_position_embeddings", json!(32768)),
        ("max_window_layers", json!(28)),
    ])
}

/// The field of config.json with the sliding window; null is none.
pub(super) fn window(config: &ModelConfig) -> Result<Option<i64>, ModelError> {
    config.get("sliding_window").map(|_| config.size("sliding_window")).transpose()
}

/// Windows by `layer_types`, or by `max_window_layers` where windows are in `use`.
fn with_windows(config: &ModelConfig, sizes: TextDecoderSizes, used: bool) -> Result<TextDecoderSizes, ModelError> {
    let usual = Some(4096).filter(|_| !config.as_map().contains_key("sliding_window"));
    let window = window(config)?.or(usual).filter(|_| used);
    let types = match layer_types(config, sizes.kinds.len())? {
        Some(types) => types,
        None => {
            let first = config.number("max_window_layers")? as usize;
            (0..sizes.kinds.len()).map(|i| window.is_some() && i >= first).collect()
        }
    };
    // transformers makes masks by these types, and takes the window from the field.
    if window.is_none() && types.contains(&true) {
        let problem = "names sliding attention, but `use_sliding_window` is not true".to_owned();
        return Err(ModelError::Config { field: "layer_types".to_owned(), problem });
    }
    let kinds = types.iter().map(|slides| LayerKind { window: window.filter(|_| *slides), rotary: 0 }).collect();
    Ok(TextDecoderSizes { kinds, ..sizes })
}

/// Whether each layer has a sliding window, where `layer_types` says it.
pub(super) fn layer_types(config: &ModelConfig, layers: usize) -> Result<Option<Vec<bool>>, ModelError> {
    let Some(value) = config.get("layer_types") else { return Ok(None) };
    let slides = |it: &Value| match it.as_str() {
        Some("full_attention") => Some(false),
        Some("sliding_attention") => Some(true),
        _ => None,
    };
    let types: Option<Vec<bool>> = value.as_array().and_then(|list| list.iter().map(slides).collect());
    types.filter(|types| types.len() == layers).map(Some).ok_or_else(|| ModelError::Config {
        field: "layer_types".to_owned(),
        problem: format!("is {value}, not full_attention or sliding_attention for each of {layers} layers"),
    })
}

/// The token of padding, where there is one: null and an absent field are none, as -1 was in older checkpoints.
pub(super) fn padding(config: &ModelConfig) -> Result<Option<i64>, ModelError> {
    let Some(value) = config.get("pad_token_id") else { return Ok(None) };
    let rows = config.size("vocab_size")?;
    let stated = value.as_i64().filter(|&token| (-1..rows).contains(&token)).ok_or_else(|| ModelError::Config {
        field: "pad_token_id".to_owned(),
        problem: format!("is {value}, but there are {rows} tokens"),
    })?;
    Ok(Some(stated).filter(|&token| token >= 0))
}

/// The config fields that Llama and its siblings share; `activation` is the one that names the activation.
pub(super) fn sizes(
    config: &ModelConfig,
    query_bias: bool,
    output_bias: bool,
    activation: &str,
    rope: RopeFields,
) -> Result<TextDecoderSizes, ModelError> {
    let (hidden, heads) = (config.size("hidden_size")?, config.size("num_attention_heads")?);
    let key_heads = config.size_or("num_key_value_heads", heads)?;
    if heads % key_heads != 0 {
        let problem = format!("is {key_heads}, which does not divide the {heads} heads");
        return Err(ModelError::Config { field: "num_key_value_heads".to_owned(), problem });
    }
    let size = match config.get("head_dim") {
        Some(_) => config.size("head_dim")?,
        None if hidden % heads == 0 => hidden / heads,
        None => {
            let problem = format!("is {heads}, which does not divide the hidden size {hidden}");
            return Err(ModelError::Config { field: "num_attention_heads".to_owned(), problem });
        }
    };
    let rotary = rope::rotary(config, size, rope)?;
    let longest = config.size("max_position_embeddings")? as usize;
    let grows = matches!(rotary.scaling, RopeScaling::Dynamic { .. });
    let padding = padding(config)?;
    Ok(TextDecoderSizes {
        vocabulary: config.size("vocab_size")?,
        padding,
        filler: padding,
        longest: Some(longest).filter(|_| !grows),
        positions: Positions::Rotary(vec![rotary]),
        read_anew_beyond: None,
        embedding_scale: 1.0,
        embedding_dropout: 0.0,
        layer: DecoderSizes {
            hidden,
            heads,
            key_heads,
            head_size: size,
            intermediate: config.size("intermediate_size")?,
            activation: Activation::from_name(&config.text(activation)?)?,
            norm: NormKind::Rms,
            norm_epsilon: config.number("rms_norm_eps")?,
            query_bias,
            key_bias: query_bias,
            output_bias,
            network_bias: false,
            transposed: false,
            scale: 1.0 / (size as f64).sqrt(),
            scale_by_layer: false,
            softcap: None,
            parallel: false,
            post_norm: false,
            hidden_dropout: 0.0,
            attention_dropout: config.probability("attention_dropout")?,
            network_dropout: 0.0,
        },
        kinds: vec![LayerKind { window: None, rotary: 0 }; config.size("num_hidden_layers")? as usize],
    })
}

/// The gated middle has two thirds of four times the width, in steps of 64.
fn fresh(size: &FreshSize) -> Value {
    json!({
        "hidden_size": size.hidden, "num_hidden_layers": size.layers, "num_attention_heads": size.heads,
        "num_key_value_heads": size.heads, "intermediate_size": (size.hidden * 8 / 3 + 63) / 64 * 64,
        "hidden_act": "silu", "max_position_embeddings": 2048, "rms_norm_eps": 1e-6, "rope_theta": 10000.0,
        "initializer_range": 0.02, "attention_dropout": 0.0, "tie_word_embeddings": true,
    })
}
