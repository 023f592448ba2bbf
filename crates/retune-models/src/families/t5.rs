//! T5 (Raffel et al. 2020), its later version with gated networks, and mT5 (Xue et al. 2021): transformers `T5Model` and `MT5Model`.
//! A bias by relative position in place of positions, norms of the root mean square before the branches, scores that are not
//! scaled.

use super::bart;
use crate::bodies::{StackNames, StackPositions, StackSizes};
use crate::family::{
    DecoderUse, EncoderAloneFamily, EncoderDecoderFamily, EncoderDecoderPlan, Serving, StackPlan, Tables, TensorNames,
};
use crate::heads::{QUESTION_ANSWERING, SEQUENCE_CLASSIFICATION, TOKEN_CLASSIFICATION, TargetTokenPlan, TokenPlan};
use crate::layers::{
    Buckets, CrossNames, DecoderAttentionNames, DecoderLayerNames, DecoderSizes, NetworkNames, NormKind,
    ProjectionNames,
};
use crate::{ModelConfig, ModelError, TargetBegin};
use retune_kernels::Activation;
use serde_json::{Value, json};

/// The first, and Flan-T5.
pub static T5: EncoderDecoderFamily = EncoderDecoderFamily { others: T5_READERS, ..FIRST };

/// Its classes over the text that is read: two of them have the whole model or its encoder inside, one is as the class that writes.
static T5_READERS: Serving =
    &[(&SEQUENCE_CLASSIFICATION, &T5_TEXTS), (&TOKEN_CLASSIFICATION, &T5_TOKENS), (&QUESTION_ANSWERING, &T5_ANSWERS)];
static T5_TEXTS: EncoderDecoderFamily = EncoderDecoderFamily { names: INSIDE, decoder: OF_TEXTS, ..FIRST };
static T5_TOKENS: EncoderAloneFamily = EncoderAloneFamily { of: &T5, names: INSIDE, token: OF_TOKENS };
static T5_ANSWERS: EncoderDecoderFamily = EncoderDecoderFamily { decoder: OF_ANSWERS, ..FIRST };

const FIRST: EncoderDecoderFamily = EncoderDecoderFamily {
    model_type: "t5",
    class: "T5",
    ending: "ForConditionalGeneration",
    names: NAMES,
    // transformers ties them whatever config.json says, unless the file holds both and they differ.
    decoder: writes(TargetTokenPlan { ties: |_| Ok(true), scale, ..TargetTokenPlan::new("lm_head", None) }),
    others: &[],
    defaults: || defaults(&[]),
    plan,
    begin: TargetBegin::fixed,
    fresh: None,
};

const NAMES: TensorNames = TensorNames {
    base: "",
    spellings: &[
        ("shared.weight", "encoder.embed_tokens.weight"),
        ("shared.weight", "decoder.embed_tokens.weight"),
        ("shared.weight", "lm_head.weight"),
    ],
    buffers: &["decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight"],
    modules: &[],
    lora: Ok(&["q", "v"]),
};

/// The same where the model stands inside of a class.
const INSIDE: TensorNames = TensorNames { base: "transformer", ..NAMES };

const fn writes(head: TargetTokenPlan) -> DecoderUse {
    DecoderUse::Writes { head, reads_source: false }
}

const OF_TEXTS: DecoderUse = DecoderUse::Reads { sequence: Some(bart::SEQUENCE), spans: None };
const OF_ANSWERS: DecoderUse = DecoderUse::Reads { sequence: None, spans: Some(bart::SPANS) };
const OF_TOKENS: TokenPlan = TokenPlan::new(&["classifier_dropout"]);

/// Of many languages; its scores are never scaled.
pub static MT5: EncoderDecoderFamily = EncoderDecoderFamily { others: MT5_READERS, ..SECOND };

