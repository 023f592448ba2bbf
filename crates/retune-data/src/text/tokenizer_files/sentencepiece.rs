//! Tokenizers that are a SentencePiece model and little else, as `tokenizer.json` would say them: what each of transformers'
//! classes makes of the model's pieces.
//!
//! Classes of Python (Marian's, M2M100's) cut texts with the library itself; their document has a vocabulary and no way to cut
//! ([`PieceFile`] has it). What other classes do differs from the library in places, and is done here as they do it.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::class::{Class, M2M100, MBART, MBART_50, Part, WMT21};
use super::{TokenizerFiles, failed, object};
use crate::DataError;
use crate::text::sentencepiece::{Kind, PieceKind, SentencePiece};

/// A model that cuts texts as the library does.
pub(in super::super) struct PieceFile {
    pub(in super::super) model: SentencePiece,
    /// The numbers of pieces; those that are not in it are unknown.
    pub(in super::super) vocabulary: Map<String, Value>,
}

impl TokenizerFiles {
    /// The equivalent `tokenizer.json`, and the model where the library cuts texts.
    pub(super) fn sentence_piece(
        &self,
        folder: &Path,
        class: Class,
        part: Part,
    ) -> Result<(Value, Option<PieceFile>), DataError> {
        let path = folder.join(class.file(part));
        let model = SentencePiece::load(&path).map_err(|message| failed(&path, message))?;
        let is_bpe = model.proto().kind == Kind::Bpe;
        let wanted = match class {
            Class::Llama | Class::Nllb => Some(true),
            Class::Marian | Class::M2m100 | Class::Plain => None,
            _ => Some(false),
        };
        if wanted.is_some_and(|wanted| wanted != is_bpe) {
            let (kind, other) = if is_bpe { ("BPE", "unigram") } else { ("unigram", "BPE") };
            return Err(failed(&path, format!("is a {kind} model, but a tokenizer of this class has a {other} model")));
        }
        let file = Building { files: self, folder, path, class, model };
        file.document()
    }
}

/// A tokenizer at work.
struct Building<'a> {
    files: &'a TokenizerFiles,
    folder: &'a Path,
    path: PathBuf,
    class: Class,
    model: SentencePiece,
}

