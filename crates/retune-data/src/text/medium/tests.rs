//! Tests of encoding: batches, subsets, labels, and independence of threads.

use std::path::Path;
use std::sync::{Arc, Mutex};

use serde_json::json;

use super::*;
use crate::text::Place;
use crate::{
    ArrayData, ClassSets, Classes, DataFacts, Dataset, Examples, LabelSchema, Layout, Numbers, SplitFacts, TableRows,
    Targets, stratified_group_split,
};

const VOCABULARY: &str = "[PAD]\n[UNK]\n[CLS]\n[SEP]\ngood\nbad\nfilm\nvery\n";

fn tokenizer(config: &serde_json::Value) -> Tokenizer {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("vocab.txt"), VOCABULARY).unwrap();
    std::fs::write(folder.path().join("tokenizer_config.json"), config.to_string()).unwrap();
    Tokenizer::load(folder.path()).unwrap()
}

type Data<T> = Examples<Text, T>;

fn layout() -> Layout {
    Layout::text("text").labels(["label"])
}

fn rows(content: &str, layout: &Layout) -> Arc<TableRows> {
    named("a.csv", content, layout)
}

fn named(name: &str, content: &str, layout: &Layout) -> Arc<TableRows> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, content).unwrap();
    Arc::new(TableRows::read(&path, layout, false, OnBadExample::Fail).unwrap())
}

fn text(rows: &TableRows, tokenizer: &Tokenizer, options: TextOptions) -> Result<Text, DataError> {
    Text::encode(rows, tokenizer, &options, &|_, _| ())
}

fn classes(rows: &TableRows) -> Option<Classes> {
    let schema = LabelSchema::infer(rows, None).unwrap();
    Classes::read(rows, schema.names()).unwrap()
}

fn dataset(content: &str, max_length: usize) -> Data<Classes> {
    let rows = rows(content, &layout());
    let medium = text(&rows, &tokenizer(&json!({})), TextOptions::new(max_length)).unwrap();
    let targets = classes(&rows);
    Examples::new(rows, medium, targets).unwrap()
}

fn unlabelled(rows: Arc<TableRows>, tokenizer: &Tokenizer, options: TextOptions) -> Data<Classes> {
    let medium = text(&rows, tokenizer, options).unwrap();
    Examples::new(rows, medium, None).unwrap()
}

fn facts<T: Targets<Text>>(data: &Data<T>) -> SplitFacts {
    SplitFacts::gather("train", data).unwrap()
}

fn unknown<T: Targets<Text>>(data: &Data<T>) -> f64 {
    match facts(data).fact(UNKNOWN_TOKENS).unwrap().value {
        FactValue::Share(share) => share,
        ref other => panic!("{other:?}"),
    }
}

