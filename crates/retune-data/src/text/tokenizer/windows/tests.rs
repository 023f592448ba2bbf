//! Tests of windows against the rows and offsets that Hugging Face's fast tokenizers gave.

use std::path::Path;

use serde_json::{Value, json};

use super::*;

fn tokenizer(name: &str) -> (Tokenizer, Value) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures").join(name);
    let cases = serde_json::from_slice(&std::fs::read(folder.join("windows.json")).unwrap()).unwrap();
    (Tokenizer::load(&folder).unwrap(), cases)
}

fn input(case: &Value) -> TextInput {
    let text = |name: &str| case[name].as_str().map(str::to_owned);
    match (text("text"), text("pair")) {
        (Some(text), Some(pair)) => TextInput::Pair(text, pair),
        (Some(text), None) => TextInput::Text(text),
        (None, _) => TextInput::Words(serde_json::from_value(case["words"].clone()).unwrap()),
    }
}

fn options(case: &Value) -> TextOptions {
    let number = |name: &str| case[name].as_u64().unwrap() as usize;
    TextOptions::new(number("max_length")).windows(number("stride")).offsets()
}

fn described(windows: &Windows) -> Value {
    let row = |row: &Window| {
        let of = |each: fn(&Place) -> Value| row.places.iter().map(each).collect::<Vec<Value>>();
        json!({
            "input_ids": row.ids,
            "token_type_ids": row.type_ids,
            "offsets": of(|place| json!([place.start, place.end])),
            "sequence_ids": of(|place| json!(place.sequence)),
            "word_ids": of(|place| json!(place.word)),
        })
    };
    windows.rows.iter().map(row).collect()
}

#[test]
fn windows_and_offsets_are_those_of_transformers() {
    for name in ["tiny-tokenizer", "tiny-tokenizer-bpe"] {
        let (plain, cases) = tokenizer(name);
        let spaced = plain.with_prefix_space().unwrap();
        assert_eq!(spaced.prefix_space(), name.ends_with("bpe"));
        let cases = cases.as_array().unwrap();
        assert!(cases.len() > 5);
        for case in cases {
            let mut tokenizer = if case["words"].is_null() { plain.clone() } else { spaced.clone() };
            tokenizer.truncation_side = if case["side"] == "left" { Side::Left } else { Side::Right };
            let windows = tokenizer.windows(&input(case), &options(case)).unwrap().unwrap();
            let found = described(&windows);
            for (row, expected) in case["rows"].as_array().unwrap().iter().enumerate() {
                assert_eq!(&found[row], expected, "{name}: {} row {row}", case["name"]);
            }
            assert_eq!(found.as_array().unwrap().len(), case["rows"].as_array().unwrap().len(), "{}", case["name"]);
            assert!(!windows.truncated);
        }
    }
}

#[test]
fn offsets_do_not_change_tokens_and_what_is_cut_is_said() {
    for name in ["tiny-tokenizer", "tiny-tokenizer-bpe"] {
        let (tokenizer, cases) = tokenizer(name);
        for case in cases.as_array().unwrap() {
            let (input, options) = (input(case), options(case));
            let with = tokenizer.windows(&input, &options).unwrap().unwrap();
            let mut without =
                tokenizer.windows(&input, &TextOptions { keep_offsets: false, ..options }).unwrap().unwrap();
            assert!(without.rows.iter().all(|row| row.places.is_empty()));
            without.rows.iter_mut().zip(&with.rows).for_each(|(row, with)| row.places.clone_from(&with.places));
            assert_eq!(without, with);
            let cut = tokenizer.windows(&input, &TextOptions { stride: None, ..options }).unwrap().unwrap();
            assert_eq!((cut.rows.len(), cut.truncated), (1, with.rows.len() > 1), "{}", case["name"]);
            if let TextInput::Text(text) = &input {
                let whole = tokenizer.encode(text, None, options.max_length).unwrap();
                assert_eq!((&cut.rows[0].ids, cut.words), (&whole.ids, whole.words));
            }
        }
    }
}

#[test]
fn windows_that_would_not_move_on_are_refused() {
    let (tokenizer, _) = tokenizer("tiny-tokenizer");
    let long = TextInput::Text("the phone is good ".repeat(20));
    let refused = |options: TextOptions| tokenizer.windows(&long, &options).unwrap().unwrap_err();
    assert!(refused(TextOptions::new(10).windows(8)).contains("windows of 8 tokens, no more than the 8"));
    assert!(tokenizer.windows(&long, &TextOptions::new(10).windows(7)).unwrap().is_ok());
    let pair = TextInput::Pair("the phone is good ".repeat(20), "the phone is good ".repeat(20));
    let refused = tokenizer.windows(&pair, &TextOptions::new(10).windows(0)).unwrap().unwrap_err();
    assert!(refused.contains("leaves 0 of a window"), "{refused}");
}

#[test]
fn long_texts_are_many_windows_that_cover_every_character() {
    let (tokenizer, _) = tokenizer("tiny-tokenizer");
    let text = "good phone 😀 ".repeat(2000);
    let options = TextOptions::new(64).windows(16).offsets();
    let windows = tokenizer.windows(&TextInput::Text(text.clone()), &options).unwrap().unwrap();
    let last = windows.rows.last().unwrap().places.iter().map(|place| place.end).max().unwrap();
    assert_eq!(last as usize, text.trim_end().chars().count());
    let mut covered = 0;
    for row in &windows.rows {
        let first = row.places.iter().find(|place| place.sequence.is_some()).unwrap();
        // Only white space may lie between windows.
        assert!(first.start <= covered + 1, "{first:?} after {covered}");
        covered = row.places.iter().map(|place| place.end).max().unwrap();
    }
}
