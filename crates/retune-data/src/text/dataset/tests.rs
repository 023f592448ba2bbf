//! Tests of encoding: batches, subsets, labels, and independence of threads.

use std::path::Path;
use std::sync::Mutex;

use serde_json::json;

use super::*;
use crate::{ArrayData, TextColumns, stratified_group_split};

const VOCABULARY: &str = "[PAD]\n[UNK]\n[CLS]\n[SEP]\ngood\nbad\nfilm\nvery\n";

fn tokenizer(config: &serde_json::Value) -> Tokenizer {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("vocab.txt"), VOCABULARY).unwrap();
    std::fs::write(folder.path().join("tokenizer_config.json"), config.to_string()).unwrap();
    Tokenizer::load(folder.path()).unwrap()
}

fn rows(content: &str, columns: &TextColumns) -> TextRows {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.csv");
    std::fs::write(&path, content).unwrap();
    TextRows::read(&path, columns, false).unwrap()
}

fn dataset(content: &str, max_length: usize) -> TextDataset {
    let rows = rows(content, &TextColumns::new("text", "label"));
    let schema = LabelSchema::infer(&rows, None).unwrap();
    TextDataset::encode(rows, &tokenizer(&json!({})), Some(&schema), max_length, &|_, _| ()).unwrap()
}