fn integers(batch: &Batch, name: &str) -> Vec<i64> {
    match &batch.inputs.get(name).unwrap_or_else(|| &batch.targets[name]).data {
        ArrayData::I64(values) => values.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_batch_is_padded_masked_and_counted() {
    let data = dataset("text,label\nGood film,yes\nodd,no\nvery very very bad,no\n", 5);
    assert_eq!((data.len(), data.length(0), data.length(2), facts(&data).count(TRUNCATED)), (3, 4, 5, Some(1)));
    let batch = data.batch(&[1, 0], None).unwrap();
    assert_eq!(batch.rows, [1, 0]);
    assert_eq!(batch.inputs["input_ids"].shape, [2, 4]);
    assert_eq!(integers(&batch, "input_ids"), [2, 1, 3, 0, 2, 4, 6, 3]);
    assert_eq!(integers(&batch, "attention_mask"), [1, 1, 1, 0, 1, 1, 1, 1]);
    assert_eq!(integers(&batch, "token_type_ids"), [0; 8]);
    assert_eq!(integers(&batch, "labels"), [0, 1]);
    assert_eq!(batch.extent.input, Units { real: 7, padded: 8 });
    assert!((unknown(&data) - 1.0 / 6.0).abs() < 1e-12);
    let rows = rows("text\nGood film\n", &Layout::text("text"));
    let medium = text(&rows, &tokenizer(&json!({})), TextOptions::new(9)).unwrap().with_padding_multiple(8);
    let wide = Examples::<_, Classes>::new(rows, medium, None).unwrap().batch(&[0], None).unwrap();
    assert_eq!(wide.inputs["input_ids"].shape, [1, 8]);
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
    let layout = layout().pair(Some("pair".into()));
    let rows = rows("text,pair,label\ngood,bad film,a\ngood,bad,b\n", &layout);
    let left = tokenizer(&json!({"padding_side": "left"}));
    let data = unlabelled(rows, &left, TextOptions::new(16));
    let batch = data.batch(&[0, 1], None).unwrap();
    assert_eq!(integers(&batch, "input_ids"), [2, 4, 3, 5, 6, 3, 0, 2, 4, 3, 5, 3]);
    assert_eq!(integers(&batch, "token_type_ids"), [0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 1, 1]);
    assert_eq!(integers(&batch, "attention_mask"), [1, 1, 1, 1, 1, 1, 0, 1, 1, 1, 1, 1]);
}

#[test]
fn several_labels_and_numbers_as_arrays() {
    fn labels<T: Targets<Text>>(rows: Arc<TableRows>, targets: Option<T>) -> Array {
        let medium = text(&rows, &tokenizer(&json!({})), TextOptions::new(9)).unwrap();
        let data = Examples::new(rows, medium, targets).unwrap();
        data.batch(&[1, 0], None).unwrap().targets["labels"].clone()
    }
    let columns = Layout::text("text").labels(["a", "b"]);
    let several = rows("text,a,b\nt,0,1\nt,1,1\n", &columns);
    let names = LabelSchema::infer(&*several, None).unwrap().names().to_vec();
    let sets = ClassSets::read(&*several, &names).unwrap();
    assert_eq!(sets.as_ref().unwrap().classes(1), [0, 1]);
    assert_eq!(labels(several, sets), Array::floats(&[2, 2], vec![1.0, 1.0, 0.0, 1.0]));
    let numbers = rows("text,a,b\nt,0,1.5\nt,1,-1\n", &columns);
    let read = Numbers::read(&*numbers, 2).unwrap();
    assert_eq!(labels(numbers, read), Array::floats(&[2, 2], vec![1.0, -1.0, 0.0, 1.5]));
    let one = rows("text,label\nt,0.5\nt,2\n", &layout());
    let read = Numbers::read(&*one, 1).unwrap();
    assert_eq!(labels(one, read), Array::floats(&[2], vec![2.0, 0.5]));
}

/// Runs remember hashes of these texts.
#[test]
fn fingerprints_of_targets_stay_what_they_are() {
    fn fingerprints<T: Targets<Text>>(content: &str, targets: Option<T>) -> Vec<String> {
        let rows = rows(content, &layout());
        let medium = text(&rows, &tokenizer(&json!({})), TextOptions::new(9)).unwrap();
        let data = Examples::new(rows, medium, targets).unwrap();
        (0..data.examples()).map(|example| data.fingerprint(example).unwrap()).collect()
    }
    let names = || vec!["a".to_owned(), "b".to_owned()];
    let two = "text\nt\nt\n";
    assert_eq!(fingerprints(two, Some(Classes::new(names(), vec![1, 0]))), ["Some(Class(1))", "Some(Class(0))"]);
    let sets = ClassSets::new(names(), &[vec![0, 1], vec![]]);
    assert_eq!(fingerprints(two, Some(sets)), ["Some(Classes([0, 1]))", "Some(Classes([]))"]);
    let numbers = Numbers::new(1, vec![0.5, 2.0]);
    assert_eq!(fingerprints(two, Some(numbers)), ["Some(Values([0.5]))", "Some(Values([2.0]))"]);
    assert_eq!(fingerprints::<Classes>(two, None), ["None", "None"]);
}

#[test]
fn labels_the_training_file_lacks_are_named() {
    let rows = rows("text,label\nt,yes\nt,maybe\nt,never\n", &layout());
    let error = Classes::read(&*rows, &["no".into(), "yes".into()]).err().unwrap().to_string();
    assert!(error.contains("a.csv:3: column `label`: `maybe` is not among the known labels `no`, `yes`"), "{error}");
    assert!(error.contains("a.csv:4:") && error.contains("2 problems in all"), "{error}");
}

#[test]
fn rows_without_labels_make_batches_without_targets() {
    let rows = rows("text\ngood\n", &layout());
    assert_eq!(Classes::read(&*rows, &["no".into(), "yes".into()]).unwrap(), None);
    let data = unlabelled(rows, &tokenizer(&json!({})), TextOptions::new(9));
    assert!(data.targets().is_none() && data.batch(&[0], None).unwrap().targets.is_empty());
    assert_eq!((data.source(0).unwrap().label, data.strata()), (None, vec![0]));
}

#[test]
fn labels_are_not_looked_at_without_targets() {
    let rows = rows("text,label\ngood,what nobody knows\n", &layout());
    let data = unlabelled(rows, &tokenizer(&json!({})), TextOptions::new(9));
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
        unlabelled(named(name, content, &layout()), &tokenizer(&json!({})), TextOptions::new(9)).remarks()
    };
    let said = remarks("a.tsv", "text\tlabel\n\"good\"\t1\n\"very bad\"\t0\n");
    assert!(said.len() == 1 && said[0].contains("a.tsv: all texts stand in double quotes"), "{said:?}");
    assert!(remarks("a.tsv", "text\tlabel\n\"good\"\t1\n\"bad\t0\n").is_empty());
    // Doubled quotes inside tell that quotes enclose.
    assert!(remarks("a.tsv", "text\tlabel\n\"good\"\t1\n\"very \"\"bad\"\"\"\t0\n").is_empty());
    let both = remarks("a.tsv", "text\tlabel\n\"very \"\"bad\"\"\"\t1\nsay \"so\" now\t0\n");
    assert!(both[0].contains("a.tsv: some fields stand in double quotes"), "{both:?}");
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
    let rows = rows("text\ngood\n\"\"\nbad\n", &Layout::text("text"));
    let error = text(&rows, &bare, TextOptions::new(9)).err().unwrap().to_string();
    assert!(error.contains("a.csv:3: column `text`: is a text of which this tokenizer makes no token"), "{error}");
    let data = unlabelled(rows, &bare, TextOptions::new(9).on_bad_example(OnBadExample::Skip));
    let bad = &data.bad_examples()[0];
    assert_eq!((data.len(), data.source(1).unwrap().line, bad.row, bad.line), (2, 4, 1, 3));
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
    let rows = rows(&content, &layout());
    let progress = |done, total| seen.lock().unwrap().push((done, total));
    Text::encode(&*rows, &tokenizer(&json!({})), &TextOptions::new(10), &progress).unwrap();
    assert_eq!(seen.into_inner().unwrap(), [(0, 9000), (4096, 9000), (8192, 9000), (9000, 9000)]);
}

#[test]
fn subsets_share_the_store_and_splits_keep_duplicates_together() {
    let data = dataset(&large(), 10);
    let groups: Vec<u64> = (0..data.len()).map(|row| data.content_hash(row)).collect();
    let (train, validation) = stratified_group_split(&data.strata(), &groups, 0.1, 3).unwrap();
    let (train, validation) = (data.subset(&train).unwrap(), data.subset(&validation).unwrap());
    assert_eq!(train.len() + validation.len(), 9000);
    let facts = DataFacts::gather(&[("train", &train), ("validation", &validation)]).unwrap();
    assert!(facts.leakage.is_empty());
    let inner = validation.subset(&[5, 2]).unwrap();
    assert_eq!(inner.source(1).unwrap(), validation.source(2).unwrap());
    assert_eq!(inner.batch(&[0], None).unwrap().inputs, validation.batch(&[5], None).unwrap().inputs);
    assert!(inner.subset(&[2]).is_err());
}

#[test]
fn regression_strata_are_deciles() {
    let content: String = (0..100).map(|n| format!("good,{}.5\n", (n * 37) % 100)).collect();
    let rows = rows(&format!("text,label\n{content}"), &layout());
    let medium = text(&rows, &tokenizer(&json!({})), TextOptions::new(9)).unwrap();
    let numbers = Numbers::read(&*rows, 1).unwrap();
    let strata = Examples::new(rows, medium, numbers).unwrap().strata();
    assert!((0..10).all(|decile| strata.iter().filter(|&&stratum| stratum == decile).count() == 10));
}

#[test]
fn kept_tokens_are_those_of_the_same_texts_and_settings_only() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("vocab.txt"), VOCABULARY).unwrap();
    let cache = folder.path().join("cache");
    let kept = || std::fs::read_dir(&cache).map_or(0, Iterator::count);
    let encode = |content: &str, options: TextOptions, cached: bool| {
        let tokenizer = Tokenizer::load(folder.path()).unwrap();
        let tokenizer = if cached { tokenizer.with_cache(cache.clone()) } else { tokenizer };
        let rows = rows(content, &layout());
        let seen = Mutex::new(Vec::new());
        let progress = |done: usize, _: usize| seen.lock().unwrap().push(done);
        let medium = Text::encode(&*rows, &tokenizer, &options, &progress).unwrap();
        let data = Examples::<_, Classes>::new(rows, medium, None).unwrap();
        let all: Vec<usize> = (0..data.len()).collect();
        let batch = data.batch(&all, None).unwrap();
        let places: Vec<TextSeen> = all.iter().map(|&row| data.seen(row).unwrap()).collect();
        let found = (batch.inputs, facts(&data).facts, data.tokens_in_use().unwrap(), places);
        (found, seen.into_inner().unwrap())
    };
    let text = |word: &str| {
        let rows: String = (0..1200).map(|n| format!("{word} {}film odd,yes\n", "very ".repeat(n % 5))).collect();
        format!("text,label\n{rows}")
    };
    let plain = encode(&text("good"), TextOptions::new(6), false).0;
    assert_eq!(kept(), 0);
    let (first, told) = encode(&text("good"), TextOptions::new(6), true);
    assert!(first == plain && kept() == 1 && told[0] == 0);
    let (second, told) = encode(&text("good"), TextOptions::new(6), true);
    assert!(second == plain && kept() == 1 && told == [1200], "not taken from the cache: {told:?}");
    assert!(encode(&text("bad"), TextOptions::new(6), true).0 == encode(&text("bad"), TextOptions::new(6), false).0);
    assert!(encode(&text("good"), TextOptions::new(5), true).0 == encode(&text("good"), TextOptions::new(5), false).0);
    assert_eq!(kept(), 3);
    let windows = TextOptions::new(5).windows(1);
    for (files, options) in [(4, windows), (5, windows.offsets()), (6, TextOptions::new(5).offsets())] {
        let plain = encode(&text("good"), options, false).0;
        assert!(encode(&text("good"), options, true).0 == plain && kept() == files);
        let (again, told) = encode(&text("good"), options, true);
        assert!(again == plain && told == [1200] && kept() == files, "{options:?}");
        assert_eq!(again.3[0].places.is_empty(), !options.keep_offsets);
    }
    std::fs::write(folder.path().join("vocab.txt"), VOCABULARY.replace("very\n", "much\nvery\n")).unwrap();
    assert!(encode(&text("good"), TextOptions::new(6), true).0 != plain && kept() == 7);
}

