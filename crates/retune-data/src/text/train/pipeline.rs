//! What comes before and after the pieces of a tokenizer, as `tokenizer.json` says it.

use serde_json::{Value, json};

use super::{SpecialTokens, TokenizerKind};

/// Atoms in brackets, atoms of two letters and of one, bonds, branches, rings: each a piece.
const SMILES: &str = r"\[[^\]]+\]|Br|Cl|%\(\d+\)|%\d\d|>>|@@|[A-Za-z]|\d|[()\.=#$:~@\?>\*\\/+\-]";

/// A tokenizer without any piece yet.
pub(super) fn document(kind: TokenizerKind, special: SpecialTokens) -> Value {
    let (normalizer, pre, decoder) = match kind {
        TokenizerKind::WordPiece => (
            json!({"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": null,
                "lowercase": true}),
            json!({"type": "BertPreTokenizer"}),
            json!({"type": "WordPiece", "prefix": "##", "cleanup": true}),
        ),
        TokenizerKind::Bpe => {
            let bytes =
                json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true});
            (Value::Null, bytes.clone(), bytes)
        }
        TokenizerKind::Unigram => {
            let spaces = json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true});
            let several = json!({"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "});
            (json!({"type": "Sequence", "normalizers": [{"type": "NFKC"}, several]}), spaces.clone(), spaces)
        }
        TokenizerKind::Smiles => (
            Value::Null,
            json!({"type": "Split", "pattern": {"Regex": SMILES}, "behavior": "Isolated", "invert": false}),
            json!({"type": "Fuse"}),
        ),
    };
    let unknown = special.unknown();
    let model = match kind {
        TokenizerKind::WordPiece => {
            json!({"type": "WordPiece", "unk_token": unknown, "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100, "vocab": {}})
        }
        TokenizerKind::Bpe => {
            json!({"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "ignore_merges": false, "vocab": {},
            "merges": []})
        }
        TokenizerKind::Unigram => {
            json!({"type": "Unigram", "unk_id": 0, "vocab": [[unknown, 0.0]], "byte_fallback": false})
        }
        TokenizerKind::Smiles => json!({"type": "WordLevel", "vocab": {}, "unk_token": unknown}),
    };
    json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": normalizer,
        "pre_tokenizer": pre, "post_processor": around(special), "decoder": decoder, "model": model,
    })
}

/// Special tokens around a text, and around and between two.
fn around(special: SpecialTokens) -> Value {
    let Some((before, after)) = special.around() else { return Value::Null };
    let all = special.all();
    let id = |token: &str| all.iter().position(|it| *it == token).unwrap_or_default();
    let token = |token: &str, kind: u32| json!({"SpecialToken": {"id": token, "type_id": kind}});
    let text = |name: &str, kind: u32| json!({"Sequence": {"id": name, "type_id": kind}});
    let tokens = |name: &str| json!({"id": name, "ids": [id(name)], "tokens": [name]});
    let pair = match special {
        SpecialTokens::Bert => {
            vec![token(before, 0), text("A", 0), token(after, 0), text("B", 1), token(after, 1)]
        }
        _ => {
            vec![token(before, 0), text("A", 0), token(after, 0), token(after, 0), text("B", 0), token(after, 0)]
        }
    };
    json!({
        "type": "TemplateProcessing", "single": [token(before, 0), text("A", 0), token(after, 0)], "pair": pair,
        "special_tokens": {before: tokens(before), after: tokens(after)},
    })
}