fn integers(batch: &Batch, name: &str) -> Vec<i64> {
    match &batch.arrays[name].data {
        ArrayData::I64(values) => values.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_batch_is_padded_masked_and_counted() {
    let data = dataset("text,label\nGood film,yes\nodd,no\nvery very very bad,no\n", 5);
    assert_eq!((data.len(), data.length(0), data.length(2), data.truncated_rows()), (3, 4, 5, 1));
    let batch = data.batch(&[1, 0], None).unwrap();
    assert_eq!(batch.rows, [1, 0]);
    assert_eq!(batch.arrays["input_ids"].shape, [2, 4]);
    assert_eq!(integers(&batch, "input_ids"), [2, 1, 3, 0, 2, 4, 6, 3]);
    assert_eq!(integers(&batch, "attention_mask"), [1, 1, 1, 0, 1, 1, 1, 1]);
    assert_eq!(integers(&batch, "token_type_ids"), [0; 8]);
    assert_eq!(integers(&batch, "labels"), [0, 1]);
    assert_eq!((batch.tokens, batch.padded), (7, 8));
    assert!((data.unknown_token_fraction() - 1.0 / 6.0).abs() < 1e-12);
    let wide = data.clone().with_padding_multiple(8).batch(&[0], None).unwrap();
    assert_eq!(wide.arrays["input_ids"].shape, [1, 8]);
    assert!(matches!(data.batch(&[3], None), Err(DataError::NoSuchRow { row: 3, rows: 3 })));
}

#[test]
fn source_names_file_line_fields_and_label() {
    let data = dataset("text,label\n\"Good\nfilm\",yes\nbad,no\n", 9);
    let source = data.source(1).unwrap();
    assert_eq!((source.line, source.label), (4, Some(json!("no"))));
    assert!(source.file.ends_with("a.csv"));
    assert_eq!(serde_json::Value::Object(source.fields), json!({"text": "bad"}));
}

#[test]
fn pairs_and_left_padding() {
    let columns = TextColumns { text_pair: Some("pair".into()), ..TextColumns::new("text", "label") };
    let rows = rows("text,pair,label\ngood,bad film,a\ngood,bad,b\n", &columns);
    let schema = LabelSchema::infer(&rows, None).unwrap();
    let left = tokenizer(&json!({"padding_side": "left"}));
    let data = TextDataset::encode(rows, &left, Some(&schema), 16, &|_, _| ()).unwrap();
    let batch = data.batch(&[0, 1], None).unwrap();
    assert_eq!(integers(&batch, "input_ids"), [2, 4, 3, 5, 6, 3, 0, 2, 4, 3, 5, 3]);
    assert_eq!(integers(&batch, "token_type_ids"), [0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 1, 1]);
    assert_eq!(integers(&batch, "attention_mask"), [1, 1, 1, 1, 1, 1, 0, 1, 1, 1, 1, 1]);
}

#[test]
fn several_labels_and_numbers_as_arrays() {
    let columns = TextColumns { label: vec!["a".into(), "b".into()], ..TextColumns::new("text", "") };
    let of = |content: &str| {
        let rows = rows(content, &columns);
        let schema = LabelSchema::infer(&rows, None).unwrap();
        let data = TextDataset::encode(rows, &tokenizer(&json!({})), Some(&schema), 9, &|_, _| ()).unwrap();
        data.batch(&[1, 0], None).unwrap().arrays["labels"].clone()
    };
    assert_eq!(of("text,a,b\nt,0,1\nt,1,1\n"), Array::floats(&[2, 2], vec![1.0, 1.0, 0.0, 1.0]));
    assert_eq!(of("text,a,b\nt,0,1.5\nt,1,-1\n"), Array::floats(&[2, 2], vec![1.0, -1.0, 0.0, 1.5]));
    let one = dataset("text,label\nt,0.5\nt,2\n", 9).batch(&[0, 1], None).unwrap();
    assert_eq!(one.arrays["labels"], Array::floats(&[2], vec![0.5, 2.0]));
}

#[test]
fn labels_the_training_file_lacks_are_named() {
    let schema = LabelSchema::SingleLabel { names: vec!["no".into(), "yes".into()] };
    let rows = rows("text,label\nt,yes\nt,maybe\nt,never\n", &TextColumns::new("text", "label"));
    let error =
        TextDataset::encode(rows, &tokenizer(&json!({})), Some(&schema), 9, &|_, _| ()).err().unwrap().to_string();
    assert!(error.contains("a.csv:3: column `label`: `maybe` is not among the known labels `no`, `yes`"), "{error}");
    assert!(error.contains("a.csv:4:") && error.contains("2 problems in all"), "{error}");
}

#[test]
fn rows_without_labels_make_batches_without_labels() {
    let schema = LabelSchema::SingleLabel { names: vec!["no".into(), "yes".into()] };
    let rows = rows("text\ngood\n", &TextColumns::new("text", "label"));
    let data = TextDataset::encode(rows, &tokenizer(&json!({})), Some(&schema), 9, &|_, _| ()).unwrap();
    assert!(!data.has_labels() && !data.batch(&[0], None).unwrap().arrays.contains_key("labels"));
    assert_eq!(data.source(0).unwrap().label, None);
}

#[test]
fn labels_are_not_looked_at_without_a_schema() {
    let rows = rows("text,label\ngood,what nobody knows\n", &TextColumns::new("text", "label"));
    let data = TextDataset::encode(rows, &tokenizer(&json!({})), None, 9, &|_, _| ()).unwrap();
    assert!(!data.has_labels() && Described::schema(&data).is_none());
    assert_eq!(data.source(0).unwrap().label, Some(json!("what nobody knows")));
}

#[test]
fn empty_texts_are_special_tokens_and_are_told_of() {
    let data = dataset("text,label\ngood,yes\n,no\n\"  \",no\n", 9);
    assert_eq!(integers(&data.batch(&[1], None).unwrap(), "input_ids"), [2, 3]);
    let remarks = data.remarks();
    assert!(remarks.len() == 1 && remarks[0].ends_with("a.csv: 2 texts are empty, first at line 3"), "{remarks:?}");
    assert!(dataset("text,label\ngood,yes\nbad,no\n", 9).remarks().is_empty());
}

#[test]
fn quotes_around_all_texts_of_a_tsv_file_are_told_of() {
    let remarks = |name: &str, content: &str| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        let rows = TextRows::read(&path, &TextColumns::new("text", "label"), true).unwrap();
        let tokenizer = tokenizer(&json!({}));
        TextDataset::encode(rows, &tokenizer, None, 9, &|_, _| ()).unwrap().remarks()
    };
    let said = remarks("a.tsv", "text\tlabel\n\"good\"\t1\n\"very \"\"bad\"\"\"\t0\n");
    assert!(said.len() == 1 && said[0].contains("a.tsv: all texts stand in double quotes"), "{said:?}");
    assert!(remarks("a.tsv", "text\tlabel\n\"good\"\t1\n\"bad\t0\n").is_empty());
    assert!(remarks("a.csv", "text,label\n\"\"\"good\"\"\",1\n\"\"\"bad\"\"\",0\n").is_empty());
}

#[test]
fn a_text_without_any_token_is_named() {
    // A tokenizer that adds no special tokens.
    let folder = tempfile::tempdir().unwrap();
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/tiny-tokenizer/tokenizer.json");
    let mut document: serde_json::Value = serde_json::from_slice(&std::fs::read(fixture).unwrap()).unwrap();
    document["post_processor"] = serde_json::Value::Null;
    std::fs::write(folder.path().join("tokenizer.json"), document.to_string()).unwrap();
    let bare = Tokenizer::load(folder.path()).unwrap();
    let rows = rows("text\ngood\n\"\"\n", &TextColumns::new("text", "label"));
    let error = TextDataset::encode(rows, &bare, None, 9, &|_, _| ()).err().unwrap().to_string();
    assert!(error.contains("a.csv:3: column `text`: is a text of which this tokenizer makes no token"), "{error}");
}

fn large() -> String {
    let words = ["good", "bad", "film", "very", "odd"];
    let mut random = crate::Random::at(&[5]);
    let mut content = "text,label\n".to_owned();
    for _ in 0..9000 {
        let count = 1 + random.below(12);
        let text: Vec<&str> = (0..count).map(|_| words[random.below(5)]).collect();
        content.push_str(&format!("{},{}\n", text.join(" "), random.below(3)));
    }
    content
}

#[test]
fn threads_do_not_change_the_result_and_progress_is_told() {
    let content = large();
    let with = |threads: usize| {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(|| dataset(&content, 10))
    };
    let (serial, parallel) = (with(1), with(4));
    let all: Vec<usize> = (0..serial.len()).collect();
    assert_eq!(serial.batch(&all, None).unwrap(), parallel.batch(&all, None).unwrap());

    let seen = Mutex::new(Vec::new());
    let rows = rows(&content, &TextColumns::new("text", "label"));
    let schema = LabelSchema::infer(&rows, None).unwrap();
    let progress = |done, total| seen.lock().unwrap().push((done, total));
    TextDataset::encode(rows, &tokenizer(&json!({})), Some(&schema), 10, &progress).unwrap();
    assert_eq!(seen.into_inner().unwrap(), [(0, 9000), (4096, 9000), (8192, 9000), (9000, 9000)]);
}

#[test]
fn subsets_share_the_store_and_splits_keep_duplicates_together() {
    let data = dataset(&large(), 10);
    let groups: Vec<u64> = (0..data.len()).map(|row| data.text_hash(row)).collect();
    let (train, validation) = stratified_group_split(&data.strata(), &groups, 0.1, 3).unwrap();
    let (train, validation) = (data.subset(&train).unwrap(), data.subset(&validation).unwrap());
    assert_eq!(train.len() + validation.len(), 9000);
    let facts = crate::DataFacts::gather(&[("train", &train), ("validation", &validation)]).unwrap();
    assert!(facts.leakage.is_empty());
    let inner = validation.subset(&[5, 2]).unwrap();
    assert_eq!(inner.source(1).unwrap(), validation.source(2).unwrap());
    assert_eq!(inner.batch(&[0], None).unwrap().arrays, validation.batch(&[5], None).unwrap().arrays);
    assert!(inner.subset(&[2]).is_err());
}

#[test]
fn regression_strata_are_deciles() {
    let content: String = (0..100).map(|n| format!("good,{}.5\n", (n * 37) % 100)).collect();
    let data = dataset(&format!("text,label\n{content}"), 9);
    let strata = data.strata();
    assert!((0..10).all(|decile| strata.iter().filter(|&&stratum| stratum == decile).count() == 10));
}

#[test]
fn kept_tokens_are_those_of_the_same_texts_and_settings_only() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("vocab.txt"), VOCABULARY).unwrap();
    let cache = folder.path().join("cache");
    let kept = || std::fs::read_dir(&cache).map_or(0, Iterator::count);
    let encode = |content: &str, max_length: usize, cached: bool| {
        let tokenizer = Tokenizer::load(folder.path()).unwrap();
        let tokenizer = if cached { tokenizer.with_cache(cache.clone()) } else { tokenizer };
        let rows = rows(content, &TextColumns::new("text", "label"));
        let seen = Mutex::new(Vec::new());
        let progress = |done: usize, _: usize| seen.lock().unwrap().push(done);
        let data = TextDataset::encode(rows, &tokenizer, None, max_length, &progress).unwrap();
        let all: Vec<usize> = (0..data.len()).collect();
        let batch = data.batch(&all, None).unwrap();
        let found = (batch.arrays, data.truncated_rows(), data.unknown_token_fraction(), data.tokens_in_use().unwrap());
        (found, seen.into_inner().unwrap())
    };
    let text = |word: &str| {
        let rows: String = (0..1200).map(|n| format!("{word} {}film odd,yes\n", "very ".repeat(n % 5))).collect();
        format!("text,label\n{rows}")
    };
    let plain = encode(&text("good"), 6, false).0;
    assert_eq!(kept(), 0);
    let (first, told) = encode(&text("good"), 6, true);
    assert!(first == plain && kept() == 1 && told[0] == 0);
    let (second, told) = encode(&text("good"), 6, true);
    assert!(second == plain && kept() == 1 && told == [1200], "not taken from the cache: {told:?}");
    assert!(encode(&text("bad"), 6, true).0 == encode(&text("bad"), 6, false).0);
    assert!(encode(&text("good"), 5, true).0 == encode(&text("good"), 5, false).0);
    assert_eq!(kept(), 3);
    std::fs::write(folder.path().join("vocab.txt"), VOCABULARY.replace("very\n", "much\nvery\n")).unwrap();
    assert!(encode(&text("good"), 6, true).0 != plain && kept() == 4);
}
