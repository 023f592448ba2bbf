//! BART (Lewis et al. 2019) and mBART (Liu et al. 2020), transformers `BartModel` and `MBartModel`: learned positions and a norm of the
//! embeddings; mBART has norms before its branches, a norm behind each stack, and begins with the last token of the target.

use super::llama;
use crate::bodies::{StackNames, StackPositions, StackSizes};
use crate::family::{
    DecoderUse, EncoderDecoderFamily, EncoderDecoderPlan, Fresh, FreshPieces, FreshSize, FreshTokens, StackPlan,
    Tables, TensorNames,
};
use crate::heads::{
    QUESTION_ANSWERING, SEQUENCE_CLASSIFICATION, SequencePlan, SpanPlan, TargetTokenPlan, TextPooling, TransformPlan,
    TransformSettings,
};
use crate::layers::{
    CrossNames, DecoderAttentionNames, DecoderLayerNames, DecoderSizes, NetworkNames, NormKind, ProjectionNames,
};
use crate::{ModelConfig, ModelError, TargetBegin};
use retune_kernels::Activation;
use serde_json::{Map, Value, json};

/// The first.
pub static BART: EncoderDecoderFamily = EncoderDecoderFamily {
    others: &[(&SEQUENCE_CLASSIFICATION, &BART_READER), (&QUESTION_ANSWERING, &BART_READER)],
    ..FIRST
};

/// Under heads over the text that it reads.
static BART_READER: EncoderDecoderFamily = EncoderDecoderFamily { decoder: READS, ..FIRST };

const FIRST: EncoderDecoderFamily = EncoderDecoderFamily {
    model_type: "bart",
    class: "Bart",
    ending: "ForConditionalGeneration",
    names: NAMES,
    decoder: DecoderUse::Writes { head: TargetTokenPlan::new("lm_head", Some(BIAS)), reads_source: true },
    others: &[],
    defaults: || {
        // Its class has three labels where nothing is said: those of natural language inference.
        let names = ["LABEL_0", "LABEL_1", "LABEL_2"];
        let (by_id, by_name): (Map<_, _>, Map<_, _>) = names
            .iter()
            .zip(0..)
            .map(|(&name, id)| ((id.to_string(), json!(name)), (name.to_owned(), json!(id))))
            .unzip();
        defaults(&[
            ("decoder_start_token_id", json!(2)),
            ("classifier_dropout", json!(0.0)),
            ("id2label", Value::Object(by_id)),
            ("label2id", Value::Object(by_name)),
        ])
    },
    plan: |config| plan(config, learned(config)?, &NORMED, false),
    begin: TargetBegin::fixed,
    fresh: Some(Fresh::texts(FreshTokens::Roberta, FreshPieces::Bpe, 1024, fresh)),
};

/// With norms before its branches.
pub static MBART: EncoderDecoderFamily = EncoderDecoderFamily {
    others: &[(&SEQUENCE_CLASSIFICATION, &MBART_READER), (&QUESTION_ANSWERING, &MBART_READER)],
    ..SECOND
};

static MBART_READER: EncoderDecoderFamily = EncoderDecoderFamily { decoder: READS, ..SECOND };

const SECOND: EncoderDecoderFamily = EncoderDecoderFamily {
    model_type: "mbart",
    class: "MBart",
    defaults: || defaults(&[("classifier_dropout", json!(0.0))]),
    plan: |config| plan(config, learned(config)?, &StackNames { norm: Some("layer_norm"), ..NORMED }, true),
    begin: TargetBegin::last_of_target,
    fresh: None,
    ..FIRST
};

/// Names of BART and all that follow it. Files of a base model that was taken out of its class have the shared table under one
/// of several names.
pub(super) const NAMES: TensorNames = TensorNames {
    base: "model",
    spellings: &[
        ("model.shared.weight", "model.encoder.embed_tokens.weight"),
        ("model.shared.weight", "model.decoder.embed_tokens.weight"),
        ("model.shared.weight", "lm_head.weight"),
    ],
    buffers: &["encoder.version", "decoder.version"],
    modules: &[],
    lora: Ok(&["q_proj", "v_proj"]),
};

