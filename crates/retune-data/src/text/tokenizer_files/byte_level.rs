//! Tokenizers from `vocab.json` and `merges.txt`: byte-level BPE (HF: `RobertaTokenizer`, `GPT2Tokenizer`, `Qwen2Tokenizer`).
//!
//! Letter case is kept whatever `do_lower_case` says, as Hugging Face does.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::kind::ByteLevel;
use super::{TokenizerFiles, failed, object};
use crate::DataError;

/// How Qwen2 divides texts, as a regular expression.
pub(super) const QWEN2: &str =
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// GPT-2's only special token.
const END: &str = "<|endoftext|>";

impl TokenizerFiles {
    /// The equivalent `tokenizer.json`.
    pub(super) fn byte_level(&mut self, folder: &Path, style: ByteLevel) -> Result<Value, DataError> {
        let path = folder.join("vocab.json");
        let vocabulary = object(&path)?.unwrap_or_default();
        if let Some((piece, _)) = vocabulary.iter().find(|(_, id)| id.as_u64().is_none_or(|id| id > u32::MAX.into())) {
            return Err(failed(&path, format!("the piece `{piece}` has no number; fetch the file again")));
        }
        let merges = merges(&folder.join("merges.txt"), &vocabulary)?;
        match style {
            ByteLevel::Roberta => self.roberta(&path, vocabulary, merges),
            ByteLevel::Gpt2 => {
                self.usually([("unk_token", END), ("bos_token", END), ("eos_token", END)]);
                Ok(self.bare_bytes(style, vocabulary, merges))
            }
            ByteLevel::Qwen2 => {
                self.usually([("unk_token", END), ("eos_token", END), ("pad_token", END)]);
                Ok(self.bare_bytes(style, vocabulary, merges))
            }
        }
    }

    /// Nothing stands around texts but the first token, where the configuration asks for it.
    fn bare_bytes(&self, style: ByteLevel, vocabulary: Map<String, Value>, merges: Vec<[String; 2]>) -> Value {
        let flag = |name: &str| self.config.get(name).and_then(Value::as_bool).unwrap_or(false);
        let (prefix, qwen2) = (flag("add_prefix_space"), style == ByteLevel::Qwen2);
        let bytes = json!({"type": "ByteLevel", "add_prefix_space": prefix, "trim_offsets": true, "use_regex": !qwen2});
        let divided = json!({
            "type": "Sequence",
            "pretokenizers": [
                {"type": "Split", "pattern": {"Regex": QWEN2}, "behavior": "Isolated", "invert": false}, bytes,
            ],
        });
        let begin = self.special_token("bos_token").filter(|_| flag("add_bos_token"));
        let begin = begin.and_then(|token| Some((token.to_owned(), vocabulary.get(token)?.clone())));
        let around = begin.map(|(token, id)| {
            let special = |kind: u32| json!({"SpecialToken": {"id": token, "type_id": kind}});
            let text = |name: &str, kind: u32| json!({"Sequence": {"id": name, "type_id": kind}});
            json!({
                "type": "TemplateProcessing", "single": [special(0), text("A", 0)],
                "pair": [special(0), text("A", 0), special(1), text("B", 1)],
                "special_tokens": {token.as_str(): {"id": token, "ids": [id], "tokens": [token]}},
            })
        });
        json!({
            "version": "1.0",
            "added_tokens": [],
            "normalizer": if qwen2 { json!({"type": "NFC"}) } else { Value::Null },
            "pre_tokenizer": if qwen2 { divided } else { bytes },
            "post_processor": around,
            "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
            "model": model(vocabulary, merges),
        })
    }

    fn roberta(
        &self,
        path: &Path,
        vocabulary: Map<String, Value>,
        merges: Vec<[String; 2]>,
    ) -> Result<Value, DataError> {
        let token = |name: &str, default: &'static str| self.special_token(name).unwrap_or(default).to_owned();
        let (start, end) = (token("cls_token", "<s>"), token("sep_token", "</s>"));
        for special in [&start, &end] {
            if !vocabulary.contains_key(special) {
                return Err(failed(
                    path,
                    format!("does not contain the special token `{special}`; fetch the file again"),
                ));
            }
        }
        let flag = |name: &str, default: bool| self.config.get(name).and_then(Value::as_bool).unwrap_or(default);
        let (prefix, trim) = (flag("add_prefix_space", false), flag("trim_offsets", true));
        let (start_id, end_id) = (vocabulary[&start].clone(), vocabulary[&end].clone());
        Ok(json!({
            "version": "1.0",
            "added_tokens": [],
            "normalizer": null,
            "pre_tokenizer": {
                "type": "ByteLevel", "add_prefix_space": prefix, "trim_offsets": true, "use_regex": true,
            },
            "post_processor": {
                "type": "RobertaProcessing", "sep": [end, end_id], "cls": [start, start_id],
                "trim_offsets": trim, "add_prefix_space": prefix,
            },
            "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
            "model": model(vocabulary, merges),
        }))
    }
}

fn model(vocabulary: Map<String, Value>, merges: Vec<[String; 2]>) -> Value {
    json!({
        "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": "", "end_of_word_suffix": "",
        "fuse_unk": false, "byte_fallback": false, "ignore_merges": false, "vocab": vocabulary, "merges": merges,
    })
}

/// The merges of `merges.txt`, one pair a line, the most frequent first.
fn merges(path: &Path, vocabulary: &Map<String, Value>) -> Result<Vec<[String; 2]>, DataError> {
    let text = std::fs::read_to_string(path).map_err(|error| failed(path, format!("cannot be read: {error}")))?;
    let mut merges = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        if line.starts_with("#version") || line.is_empty() {
            continue;
        }
        let parts: Vec<&str> = line.split(' ').collect();
        let known = |piece: &str| vocabulary.contains_key(piece);
        match parts.as_slice() {
            [left, right] if known(left) && known(right) && known(&format!("{left}{right}")) => {
                merges.push([(*left).to_owned(), (*right).to_owned()]);
            }
            _ => {
                let message = format!("line {number} is no pair of pieces of vocab.json; fetch both files again");
                return Err(failed(path, message));
            }
        }
    }
    Ok(merges)
}
