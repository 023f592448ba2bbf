//! Configurations of models that are trained from nothing: each family at the sizes of Turc et al. 2019.

use super::family;
use crate::{ModelConfig, ModelError};
use serde_json::{Map, Value, json};

/// How large a model is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FreshSize {
    /// Its name.
    pub name: &'static str,
    /// Blocks.
    pub layers: i64,
    /// Width of hidden states.
    pub hidden: i64,
    /// Heads of attention.
    pub heads: i64,
    /// Pieces of a tokenizer that suits it.
    pub vocabulary: usize,
}

/// All sizes, the smallest first.
pub const FRESH_SIZES: [FreshSize; 4] = [
    FreshSize { name: "tiny", layers: 2, hidden: 128, heads: 2, vocabulary: 4096 },
    FreshSize { name: "mini", layers: 4, hidden: 256, heads: 4, vocabulary: 8192 },
    FreshSize { name: "small", layers: 4, hidden: 512, heads: 8, vocabulary: 16384 },
    FreshSize { name: "base", layers: 12, hidden: 768, heads: 12, vocabulary: 30522 },
];

/// The special tokens that a family is used to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FreshTokens {
    /// `[CLS]`, `[SEP]`, `[PAD]` as 0.
    Bert,
    /// `<s>`, `</s>`, `<pad>` as 1.
    Roberta,
    /// An end of text.
    Decoder,
    /// None: what it takes are items of a catalogue, numbered from 1.
    Items,
}

/// How the tokenizer of a family cuts texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FreshPieces {
    /// WordPiece.
    WordPiece,
    /// Byte-level BPE.
    Bpe,
    /// Unigram.
    Unigram,
}

/// A family that can be trained from nothing.
#[derive(Debug, Clone, Copy)]
pub struct Fresh {
    /// Its `model_type`.
    pub name: &'static str,
    /// Its special tokens.
    pub tokens: FreshTokens,
    /// Its usual tokenizer.
    pub pieces: FreshPieces,
    /// Tokens of an input at most.
    pub longest: usize,
    fields: fn(&FreshSize) -> Value,
}

/// Numbers that the tokenizer has decided.
#[derive(Debug, Clone, Copy)]
pub struct FreshIds {
    /// Rows of the token table.
    pub vocabulary: usize,
    /// Padding.
    pub pad: u32,
    /// Begin of a text, if it has one.
    pub bos: Option<u32>,
    /// End of a text, if it has one.
    pub eos: Option<u32>,
    /// First token of an encoder's input, if it has one.
    pub cls: Option<u32>,
    /// Last token of an encoder's input, if it has one.
    pub sep: Option<u32>,
}

static FRESH: [Fresh; 17] = [
    Fresh { name: "bert", tokens: FreshTokens::Bert, pieces: FreshPieces::WordPiece, longest: 512, fields: bert },
    Fresh { name: "roberta", tokens: FreshTokens::Roberta, pieces: FreshPieces::Bpe, longest: 512, fields: roberta },
    Fresh {
        name: "xlm-roberta",
        tokens: FreshTokens::Roberta,
        pieces: FreshPieces::Unigram,
        longest: 512,
        fields: roberta,
    },
    Fresh {
        name: "camembert",
        tokens: FreshTokens::Roberta,
        pieces: FreshPieces::Unigram,
        longest: 512,
        fields: roberta,
    },
    Fresh {
        name: "distilbert",
        tokens: FreshTokens::Bert,
        pieces: FreshPieces::WordPiece,
        longest: 512,
        fields: distilbert,
    },
    Fresh { name: "electra", tokens: FreshTokens::Bert, pieces: FreshPieces::WordPiece, longest: 512, fields: electra },
    Fresh { name: "albert", tokens: FreshTokens::Bert, pieces: FreshPieces::Unigram, longest: 512, fields: albert },
    Fresh { name: "mpnet", tokens: FreshTokens::Roberta, pieces: FreshPieces::WordPiece, longest: 512, fields: mpnet },
    Fresh {
        name: "deberta-v2",
        tokens: FreshTokens::Bert,
        pieces: FreshPieces::Unigram,
        longest: 512,
        fields: deberta,
    },
    Fresh {
        name: "modernbert",
        tokens: FreshTokens::Bert,
        pieces: FreshPieces::Bpe,
        longest: 8192,
        fields: modernbert,
    },
    Fresh { name: "gpt2", tokens: FreshTokens::Decoder, pieces: FreshPieces::Bpe, longest: 1024, fields: gpt2 },
    Fresh { name: "llama", tokens: FreshTokens::Decoder, pieces: FreshPieces::Bpe, longest: 2048, fields: llama },
    Fresh { name: "mistral", tokens: FreshTokens::Decoder, pieces: FreshPieces::Bpe, longest: 2048, fields: llama },
    Fresh { name: "qwen2", tokens: FreshTokens::Decoder, pieces: FreshPieces::Bpe, longest: 2048, fields: llama },
    Fresh { name: "bart", tokens: FreshTokens::Roberta, pieces: FreshPieces::Bpe, longest: 1024, fields: bart },
    Fresh { name: "sasrec", tokens: FreshTokens::Items, pieces: FreshPieces::Bpe, longest: 50, fields: items },
    Fresh { name: "bert4rec", tokens: FreshTokens::Items, pieces: FreshPieces::Bpe, longest: 50, fields: items },
];

