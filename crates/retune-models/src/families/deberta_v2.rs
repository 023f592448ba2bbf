//! DeBERTa-v2 and v3 (He et al. 2020, 2021), transformers `DebertaV2Model`.

use super::bert;
use crate::bodies::DisentangledEncoderSizes;
use crate::family::{Fresh, FreshPieces, FreshSize, FreshTokens, TensorNames, TextBody, TextFamily, with};
use crate::heads::{
    MaskedWordsNames, MaskedWordsPlan, SequencePlan, TokenPlan, TransformPlan, TransformSettings, WordScoresPlan,
    first_token,
};
use crate::layers::{
    AttentionNames, DisentangledSizes, LayerNames, LayerSizes, PositionScheme, ProjectedEmbeddingSizes, RelativePlaces,
    TokenConvolutionSizes,
};
use crate::{ModelConfig, ModelError};
use retune_kernels::Activation;
use serde_json::{Value, json};

/// Sequences: dropout → dense → dropout → classifier, on the first token.
pub static DEBERTA_V2: TextFamily = TextFamily {
    model_type: "deberta-v2",
    class: "DebertaV2",
    names: TensorNames {
        spellings: bert::BIAS,
        buffers: &["position_ids", "embeddings.position_embeddings.weight"],
        lora: Ok(&["query_proj", "value_proj"]),
        ..bert::names("deberta")
    },
    body: TextBody::Disentangled { sizes },
    pooler: None,
    sequence: SequencePlan {
        pooling: first_token,
        transform: TransformPlan {
            dense: "pooler.dense",
            norm: None,
            settings: |config| Ok(TransformSettings::new(Activation::from_name(&config.text("pooler_hidden_act")?)?)),
        },
        is_pooler: false,
        classifier: "classifier",
        dropout_before: &["pooler_dropout"],
        dropout: &["cls_dropout", "hidden_dropout_prob"],
    },
    token: TokenPlan::new(&["hidden_dropout_prob"]),
    spans: bert::SPANS,
    words: MaskedWordsPlan(|config| Ok(if config.flag_or("legacy", true)? { bert::WORDS } else { WORDS })),
    defaults,
    fresh: Some(Fresh::texts(FreshTokens::Bert, FreshPieces::Unigram, 512, fresh)),
};

/// Words by the head that the authors trained; with `legacy` it is BERT's.
const WORDS: MaskedWordsNames = MaskedWordsNames {
    transform: TransformPlan {
        dense: "lm_predictions.lm_head.dense",
        norm: Some("lm_predictions.lm_head.LayerNorm"),
        settings: |config| {
            if config.get("embedding_size").is_some() && config.size("embedding_size")? != config.size("hidden_size")? {
                return Err(ModelError::of_field(
                    "embedding_size",
                    "is not the hidden size, as this head of words needs it",
                ));
            }
            bert::word_transform(config)
        },
    },
    decoder: WordScoresPlan { ties: |_| Ok(true), ..WordScoresPlan::new("lm_predictions.lm_head", None) },
};

const NAMES: LayerNames = LayerNames {
    attention: AttentionNames {
        query: "attention.self.query_proj",
        key: "attention.self.key_proj",
        value: "attention.self.value_proj",
        output: "attention.output.dense",
    },
    ..bert::BODY.layer
};

/// What `DebertaV2Config` assumes: the sizes of its largest model.
fn defaults() -> Vec<(&'static str, Value)> {
    let own = [
        ("hidden_size", json!(1536)),
        ("num_hidden_layers", json!(24)),
        ("num_attention_heads", json!(24)),
        ("intermediate_size", json!(6144)),
        ("type_vocab_size", json!(0)),
        ("layer_norm_eps", json!(1e-7)),
        ("relative_attention", json!(false)),
        ("max_relative_positions", json!(-1)),
        ("position_biased_input", json!(true)),
        ("pooler_dropout", json!(0.0)),
        ("pooler_hidden_act", json!("gelu")),
        ("legacy", json!(true)),
    ];
    bert::defaults_with(128_100, &own)
}

