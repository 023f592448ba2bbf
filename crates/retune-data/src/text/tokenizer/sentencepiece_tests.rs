//! Tokenizers that are SentencePiece models: ids and texts of transformers (`scripts/fixtures_sentencepiece.py`).

use super::*;
use serde_json::Value;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/sentencepiece")
}

fn json(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).expect("a fixture")).expect("JSON")
}

fn ids(tokenizer: &Tokenizer, text: &str) -> Vec<u32> {
    tokenizer.encode(text, None, 100_000).unwrap().ids
}

#[test]
fn ids_and_texts_are_those_of_transformers() {
    let texts: Vec<String> = serde_json::from_value(json(&folder().join("pieces.json"))["texts"].clone()).unwrap();
    let (mut seen, mut wrong) = (0, Vec::new());
    for entry in std::fs::read_dir(folder().join("tokenizers")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let said = json(&path.join("ids.json"));
        let rows = |key: &str| serde_json::from_value::<Option<Vec<Vec<u32>>>>(said[key].clone()).unwrap();
        let (source, target) = (Tokenizer::load(&path).unwrap(), Tokenizer::load_target(&path).unwrap());
        let decoded: Vec<String> = serde_json::from_value(said["decoded"].clone()).unwrap();
        for ((text, expected), decoded) in texts.iter().zip(rows("ids").unwrap()).zip(&decoded) {
            let found = ids(&source, text);
            if found != expected {
                let spell =
                    |ids: &[u32]| ids.iter().map(|&id| source.token(id).unwrap_or_default()).collect::<Vec<_>>();
                wrong.push(format!("{name} {text:?}: {:?} instead of {:?}", spell(&found), spell(&expected)));
            }
            let back = source.decode(&expected).unwrap();
            // The token of the language is none of the text, though transformers' classes in Python leave it there.
            let language = match name.as_str() {
                "m2m100" => "__en__",
                "marian" => ">>deu<<",
                _ => "",
            };
            let decoded = match decoded.strip_prefix(language) {
                Some(rest) if !language.is_empty() => rest.trim(),
                _ => decoded,
            };
            if back != decoded {
                wrong.push(format!("{name} back to {back:?} instead of {decoded:?}"));
            }
        }
        if let Some(expected) = rows("target_ids") {
            let target = match target.usual_language(true) {
                Some(code) => target.for_language(code).unwrap(),
                None => target,
            };
            for (text, expected) in texts.iter().zip(expected) {
                let found = ids(&target, text);
                if found != expected {
                    wrong.push(format!("{name} target {text:?}: {found:?} instead of {expected:?}"));
                }
            }
        }
        if let Some(pair) = rows("pair") {
            let tokens = source.encode(&texts[0], Some(&texts[4]), 1000).unwrap();
            assert_eq!(tokens.ids, pair[0], "{name}");
            assert!(pair[1].is_empty() || pair[1] == tokens.type_ids, "{name}");
        }
        seen += 1;
    }
    assert_eq!(seen, 13);
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong[..wrong.len().min(25)].join("\n"));
}

#[test]
fn languages_are_known_by_their_codes() {
    let of = |name: &str| Tokenizer::load(folder().join("tokenizers").join(name)).unwrap();
    let mbart = of("mbart");
    let languages = mbart.languages().unwrap();
    assert_eq!((languages.place, languages.codes.len()), (LanguagePlace::After, 25));
    let message = mbart.for_language("de").err().unwrap().to_string();
    assert!(message.contains("no language `de`") && message.contains("de_DE"), "{message}");
    let german = mbart.for_language("de_DE").unwrap();
    assert_eq!(ids(&german, "a").last().copied(), german.token_id("de_DE"));
    assert_eq!(of("mbart50").languages().unwrap().codes.len(), 52);
    let m2m = of("m2m100").languages().unwrap();
    assert_eq!((m2m.place, m2m.codes.len()), (LanguagePlace::Before, 100));
    assert_eq!(m2m.token("de").unwrap(), "__de__");
    let marian = of("marian").languages().unwrap();
    assert_eq!((marian.place, marian.codes), (LanguagePlace::Asked, vec!["deu".to_owned(), "por".to_owned()]));
    assert!(of("t5").languages().is_none());
}

#[test]
fn what_does_not_fit_is_told() {
    let copy = tempfile::tempdir().unwrap();
    let put = |file: &str, from: &str| {
        std::fs::copy(folder().join(from), copy.path().join(file)).unwrap();
    };
    let fails = || Tokenizer::load(copy.path()).err().unwrap().to_string();
    put("spiece.model", "bpe.model");
    std::fs::write(copy.path().join("config.json"), r#"{"model_type": "t5"}"#).unwrap();
    assert!(fails().contains("is a BPE model"), "{}", fails());
    std::fs::write(copy.path().join("spiece.model"), "no model").unwrap();
    assert!(fails().contains("no SentencePiece model"), "{}", fails());
    std::fs::write(copy.path().join("config.json"), r#"{"model_type": "marian"}"#).unwrap();
    assert!(fails().contains("source.spm"), "{}", fails());
    put("source.spm", "unigram.model");
    assert!(fails().contains("vocab.json"), "{}", fails());
    std::fs::write(copy.path().join("vocab.json"), r#"{"a": 1}"#).unwrap();
    assert!(fails().contains("<unk>"), "{}", fails());
}
