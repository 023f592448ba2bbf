//! Files of ranks: ids and texts of transformers and of tiktoken (`scripts/fixtures_tiktoken.py`).

use super::*;
use serde_json::Value;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/tiktoken")
}

#[test]
fn ids_and_texts_are_those_of_transformers_and_tiktoken() {
    let said: Value = serde_json::from_slice(&std::fs::read(folder().join("ids.json")).unwrap()).unwrap();
    let texts: Vec<String> = serde_json::from_value(said["texts"].clone()).unwrap();
    let mut wrong = Vec::new();
    for name in ["llama", "llama-begin", "qwen"] {
        let tokenizer = Tokenizer::load(folder().join(name)).unwrap();
        let all: Vec<Vec<u32>> = serde_json::from_value(said[name]["ids"].clone()).unwrap();
        let decoded: Vec<String> = serde_json::from_value(said[name]["decoded"].clone()).unwrap();
        assert_eq!((all.len(), decoded.len()), (texts.len(), texts.len()));
        for ((text, expected), decoded) in texts.iter().zip(all).zip(decoded) {
            let found = tokenizer.encode(text, None, 100_000).unwrap().ids;
            if found != expected {
                wrong.push(format!("{name} {text:?}: {found:?} instead of {expected:?}"));
            }
            let back = tokenizer.decode(&expected).unwrap();
            if back != decoded {
                wrong.push(format!("{name} back to {back:?} instead of {decoded:?}"));
            }
        }
        assert_eq!(Some(tokenizer.vocabulary_size() as u64), said[name]["size"].as_u64(), "{name}");
        assert!(tokenizer.end_id().is_some(), "{name}");
    }
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong[..wrong.len().min(25)].join("\n"));
}

#[test]
fn what_a_file_of_ranks_does_not_say_is_refused() {
    let copy = tempfile::tempdir().unwrap();
    let ranks = std::fs::read_to_string(folder().join("llama/tokenizer.model")).unwrap();
    let write = |name: &str, text: &str| std::fs::write(copy.path().join(name), text).unwrap();
    let fails = || Tokenizer::load(copy.path()).err().unwrap().to_string();
    write("o200k.tiktoken", &ranks);
    assert!(fails().contains("how texts are divided"), "{}", fails());
    write("tiktoken.model", &ranks);
    assert!(fails().contains("added_tokens_decoder"), "{}", fails());
    write("tokenizer_config.json", r#"{"tokenizer_class": "T5Tokenizer"}"#);
    assert!(fails().contains("spiece.model"), "{}", fails());
    write("tokenizer_config.json", r#"{"added_tokens_decoder": {"400": {"content": "<end>"}}}"#);
    assert_eq!(Tokenizer::load(copy.path()).unwrap().token(399).unwrap(), "<|reserved_token_399|>");
    write("tiktoken.model", &format!("{ranks}not base64 7\n"));
    assert!(fails().contains("is no piece in base64"), "{}", fails());
    write("tiktoken.model", "IQ== 0\n");
    assert!(fails().contains("no piece for the byte 0"), "{}", fails());
}
