//! Texts cut as the library `sentencepiece` cuts them: `fixtures/sentencepiece` is made by `scripts/fixtures_sentencepiece.py`.

use super::*;
use serde::Deserialize;

#[derive(Deserialize)]
struct Fixture {
    texts: Vec<String>,
    /// Pieces of each text, by model.
    pieces: std::collections::BTreeMap<String, Vec<Vec<String>>>,
}

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/sentencepiece")
}

#[test]
fn pieces_are_those_of_the_library() {
    let text = std::fs::read_to_string(folder().join("pieces.json")).unwrap();
    let fixture: Fixture = serde_json::from_str(&text).unwrap();
    assert!(fixture.texts.len() > 40 && fixture.pieces.len() >= 4);
    for (name, expected) in &fixture.pieces {
        let model = SentencePiece::load(&folder().join(format!("{name}.model"))).unwrap();
        for (text, expected) in fixture.texts.iter().zip(expected) {
            let found: Vec<String> = model.cut(text).into_iter().map(|cut| cut.spelling).collect();
            assert_eq!(&found, expected, "{name}: {text:?}");
        }
    }
}

#[test]
fn pieces_stand_for_places_of_the_text() {
    let model = SentencePiece::load(&folder().join("unigram.model")).unwrap();
    let text = "  ﬁne   cafe\u{301} ｆｆ 你 ";
    let mut end = 0;
    for cut in model.cut(text) {
        assert!(cut.range.start >= end && text.is_char_boundary(cut.range.start), "{cut:?}");
        end = cut.range.end;
    }
    assert_eq!(&text[end..], " ");
    assert!(model.cut("   ").is_empty() && model.cut("").is_empty());
}

#[test]
fn broken_models_are_refused() {
    let bytes = std::fs::read(folder().join("unigram.model")).unwrap();
    for length in [0, 1, 7, bytes.len() / 2, bytes.len() - 3] {
        assert!(Proto::parse(&bytes[..length]).and_then(SentencePiece::new).is_err(), "{length}");
    }
    assert!(Proto::parse(b"version https://git-lfs.github.com/spec/v1").is_err());
}