static MT5_READERS: Serving = &[
    (&SEQUENCE_CLASSIFICATION, &MT5_TEXTS),
    (&TOKEN_CLASSIFICATION, &MT5_TOKENS),
    (&QUESTION_ANSWERING, &MT5_ANSWERS),
];
static MT5_TEXTS: EncoderDecoderFamily = EncoderDecoderFamily { names: INSIDE, decoder: OF_TEXTS, ..SECOND };
static MT5_TOKENS: EncoderAloneFamily = EncoderAloneFamily { of: &MT5, names: INSIDE, token: OF_TOKENS };
static MT5_ANSWERS: EncoderDecoderFamily = EncoderDecoderFamily { decoder: OF_ANSWERS, ..SECOND };

const SECOND: EncoderDecoderFamily = EncoderDecoderFamily {
    model_type: "mt5",
    class: "MT5",
    decoder: writes(TargetTokenPlan { ties: |_| Ok(true), ..TargetTokenPlan::new("lm_head", None) }),
    defaults: || {
        defaults(&[
            ("vocab_size", json!(250_112)),
            ("d_ff", json!(1024)),
            ("num_layers", json!(8)),
            ("num_heads", json!(6)),
            ("feed_forward_proj", json!("gated-gelu")),
            ("decoder_start_token_id", json!(0)),
        ])
    },
    ..FIRST
};

