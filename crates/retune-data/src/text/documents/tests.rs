//! Documents through a real tokenizer: blocks, boundaries, masks, broken files.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::*;
use crate::{
    Array, ArrayData, Batch, Dataset, Examples, Layout, Medium, OnBadExample, Pass, Records, TextsOf, Tokenizer,
};

const VOCABULARY: &str = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\nb\nc\nd\n##x\n##y\n";

struct Desk(tempfile::TempDir);

impl Desk {
    fn new() -> Self {
        let desk = Self(tempfile::tempdir().unwrap());
        desk.write("vocab.txt", VOCABULARY);
        let config = r#"{"tokenizer_class": "BertTokenizer", "model_input_names": ["input_ids", "attention_mask"]}"#;
        desk.write("tokenizer_config.json", config);
        desk
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    fn tokenizer(&self) -> Tokenizer {
        Tokenizer::load(self.0.path()).unwrap()
    }

    fn documents(&self, text: &str, words: bool) -> Arc<Documents> {
        let path = self.write("d.txt", text);
        let rows = read_documents(&path, &Layout::text("text"), TextsOf::Lines, OnBadExample::Fail).unwrap();
        Arc::new(Documents::encode(&Arc::new(rows), &self.tokenizer(), words, &|_, _| {}).unwrap())
    }
}

fn numbers(array: &Array) -> Vec<i64> {
    match &array.data {
        ArrayData::I64(values) => values.clone(),
        other => panic!("{other:?}"),
    }
}

fn filled(blocks: &Blocks, rows: &[usize], pass: Option<Pass>) -> (Batch, Vec<BlockSeen>) {
    let mut batch = Batch { rows: rows.to_vec(), ..Batch::default() };
    let seen = blocks.fill(rows, pass, &mut batch).unwrap();
    (batch, seen)
}

#[test]
fn documents_are_joined_between_special_tokens() {
    let desk = Desk::new();
    let documents = desk.documents("a b c\n\nd\na\n", false);
    let options = BlockOptions { separator: Some(3), boundaries: true, ..BlockOptions::new(6) };
    let blocks = Blocks::cut(&documents, None, options).unwrap();
    let (batch, seen) = filled(&blocks, &[0, 1], None);
    // a b c [SEP] | d [SEP] a: four and three tokens.
    assert_eq!(numbers(&batch.inputs["input_ids"]), [2, 5, 6, 7, 3, 3, 2, 8, 3, 5, 3, 0]);
    assert_eq!(numbers(&batch.inputs["attention_mask"]), [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0]);
    assert_eq!(numbers(&batch.inputs["position_ids"]), [0, 1, 2, 3, 4, 5, 0, 1, 2, 0, 1, 0]);
    assert_eq!(numbers(&batch.inputs["document_ids"]), [1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 0]);
    assert_eq!(seen[1].pieces[1], SeenPiece { document: 2, from: 0, at: 3..4, separated: false });
    assert_eq!((blocks.line(0), blocks.line(1)), (1, 3));
    assert_eq!(blocks.source(1).unwrap().fields["text"], "d a");
    assert!(!batch.inputs.contains_key("token_type_ids"));
}

#[test]
fn a_decoder_has_no_frame_and_its_end_of_text() {
    let desk = Desk::new();
    let documents = desk.documents("a b c d\na\n", false);
    let options =
        BlockOptions { framed: false, separator: Some(3), boundaries: true, cut: Cut::Pack, ..BlockOptions::new(5) };
    let blocks = Blocks::cut(&documents, None, options).unwrap();
    let (batch, _) = filled(&blocks, &[0, 1], None);
    assert_eq!(numbers(&batch.inputs["input_ids"]), [5, 6, 7, 8, 3, 5, 3, 0, 0, 0]);
    assert_eq!(numbers(&batch.inputs["document_ids"]), [1, 1, 1, 1, 1, 1, 1, 0, 0, 0]);
    let given = [vec![5, 5], vec![], vec![6]].map(Ok);
    let path = desk.write("e.txt", "one\ntwo\nthree\n");
    let rows = read_documents(&path, &Layout::text("text"), TextsOf::Lines, OnBadExample::Fail).unwrap();
    let documents = Documents::of_tokens(Arc::new(rows), &desk.tokenizer(), given).unwrap();
    assert_eq!((documents.ids(0).unwrap(), documents.ids(2).unwrap()), (vec![5, 5], vec![6]));
}

#[test]
fn what_lies_behind_the_cut_is_not_learnt_and_told() {
    let desk = Desk::new();
    let path = desk.write("e.txt", "one\ntwo\nthree\n");
    let rows = read_documents(&path, &Layout::text("text"), TextsOf::Lines, OnBadExample::Fail).unwrap();
    let given = [vec![5, 5, 6, 7], vec![6, 6, 5, 5], vec![5, 7]].map(Ok);
    let documents = Documents::of_tokens(Arc::new(rows), &desk.tokenizer(), given).unwrap();
    let documents = Arc::new(documents.with_learnt(vec![vec![3..4], vec![1..4], vec![1..2]]));
    let options = BlockOptions { framed: false, cut: Cut::Whole, ..BlockOptions::new(3) };
    let remarks = Medium::remarks(&Blocks::cut(&documents, None, options).unwrap(), Path::new("d.txt"));
    assert!(remarks[0].starts_with("d.txt: 2 of 3 texts are longer than 3 tokens"), "{remarks:?}");
    assert!(
        remarks[0].ends_with("of 1 what is to be learnt lies behind the cut, so that they teach nothing"),
        "{remarks:?}"
    );
}

#[test]
fn what_is_cut_off_is_counted() {
    let desk = Desk::new();
    let documents = desk.documents("a b c d\na b\n", false);
    let blocks = Blocks::cut(&documents, None, BlockOptions { cut: Cut::Whole, ..BlockOptions::new(5) }).unwrap();
    let (batch, _) = filled(&blocks, &[0, 1], None);
    assert_eq!(numbers(&batch.inputs["input_ids"]), [2, 5, 6, 7, 3, 2, 5, 6, 3, 0]);
    let remarks = Medium::remarks(&blocks, Path::new("d.txt"));
    assert_eq!(remarks, ["d.txt: 1 of 2 texts are longer than 5 tokens and cut off"]);
    assert_eq!(blocks.source(1).unwrap().fields["text"], "a b");
    let Err(error) = Blocks::cut(&documents, None, BlockOptions::new(2)) else { panic!("no room") };
    assert!(error.to_string().contains("at least 3 (--block-size)"), "{error}");
}

#[test]
fn hidden_words_are_targets_and_fixed_without_a_pass() {
    let desk = Desk::new();
    let documents = desk.documents(&"axy b cx\n".repeat(10), true);
    let ordinary: Vec<bool> = (0..11).map(|id| id > 4).collect();
    let options = MaskOptions { probability: 0.3, whole_words: true, mask_id: 4, ordinary: ordinary.into() };
    let masking = Some(Masking::Drawn(options));
    let blocks = Blocks::cut(&documents, None, BlockOptions { masking, ..BlockOptions::new(32) }).unwrap();
    let all: Vec<usize> = (0..blocks.examples()).collect();
    let targets = MaskedWords { blocks: all.len() };
    let data = Examples::new(Arc::new(blocks.clone()), blocks.clone(), Some(targets)).unwrap();
    assert!(data.varies() && data.tokens_in_use().unwrap().is_none());
    let plain = Blocks::cut(&documents, None, BlockOptions::new(32)).unwrap();
    let (before, _) = filled(&plain, &all, None);
    let before = numbers(&before.inputs["input_ids"]);
    let pass = |epoch| Some(Pass { seed: 5, epoch });
    for pass in [None, pass(0), pass(1)] {
        let batch = data.batch(&all, pass).unwrap();
        assert_eq!(batch, data.batch(&all, pass).unwrap());
        let (ids, labels) = (numbers(&batch.inputs["input_ids"]), numbers(&batch.targets["labels"]));
        let hidden = labels.iter().filter(|&&label| label != -100).count();
        assert!(hidden > 3 && hidden < 40, "{hidden}");
        for at in 0..ids.len() {
            assert!(if labels[at] == -100 { ids[at] == before[at] } else { labels[at] == before[at] });
        }
        // The tokens of a word share their fate: 5 9 10, 6, 7 9.
        let chosen = |at: usize| labels[at] != -100;
        let words = (0..ids.len() - 1).filter(|&at| [9, 10].contains(&before[at + 1]));
        assert!(words.clone().count() > 20 && words.clone().all(|at| chosen(at) == chosen(at + 1)));
    }
    assert_ne!(data.batch(&all, pass(0)).unwrap(), data.batch(&all, pass(1)).unwrap());
    let seen = blocks.seen(0).unwrap();
    assert_eq!(seen.masked, filled(&blocks, &[0], None).1[0].masked);
}

#[test]
fn texts_may_hide_words_themselves() {
    let desk = Desk::new();
    let documents = desk.documents("a [MASK] c\n[MASK]\n", false);
    let options = BlockOptions { cut: Cut::Whole, masking: Some(Masking::Given(4)), ..BlockOptions::new(16) };
    let blocks = Blocks::cut(&documents, None, options).unwrap();
    assert_eq!(blocks.seen(0).unwrap().masked, [Masked { at: 2, id: None }]);
    assert_eq!(blocks.source(0).unwrap().fields["text"], "a [MASK] c");
    assert!(!Medium::varies(&blocks));
}

#[test]
fn equal_documents_are_held_out_together() {
    let desk = Desk::new();
    let documents = desk.documents("a\nb\na\nc\na\nd\n", false);
    for seed in 0..10 {
        let (train, validation) = documents.hold_out(0.3, seed).unwrap();
        assert_eq!(train.len() + validation.len(), 6);
        assert!([0, 2, 4].iter().all(|at| train.contains(at)) || [0, 2, 4].iter().all(|at| validation.contains(at)));
    }
}

#[test]
fn files_that_cannot_be_used_say_so() {
    let desk = Desk::new();
    let read = |name: &str, bytes: &[u8], group: Option<&str>| {
        let path = desk.write(name, bytes);
        let layout = Layout::text("text").group(group.map(str::to_owned));
        read_documents(&path, &layout, TextsOf::Lines, OnBadExample::Fail).err().expect("refused").to_string()
    };
    assert!(read("a.txt", b"good\n\xff\n", None).contains("a.txt:2: is not valid UTF-8"));
    assert!(read("a.txt", b"\n\n", None).contains("has no rows"));
    assert!(read("a.txt", b"good\n", Some("author")).contains("no column `author`"));
    assert!(read("a.doc", b"good\n", None).contains(".txt, .csv"));
    assert!(read("a.csv", b"body\nx\n", None).contains("--text-column"));
    let error = read("a.jsonl", b"{\"text\": \"a\"}\n{\"text\": null}\n", None);
    assert!(error.contains("a.jsonl:2: column `text`"), "{error}");
    // The tokenizer knows no piece of these.
    let documents = desk.documents("\u{200b}\n", false);
    let error = Blocks::cut(&documents, None, BlockOptions::new(8)).err().map(|error| error.to_string());
    assert!(error.is_some_and(|error| error.contains("makes no token of")));
}

#[test]
fn the_next_word_counts_but_for_the_first_of_a_document() {
    let desk = Desk::new();
    let documents = desk.documents("a b c d\na b\n", false);
    let options =
        BlockOptions { framed: false, separator: Some(3), boundaries: true, cut: Cut::Pack, ..BlockOptions::new(9) };
    let blocks = Blocks::cut(&documents, None, options.clone()).unwrap();
    let next = NextWords { blocks: blocks.clone() };
    let (mut batch, seen) = filled(&blocks, &[0], None);
    crate::Targets::fill(&next, &[0], &seen, &mut batch).unwrap();
    let labels = &batch.targets["labels"];
    assert_eq!(numbers(labels), [-100, 6, 7, 8, 3, -100, 6, 3]);
    assert_eq!(labels.along.unwrap().mask, "attention_mask");
    // A document that goes on in the next block begins anew there.
    let halves = Blocks::cut(&documents, None, BlockOptions { cut: Cut::Join, ..BlockOptions { size: 3, ..options } });
    let halves = halves.unwrap();
    let places = |block| {
        let next = NextWords { blocks: halves.clone() };
        next.places(&Medium::seen(&halves, block).unwrap())
    };
    assert_eq!([places(0), places(1), places(2)], [vec![1, 2], vec![1], vec![1]]);
}

#[test]
fn only_what_is_to_be_learnt_counts() {
    let desk = Desk::new();
    let plain = desk.documents("a b c d\na b\n", false);
    let between = plain.between(&[2], &[3]).unwrap();
    assert_eq!((between.ids(0).unwrap(), between.ids(1).unwrap()), (vec![2, 5, 6, 7, 8, 3], vec![2, 5, 6, 3]));
    let documents = Arc::new(between.with_learnt(vec![vec![2..3, 4..6], vec![0..1, 3..4]]));
    let blocks = |cut| {
        let options = BlockOptions { framed: false, boundaries: true, cut, ..BlockOptions::new(10) };
        let blocks = Blocks::cut(&documents, None, options).unwrap();
        let seen = Medium::seen(&blocks, 0).unwrap();
        NextWords { blocks }.places(&seen)
    };
    assert_eq!(blocks(Cut::Whole), [2, 4, 5]);
    assert_eq!(blocks(Cut::Pack), [2, 4, 5, 9]);
}