fn sizes(config: &ModelConfig) -> Result<DisentangledEncoderSizes, ModelError> {
    let (hidden, heads) = (config.size("hidden_size")?, config.size("num_attention_heads")?);
    if hidden % heads != 0 {
        return Err(ModelError::of_field(
            "num_attention_heads",
            format!("is {heads}, which does not divide the hidden size {hidden}"),
        ));
    }
    for (field, only) in [("attention_head_size", hidden / heads), ("pooler_hidden_size", hidden)] {
        if config.get(field).is_some() && config.size(field)? != only {
            return Err(ModelError::of_field(
                field,
                format!("is {}, but the sizes of the layers ask for {only}", config.size(field)?),
            ));
        }
    }
    let epsilon = config.number("layer_norm_eps")?;
    let hidden_dropout = config.probability("hidden_dropout_prob")?;
    let attention_dropout = config.probability("attention_probs_dropout_prob")?;
    let longest = config.size("max_position_embeddings")?;
    let relative = config.flag_or("relative_attention", false)?;
    let vocabulary = config.size("vocab_size")?;
    Ok(DisentangledEncoderSizes {
        embeddings: ProjectedEmbeddingSizes {
            vocabulary,
            padding: bert::padding(config, &PositionScheme::Absolute)?,
            positions: if config.flag_or("position_biased_input", true)? { longest } else { 0 },
            types: config.number("type_vocab_size")? as i64,
            size: config.size_or("embedding_size", hidden)?,
            hidden,
            norm_epsilon: epsilon,
            dropout: hidden_dropout,
        },
        vocabulary,
        longest,
        names: NAMES,
        layer: LayerSizes {
            hidden,
            heads,
            intermediate: config.size("intermediate_size")?,
            activation: Activation::from_name(&config.text("hidden_act")?)?,
            norm_epsilon: epsilon,
            hidden_dropout,
            feed_forward_dropout: hidden_dropout,
            attention_dropout,
        },
        attention: DisentangledSizes {
            hidden,
            heads,
            dropout: attention_dropout,
            position_dropout: hidden_dropout,
            named: kinds(config)?,
            relative,
            shared: config.flag_or("share_att_key", false)?,
        },
        places: relative.then(|| places(config, longest)).transpose()?,
        normed_positions: named(config, "norm_rel_ebd")?.iter().any(|part| part == "layer_norm"),
        convolution: convolution(config, hidden, epsilon, hidden_dropout)?,
        layers: config.size("num_hidden_layers")?,
    })
}

/// Parts of a field, a list of texts or one text with bars between them.
fn named(config: &ModelConfig, field: &str) -> Result<Vec<String>, ModelError> {
    let wrong = || ModelError::of_field(field, "is neither a text nor a list of texts");
    match config.get(field) {
        None => Ok(Vec::new()),
        Some(Value::String(text)) => Ok(text.to_lowercase().split('|').map(|part| part.trim().to_owned()).collect()),
        Some(Value::Array(list)) => {
            list.iter().map(|part| part.as_str().map(str::to_owned).ok_or_else(wrong)).collect()
        }
        Some(_) => Err(wrong()),
    }
}

/// Which scores by position are named: content to position, position to content.
fn kinds(config: &ModelConfig) -> Result<(bool, bool), ModelError> {
    let parts = named(config, "pos_att_type")?;
    let known = ["c2p", "p2c", "", "none"];
    if let Some(other) = parts.iter().find(|part| !known.contains(&part.as_str())) {
        return Err(ModelError::of_field("pos_att_type", format!("names `{other}`; known are c2p and p2c")));
    }
    let has = |kind: &str| parts.iter().any(|part| part == kind);
    Ok((has("c2p"), has("p2c")))
}

fn places(config: &ModelConfig, longest: i64) -> Result<RelativePlaces, ModelError> {
    let stated = config.number_or("max_relative_positions", -1.0)? as i64;
    let farthest = if stated < 1 { longest } else { stated };
    let buckets = config.number_or("position_buckets", -1.0)? as i64;
    if buckets == 1 {
        return Err(ModelError::of_field("position_buckets", "is 1; distances need two buckets at least"));
    }
    Ok(RelativePlaces { span: if buckets > 0 { buckets } else { farthest }, buckets: buckets.max(0), farthest })
}

fn convolution(
    config: &ModelConfig,
    hidden: i64,
    norm_epsilon: f64,
    dropout: f64,
) -> Result<Option<TokenConvolutionSizes>, ModelError> {
    let kernel = config.number_or("conv_kernel_size", 0.0)? as i64;
    if kernel <= 0 {
        return Ok(None);
    }
    let groups = config.size_or("conv_groups", 1)?;
    if kernel % 2 == 0 || hidden % groups != 0 {
        return Err(ModelError::of_field(
            "conv_kernel_size",
            format!("is {kernel} in {groups} groups; it must be odd, and groups divide {hidden}"),
        ));
    }
    let activation = if config.get("conv_act").is_some() { config.text("conv_act")? } else { "tanh".to_owned() };
    let activation = Activation::from_name(&activation)?;
    Ok(Some(TokenConvolutionSizes { kernel, groups, activation, dropout, norm_epsilon }))
}

/// As version 3 has them.
fn fresh(size: &FreshSize) -> Value {
    let own = json!({"relative_attention": true, "max_relative_positions": -1, "position_buckets": 256,
        "norm_rel_ebd": "layer_norm", "share_att_key": true, "pos_att_type": ["p2c", "c2p"],
        "position_biased_input": false, "layer_norm_eps": 1e-7, "pooler_hidden_act": "gelu", "pooler_dropout": 0});
    with(bert::fresh_fields(size, 512, 0, 1e-7), own)
}