/// The heads over the text that is read, all of it by the decoder, too.
const READS: DecoderUse = DecoderUse::Reads { sequence: Some(SEQUENCE), spans: Some(SPANS) };

/// transformers' `BartClassificationHead`, on the last token that ends the text.
pub(super) const SEQUENCE: SequencePlan = SequencePlan {
    pooling: |_| Ok(TextPooling::LastEnd),
    transform: TransformPlan {
        dense: "classification_head.dense",
        norm: None,
        settings: |_| Ok(TransformSettings::new(Activation::Tanh)),
    },
    is_pooler: false,
    classifier: "classification_head.out_proj",
    dropout_before: &["classifier_dropout"],
    dropout: &["classifier_dropout"],
};

/// The head of question answering.
pub(super) const SPANS: SpanPlan = SpanPlan { transform: None, outputs: "qa_outputs", dropout: &[] };

/// What is added to the scores.
pub(super) const BIAS: &str = "final_logits_bias";

const NORMED: StackNames = StackNames { embedding_norm: Some("layernorm_embedding"), ..STACK };

/// Names of a stack.
pub(super) const STACK: StackNames = StackNames {
    positions: "embed_positions",
    embedding_norm: None,
    layers: "layers",
    layer: DecoderLayerNames {
        attention: attention(["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.out_proj"]),
        network: NetworkNames::Plain { up: "fc1", down: "fc2" },
        before_attention: "self_attn_layer_norm",
        after_attention: None,
        cross: None,
        before_network: "final_layer_norm",
        after_network: None,
    },
    norm: None,
    relative: "",
};

/// Attention of a decoder to what the encoder returned.
const CROSS: CrossNames = CrossNames {
    attention: attention([
        "encoder_attn.q_proj",
        "encoder_attn.k_proj",
        "encoder_attn.v_proj",
        "encoder_attn.out_proj",
    ]),
    norm: "encoder_attn_layer_norm",
};

