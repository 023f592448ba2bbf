//! Tokenizers that are a file of ranks, as the library tiktoken reads them: a piece in base64 and its rank on each line (Llama 3 as it
//! was first published, Qwen 1). transformers' `TikTokenConverter` makes byte-level BPE of it.
//!
//! The file says neither how texts are divided before they are cut, nor which special tokens there are. The first follows from whose
//! it is, the second from `added_tokens_decoder` of tokenizer_config.json, as transformers has both; else it is refused.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::byte_level::QWEN2;
use super::class::Class;
use super::kind::Kind;
use super::{TokenizerFiles, failed};
use crate::DataError;

/// How Llama 3 divides texts, and with it whatever names nothing else.
const LLAMA_3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// Qwen 1's file.
const QWEN: &str = "qwen.tiktoken";
/// What else such a file is called.
const NAMES: [&str; 2] = ["tiktoken.model", "tokenizer.model"];
/// Files of other kinds of tokenizers, beside which one of ranks says nothing.
const OTHERS: [&str; 3] = ["tokenizer.json", "vocab.txt", "vocab.json"];

/// A file of ranks, and whose it is.
pub(super) struct Ranks {
    path: PathBuf,
    is_qwen: bool,
}

impl Ranks {
    /// That of a folder which has no other tokenizer.
    ///
    /// # Errors
    /// One of which it is not known how it divides texts.
    pub(super) fn find(folder: &Path) -> Result<Option<Self>, DataError> {
        if OTHERS.iter().any(|other| folder.join(other).is_file()) {
            return Ok(None);
        }
        let path = folder.join(QWEN);
        if path.is_file() {
            return Ok(Some(Self { path, is_qwen: true }));
        }
        let mut named = NAMES.iter().map(|name| folder.join(name)).filter(|path| begins_with_a_rank(path));
        if let Some(path) = named.next() {
            return Ok(Some(Self { path, is_qwen: false }));
        }
        let files = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
        let mut other: Vec<PathBuf> =
            files.filter(|path| path.extension().is_some_and(|it| it == "tiktoken")).collect();
        other.sort();
        match other.into_iter().next() {
            Some(path) => Err(failed(
                &path,
                "is a file of ranks, which does not say how texts are divided before they are cut, and whose it is is not known; a file \
                 that is cut as Llama 3's is to be called tiktoken.model, one of Qwen 1 qwen.tiktoken",
            )),
            None => Ok(None),
        }
    }

    /// Whether a tokenizer of that kind may be such a file.
    pub(super) fn fits(&self, kind: Kind) -> bool {
        self.is_qwen || matches!(kind, Kind::SentencePiece(Class::Llama | Class::Plain) | Kind::Unsaid)
    }

    /// Whether the class is known, though it comes as code with the model.
    pub(super) fn says_its_class(&self) -> bool {
        self.is_qwen
    }
}

impl TokenizerFiles {
    /// The equivalent `tokenizer.json`.
    pub(super) fn tiktoken(&mut self, ranks: &Ranks) -> Result<Value, DataError> {
        let pieces = read(&ranks.path)?;
        let (vocabulary, merges) = vocabulary(&pieces);
        let (pattern, normalizer) =
            if ranks.is_qwen { (QWEN2, json!({"type": "NFC"})) } else { (LLAMA_3, Value::Null) };
        let added =
            if ranks.is_qwen { self.qwen_tokens(pieces.len()) } else { self.tokens(&ranks.path, pieces.len())? };
        let bytes = json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false});
        let around = self.around(&added).unwrap_or_else(
            || json!({"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": false, "use_regex": true}),
        );
        Ok(json!({
            "version": "1.0",
            "added_tokens": added,
            "normalizer": normalizer,
            "pre_tokenizer": {
                "type": "Sequence",
                "pretokenizers": [
                    {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": false}, bytes,
                ],
            },
            "post_processor": around,
            "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
            "model": {
                "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
                "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "ignore_merges": true,
                "vocab": vocabulary, "merges": merges,
            },
        }))
    }

    /// The special tokens behind `pieces` pieces; numbers that none has are reserved, as transformers does it.
    fn tokens(&self, path: &Path, pieces: usize) -> Result<Vec<Value>, DataError> {
        let decoder = self.config.get("added_tokens_decoder").and_then(Value::as_object);
        let decoder = decoder.filter(|tokens| !tokens.is_empty()).ok_or_else(|| {
            failed(
                path,
                "is a file of ranks, which has no special tokens, and tokenizer_config.json does not say them in \
                 added_tokens_decoder; convert the model to Hugging Face's format, which writes both",
            )
        })?;
        let numbers = decoder.keys().filter_map(|id| id.parse::<usize>().ok());
        let end = numbers.max().map_or(0, |last| last + 1);
        let token = |id: usize| {
            let said = decoder.get(&id.to_string());
            let content = said.and_then(|token| token.as_str().or_else(|| token["content"].as_str()));
            let flag = |name: &str, usual: bool| said.and_then(|token| token[name].as_bool()).unwrap_or(usual);
            json!({
                "id": id, "content": content.map_or_else(|| format!("<|reserved_token_{id}|>"), str::to_owned),
                "single_word": flag("single_word", false), "lstrip": flag("lstrip", false),
                "rstrip": flag("rstrip", false), "normalized": flag("normalized", false),
                // All of them are special, whatever the file says, as where transformers converts it.
                "special": true,
            })
        };
        Ok((pieces..end).map(token).collect())
    }

    /// Those that Qwen 1's own code gives it.
    fn qwen_tokens(&mut self, pieces: usize) -> Vec<Value> {
        const END: &str = "<|endoftext|>";
        self.usually([("eos_token", END), ("pad_token", END)]);
        let named = [END, "<|im_start|>", "<|im_end|>"].map(str::to_owned);
        let all = named.into_iter().chain((0..205).map(|number| format!("<|extra_{number}|>"))).enumerate();
        let token = |(place, content): (usize, String)| {
            json!({
                "id": pieces + place, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
                "normalized": false, "special": true,
            })
        };
        all.map(token).collect()
    }

    /// The tokens around texts, where the configuration asks for them.
    fn around(&self, added: &[Value]) -> Option<Value> {
        let wanted = |flag: &str, role: &str| {
            let asked = self.config.get(flag).and_then(Value::as_bool).unwrap_or(false);
            let token = self.special_token(role).filter(|_| asked)?;
            let id = added.iter().find(|added| added["content"] == token)?["id"].clone();
            Some((token.to_owned(), id))
        };
        let (begin, end) = (wanted("add_bos_token", "bos_token"), wanted("add_eos_token", "eos_token"));
        let all: Map<String, Value> = [&begin, &end]
            .into_iter()
            .flatten()
            .map(|(token, id)| (token.clone(), json!({"id": token, "ids": [id], "tokens": [token]})))
            .collect();
        if all.is_empty() {
            return None;
        }
        let text = |name: &str, kind: u32| {
            let special = |token: &Option<(String, Value)>| {
                token.as_ref().map(|(token, _)| json!({"SpecialToken": {"id": token, "type_id": kind}}))
            };
            let text = json!({"Sequence": {"id": name, "type_id": kind}});
            special(&begin).into_iter().chain([text]).chain(special(&end)).collect::<Vec<Value>>()
        };
        let pair: Vec<Value> = text("A", 0).into_iter().chain(text("B", 1)).collect();
        Some(json!({"type": "TemplateProcessing", "single": text("A", 0), "pair": pair, "special_tokens": all}))
    }
}