/// The family of a name, if it can be trained from nothing.
///
/// # Errors
/// It is not known, or has no sizes here; the message names those that have.
pub fn fresh(name: &str) -> Result<&'static Fresh, ModelError> {
    let served = |fresh: &&Fresh| {
        let config = ModelConfig::new(json!({"model_type": fresh.name}));
        config.and_then(|config| family(&config).map(drop)).is_ok()
    };
    FRESH.iter().filter(served).find(|fresh| fresh.name == name).ok_or_else(|| {
        let known: Vec<&str> = FRESH.iter().filter(served).map(|fresh| fresh.name).collect();
        let problem =
            format!("`{name}` is no family that can be trained from nothing; choose one of {}", known.join(", "));
        ModelError::Config { field: "config".to_owned(), problem }
    })
}

impl Fresh {
    /// Its config.json at a size.
    ///
    /// # Errors
    /// None that a caller could cause.
    pub fn config(&self, size: &FreshSize, ids: &FreshIds) -> Result<ModelConfig, ModelError> {
        let mut fields = Map::from_iter([("model_type".to_owned(), json!(self.name))]);
        if let Value::Object(own) = (self.fields)(size) {
            fields.extend(own);
        }
        if self.tokens != FreshTokens::Items {
            fields.insert("vocab_size".to_owned(), json!(ids.vocabulary));
        }
        fields.insert("pad_token_id".to_owned(), json!(ids.pad));
        let others = [
            ("bos_token_id", ids.bos),
            ("eos_token_id", ids.eos),
            ("cls_token_id", ids.cls),
            ("sep_token_id", ids.sep),
        ];
        fields.extend(others.into_iter().filter_map(|(name, id)| Some((name.to_owned(), json!(id?)))));
        // What a decoder over an encoder writes begins, as BART's does, with the end of a text.
        if fields.contains_key("is_encoder_decoder") {
            fields.extend(ids.eos.map(|end| ("decoder_start_token_id".to_owned(), json!(end))));
        }
        ModelConfig::new(Value::Object(fields))
    }
}

/// The fields that most encoders share.
fn encoder(size: &FreshSize, positions: i64, types: i64, epsilon: f64) -> Value {
    json!({
        "hidden_size": size.hidden, "num_hidden_layers": size.layers, "num_attention_heads": size.heads,
        "intermediate_size": 4 * size.hidden, "hidden_act": "gelu", "hidden_dropout_prob": 0.1,
        "attention_probs_dropout_prob": 0.1, "max_position_embeddings": positions, "type_vocab_size": types,
        "initializer_range": 0.02, "layer_norm_eps": epsilon, "tie_word_embeddings": true,
    })
}

fn with(mut fields: Value, more: Value) -> Value {
    if let (Some(fields), Value::Object(more)) = (fields.as_object_mut(), more) {
        fields.extend(more);
    }
    fields
}

fn bert(size: &FreshSize) -> Value {
    encoder(size, 512, 2, 1e-12)
}

/// Its positions begin behind that of padding.
fn roberta(size: &FreshSize) -> Value {
    encoder(size, 514, 1, 1e-5)
}

fn distilbert(size: &FreshSize) -> Value {
    json!({
        "dim": size.hidden, "n_layers": size.layers, "n_heads": size.heads, "hidden_dim": 4 * size.hidden,
        "activation": "gelu", "dropout": 0.1, "attention_dropout": 0.1, "max_position_embeddings": 512,
        "initializer_range": 0.02, "sinusoidal_pos_embds": false, "tie_word_embeddings": true,
    })
}

fn electra(size: &FreshSize) -> Value {
    with(bert(size), json!({"embedding_size": size.hidden / 2}))
}

