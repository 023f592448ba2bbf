//! Tests of the tokenizer against ids that Hugging Face's fast tokenizers gave.

use super::*;
use crate::text::tokenizer_files::Part;
use proptest::prelude::*;
use serde_json::{Value, json};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures").join(name)
}

fn check_cases(tokenizer: &Tokenizer, folder: &Path) {
    let cases: Value = serde_json::from_slice(&std::fs::read(folder.join("cases.json")).unwrap()).unwrap();
    let cases = cases["cases"].as_array().unwrap();
    assert!(cases.len() > 5);
    for case in cases {
        let max_length = case["max_length"].as_u64().map_or(usize::MAX, |length| length as usize);
        let text = case["text"].as_str().unwrap();
        let tokens = tokenizer.encode(text, case["pair"].as_str(), max_length).unwrap();
        let numbers = |name: &str| -> Vec<u32> { serde_json::from_value(case[name].clone()).unwrap() };
        assert_eq!(tokens.ids, numbers("input_ids"), "{}", case["name"]);
        assert_eq!(tokens.type_ids, numbers("token_type_ids"), "{}", case["name"]);
    }
}

#[test]
fn word_piece_gives_the_ids_of_transformers() {
    let folder = fixture("tiny-tokenizer");
    let tokenizer = Tokenizer::load(&folder).unwrap();
    check_cases(&tokenizer, &folder);
    assert!(tokenizer.token_types());
}

#[test]
fn word_piece_from_its_vocabulary_alone_gives_the_same() {
    let folder = fixture("tiny-tokenizer");
    let copy = tempfile::tempdir().unwrap();
    std::fs::copy(folder.join("vocab.txt"), copy.path().join("vocab.txt")).unwrap();
    let tokenizer = Tokenizer::load(copy.path()).unwrap();
    check_cases(&tokenizer, &folder);
    let whole = Tokenizer::load(&folder).unwrap();
    assert_eq!(tokenizer.vocabulary_size(), whole.vocabulary_size());
    assert_eq!((tokenizer.pad_id(), tokenizer.unknown_id()), (whole.pad_id(), whole.unknown_id()));
    assert_eq!(tokenizer.files(), [copy.path().join("vocab.txt")]);
}

#[test]
fn byte_level_gives_the_ids_of_transformers() {
    let folder = fixture("tiny-tokenizer-bpe");
    let tokenizer = Tokenizer::load(&folder).unwrap();
    check_cases(&tokenizer, &folder);
    assert!(!tokenizer.token_types());
}

/// A folder with some files of the byte-level fixture.
fn byte_level(files: &[&str]) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for file in files {
        std::fs::copy(fixture("tiny-tokenizer-bpe").join(file), copy.path().join(file)).unwrap();
    }
    copy
}

#[test]
fn byte_level_from_vocabulary_and_merges_gives_the_same() {
    let fixture = fixture("tiny-tokenizer-bpe");
    let whole = Tokenizer::load(&fixture).unwrap();
    let files = ["tokenizer_config.json", "special_tokens_map.json", "vocab.json", "merges.txt"];
    for files in [&files[..], &files[2..]] {
        let copy = byte_level(files);
        let tokenizer = Tokenizer::load(copy.path()).unwrap();
        check_cases(&tokenizer, &fixture);
        assert_eq!(tokenizer.vocabulary_size(), whole.vocabulary_size());
        assert_eq!((tokenizer.pad_id(), tokenizer.unknown_id()), (whole.pad_id(), whole.unknown_id()));
        assert_eq!((tokenizer.token_types(), tokenizer.files().len()), (false, files.len()));
    }
}

