//! Tests of vocabularies: made, saved, loaded, and used.

use super::*;

/// As that of published English recognizers.
fn published(folder: &std::path::Path) -> CtcVocabulary {
    let pieces = r#"{"<pad>": 0, "<s>": 1, "</s>": 2, "<unk>": 3, "|": 4, "E": 5, "T": 6, "A": 7, "'": 8}"#;
    std::fs::write(folder.join("vocab.json"), pieces).unwrap();
    CtcVocabulary::load(folder, None).unwrap().unwrap()
}

#[test]
fn characters_become_pieces_and_back() {
    let vocabulary = CtcVocabulary::of_texts(["yes no", "on|e\tday"].into_iter());
    assert_eq!(vocabulary.pieces().concat(), "adenosy|[UNK][PAD]");
    assert_eq!((vocabulary.len(), vocabulary.blank()), (10, 9));
    let spelled = vocabulary.spell(" yes \n no ");
    assert_eq!(spelled.ids, [6, 2, 5, 7, 3, 4]);
    let back: String = spelled.ids.iter().filter_map(|&id| vocabulary.text(id)).collect();
    assert_eq!(back, "yes no");
    let unknown = vocabulary.spell("yés!");
    assert_eq!((unknown.ids, unknown.unknown), (vec![6, 8, 5, 8], vec!['é', '!']));
    assert!(vocabulary.text(8).is_none() && vocabulary.text(9).is_none() && vocabulary.text(99).is_none());
}

#[test]
fn what_was_made_loads_again() {
    let folder = tempfile::tempdir().unwrap();
    let made = CtcVocabulary::of_texts(["yes no"].into_iter());
    let files = made.save(folder.path()).unwrap();
    assert_eq!(files.len(), 2);
    let loaded = CtcVocabulary::load(folder.path(), None).unwrap().unwrap();
    assert_eq!((loaded.pieces(), loaded.blank(), loaded.delimiter), (made.pieces(), made.blank(), made.delimiter));
    assert_eq!(loaded.save(folder.path()).unwrap(), files);
    assert!(CtcVocabulary::load(tempfile::tempdir().unwrap().path(), None).unwrap().is_none());
}

#[test]
fn letters_take_the_case_of_the_vocabulary() {
    let folder = tempfile::tempdir().unwrap();
    let vocabulary = published(folder.path());
    let texts = ["a tea", "eat, tea"];
    assert_eq!(vocabulary.casing(texts.into_iter()), Casing::Upper);
    assert_eq!(vocabulary.spell(&Casing::Upper.of("a tea,")).ids, [7, 4, 6, 5, 7, 3]);
    assert_eq!(vocabulary.casing(["A TEA"].into_iter()), Casing::Kept);
    let counts = BTreeMap::from([(',', 2), ('x', 5)]);
    assert_eq!(CtcVocabulary::shown(&counts), "`x` (5), `,` (2)");
    let config =
        r#"{"do_lower_case": true, "tokenizer_class": "Wav2Vec2CTCTokenizer", "unk_token": {"content": "<unk>"}}"#;
    std::fs::write(folder.path().join("tokenizer_config.json"), config).unwrap();
    let vocabulary = CtcVocabulary::load(folder.path(), None).unwrap().unwrap();
    assert_eq!((vocabulary.spell("tea").ids, vocabulary.given("TEA")), (vec![6, 5, 7], "tea".to_owned()));
}

#[test]
fn added_pieces_count_and_what_works_otherwise_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("vocab.json"), r#"{"a": 0, "|": 1, "[UNK]": 2, "[PAD]": 3}"#).unwrap();
    std::fs::write(folder.path().join("added_tokens.json"), r#"{"<s>": 4, "</s>": 5}"#).unwrap();
    let special = r#"{"pad_token": "[PAD]", "unk_token": "[UNK]"}"#;
    std::fs::write(folder.path().join("special_tokens_map.json"), special).unwrap();
    let vocabulary = CtcVocabulary::load(folder.path(), None).unwrap().unwrap();
    assert_eq!((vocabulary.len(), vocabulary.blank(), vocabulary.text(4)), (6, 3, None));

    for (name, content, expected) in [
        ("tokenizer_config.json", r#"{"tokenizer_class": "Wav2Vec2PhonemeCTCTokenizer"}"#, "only Wav2Vec2CTCTokenizer"),
        ("tokenizer_config.json", r#"{"target_lang": "eng"}"#, "holds one vocabulary"),
        ("tokenizer_config.json", r#"{"pad_token": "<none>"}"#, "has no piece `<none>`"),
        ("vocab.json", r#"{"eng": {"a": 0}}"#, "a vocabulary for each language"),
        ("vocab.json", r#"{"a": 0, "b": 0, "[PAD]": 1}"#, "gives the number 0 to `a` and to `b`"),
        ("vocab.json", r#"{"a": -1}"#, "gives `a` the number -1"),
        ("vocab.json", "[]", "is not a JSON object"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        published(folder.path());
        std::fs::write(folder.path().join(name), content).unwrap();
        let said = CtcVocabulary::load(folder.path(), None).unwrap_err().to_string();
        assert!(
            said.contains(expected) && said.contains(name.trim_start_matches("tokenizer_")) || said.contains(expected),
            "{said}"
        );
    }
}

#[test]
fn each_language_has_its_own_pieces() {
    let folder = tempfile::tempdir().unwrap();
    let pieces = r#"{"eng": {"<pad>": 0, "|": 1, "a": 2}, "deu": {"<pad>": 0, "|": 1, "ä": 3, "a": 2}}"#;
    std::fs::write(folder.path().join("vocab.json"), pieces).unwrap();
    let fail = |language: Option<&str>| CtcVocabulary::load(folder.path(), language).unwrap_err().to_string();
    assert!(fail(None).contains("(eng, deu); say which with --language"), "{}", fail(None));
    assert!(fail(Some("fra")).contains("`fra`; there are eng, deu"), "{}", fail(Some("fra")));
    std::fs::write(folder.path().join("tokenizer_config.json"), r#"{"target_lang": "eng"}"#).unwrap();
    let english = CtcVocabulary::load(folder.path(), None).unwrap().unwrap();
    assert_eq!((english.len(), english.language(), english.save(folder.path()).unwrap().len()), (3, Some("eng"), 2));
    let german = CtcVocabulary::load(folder.path(), Some("deu")).unwrap().unwrap();
    assert_eq!((german.spell("a ä").ids, german.language()), (vec![2, 1, 3], Some("deu")));
    // Saved, it is the language that the files choose.
    let saved = tempfile::tempdir().unwrap();
    german.save(saved.path()).unwrap();
    let again = CtcVocabulary::load(saved.path(), None).unwrap().unwrap();
    assert_eq!((again.pieces(), again.blank(), again.language()), (german.pieces(), 0, Some("deu")));
}
