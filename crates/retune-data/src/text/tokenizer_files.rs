//! The files a tokenizer consists of, read into one `tokenizer.json` document.
//!
//! What Hugging Face's `AutoTokenizer` takes from `tokenizer_config.json` is taken here too: the
//! flags of BERT's normaliser win over `tokenizer.json`; truncation and padding stored inside
//! `tokenizer.json` are dropped, because a data set decides on both.
//!
//! Vocabulary files alone do not say how a text is cut, so the tokenizer's class must be one of a known `kind`. Tokens that
//! any file adds count whichever way the tokenizer is built (`added`).

mod added;
mod byte_level;
mod class;
mod kind;
mod sentencepiece;
mod tiktoken;

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::DataError;

pub(super) use added::AddedToken;
use class::Class;
pub(super) use class::Part;
use kind::{ByteLevel, Kind, kind};
pub(super) use sentencepiece::PieceFile;
use tiktoken::Ranks;

/// Every file a tokenizer may consist of; those present are copied into a saved model.
const FILES: [&str; 17] = [
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
    "tiktoken.model",
    "qwen.tiktoken",
    "spm.model",
    "source.spm",
    "target.spm",
    "target_vocab.json",
    "chat_template.jinja",
];

/// Files of SentencePiece models.
const MODELS: [&str; 5] = ["spiece.model", "sentencepiece.bpe.model", "tokenizer.model", "spm.model", "source.spm"];
/// What a SentencePiece model is where no file names a class.
const PLAIN: Class = Class::Plain;

/// A tokenizer as its files describe it.
pub(super) struct TokenizerFiles {
    /// `tokenizer.json`, adjusted, or its equivalent built from vocabulary files.
    pub(super) document: Value,
    /// `tokenizer_config.json`, empty if absent.
    pub(super) config: Map<String, Value>,
    special: Map<String, Value>,
    /// `config.json` of the model, empty if absent.
    model: Map<String, Value>,
    /// The files present.
    pub(super) files: Vec<PathBuf>,
    /// Tokens that the document had to be given, each with the number that the files say it has.
    pub(super) added: Vec<AddedToken>,
    /// The model where the library SentencePiece cuts texts.
    pub(super) pieces: Option<PieceFile>,
}

pub(super) fn failed(path: &Path, message: impl Into<String>) -> DataError {
    DataError::Tokenizer { path: path.to_owned(), message: message.into() }
}

impl TokenizerFiles {
    pub(super) fn read(folder: &Path, part: Part) -> Result<Self, DataError> {
        if !folder.is_dir() {
            return Err(failed(folder, "is not a folder; name the model's folder"));
        }
        let config = object(&folder.join("tokenizer_config.json"))?.unwrap_or_default();
        let special = object(&folder.join("special_tokens_map.json"))?.unwrap_or_default();
        let model = object(&folder.join("config.json"))?.unwrap_or_default();
        let files = FILES.iter().map(|name| folder.join(name)).filter(|path| path.is_file()).collect();
        let mut read = Self { document: Value::Null, config, special, model, files, added: Vec::new(), pieces: None };
        let document = object(&folder.join("tokenizer.json"))?;
        let (pieces, merges) = (folder.join("vocab.txt"), folder.join("merges.txt"));
        let is_byte_level = folder.join("vocab.json").is_file() && merges.is_file();
        let ranks = Ranks::find(folder)?;
        let has_model = ranks.is_some() || MODELS.iter().any(|file| folder.join(file).is_file());
        if document.is_none() && !pieces.is_file() && !is_byte_level && !has_model {
            return Err(failed(
                folder,
                "there is neither tokenizer.json nor vocab.txt, nor vocab.json with merges.txt, nor a SentencePiece model, nor one of ranks; open the tokenizer in transformers \
                 with AutoTokenizer and save_pretrained it into this folder, which writes tokenizer.json",
            ));
        }
        let kind = match &ranks {
            Some(ranks) if ranks.says_its_class() => Kind::Unsaid,
            _ => kind(&read.config, &read.model, document.is_some()).map_err(|message| failed(folder, message))?,
        };
        read.document = match (document, kind) {
            (Some(document), _) => Value::Object(document),
            (None, kind) if ranks.as_ref().is_some_and(|ranks| ranks.fits(kind)) => {
                ranks.map_or(Ok(Value::Null), |ranks| read.tiktoken(&ranks))?
            }
            (None, Kind::WordPiece | Kind::Unsaid) if pieces.is_file() => read.word_piece(&pieces)?,
            (None, Kind::ByteLevel(style)) if is_byte_level => read.byte_level(folder, style)?,
            (None, Kind::Unsaid) if is_byte_level => read.byte_level(folder, ByteLevel::Roberta)?,
            (None, Kind::SentencePiece(class)) if folder.join(class.file(part)).is_file() => {
                read.of_pieces(folder, class, part)?
            }
            (None, Kind::SentencePiece(class)) => {
                return Err(failed(folder, format!("this tokenizer needs {}; fetch it", class.file(part))));
            }
            (None, Kind::Unsaid) if folder.join(PLAIN.file(part)).is_file() => read.of_pieces(folder, PLAIN, part)?,
            (None, Kind::ByteLevel(_)) => {
                return Err(failed(folder, "this tokenizer needs vocab.json and merges.txt; fetch both"));
            }
            (None, _) => return Err(failed(folder, "this tokenizer needs vocab.txt; fetch it")),
        };
        read.add_tokens(folder)?;
        read.document["truncation"] = Value::Null;
        read.document["padding"] = Value::Null;
        read.adjust_normalizer();
        read.adjust_prefix();
        Ok(read)
    }

    /// The document of a SentencePiece model, with the special tokens that its class is used to.
    fn of_pieces(&mut self, folder: &Path, class: Class, part: Part) -> Result<Value, DataError> {
        let (document, pieces) = self.sentence_piece(folder, class, part)?;
        self.pieces = pieces;
        self.usually(class.usual_tokens());
        Ok(document)
    }

    /// Special tokens where no file names them.
    fn usually(&mut self, tokens: impl IntoIterator<Item = (&'static str, &'static str)>) {
        for (role, usual) in tokens {
            if self.special_token(role).is_none() {
                self.special.insert(role.to_owned(), usual.into());
            }
        }
    }

    /// The content of a special token such as `pad_token`, from the configuration or the map.
    pub(super) fn special_token(&self, name: &str) -> Option<&str> {
        [&self.config, &self.special].into_iter().find_map(|map| match map.get(name)? {
            Value::String(content) => Some(content.as_str()),
            token => token.get("content")?.as_str(),
        })
    }

    /// config.json of the model.
    pub(super) fn model(&self) -> &Map<String, Value> {
        &self.model
    }

    fn adjust_normalizer(&mut self) {
        let normalizer = &mut self.document["normalizer"];
        // A class that is nothing but its tokenizer.json reads no flags.
        if normalizer["type"] != "BertNormalizer" || kind::takes_document_alone(&self.config) {
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

    /// Byte-level classes set the space before a text by `add_prefix_space` of the configuration.
    fn adjust_prefix(&mut self) {
        let flag = self.config.get("add_prefix_space").filter(|flag| flag.is_boolean());
        let is_byte_level = self.document["pre_tokenizer"]["type"] == "ByteLevel";
        if let (Some(flag), true, false) = (flag, is_byte_level, kind::takes_document_alone(&self.config)) {
            self.document["pre_tokenizer"]["add_prefix_space"] = flag.clone();
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
        let (start_id, end_id) = (vocabulary[&start].clone(), vocabulary[&end].clone());
        Ok(json!({
            "version": "1.0",
            "added_tokens": [],
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
