//! What a family is that can be trained from nothing: how its config.json, its tokenizer and its processor are made.
//!
//! Sizes of encoders of texts are those of Turc et al. 2019; other families call other sizes tiny, mini, small and base.

use crate::{ModelConfig, ModelError};
use serde_json::{Map, Value, json};

/// How large a model is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FreshSize {
    /// Its name.
    pub name: &'static str,
    /// Its place among [`FRESH_SIZES`].
    pub place: usize,
    /// Blocks of an encoder of texts.
    pub layers: i64,
    /// Width of its hidden states.
    pub hidden: i64,
    /// Its heads of attention.
    pub heads: i64,
    /// Pieces of a tokenizer that suits it.
    pub vocabulary: usize,
}

/// All sizes, the smallest first.
pub const FRESH_SIZES: [FreshSize; 4] = [
    FreshSize { name: "tiny", place: 0, layers: 2, hidden: 128, heads: 2, vocabulary: 4096 },
    FreshSize { name: "mini", place: 1, layers: 4, hidden: 256, heads: 4, vocabulary: 8192 },
    FreshSize { name: "small", place: 2, layers: 4, hidden: 512, heads: 8, vocabulary: 16384 },
    FreshSize { name: "base", place: 3, layers: 12, hidden: 768, heads: 12, vocabulary: 30522 },
];

impl FreshSize {
    /// The one for this size of what there is for each.
    pub fn of<T: Copy>(&self, each: [T; FRESH_SIZES.len()]) -> T {
        each[self.place]
    }
}

/// The special tokens that a family is used to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FreshTokens {
    /// `[CLS]`, `[SEP]`, `[PAD]` as 0.
    Bert,
    /// `<s>`, `</s>`, `<pad>` as 1.
    Roberta,
    /// An end of text.
    Decoder,
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

/// How the tokenizer of a family that reads texts is made.
#[derive(Debug, Clone, Copy)]
pub struct FreshTexts {
    /// Its special tokens.
    pub tokens: FreshTokens,
    /// Its usual tokenizer.
    pub pieces: FreshPieces,
    /// Tokens of an input at most.
    pub longest: usize,
}

/// A family that can be trained from nothing.
#[derive(Debug, Clone, Copy)]
pub struct Fresh {
    /// Its tokenizer; `None` where it reads no texts.
    pub texts: Option<FreshTexts>,
    /// Its preprocessor_config.json at a size, where that is not what the classes of its medium assume.
    pub processor: Option<fn(&FreshSize) -> Value>,
    /// The fields of its config.json at a size, but for `model_type` and those that its tokenizer decides.
    pub fields: fn(&FreshSize) -> Value,
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

impl Fresh {
    /// One that reads texts.
    pub const fn texts(
        tokens: FreshTokens,
        pieces: FreshPieces,
        longest: usize,
        fields: fn(&FreshSize) -> Value,
    ) -> Self {
        Self { texts: Some(FreshTexts { tokens, pieces, longest }), processor: None, fields }
    }

    /// One that reads no texts.
    pub const fn without_texts(fields: fn(&FreshSize) -> Value) -> Self {
        Self { texts: None, processor: None, fields }
    }

    /// With a processor of its own.
    pub const fn processed(self, processor: fn(&FreshSize) -> Value) -> Self {
        Self { processor: Some(processor), ..self }
    }

    /// The config.json of a family of this type at a size, with what its tokenizer has decided, if it has one.
    ///
    /// # Errors
    /// None that a caller could cause.
    pub fn config(
        &self,
        model_type: &str,
        size: &FreshSize,
        ids: Option<&FreshIds>,
    ) -> Result<ModelConfig, ModelError> {
        let mut fields = Map::from_iter([("model_type".to_owned(), json!(model_type))]);
        if let Value::Object(own) = (self.fields)(size) {
            fields.extend(own);
        }
        if let Some(ids) = ids {
            fields.insert("vocab_size".to_owned(), json!(ids.vocabulary));
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
        }
        ModelConfig::new(Value::Object(fields))
    }
}

/// Fields with others beside them or in their place.
pub(crate) fn with(mut fields: Value, more: Value) -> Value {
    if let (Some(fields), Value::Object(more)) = (fields.as_object_mut(), more) {
        fields.extend(more);
    }
    fields
}