/// Whether the first line of a file is a piece with its rank.
fn begins_with_a_rank(path: &Path) -> bool {
    let Ok(file) = File::open(path) else { return false };
    let mut line = Vec::new();
    // SentencePiece's models have no line of this kind, however long they are.
    let read = std::io::Read::take(BufReader::new(file), 4096).read_until(b'\n', &mut line);
    read.is_ok() && std::str::from_utf8(&line).is_ok_and(|line| piece(line.trim_end()).is_some())
}

/// The piece of a line, and its rank.
fn piece(line: &str) -> Option<(Vec<u8>, u32)> {
    let (piece, rank) = line.split_once(' ')?;
    Some((STANDARD.decode(piece).ok().filter(|piece| !piece.is_empty())?, rank.trim().parse().ok()?))
}

/// Pieces with their ranks; every byte is one of them.
fn read(path: &Path) -> Result<HashMap<Vec<u8>, u32>, DataError> {
    let text = std::fs::read_to_string(path).map_err(|error| failed(path, format!("cannot be read: {error}")))?;
    let mut pieces = HashMap::new();
    for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.is_empty()) {
        let (piece, rank) = piece(line).ok_or_else(|| {
            failed(path, format!("line {number} is no piece in base64 with its rank; fetch the file again"))
        })?;
        if pieces.insert(piece, rank).is_some() {
            return Err(failed(path, format!("line {number} has a piece that was there before; fetch the file again")));
        }
    }
    if let Some(byte) = (0..=255u8).find(|byte| !pieces.contains_key([*byte].as_slice())) {
        return Err(failed(path, format!("has no piece for the byte {byte}, so that not every text can be cut")));
    }
    Ok(pieces)
}

/// The vocabulary as byte-level BPE spells it, and all ways to make a piece of two others, by the ranks of the piece and of both.
fn vocabulary(pieces: &HashMap<Vec<u8>, u32>) -> (Map<String, Value>, Vec<[String; 2]>) {
    let letters = letters();
    let spelled = |piece: &[u8]| piece.iter().map(|&byte| letters[usize::from(byte)]).collect::<String>();
    let mut ways = Vec::new();
    for (piece, &rank) in pieces {
        for at in 1..piece.len() {
            let (left, right) = piece.split_at(at);
            if let (Some(&first), Some(&second)) = (pieces.get(left), pieces.get(right)) {
                ways.push(((rank, first, second), left, right));
            }
        }
    }
    ways.sort_unstable();
    let merges = ways.into_iter().map(|(_, left, right)| [spelled(left), spelled(right)]).collect();
    (pieces.iter().map(|(piece, &rank)| (spelled(piece), rank.into())).collect(), merges)
}

/// How byte-level BPE spells each byte: what can be seen by itself, what cannot by the letters from U+0100.
fn letters() -> Vec<char> {
    let mut others = 0x100..;
    let letter = |byte: u8| match byte {
        b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff => char::from(byte),
        _ => others.next().and_then(char::from_u32).unwrap_or('\u{fffd}'),
    };
    (0..=255u8).map(letter).collect()
}