fn place(start: u32, end: u32, sequence: u8, word: u32) -> Place {
    Place { start, end, sequence: Some(sequence), word: Some(word) }
}

#[test]
fn windows_overlap_and_know_their_characters() {
    let content = "text\nGood  bad film very good\nbad\n";
    let options = TextOptions::new(5).windows(1).offsets();
    let data = unlabelled(rows(content, &layout()), &tokenizer(&json!({})), options);
    assert_eq!((data.len(), data.examples()), (3, 2));
    assert_eq!([0, 1, 2].map(|row| data.example(row)), [0, 0, 1]);
    assert_eq!((data.rows_of(0), data.rows_of(1)), (0..2, 2..3));
    let batch = data.batch(&[0, 1, 2], None).unwrap();
    assert_eq!(integers(&batch, "input_ids"), [2, 4, 5, 6, 3, 2, 6, 7, 4, 3, 2, 5, 3, 0, 0]);
    let special = Place::default();
    assert_eq!(
        data.seen(1).unwrap().places,
        [special, place(10, 14, 0, 2), place(15, 19, 0, 3), place(20, 24, 0, 4), special]
    );
    assert_eq!(data.source(1).unwrap().line, 3);
    let facts = facts(&data);
    assert_eq!((facts.examples, facts.count(WINDOWS), facts.count(TRUNCATED)), (2, Some(3), None));
    assert_eq!((facts.sizes.min, facts.sizes.max), (3, 5));
    assert_eq!(data.tokens_in_use().unwrap().unwrap(), [0, 2, 3, 4, 5, 6, 7]);
    // A subset is of examples, and has all of their windows.
    let second = data.subset(&[1]).unwrap();
    assert_eq!((second.len(), second.examples(), second.example(0)), (1, 1, 0));
    assert_eq!(second.batch(&[0], None).unwrap().inputs, data.batch(&[2], None).unwrap().inputs);
    assert_eq!(second.tokens_in_use().unwrap().unwrap(), [0, 2, 3, 5]);
    let turned = data.subset(&[1, 0]).unwrap();
    assert_eq!(([0, 1, 2].map(|row| turned.example(row)), turned.rows_of(1)), ([0, 1, 1], 1..3));
    assert_eq!(turned.seen(2).unwrap(), data.seen(1).unwrap());
}

