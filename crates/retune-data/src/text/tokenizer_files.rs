//! The files a tokenizer consists of, read into one `tokenizer.json` document.
//!
//! What Hugging Face's `AutoTokenizer` takes from `tokenizer_config.json` is taken here too: the
//! flags of BERT's normaliser win over `tokenizer.json`; truncation and padding stored inside
//! `tokenizer.json` are dropped, because a data set decides on both.

mod byte_level;

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::DataError;

/// Every file a tokenizer may consist of; those present are copied into a saved model.
const FILES: [&str; 11] = [
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "spiece.model",
    "sentencepiece.bpe.model",
    "tokenizer.model",
    "chat_template.jinja",
];

/// A tokenizer as its files describe it.
pub(super) struct TokenizerFiles {
    /// `tokenizer.json`, adjusted, or its equivalent built from vocabulary files.
    pub(super) document: Value,
    /// `tokenizer_config.json`, empty if absent.
    pub(super) config: Map<String, Value>,
    special: Map<String, Value>,
    /// The files present.
    pub(super) files: Vec<PathBuf>,
}

pub(super) fn failed(path: &Path, message: impl Into<String>) -> DataError {
    DataError::Tokenizer { path: path.to_owned(), message: message.into() }
}

impl TokenizerFiles {
    pub(super) fn read(folder: &Path) -> Result<Self, DataError> {
        if !folder.is_dir() {
            return Err(failed(folder, "is not a folder; name the model's folder"));
        }
        let config = object(&folder.join("tokenizer_config.json"))?.unwrap_or_default();
        let special = object(&folder.join("special_tokens_map.json"))?.unwrap_or_default();
        let files = FILES.iter().map(|name| folder.join(name)).filter(|path| path.is_file()).collect();
        let mut read = Self { document: Value::Null, config, special, files };
        let whole = folder.join("tokenizer.json");
        let vocabulary = folder.join("vocab.txt");
        read.document = if let Some(document) = object(&whole)? {
            Value::Object(document)
        } else if vocabulary.is_file() {
            read.word_piece(&vocabulary)?
        } else if folder.join("vocab.json").is_file() && folder.join("merges.txt").is_file() {
            read.byte_level(folder)?
        } else {
            return Err(failed(
                folder,
                "there is neither tokenizer.json nor vocab.txt, nor vocab.json with merges.txt; open the tokenizer in transformers \
                 with AutoTokenizer and save_pretrained it into this folder, which writes tokenizer.json",
            ));
        };
        read.document["truncation"] = Value::Null;
        read.document["padding"] = Value::Null;
        read.adjust_normalizer();
        Ok(read)
    }

    /// The content of a special token such as `pad_token`, from the configuration or the map.
    pub(super) fn special_token(&self, name: &str) -> Option<&str> {
        [&self.config, &self.special].into_iter().find_map(|map| match map.get(name)? {
            Value::String(content) => Some(content.as_str()),
            token => token.get("content")?.as_str(),
        })
    }

    fn adjust_normalizer(&mut self) {
        let normalizer = &mut self.document["normalizer"];
        if normalizer["type"] != "BertNormalizer" {
            return;
        }
        let pairs = [
            ("do_lower_case", "lowercase"),
            ("strip_accents", "strip_accents"),
            ("tokenize_chinese_chars", "handle_chinese_chars"),
        ];
        for (from, to) in pairs {
            if let Some(value) = self.config.get(from) {
                // Only `strip_accents` may be null (then it follows the case flag).
                if value.is_boolean() || (from == "strip_accents" && value.is_null()) {
                    normalizer[to] = value.clone();
                }
            }
        }
    }

    /// BERT's tokenizer from its vocabulary, one piece a line (HF: `BertTokenizer`).
    fn word_piece(&self, path: &Path) -> Result<Value, DataError> {
        let text = std::fs::read_to_string(path).map_err(|error| failed(path, format!("cannot be read: {error}")))?;
        let mut vocabulary = Map::new();
        for (id, piece) in text.trim_end_matches(['\n', '\r']).lines().enumerate() {
            vocabulary.insert(piece.to_owned(), id.into());
        }
        let token = |name: &str, default: &'static str| self.special_token(name).unwrap_or(default).to_owned();
        let (unknown, start, end) =
            (token("unk_token", "[UNK]"), token("cls_token", "[CLS]"), token("sep_token", "[SEP]"));
        for special in [&unknown, &start, &end] {
            if !vocabulary.contains_key(special) {
                return Err(failed(path, format!("does not contain the special token `{special}`, one piece a line")));
            }
        }
        let specials = [&unknown, &start, &end, &token("pad_token", "[PAD]"), &token("mask_token", "[MASK]")];
        let mut added: Vec<(u64, Value)> = specials
            .into_iter()
            .filter_map(|content| {
                let id = vocabulary.get(content)?.as_u64()?;
                Some((
                    id,
                    json!({
                        "id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
                        "normalized": false, "special": true,
                    }),
                ))
            })
            .collect();
        added.sort_by_key(|(id, _)| *id);
        added.dedup_by_key(|(id, _)| *id);
        let added: Vec<Value> = added.into_iter().map(|(_, token)| token).collect();
        let (start_id, end_id) = (vocabulary[&start].clone(), vocabulary[&end].clone());
        Ok(json!({
            "version": "1.0",
            "added_tokens": added,
            "normalizer": {
                "type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
                "strip_accents": null, "lowercase": true,
            },
            "pre_tokenizer": {"type": "BertPreTokenizer"},
            "post_processor": {"type": "BertProcessing", "sep": [end, end_id], "cls": [start, start_id]},
            "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": true},
            "model": {
                "type": "WordPiece", "unk_token": unknown, "continuing_subword_prefix": "##",
                "max_input_chars_per_word": 100, "vocab": vocabulary,
            },
        }))
    }
}

/// Reads a JSON object; `None` when there is no such file.
fn object(path: &Path) -> Result<Option<Map<String, Value>>, DataError> {
    if !path.is_file() {
        return Ok(None);
    }
    let bytes = std::fs::read(path).map_err(|error| failed(path, format!("cannot be read: {error}")))?;
    match serde_json::from_slice(&bytes) {
        Ok(Value::Object(map)) => Ok(Some(map)),
        Ok(_) => Err(failed(path, "is not a JSON object; fetch the file again")),
        Err(error) => Err(failed(path, format!("broken JSON: {error}; fetch the file again"))),
    }
}