fn albert(size: &FreshSize) -> Value {
    let own = json!({"embedding_size": 128, "num_hidden_groups": 1, "inner_group_num": 1, "hidden_act": "gelu_new",
        "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0, "classifier_dropout_prob": 0.1});
    with(bert(size), own)
}

fn mpnet(size: &FreshSize) -> Value {
    with(roberta(size), json!({"relative_attention_num_buckets": 32}))
}

/// As version 3 has them.
fn deberta(size: &FreshSize) -> Value {
    let own = json!({"relative_attention": true, "max_relative_positions": -1, "position_buckets": 256,
        "norm_rel_ebd": "layer_norm", "share_att_key": true, "pos_att_type": ["p2c", "c2p"],
        "position_biased_input": false, "layer_norm_eps": 1e-7, "pooler_hidden_act": "gelu", "pooler_dropout": 0});
    with(encoder(size, 512, 0, 1e-7), own)
}

fn modernbert(size: &FreshSize) -> Value {
    json!({
        "hidden_size": size.hidden, "num_hidden_layers": size.layers, "num_attention_heads": size.heads,
        "intermediate_size": size.hidden * 3 / 2, "hidden_activation": "gelu", "max_position_embeddings": 8192,
        "global_attn_every_n_layers": 3, "local_attention": 128, "norm_eps": 1e-5, "initializer_range": 0.02,
        "tie_word_embeddings": true,
    })
}

fn gpt2(size: &FreshSize) -> Value {
    json!({
        "n_embd": size.hidden, "n_layer": size.layers, "n_head": size.heads, "n_positions": 1024,
        "activation_function": "gelu_new", "embd_pdrop": 0.1, "attn_pdrop": 0.1, "resid_pdrop": 0.1,
        "layer_norm_epsilon": 1e-5, "initializer_range": 0.02, "tie_word_embeddings": true,
    })
}

/// Each of the two stacks has as many layers as the one of other families.
fn bart(size: &FreshSize) -> Value {
    json!({
        "is_encoder_decoder": true, "d_model": size.hidden, "encoder_layers": size.layers, "decoder_layers": size.layers,
        "encoder_attention_heads": size.heads, "decoder_attention_heads": size.heads, "encoder_ffn_dim": 4 * size.hidden,
        "decoder_ffn_dim": 4 * size.hidden, "activation_function": "gelu", "dropout": 0.1, "attention_dropout": 0.1,
        "activation_dropout": 0.0, "encoder_layerdrop": 0.0, "decoder_layerdrop": 0.0, "max_position_embeddings": 1024,
        "scale_embedding": false, "init_std": 0.02, "forced_eos_token_id": null, "tie_word_embeddings": true,
    })
}

/// The gated middle has two thirds of four times the width, in steps of 64.
fn llama(size: &FreshSize) -> Value {
    json!({
        "hidden_size": size.hidden, "num_hidden_layers": size.layers, "num_attention_heads": size.heads,
        "num_key_value_heads": size.heads, "intermediate_size": (size.hidden * 8 / 3 + 63) / 64 * 64,
        "hidden_act": "silu", "max_position_embeddings": 2048, "rms_norm_eps": 1e-6, "rope_theta": 10000.0,
        "initializer_range": 0.02, "attention_dropout": 0.0, "tie_word_embeddings": true,
    })
}

/// Encoders of histories are small: half as wide as those of texts, as RecBole's are at the smallest size.
fn items(size: &FreshSize) -> Value {
    let hidden = size.hidden / 2;
    json!({
        "hidden_size": hidden, "num_hidden_layers": size.layers.min(4), "num_attention_heads": size.heads.min(hidden / 32),
        "intermediate_size": 4 * hidden, "hidden_act": "gelu", "hidden_dropout_prob": 0.2,
        "attention_probs_dropout_prob": 0.2, "max_position_embeddings": 50, "initializer_range": 0.02,
        "layer_norm_eps": 1e-12,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::takes;

    #[test]
    fn every_family_that_is_known_takes_texts_at_every_size() {
        let texts = FRESH.iter().filter(|it| it.tokens != FreshTokens::Items);
        let known = texts.filter_map(|it| fresh(it.name).ok());
        let mut count = 0;
        for family in known {
            count += 1;
            for size in &FRESH_SIZES {
                let ids = FreshIds { vocabulary: 99, pad: 1, bos: None, eos: Some(2), cls: None, sep: None };
                let config = family.config(size, &ids).unwrap();
                let crate::Takes::Tokens { longest, vocabulary } = takes(&config).unwrap() else { panic!("texts") };
                assert!(longest.is_none_or(|longest| longest >= family.longest), "{}: {longest:?}", family.name);
                assert_eq!(vocabulary, 99);
            }
        }
        assert!(count >= 6);
        let error = fresh("swin").unwrap_err().to_string();
        assert!(error.contains("`swin`") && error.contains("bert, roberta"), "{error}");
    }
}