/// What transformers' `RobertaTokenizer` makes of the same files.
#[test]
fn the_configuration_of_byte_level_is_honoured() {
    let folder = byte_level(&["vocab.json", "merges.txt"]);
    let write = |name: &str, value: &Value| std::fs::write(folder.path().join(name), value.to_string()).unwrap();
    let ids = |text: &str, pair: Option<&str>| {
        Tokenizer::load(folder.path()).unwrap().encode(text, pair, usize::MAX).unwrap().ids
    };
    write("tokenizer_config.json", &json!({"add_prefix_space": true, "tokenizer_class": "RobertaTokenizer"}));
    assert_eq!(ids("The food was Great", None), [0, 225, 311, 275, 324, 306, 225, 43, 267, 279, 2]);
    assert_eq!(ids(" The", Some("x")), [0, 225, 311, 2, 2, 225, 92, 2]);
    assert_eq!(ids("a <mask> b", None), [0, 262, 225, 4, 274, 2]);
    // Letter case stays.
    write("tokenizer_config.json", &json!({"do_lower_case": true, "tokenizer_class": "RobertaTokenizerFast"}));
    assert_eq!(ids("The food was Great", None), [0, 311, 275, 324, 306, 225, 43, 267, 279, 2]);
    write("added_tokens.json", &json!({"<new>": 360}));
    assert_eq!(ids("a <new> b <extra> c", None), [0, 69, 225, 360, 274, 225, 32, 73, 92, 88, 86, 69, 34, 277, 2]);
}

/// What transformers 5's `GPT2Tokenizer` and `Qwen2Tokenizer` make of the same files.
#[test]
fn decoders_have_tokenizers_of_vocabulary_and_merges_too() {
    const TEXT: &str = "it's a  don't e\u{301} é 1234";
    let folder = byte_level(&["vocab.json", "merges.txt"]);
    let write = |name: &str, value: &Value| std::fs::write(folder.path().join(name), value.to_string()).unwrap();
    let ids = |text: &str| Tokenizer::load(folder.path()).unwrap().encode(text, None, usize::MAX).unwrap().ids;
    let mut vocabulary: Value =
        serde_json::from_slice(&std::fs::read(folder.path().join("vocab.json")).unwrap()).unwrap();
    vocabulary["<|endoftext|>"] = json!(360);
    write("vocab.json", &vocabulary);
    write("config.json", &json!({"model_type": "gpt2"}));
    assert_eq!(ids("a<|endoftext|>b <s>"), [69, 360, 70, 225, 32, 87, 34]);
    let apart = [273, 11, 87, 262, 225, 291, 283, 346, 300, 141, 228, 225, 132, 107];
    assert_eq!(ids(TEXT)[..14], apart);
    assert_eq!(Tokenizer::load(folder.path()).unwrap().end_id(), Some(360));
    write("tokenizer_config.json", &json!({"tokenizer_class": "GPT2Tokenizer", "add_prefix_space": true}));
    assert_eq!(ids("a<|endoftext|>b <s>"), [262, 360, 274, 225, 32, 87, 34]);
    let begin = json!({"tokenizer_class": "GPT2Tokenizer", "add_bos_token": true, "bos_token": "<s>"});
    write("tokenizer_config.json", &begin);
    assert_eq!(ids("The food was Great"), [0, 311, 275, 324, 306, 225, 43, 267, 279]);
    write("tokenizer_config.json", &json!({"tokenizer_class": "Qwen2TokenizerFast"}));
    let joined = [273, 11, 87, 262, 225, 291, 283, 346, 225, 132, 107, 225, 132, 107];
    assert_eq!(ids(TEXT)[..14], joined);
    assert_eq!(Tokenizer::load(folder.path()).unwrap().pad_id(), 360);
}

#[test]
fn unusable_byte_level_files_are_named() {
    let folder = byte_level(&["vocab.json", "merges.txt"]);
    let said = || Tokenizer::load(folder.path()).err().unwrap().to_string();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("tokenizer_config.json", "{\"tokenizer_class\": \"CLIPTokenizer\"}");
    assert!(said().contains("what the vocabulary files mean to a CLIPTokenizer is not known here"), "{}", said());
    write("tokenizer_config.json", "{}");
    write("merges.txt", "#version: 0.2\n\u{120} t\nnot there\n");
    assert!(said().contains("merges.txt: line 3 is no pair"), "{}", said());
    write("vocab.json", "{\"a\": 0}");
    write("merges.txt", "");
    assert!(said().contains("vocab.json: does not contain the special token `<s>`"), "{}", said());
    std::fs::remove_file(folder.path().join("merges.txt")).unwrap();
    assert!(said().contains("nor vocab.json with merges.txt"), "{}", said());
}

