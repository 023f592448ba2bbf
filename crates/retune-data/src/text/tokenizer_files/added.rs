//! Tokens that files add to a tokenizer's vocabulary: they are found in a text before it is cut into pieces.
//!
//! transformers gathers them from `tokenizer.json`, `added_tokens_decoder` and the special tokens of
//! `tokenizer_config.json`, `special_tokens_map.json` and `added_tokens.json`, whichever way the tokenizer is built.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use super::{TokenizerFiles, failed, object};
use crate::DataError;

/// The special tokens that have a name.
const NAMED: [&str; 7] = ["bos_token", "eos_token", "unk_token", "sep_token", "cls_token", "pad_token", "mask_token"];
/// Lists (or objects) of further special tokens.
const FURTHER: [&str; 2] = ["additional_special_tokens", "extra_special_tokens"];

/// A token that was added, with the number that the files give it.
pub(in super::super) struct AddedToken {
    pub(in super::super) content: String,
    pub(in super::super) id: u64,
    /// The file that says so.
    pub(in super::super) file: &'static str,
}

/// A token as some file describes it.
struct Said {
    /// Its number, where the file gives one.
    id: Option<u64>,
    token: Value,
    special: bool,
    file: &'static str,
}

impl TokenizerFiles {
    /// Gives the document every token that another file adds and it has not, in the order of their numbers.
    pub(super) fn add_tokens(&mut self, folder: &Path) -> Result<(), DataError> {
        let known = |document: &Value, content: &str| {
            document["added_tokens"].as_array().is_some_and(|all| all.iter().any(|token| token["content"] == content))
        };
        // By number, and those without one last: numbers are given out in this order.
        let mut missing: BTreeMap<(u64, usize), Said> = BTreeMap::new();
        for said in self.said(folder)? {
            let content = content(&said.token).unwrap_or_default();
            let twice = missing.values().any(|other| self::content(&other.token) == Some(content));
            if content.is_empty() || twice || known(&self.document, content) {
                continue;
            }
            let id = said.id.or_else(|| piece(&self.document, content));
            let key = (id.unwrap_or(u64::MAX), missing.len());
            missing.insert(key, Said { id, ..said });
        }
        let mut next = next_id(&self.document);
        for (_, Said { id, token, special, file }) in missing {
            let content = content(&token).unwrap_or_default().to_owned();
            let id = id.unwrap_or(next);
            next = next.max(id + 1);
            let flag = |name: &str, default: bool| token[name].as_bool().unwrap_or(default);
            let special = special || flag("special", false);
            let added = json!({
                "id": id, "content": content, "single_word": flag("single_word", false),
                "lstrip": flag("lstrip", false), "rstrip": flag("rstrip", false),
                "normalized": flag("normalized", !special), "special": special,
            });
            match &mut self.document["added_tokens"] {
                Value::Array(all) => all.push(added),
                none => *none = json!([added]),
            }
            self.added.push(AddedToken { content, id, file });
        }
        Ok(())
    }

    /// All that files beside the document say, the most telling first.
    fn said(&self, folder: &Path) -> Result<Vec<Said>, DataError> {
        const CONFIG: &str = "tokenizer_config.json";
        let mut all = Vec::new();
        if let Some(decoder) = self.config.get("added_tokens_decoder") {
            let broken = || failed(&folder.join(CONFIG), "added_tokens_decoder is not an object of tokens by number");
            for (id, token) in decoder.as_object().ok_or_else(broken)? {
                let id = id.parse().map_err(|_| broken())?;
                all.push(Said { id: Some(id), token: token.clone(), special: false, file: CONFIG });
            }
        }
        for (map, file) in [(&self.config, CONFIG), (&self.special, "special_tokens_map.json")] {
            for name in NAMED {
                // Where no vocabulary has it, no text is cut into it either.
                let token = map
                    .get(name)
                    .filter(|token| content(token).is_some_and(|content| piece(&self.document, content).is_some()));
                all.extend(token.map(|token| Said { id: None, token: token.clone(), special: true, file }));
            }
            for name in FURTHER {
                let tokens: Vec<&Value> = match map.get(name) {
                    Some(Value::Array(tokens)) => tokens.iter().collect(),
                    Some(Value::Object(tokens)) => tokens.values().collect(),
                    _ => Vec::new(),
                };
                all.extend(tokens.into_iter().map(|token| Said {
                    id: None,
                    token: token.clone(),
                    special: true,
                    file,
                }));
            }
        }
        let file = "added_tokens.json";
        let path = folder.join(file);
        for (content, id) in object(&path)?.unwrap_or_default() {
            let id = id.as_u64().ok_or_else(|| failed(&path, format!("the token `{content}` has no number")))?;
            match all.iter_mut().find(|said| self::content(&said.token) == Some(content.as_str())) {
                Some(said) => said.id = said.id.or(Some(id)),
                None => all.push(Said { id: Some(id), token: json!(content), special: false, file }),
            }
        }
        all.extend(self.usual().map(|content| Said { id: None, token: json!(content), special: true, file: "vocab" }));
        Ok(all)
    }

    /// The special tokens of a tokenizer built from vocabulary files, where no file names them.
    fn usual(&self) -> impl Iterator<Item = &'static str> {
        let tokens: &[(&str, &str)] = match self.document["model"]["type"].as_str() {
            _ if self.document["added_tokens"].as_array().is_some_and(|tokens| !tokens.is_empty()) => &[],
            Some("WordPiece") => &[
                ("pad_token", "[PAD]"),
                ("unk_token", "[UNK]"),
                ("cls_token", "[CLS]"),
                ("sep_token", "[SEP]"),
                ("mask_token", "[MASK]"),
            ],
            Some("BPE") if self.document["post_processor"]["type"] == "RobertaProcessing" => &[
                ("bos_token", "<s>"),
                ("eos_token", "</s>"),
                ("unk_token", "<unk>"),
                ("sep_token", "</s>"),
                ("cls_token", "<s>"),
                ("pad_token", "<pad>"),
                ("mask_token", "<mask>"),
            ],
            _ => &[],
        };
        let unnamed = |(name, token): &(&str, &'static str)| {
            (self.special_token(name).is_none() && piece(&self.document, token).is_some()).then_some(*token)
        };
        tokens.iter().filter_map(unnamed).collect::<Vec<_>>().into_iter()
    }
}

/// A token's text, whether a file has it alone or with its flags.
fn content(token: &Value) -> Option<&str> {
    token.as_str().or_else(|| token.get("content")?.as_str())
}

/// The number of a piece of the vocabulary.
pub(super) fn piece(document: &Value, content: &str) -> Option<u64> {
    match &document["model"]["vocab"] {
        Value::Object(vocabulary) => vocabulary.get(content)?.as_u64(),
        // Unigram: a list of pieces with their scores.
        Value::Array(pieces) => pieces.iter().position(|piece| piece[0] == content).map(|id| id as u64),
        _ => None,
    }
}

/// One more than the largest number of a document.
pub(super) fn next_id(document: &Value) -> u64 {
    let pieces = match &document["model"]["vocab"] {
        Value::Object(vocabulary) => vocabulary.values().filter_map(Value::as_u64).max().map_or(0, |id| id + 1),
        Value::Array(pieces) => pieces.len() as u64,
        _ => 0,
    };
    let added = document["added_tokens"].as_array().into_iter().flatten();
    added.filter_map(|token| token["id"].as_u64()).map(|id| id + 1).fold(pieces, u64::max)
}