impl Building<'_> {
    fn document(self) -> Result<(Value, Option<PieceFile>), DataError> {
        let by_library = matches!(self.class, Class::Marian | Class::M2m100 | Class::Plain);
        let vocabulary = self.vocabulary()?;
        let model = if by_library {
            json!({"type": "SentencePiece", "vocab": vocabulary})
        } else if matches!(self.class, Class::Llama | Class::Nllb) {
            let llama = self.class == Class::Llama;
            let unknown = if llama { Value::Null } else { json!(self.role("unk_token", "<unk>")) };
            json!({
                "type": "BPE", "dropout": null, "unk_token": unknown, "continuing_subword_prefix": null,
                "end_of_word_suffix": null, "fuse_unk": true, "byte_fallback": llama, "ignore_merges": false,
                "vocab": vocabulary, "merges": self.merges(),
            })
        } else {
            let unknown = match self.class {
                Class::T5 => 2,
                Class::Albert => 1,
                Class::DebertaV2 => self.model.proto().unknown,
                _ => 3,
            };
            json!({"type": "Unigram", "unk_id": unknown, "byte_fallback": false, "vocab": vocabulary})
        };
        let mut document = json!({
            "version": "1.0",
            "normalizer": self.normalizer(),
            "pre_tokenizer": self.pre_tokenizer(),
            "post_processor": null,
            "decoder": self.decoder(),
            "model": model,
        });
        document["added_tokens"] = self.added(&document)?;
        document["post_processor"] = self.post_processor(&document)?;
        let pieces = by_library.then(|| {
            let vocabulary = document["model"]["vocab"].as_object().cloned().unwrap_or_default();
            PieceFile { model: self.model, vocabulary }
        });
        Ok((document, pieces))
    }

    /// How a special token is spelled.
    fn role(&self, name: &str, usual: &'static str) -> String {
        self.files.special_token(name).unwrap_or(usual).to_owned()
    }

    fn flag(&self, name: &str, usual: bool) -> bool {
        self.files.config.get(name).and_then(Value::as_bool).unwrap_or(usual)
    }

    /// A list of pieces with scores, or an object of numbers.
    fn vocabulary(&self) -> Result<Value, DataError> {
        let pieces = &self.model.proto().pieces;
        let scored = |from: usize| pieces.iter().skip(from).map(|piece| json!([piece.spelling, piece.score]));
        let numbered = || pieces.iter().zip(0u32..).map(|(piece, id)| (piece.spelling.clone(), json!(id)));
        let nothing = |spelling: &str| json!([spelling, 0.0]);
        let fairseq =
            || ["bos_token", "pad_token", "eos_token", "unk_token"].into_iter().zip(["<s>", "<pad>", "</s>", "<unk>"]);
        let own = || fairseq().map(|(role, usual)| self.role(role, usual));
        Ok(match self.class {
            Class::T5 => {
                let extra = self.files.config.get("extra_ids").and_then(Value::as_u64).unwrap_or(100);
                scored(0).chain((0..extra).rev().map(|id| nothing(&format!("<extra_id_{id}>")))).collect()
            }
            Class::MBart | Class::MBart50 | Class::XlmRoberta => {
                let (first, more): (&[&str], &[&str]) = match self.class {
                    Class::MBart => (&MBART, &[]),
                    Class::MBart50 => (&MBART, &MBART_50),
                    _ => (&[], &[]),
                };
                let mask = self.role("mask_token", "<mask>");
                let languages = first.iter().chain(more).map(|code| nothing(code));
                own().map(|token| nothing(&token)).chain(scored(3)).chain(languages).chain([nothing(&mask)]).collect()
            }
            Class::Albert | Class::DebertaV2 => scored(0).collect(),
            Class::Llama | Class::Plain => Value::Object(numbered().collect()),
            Class::Nllb => {
                let mut vocabulary = Map::new();
                for token in own().chain(pieces.iter().map(|piece| piece.spelling.clone())) {
                    let id = vocabulary.len();
                    vocabulary.entry(token).or_insert(json!(id));
                }
                Value::Object(vocabulary)
            }
            Class::Marian | Class::M2m100 => {
                let separate = self.path.ends_with("target.spm") && self.flag("separate_vocabs", false);
                let path = self.folder.join(if separate { "target_vocab.json" } else { "vocab.json" });
                let vocabulary = object(&path)?
                    .ok_or_else(|| failed(&path, "is missing: it has the numbers of the pieces; fetch it"))?;
                if let Some((piece, _)) =
                    vocabulary.iter().find(|(_, id)| id.as_u64().is_none_or(|id| id > u32::MAX.into()))
                {
                    return Err(failed(&path, format!("the piece `{piece}` has no number; fetch the file again")));
                }
                let unknown = self.role("unk_token", "<unk>");
                if !vocabulary.contains_key(&unknown) {
                    return Err(failed(&path, format!("has no `{unknown}`, which stands for unknown pieces")));
                }
                Value::Object(vocabulary)
            }
        })
    }

    /// Pairs of pieces that make a piece, the first pieces first.
    fn merges(&self) -> Vec<[&str; 2]> {
        let pieces = &self.model.proto().pieces;
        let ids: std::collections::HashMap<&str, usize> =
            pieces.iter().enumerate().map(|(id, piece)| (piece.spelling.as_str(), id)).collect();
        let mut merges = Vec::new();
        for (id, piece) in pieces.iter().enumerate() {
            let splits = piece.spelling.char_indices().skip(1).map(|(at, _)| piece.spelling.split_at(at));
            let known = splits.filter_map(|(left, right)| Some((ids.get(left)?, ids.get(right)?, left, right)));
            let mut known: Vec<_> = known.collect();
            known.sort_by_key(|(left, right, ..)| (**left, **right));
            merges.extend(known.into_iter().map(|(.., left, right)| (id, left, right)));
        }
        merges.sort_by_key(|(id, left, right)| (*id, left.chars().count(), right.chars().count()));
        merges.into_iter().map(|(_, left, right)| [left, right]).collect()
    }

    fn normalizer(&self) -> Value {
        let map = &self.model.proto().charsmap;
        let replaced =
            (!map.is_empty()).then(|| json!({"type": "Precompiled", "precompiled_charsmap": STANDARD.encode(map)}));
        let spaces = json!({"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "});
        let lower = || json!({"type": "Lowercase"});
        let steps = match self.class {
            Class::T5 | Class::XlmRoberta => return replaced.unwrap_or(Value::Null),
            Class::MBart | Class::Llama | Class::Marian | Class::M2m100 | Class::Plain => return Value::Null,
            Class::Nllb if replaced.is_none() => return Value::Null,
            Class::MBart50 | Class::Nllb => replaced.into_iter().chain([spaces]).collect::<Vec<Value>>(),
            Class::Albert => {
                let quotes =
                    ["``", "''"].map(|marks| json!({"type": "Replace", "pattern": {"String": marks}, "content": "\""}));
                let mut steps = quotes.to_vec();
                if !self.flag("keep_accents", false) {
                    steps.extend([json!({"type": "NFKD"}), json!({"type": "StripAccents"})]);
                }
                steps.extend(self.flag("do_lower_case", true).then(lower));
                steps.extend(replaced);
                steps
            }
            Class::DebertaV2 => {
                let mut steps: Vec<Value> = self.flag("do_lower_case", false).then(lower).into_iter().collect();
                steps.push(json!({"type": "Replace", "pattern": {"Regex": "\\s{2,}|[\\n\\r\\t]"}, "content": " "}));
                steps.push(json!({"type": "NFC"}));
                steps.push(json!({"type": "Strip", "strip_left": false, "strip_right": true}));
                steps
            }
        };
        json!({"type": "Sequence", "normalizers": steps})
    }

    /// When a text gets a space before it.
    fn prefix(&self) -> &'static str {
        match (self.class, self.flag("add_prefix_space", true)) {
            (Class::Llama, true) if !self.flag("legacy", false) => "first",
            (Class::XlmRoberta | Class::Albert | Class::Llama, false) => "never",
            (Class::DebertaV2, false) => "first",
            _ => "always",
        }
    }

    fn marks(&self) -> Value {
        let split = self.class != Class::Llama;
        json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": self.prefix(), "split": split})
    }

    fn pre_tokenizer(&self) -> Value {
        match self.class {
            Class::Marian | Class::M2m100 | Class::Plain => Value::Null,
            Class::MBart50 | Class::Nllb | Class::Llama => self.marks(),
            Class::DebertaV2 => {
                let apart = json!({"type": "Punctuation", "behavior": "Isolated"});
                let apart = self.flag("split_by_punct", false).then_some(apart);
                let steps: Vec<Value> = apart.into_iter().chain([self.marks()]).collect();
                json!({"type": "Sequence", "pretokenizers": steps})
            }
            _ => json!({"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, self.marks()]}),
        }
    }

    fn decoder(&self) -> Value {
        let spaces = json!({"type": "Replace", "pattern": {"String": "▁"}, "content": " "});
        let (bytes, fuse) = (json!({"type": "ByteFallback"}), json!({"type": "Fuse"}));
        let first = json!({"type": "Strip", "content": " ", "start": 1, "stop": 0});
        let around = json!({"type": "Replace", "pattern": {"Regex": "\\A\\s+|\\s+\\z"}, "content": ""});
        let steps = match self.class {
            Class::Llama if self.flag("add_prefix_space", true) => vec![spaces, bytes, fuse, first],
            Class::Llama => vec![spaces, bytes, fuse],
            Class::Plain if self.model.proto().dummy_prefix => vec![spaces, bytes, fuse, first],
            Class::Plain => vec![spaces, bytes, fuse],
            Class::Marian | Class::M2m100 => vec![spaces, bytes, fuse, around],
            _ => {
                let mut marks = self.marks();
                marks["split"] = true.into();
                return marks;
            }
        };
        json!({"type": "Sequence", "decoders": steps})
    }

    /// Tokens that are found in a text before it is cut.
    fn added(&self, document: &Value) -> Result<Value, DataError> {
        let mut next = super::added::next_id(document);
        let mut added: Vec<Value> = Vec::new();
        let mut add = |content: &str, special: bool, flags: &Value, may_be_new: bool| {
            if content.is_empty() || added.iter().any(|token| token["content"] == content) {
                return;
            }
            let id = super::added::piece(document, content);
            let Some(id) = id.or(may_be_new.then_some(next)) else { return };
            next = next.max(id + 1);
            let flag = |name: &str| flags[name].as_bool().unwrap_or(false);
            added.push(json!({
                "id": id, "content": content, "single_word": flag("single_word"), "lstrip": flag("lstrip"),
                "rstrip": flag("rstrip"), "normalized": flag("normalized"), "special": special,
            }));
        };
        for (role, usual, strips) in self.class.roles() {
            let said = self.files.config.get(role).or_else(|| self.files.special.get(role));
            let flags = said.filter(|said| said.is_object()).cloned();
            let flags =
                flags.unwrap_or_else(|| json!({"lstrip": strips, "normalized": self.class == Class::Nllb && strips}));
            let new = matches!(
                self.class,
                Class::T5
                    | Class::MBart
                    | Class::MBart50
                    | Class::Nllb
                    | Class::XlmRoberta
                    | Class::Albert
                    | Class::DebertaV2
            );
            add(&self.role(role, usual), true, &flags, new);
        }
        let no_flags = json!({});
        if !matches!(self.class, Class::Marian | Class::M2m100) {
            for piece in &self.model.proto().pieces {
                match piece.kind {
                    PieceKind::Control => add(&piece.spelling, true, &no_flags, false),
                    PieceKind::Defined if self.class != Class::Plain => add(&piece.spelling, false, &no_flags, false),
                    _ => (),
                }
            }
        }
        let vocabulary = document["model"]["vocab"].as_object().into_iter().flatten().map(|(spelling, _)| spelling);
        let mut codes: Vec<String> = match self.class {
            Class::T5 => {
                let extra = self.files.config.get("extra_ids").and_then(Value::as_u64).unwrap_or(100);
                (0..extra).map(|id| format!("<extra_id_{id}>")).collect()
            }
            Class::MBart => MBART.map(str::to_owned).to_vec(),
            Class::MBart50 => MBART.iter().chain(&MBART_50).map(|code| (*code).to_owned()).collect(),
            Class::Marian => vocabulary.filter(|it| it.starts_with(">>") && it.ends_with("<<")).cloned().collect(),
            _ => Vec::new(),
        };
        codes.sort();
        codes.iter().for_each(|code| add(code, true, &no_flags, false));
        if self.class == Class::M2m100 {
            let named = self.files.config.get("language_codes").and_then(Value::as_str).unwrap_or("m2m100");
            let languages = match named {
                "m2m100" => M2M100,
                "wmt21" => WMT21,
                other => {
                    let path = self.folder.join("tokenizer_config.json");
                    return Err(failed(&path, format!("language_codes `{other}` are not known here (m2m100, wmt21)")));
                }
            };
            // Their numbers follow those of all pieces.
            languages.split_whitespace().for_each(|code| add(&format!("__{code}__"), true, &no_flags, true));
        }
        added.sort_by_key(|token| token["id"].as_u64());
        Ok(Value::Array(added))
    }

    fn post_processor(&self, document: &Value) -> Result<Value, DataError> {
        let id = |content: &str| {
            let all = document["added_tokens"].as_array().into_iter().flatten();
            let added = all.filter(|token| token["content"] == content).find_map(|token| token["id"].as_u64());
            added.or_else(|| super::added::piece(document, content))
        };
        let (begin, end) = (self.role("bos_token", "<s>"), self.role("eos_token", "</s>"));
        let language = |usual: &str| {
            let said = self.files.config.get("src_lang").and_then(Value::as_str).unwrap_or(usual);
            if self.class == Class::M2m100 { format!("__{said}__") } else { said.to_owned() }
        };
        let (before, after) = match self.class {
            Class::T5 | Class::Marian => (vec![], vec![end]),
            Class::MBart => (vec![], vec![end, language("en_XX")]),
            Class::MBart50 => (vec![language("en_XX")], vec![end]),
            Class::Nllb if self.flag("legacy_behaviour", false) => (vec![], vec![end, language("eng_Latn")]),
            Class::Nllb => (vec![language("eng_Latn")], vec![end]),
            Class::M2m100 => (vec![language("en")], vec![end]),
            Class::XlmRoberta => (vec![begin], vec![end]),
            Class::Albert | Class::DebertaV2 => {
                (vec![self.role("cls_token", "[CLS]")], vec![self.role("sep_token", "[SEP]")])
            }
            Class::Llama | Class::Plain => {
                let put = |flag: &str, token: String| self.flag(flag, false).then_some(token).into_iter().collect();
                (put("add_bos_token", begin), put("add_eos_token", end))
            }
        };
        let mut tokens = Map::new();
        for token in before.iter().chain(&after) {
            let id = id(token).ok_or_else(|| {
                let message = format!("the vocabulary has no `{token}`, which this tokenizer puts beside each text");
                failed(&self.path, message)
            })?;
            tokens.insert(token.clone(), json!({"id": token, "ids": [id], "tokens": [token]}));
        }
        let special = |kind: u32| move |token: &String| json!({"SpecialToken": {"id": token, "type_id": kind}});
        let text = |name: &str, kind: u32| json!({"Sequence": {"id": name, "type_id": kind}});
        let single: Vec<Value> =
            before.iter().map(special(0)).chain([text("A", 0)]).chain(after.iter().map(special(0))).collect();
        let pair: Vec<Value> = match self.class {
            Class::T5 => [single.clone(), vec![text("B", 0)], after.iter().map(special(0)).collect()].concat(),
            Class::XlmRoberta => {
                let end = || after.iter().map(special(0)).collect::<Vec<Value>>();
                [single.clone(), end(), vec![text("B", 0)], end()].concat()
            }
            Class::Albert | Class::DebertaV2 => {
                [single.clone(), vec![text("B", 1)], after.iter().map(special(1)).collect()].concat()
            }
            Class::Llama | Class::Plain => {
                let second = before.iter().map(special(1)).chain([text("B", 1)]).chain(after.iter().map(special(1)));
                single.iter().cloned().chain(second).collect()
            }
            _ => {
                let whole = before.iter().map(special(0)).chain([text("A", 0), text("B", 0)]);
                whole.chain(after.iter().map(special(0))).collect()
            }
        };
        Ok(json!({"type": "TemplateProcessing", "single": single, "pair": pair, "special_tokens": tokens}))
    }
}
