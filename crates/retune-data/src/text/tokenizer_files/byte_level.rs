//! RoBERTa's tokenizer from `vocab.json` and `merges.txt` (HF: `RobertaTokenizer`): byte-level BPE.
//!
//! Letter case is kept whatever `do_lower_case` says, as Hugging Face does.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::{TokenizerFiles, failed, object};
use crate::DataError;

impl TokenizerFiles {
    /// The equivalent `tokenizer.json`.
    pub(super) fn byte_level(&self, folder: &Path) -> Result<Value, DataError> {
        let path = folder.join("vocab.json");
        let vocabulary = object(&path)?.unwrap_or_default();
        if let Some((piece, _)) = vocabulary.iter().find(|(_, id)| id.as_u64().is_none_or(|id| id > u32::MAX.into())) {
            return Err(failed(&path, format!("the piece `{piece}` has no number; fetch the file again")));
        }
        let merges = merges(&folder.join("merges.txt"), &vocabulary)?;
        let token = |name: &str, default: &'static str| self.special_token(name).unwrap_or(default).to_owned();
        let (start, end) = (token("cls_token", "<s>"), token("sep_token", "</s>"));
        for special in [&start, &end] {
            if !vocabulary.contains_key(special) {
                return Err(failed(
                    &path,
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
            "model": {
                "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": "",
                "end_of_word_suffix": "", "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
                "vocab": vocabulary, "merges": merges,
            },
        }))
    }
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