#[test]
fn the_second_of_a_pair_is_windowed_and_offsets_count_characters() {
    let layout = Layout::texts([("question", "--question-column"), ("context", "--context-column")]);
    let content = "question,context\nbad?,gäb 😀 good film very bad\ngood good good good good,film\n";
    let options = TextOptions::new(9).windows(2).offsets();
    let left = tokenizer(&json!({"padding_side": "left"}));
    let data = unlabelled(rows(content, &layout), &left, options);
    // [CLS] bad [UNK] [SEP], four tokens of the context, [SEP].
    let places: Vec<Vec<Place>> = data.rows_of(0).map(|row| data.seen(row).unwrap().places).collect();
    assert_eq!(places.len(), 2, "{places:?}");
    assert_eq!((places[0][1], places[0][2]), (place(0, 3, 0, 0), place(3, 4, 0, 1)));
    let context =
        |window: &[Place]| -> Vec<Place> { window.iter().copied().filter(|place| place.sequence == Some(1)).collect() };
    let (good, film) = (place(6, 10, 1, 2), place(11, 15, 1, 3));
    assert_eq!(context(&places[0]), [place(0, 3, 1, 0), place(4, 5, 1, 1), good, film]);
    assert_eq!(context(&places[1]), [good, film, place(16, 20, 1, 4), place(21, 24, 1, 5)]);
    let batch = data.batch(&[1, 2], None).unwrap();
    assert_eq!(integers(&batch, "token_type_ids")[..9], [0, 0, 0, 0, 1, 1, 1, 1, 1]);

    let long = "question,context\ngood good good good,film very bad good film\nbad,film\n";
    let error = text(&rows(long, &layout), &left, options).err().unwrap().to_string();
    assert!(error.contains("a.csv:2: column `question`: has 4 tokens in its first text, which leaves 2"), "{error}");
    let kept = unlabelled(rows(long, &layout), &left, options.on_bad_example(OnBadExample::Skip));
    assert_eq!((kept.examples(), kept.len(), kept.bad_examples()[0].row, kept.source(0).unwrap().line), (1, 1, 0, 3));
}