const fn attention([query, key, value, output]: [&'static str; 4]) -> DecoderAttentionNames {
    DecoderAttentionNames { projections: ProjectionNames::Apart { query, key, value }, output, norms: None }
}

/// The same stack with attention to another one.
pub(super) const fn over_encoder(names: &StackNames) -> StackNames {
    StackNames { layer: DecoderLayerNames { cross: Some(CROSS), ..names.layer }, ..*names }
}

/// What `BartConfig` assumes, with what a sibling assumes otherwise in `own`. How texts are searched for is left out: where a
/// generation_config.json is silent, transformers does not ask the class.
pub(super) fn defaults(own: &[(&'static str, Value)]) -> Vec<(&'static str, Value)> {
    let usual = [
        ("is_encoder_decoder", json!(true)),
        ("vocab_size", json!(50265)),
        ("max_position_embeddings", json!(1024)),
        ("encoder_layers", json!(12)),
        ("encoder_ffn_dim", json!(4096)),
        ("encoder_attention_heads", json!(16)),
        ("decoder_layers", json!(12)),
        ("decoder_ffn_dim", json!(4096)),
        ("decoder_attention_heads", json!(16)),
        ("encoder_layerdrop", json!(0.0)),
        ("decoder_layerdrop", json!(0.0)),
        ("activation_function", json!("gelu")),
        ("d_model", json!(1024)),
        ("dropout", json!(0.1)),
        ("attention_dropout", json!(0.0)),
        ("activation_dropout", json!(0.0)),
        ("init_std", json!(0.02)),
        ("scale_embedding", json!(false)),
        ("pad_token_id", json!(1)),
        ("bos_token_id", json!(0)),
        ("eos_token_id", json!(2)),
        ("tie_word_embeddings", json!(true)),
    ];
    let others = usual.into_iter().filter(|(field, _)| own.iter().all(|(other, _)| other != field));
    others.chain(own.iter().cloned()).collect()
}

/// Learned positions, the first two of which belong to no place.
fn learned(config: &ModelConfig) -> Result<StackPositions, ModelError> {
    Ok(StackPositions::Learned { rows: config.size("max_position_embeddings")? + 2, unused: 2 })
}

/// Both stacks of BART's kind, called `names` but for cross-attention; `pre_norm` has norms before the branches.
pub(super) fn plan(
    config: &ModelConfig,
    positions: StackPositions,
    names: &StackNames,
    pre_norm: bool,
) -> Result<EncoderDecoderPlan, ModelError> {
    let vocabulary = config.size("vocab_size")?;
    let stack = |path: &'static str, names: StackNames| {
        Ok::<_, ModelError>(StackPlan { path, names, sizes: sizes(config, path, positions, pre_norm)?, vocabulary })
    };
    let ties = config.flag_or("tie_word_embeddings", true)?;
    Ok(EncoderDecoderPlan {
        encoder: stack("encoder", *names)?,
        decoder: stack("decoder", over_encoder(names))?,
        tables: if ties { Tables::Tied } else { Tables::Untied },
        padding: llama::padding(config)?,
        longest: Some(config.size("max_position_embeddings")? as usize),
    })
}

/// Sizes of one stack, by the fields that begin with its name.
fn sizes(
    config: &ModelConfig,
    stack: &str,
    positions: StackPositions,
    pre_norm: bool,
) -> Result<StackSizes, ModelError> {
    let field = |name: &str| format!("{stack}_{name}");
    let (hidden, heads) = (config.size("d_model")?, config.size(&field("attention_heads"))?);
    if hidden % heads != 0 {
        let problem = format!("is {heads}, which does not divide the hidden size {hidden}");
        return Err(ModelError::Config { field: field("attention_heads"), problem });
    }
    let dropout = config.probability("dropout")?;
    let head_size = hidden / heads;
    Ok(StackSizes {
        embedding_scale: if config.flag_or("scale_embedding", false)? { (hidden as f64).sqrt() } else { 1.0 },
        positions,
        rotary: None,
        embedding_dropout: dropout,
        layer: DecoderSizes {
            hidden,
            heads,
            key_heads: heads,
            head_size,
            intermediate: config.size(&field("ffn_dim"))?,
            activation: Activation::from_name(&config.text("activation_function")?)?,
            norm: NormKind::Layer,
            norm_epsilon: 1e-5,
            query_bias: true,
            key_bias: true,
            output_bias: true,
            network_bias: true,
            transposed: false,
            scale: 1.0 / (head_size as f64).sqrt(),
            scale_by_layer: false,
            softcap: None,
            parallel: false,
            post_norm: !pre_norm,
            hidden_dropout: dropout,
            attention_dropout: config.probability("attention_dropout")?,
            network_dropout: config.probability("activation_dropout")?,
        },
        layers: config.size(&field("layers"))? as usize,
        relative: None,
        final_dropout: 0.0,
        layer_drop: config.probability(&field("layerdrop"))?,
    })
}

/// Each of the two stacks has as many layers as the one of other families.
fn fresh(size: &FreshSize) -> Value {
    json!({
        "is_encoder_decoder": true, "d_model": size.hidden, "encoder_layers": size.layers, "decoder_layers": size.layers,
        "encoder_attention_heads": size.heads, "decoder_attention_heads": size.heads, "encoder_ffn_dim": 4 * size.hidden,
        "decoder_ffn_dim": 4 * size.hidden, "activation_function": "gelu", "dropout": 0.1, "attention_dropout": 0.1,
        "activation_dropout": 0.0, "encoder_layerdrop": 0.0, "decoder_layerdrop": 0.0, "max_position_embeddings": 1024,
        "scale_embedding": false, "init_std": 0.02, "forced_eos_token_id": null, "tie_word_embeddings": true,
    })
}