fn defaults(own: &[(&'static str, Value)]) -> Vec<(&'static str, Value)> {
    let usual = [
        ("is_encoder_decoder", json!(true)),
        ("vocab_size", json!(32128)),
        ("d_model", json!(512)),
        ("d_kv", json!(64)),
        ("d_ff", json!(2048)),
        ("num_layers", json!(6)),
        ("num_heads", json!(8)),
        ("relative_attention_num_buckets", json!(32)),
        ("relative_attention_max_distance", json!(128)),
        ("dropout_rate", json!(0.1)),
        ("classifier_dropout", json!(0.0)),
        ("layer_norm_epsilon", json!(1e-6)),
        ("feed_forward_proj", json!("relu")),
        ("pad_token_id", json!(0)),
        ("eos_token_id", json!(1)),
    ];
    let others = usual.into_iter().filter(|(field, _)| own.iter().all(|(other, _)| other != field));
    others.chain(own.iter().cloned()).collect()
}

/// 1/√D where the scores are those of the first version: `scale_decoder_outputs`, and in older files `tie_word_embeddings`.
fn scale(config: &ModelConfig) -> Result<f64, ModelError> {
    let scaled = config.flag_or("scale_decoder_outputs", config.flag_or("tie_word_embeddings", true)?)?;
    Ok(if scaled { 1.0 / (config.size("d_model")? as f64).sqrt() } else { 1.0 })
}

/// The activation of the feed-forward networks, and whether they are gated: `feed_forward_proj`, unless the fields that transformers
/// makes of it say something else.
fn network(config: &ModelConfig) -> Result<(Activation, bool), ModelError> {
    let text = config.text("feed_forward_proj")?;
    let (name, gated) = text.strip_prefix("gated-").map_or((text.as_str(), false), |name| (name, true));
    // As in transformers, only this one means its approximation.
    let name = if text == "gated-gelu" { "gelu_new" } else { name };
    let (field, name) = match config.get("dense_act_fn") {
        Some(_) => ("dense_act_fn", config.text("dense_act_fn")?),
        None => ("feed_forward_proj", name.to_owned()),
    };
    let activation = Activation::from_name(&name)
        .map_err(|error| ModelError::Config { field: field.to_owned(), problem: format!("is `{name}`: {error}") })?;
    Ok((activation, config.flag_or("is_gated_act", gated)?))
}

const fn attention([query, key, value, output]: [&'static str; 4]) -> DecoderAttentionNames {
    DecoderAttentionNames { projections: ProjectionNames::Apart { query, key, value }, output, norms: None }
}

/// Names of a stack whose feed-forward network is called so, with the norm before it.
const fn names(network: NetworkNames, norm: &'static str, cross: Option<CrossNames>) -> StackNames {
    let own =
        ["layer.0.SelfAttention.q", "layer.0.SelfAttention.k", "layer.0.SelfAttention.v", "layer.0.SelfAttention.o"];
    StackNames {
        positions: "",
        embedding_norm: None,
        layers: "block",
        layer: DecoderLayerNames {
            attention: attention(own),
            network,
            before_attention: "layer.0.layer_norm",
            after_attention: None,
            cross,
            before_network: norm,
            after_network: None,
        },
        norm: Some("final_layer_norm"),
        relative: "block.0.layer.0.SelfAttention.relative_attention_bias",
    }
}

const CROSS: CrossNames = CrossNames {
    attention: attention([
        "layer.1.EncDecAttention.q",
        "layer.1.EncDecAttention.k",
        "layer.1.EncDecAttention.v",
        "layer.1.EncDecAttention.o",
    ]),
    norm: "layer.1.layer_norm",
};

fn plan(config: &ModelConfig) -> Result<EncoderDecoderPlan, ModelError> {
    let (_, gated) = network(config)?;
    let (of_encoder, of_decoder) = if gated {
        let [gate, up, down] =
            ["layer.1.DenseReluDense.wi_0", "layer.1.DenseReluDense.wi_1", "layer.1.DenseReluDense.wo"];
        let of_encoder = NetworkNames::Gated { gate, up, down };
        let [gate, up, down] =
            ["layer.2.DenseReluDense.wi_0", "layer.2.DenseReluDense.wi_1", "layer.2.DenseReluDense.wo"];
        (of_encoder, NetworkNames::Gated { gate, up, down })
    } else {
        let plain = |up, down| NetworkNames::Plain { up, down };
        (
            plain("layer.1.DenseReluDense.wi", "layer.1.DenseReluDense.wo"),
            plain("layer.2.DenseReluDense.wi", "layer.2.DenseReluDense.wo"),
        )
    };
    let layers = config.size("num_layers")?;
    let target_layers = config.size_or("num_decoder_layers", layers)?;
    let vocabulary = config.size("vocab_size")?;
    let stack = |path, names, layers, both_sides| {
        Ok::<_, ModelError>(StackPlan { path, names, sizes: sizes(config, layers, both_sides)?, vocabulary })
    };
    Ok(EncoderDecoderPlan {
        encoder: stack("encoder", names(of_encoder, "layer.1.layer_norm", None), layers, true)?,
        decoder: stack("decoder", names(of_decoder, "layer.2.layer_norm", Some(CROSS)), target_layers, false)?,
        tables: Tables::Tied,
        // Its embedding is one as any other.
        padding: None,
        longest: None,
    })
}

fn sizes(config: &ModelConfig, layers: i64, both_sides: bool) -> Result<StackSizes, ModelError> {
    let heads = config.size("num_heads")?;
    let dropout = config.probability("dropout_rate")?;
    let buckets = Buckets {
        count: config.size("relative_attention_num_buckets")?,
        farthest: config.size("relative_attention_max_distance")?,
        both_sides,
    };
    if !buckets.are_useful() {
        let problem = format!("is {}, too few for a farthest distance of {}", buckets.count, buckets.farthest);
        return Err(ModelError::Config { field: "relative_attention_num_buckets".to_owned(), problem });
    }
    Ok(StackSizes {
        embedding_scale: 1.0,
        positions: StackPositions::None,
        rotary: None,
        embedding_dropout: dropout,
        layer: DecoderSizes {
            hidden: config.size("d_model")?,
            heads,
            key_heads: heads,
            head_size: config.size("d_kv")?,
            intermediate: config.size("d_ff")?,
            activation: network(config)?.0,
            norm: NormKind::Rms,
            norm_epsilon: config.number("layer_norm_epsilon")?,
            query_bias: false,
            key_bias: false,
            output_bias: false,
            network_bias: false,
            transposed: false,
            scale: 1.0,
            scale_by_layer: false,
            softcap: None,
            parallel: false,
            post_norm: false,
            hidden_dropout: dropout,
            attention_dropout: dropout,
            network_dropout: dropout,
        },
        layers: layers as usize,
        relative: Some(buckets),
        final_dropout: dropout,
        layer_drop: 0.0,
    })
}