#[test]
fn words_keep_their_places_in_the_list() {
    let layout = Layout::words("tokens");
    let rows = named("a.jsonl", "{\"tokens\": [\"Good\", \"bad?\", \"\", \"film\"]}\n", &layout);
    let data = unlabelled(rows, &tokenizer(&json!({})), TextOptions::new(9).offsets());
    let special = Place::default();
    assert_eq!(
        data.seen(0).unwrap().places,
        [special, place(0, 4, 0, 0), place(0, 3, 0, 1), place(3, 4, 0, 1), place(0, 4, 0, 3), special]
    );
}

/// Tags of words, as token classification would place them: the first token of each word has the word's tag.
struct Tags(Vec<Vec<i64>>);

impl Targets<Text> for Tags {
    type Gold = Vec<i64>;

    fn len(&self) -> usize {
        self.0.len()
    }
    fn gold(&self, example: usize) -> Result<Vec<i64>, DataError> {
        Ok(self.0[example].clone())
    }
    fn fill(&self, examples: &[usize], seen: &[TextSeen], into: &mut Batch) -> Result<(), DataError> {
        crate::on_tokens(into, "labels", seen, |row, token, place| {
            let word = place.word?;
            let before = token.checked_sub(1).and_then(|before| seen[row].places[before].word);
            (before != Some(word)).then(|| self.0[examples[row]][word as usize])
        });
        let lengths = examples.iter().map(|&example| self.0[example].len() as i64).collect();
        crate::on_rows(into, "words", lengths);
        Ok(())
    }
    fn fingerprint(&self, example: usize) -> Result<String, DataError> {
        Ok(format!("{:?}", self.0[example]))
    }
}

#[test]
fn targets_are_placed_on_tokens_of_every_window() {
    let lines = "{\"tokens\": [\"good\", \"bad?\", \"film\"]}\n{\"tokens\": [\"very\"]}\n";
    for side in ["right", "left"] {
        let rows = named("a.jsonl", lines, &Layout::words("tokens"));
        let options = TextOptions::new(5).windows(1).offsets();
        let medium = text(&rows, &tokenizer(&json!({"padding_side": side})), options).unwrap();
        let data = Examples::new(rows, medium, Some(Tags(vec![vec![7, 8, 9], vec![1]]))).unwrap();
        let batch = data.batch(&[0, 1, 2], None).unwrap();
        // [CLS] good bad ? [SEP], [CLS] ? film [SEP], [CLS] very [SEP]; the second window begins inside a word.
        let labels = if side == "right" {
            [-100, 7, 8, -100, -100, -100, 8, 9, -100, -100, -100, 1, -100, -100, -100]
        } else {
            [-100, 7, 8, -100, -100, -100, -100, 8, 9, -100, -100, -100, -100, 1, -100]
        };
        assert_eq!(integers(&batch, "labels"), labels, "{side}");
        assert_eq!(batch.targets["labels"].along.unwrap().mask, "attention_mask");
        assert_eq!(integers(&batch, "words"), [3, 3, 1]);
        assert_eq!(data.golds().unwrap(), [vec![7, 8, 9], vec![1]]);
    }
}