fn word_pieces(config: Value) -> (tempfile::TempDir, Tokenizer) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("vocab.txt"), "[PAD]\n[UNK]\n[CLS]\n[SEP]\nfilm\nFilm\ncafe\ncafé\nx\n").unwrap();
    std::fs::write(folder.path().join("tokenizer_config.json"), config.to_string()).unwrap();
    let tokenizer = Tokenizer::load(folder.path()).unwrap();
    (folder, tokenizer)
}

#[test]
fn the_configuration_is_honoured() {
    let (_folder, lower) = word_pieces(json!({"model_max_length": 512, "padding_side": "left"}));
    assert_eq!(lower.encode("Film Café", None, 9).unwrap().ids, [2, 4, 6, 3]);
    assert_eq!((lower.model_max_length(), lower.padding_side()), (Some(512), Side::Left));
    let (_folder, cased) = word_pieces(json!({"do_lower_case": false, "model_max_length": 1e30}));
    assert_eq!(cased.encode("Film Café", None, 9).unwrap().ids, [2, 5, 1, 3]);
    assert_eq!(cased.encode("café", None, 9).unwrap().unknown, 0);
    assert_eq!(cased.model_max_length(), None);
    let (_folder, accents) = word_pieces(json!({"do_lower_case": true, "strip_accents": false}));
    assert_eq!(accents.encode("Film Café", None, 9).unwrap().ids, [2, 4, 7, 3]);
    assert!(accents.token_types());
    let (_folder, no_types) = word_pieces(json!({"model_input_names": ["input_ids", "attention_mask"]}));
    assert!(!no_types.token_types() && no_types.with_token_types(true).token_types());
    let (_folder, distil) = word_pieces(json!({"tokenizer_class": "DistilBertTokenizer"}));
    assert!(!distil.token_types());
    let (_folder, left) = word_pieces(json!({"truncation_side": "left"}));
    let tokens = left.encode("film x x", None, 4).unwrap();
    assert_eq!((tokens.ids, tokens.truncated, tokens.words), (vec![2, 8, 8, 3], true, 2));
}

/// What is said about a folder with `vocab.txt` (and what else is given) beside these files.
fn refused(files: &[(&str, Value)]) -> Option<String> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("vocab.txt"), "[PAD]\n[UNK]\n[CLS]\n[SEP]\nfilm\n").unwrap();
    for (name, value) in files {
        std::fs::write(folder.path().join(name), value.to_string()).unwrap();
    }
    Tokenizer::load(folder.path()).err().map(|error| error.to_string())
}

#[test]
fn vocabulary_files_of_another_kind_are_refused() {
    let config = |value: Value| ("tokenizer_config.json", value);
    let model = |value: Value| ("config.json", value);
    for (files, part) in [
        (vec![config(json!({"tokenizer_class": "BertJapaneseTokenizer"}))], "mean to a BertJapaneseTokenizer"),
        (vec![config(json!({})), model(json!({"tokenizer_class": "EsmTokenizer"}))], "mean to a EsmTokenizer"),
        (vec![config(json!({"tokenizer_class": "RoFormerTokenizerFast"}))], "mean to a RoFormerTokenizerFast"),
        (vec![config(json!({"word_tokenizer_type": "mecab"}))], "word_tokenizer_type `mecab`"),
        (vec![config(json!({"subword_tokenizer_type": "character"}))], "subword_tokenizer_type `character`"),
        (
            vec![config(json!({"tokenizer_class": "BertTokenizer", "auto_map": {"AutoTokenizer": ["a.My", null]}}))],
            "`a.My`",
        ),
        (vec![config(json!({"auto_map": {"AutoTokenizer": ["a.My", "a.MyFast"]}}))], "`a.My` in auto_map"),
        (vec![model(json!({"model_type": "deberta"}))], "a model of type deberta"),
        (vec![config(json!({"tokenizer_class": "RobertaTokenizer"}))], "needs vocab.json and merges.txt"),
    ] {
        let said = refused(&files).unwrap_or_else(|| panic!("{part}"));
        assert!(said.contains(part) && (said.contains("save_pretrained") || said.contains("fetch")), "{said}");
    }
    for files in [
        vec![config(json!({"tokenizer_class": "ElectraTokenizerFast", "auto_map": {"AutoModel": "a.My"}}))],
        vec![config(json!({"word_tokenizer_type": "basic"})), model(json!({"model_type": "bert"}))],
        // The tokenizer's own files win over the model's.
        vec![config(json!({"tokenizer_class": "BertTokenizer"})), model(json!({"tokenizer_class": "EsmTokenizer"}))],
    ] {
        assert_eq!(refused(&files), None);
    }
    let byte_level = byte_level(&["vocab.json", "merges.txt"]);
    std::fs::write(byte_level.path().join("config.json"), "{\"model_type\": \"codegen\"}").unwrap();
    assert!(Tokenizer::load(byte_level.path()).err().unwrap().to_string().contains("a model of type codegen"));
}

#[test]
fn a_tokenizer_json_that_transformers_would_not_read_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(fixture("tiny-tokenizer/tokenizer.json"), folder.path().join("tokenizer.json")).unwrap();
    let with = |config: Value| {
        std::fs::write(folder.path().join("tokenizer_config.json"), config.to_string()).unwrap();
        Tokenizer::load(folder.path()).err().map(|error| error.to_string())
    };
    assert!(with(json!({"tokenizer_class": "BertJapaneseTokenizer"})).unwrap().contains("PreTrainedTokenizerFast"));
    assert!(with(json!({"auto_map": {"AutoTokenizer": ["a.My", null]}})).unwrap().contains("`a.My`"));
    assert_eq!(with(json!({"auto_map": {"AutoTokenizer": ["a.My", "a.MyFast"]}})), None);
    assert_eq!(with(json!({"tokenizer_class": "DebertaV2TokenizerFast"})), None);
}

/// The same tokens whichever file names them and whichever way the tokenizer is built.
#[test]
fn added_tokens_count_in_every_way() {
    let sources = [
        ("added_tokens.json", json!({"<new>": 9})),
        ("tokenizer_config.json", json!({"added_tokens_decoder": {"9": {"content": "<new>", "special": true}}})),
        ("tokenizer_config.json", json!({"additional_special_tokens": ["<new>"]})),
        ("tokenizer_config.json", json!({"extra_special_tokens": {"new_token": "<new>"}})),
        ("special_tokens_map.json", json!({"additional_special_tokens": [{"content": "<new>", "lstrip": false}]})),
    ];
    let (vocabulary, _) = word_pieces(json!({}));
    let document =
        super::super::tokenizer_files::TokenizerFiles::read(vocabulary.path(), Part::Source).unwrap().document;
    for (name, value) in &sources {
        for whole in [false, true] {
            let (folder, _) = word_pieces(json!({}));
            if whole {
                std::fs::write(folder.path().join("tokenizer.json"), document.to_string()).unwrap();
            }
            std::fs::write(folder.path().join(name), value.to_string()).unwrap();
            let tokenizer = Tokenizer::load(folder.path()).unwrap();
            assert_eq!(tokenizer.encode("film<new>x", None, 9).unwrap().ids, [2, 4, 9, 8, 3], "{name} {value} {whole}");
            assert_eq!(tokenizer.vocabulary_size(), 10);
        }
    }
    let (folder, _) = word_pieces(json!({}));
    std::fs::write(folder.path().join("added_tokens.json"), "{\"<new>\": 12}").unwrap();
    let said = Tokenizer::load(folder.path()).err().unwrap().to_string();
    assert!(said.contains("added_tokens.json: the added token `<new>` has the number 12, but 9 is"), "{said}");
}

#[test]
fn flags_of_the_configuration_count_for_classes_that_read_them() {
    let folder = tempfile::tempdir().unwrap();
    let (vocabulary, _) = word_pieces(json!({}));
    let document =
        super::super::tokenizer_files::TokenizerFiles::read(vocabulary.path(), Part::Source).unwrap().document;
    std::fs::write(folder.path().join("tokenizer.json"), document.to_string()).unwrap();
    let ids = |class: &str| {
        let config = json!({"tokenizer_class": class, "do_lower_case": false});
        std::fs::write(folder.path().join("tokenizer_config.json"), config.to_string()).unwrap();
        Tokenizer::load(folder.path()).unwrap().encode("Film", None, 9).unwrap().ids
    };
    assert_eq!((ids("BertTokenizer"), ids("PreTrainedTokenizerFast")), (vec![2, 5, 3], vec![2, 4, 3]));
    let copy = byte_level(&["tokenizer.json"]);
    let config = json!({"tokenizer_class": "RobertaTokenizer", "add_prefix_space": true});
    std::fs::write(copy.path().join("tokenizer_config.json"), config.to_string()).unwrap();
    let ids = Tokenizer::load(copy.path()).unwrap().encode("The food was Great", None, 99).unwrap().ids;
    assert_eq!(ids, [0, 225, 311, 275, 324, 306, 225, 43, 267, 279, 2]);
}

#[test]
fn stored_truncation_and_padding_do_not_count() {
    let folder = tempfile::tempdir().unwrap();
    let mut document: Value =
        serde_json::from_slice(&std::fs::read(fixture("tiny-tokenizer/tokenizer.json")).unwrap()).unwrap();
    document["truncation"] = json!({"direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0});
    document["padding"] = json!({
        "strategy": {"Fixed": 32}, "direction": "Right", "pad_to_multiple_of": null, "pad_id": 0, "pad_type_id": 0,
        "pad_token": "[PAD]",
    });
    std::fs::write(folder.path().join("tokenizer.json"), document.to_string()).unwrap();
    let length =
        |folder: &Path| Tokenizer::load(folder).unwrap().encode("the food was great", None, 99).unwrap().ids.len();
    assert_eq!(length(folder.path()), length(&fixture("tiny-tokenizer")));
}

#[test]
fn unusable_tokenizers_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let said = || Tokenizer::load(folder.path()).err().unwrap().to_string();
    assert!(said().contains("neither tokenizer.json nor vocab.txt"));
    std::fs::write(folder.path().join("vocab.txt"), "a\nb\n").unwrap();
    assert!(said().contains("does not contain the special token `[UNK]`"));
    std::fs::write(folder.path().join("tokenizer.json"), "{\"model\": 3}").unwrap();
    assert!(said().contains("is not a tokenizer this program knows"));
    std::fs::write(folder.path().join("tokenizer.json"), "{").unwrap();
    assert!(said().contains("broken JSON"));
    assert!(Tokenizer::load(folder.path().join("nowhere")).is_err());
    let (_folder, tokenizer) = word_pieces(json!({}));
    assert!(tokenizer.encode("film", Some("x"), 4).unwrap_err().to_string().contains("give at least 5"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_text_is_too_strange_or_too_long(text: String, pair in proptest::option::of(any::<String>()), max_length in 5usize..40) {
        let tokenizer = Tokenizer::load(fixture("tiny-tokenizer")).unwrap();
        let tokens = tokenizer.encode(&text, pair.as_deref(), max_length).unwrap();
        prop_assert!(tokens.ids.len() <= max_length);
        prop_assert_eq!(tokens.ids.len(), tokens.type_ids.len());
        prop_assert!(tokens.ids.iter().all(|&id| (id as usize) < tokenizer.vocabulary_size()));
        let whole = tokenizer.encode(&text, pair.as_deref(), usize::MAX).unwrap();
        prop_assert_eq!(tokens.truncated, whole.ids.len() > max_length);
    }
}
