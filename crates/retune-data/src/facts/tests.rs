//! Tests of the facts on small hand-counted data.

use std::sync::Arc;

use super::*;
use crate::{
    Classes, FactValue, LabelSchema, Layout, Numbers, OnBadExample, TRUNCATED, TableRows, Text, TextOptions, Tokenizer,
    UNKNOWN_TOKENS,
};

fn encoded(content: &str, layout: &Layout) -> (Arc<TableRows>, Text) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("vocab.txt"), "[PAD]\n[UNK]\n[CLS]\n[SEP]\na\nb\nc\n").unwrap();
    std::fs::write(folder.path().join("d.csv"), content).unwrap();
    let rows = TableRows::read(folder.path().join("d.csv"), layout, true, OnBadExample::Fail).unwrap();
    let tokenizer = Tokenizer::load(folder.path()).unwrap();
    let text = Text::encode(&rows, &tokenizer, &TextOptions::new(6), &|_, _| ()).unwrap();
    (Arc::new(rows), text)
}

fn grouped(content: &str, group: Option<&str>) -> Examples<Text, Classes> {
    let layout = Layout::text("text").labels(["label"]).group(group.map(str::to_owned));
    let (rows, text) = encoded(content, &layout);
    let schema = LabelSchema::infer(&*rows, None).unwrap();
    let classes = Classes::read(&*rows, schema.names()).unwrap();
    Examples::new(rows, text, classes).unwrap()
}

fn dataset(content: &str) -> Examples<Text, Classes> {
    grouped(content, None)
}

#[test]
fn counts_of_a_split() {
    let data = dataset("text,label\na,x\na b,y\na ,y\nb,x\nb,x\na b c a b c,y\nz,x\n");
    let facts = SplitFacts::gather("train", &data).unwrap();
    assert_eq!((facts.examples, facts.count(TRUNCATED)), (7, Some(1)));
    assert_eq!(facts.counts, [("x".to_owned(), 4), ("y".to_owned(), 3)]);
    let sizes = &facts.sizes;
    assert_eq!((sizes.unit.as_str(), sizes.min, sizes.median, sizes.p95, sizes.max), ("tokens", 3, 3, 6, 6));
    assert_eq!(sizes.histogram, [(3, 5), (4, 1), (5, 0), (6, 1)]);
    // `a` twice (x and y), `b` twice (both x).
    assert_eq!((facts.count(DUPLICATES), facts.count(CONFLICTING)), (Some(2), Some(2)));
    assert!(facts.fact(CONFLICTING).unwrap().flagged && !facts.fact(DUPLICATES).unwrap().flagged);
    let FactValue::Share(unknown) = facts.fact(UNKNOWN_TOKENS).unwrap().value else { panic!("a share") };
    assert!((unknown - 1.0 / 11.0).abs() < 1e-12, "{unknown}");
    assert_eq!(serde_json::from_value::<SplitFacts>(serde_json::to_value(&facts).unwrap()).unwrap(), facts);
}

#[test]
fn leaks_between_splits() {
    let (train, test) = (dataset("text,label\na,x\nb,y\n"), dataset("text,label\nb,x\nc,x\nb ,y\n"));
    let facts = DataFacts::gather(&[("train", &train), ("test", &test)]).unwrap();
    assert_eq!(facts.leakage.len(), 1);
    let leak = &facts.leakage[0];
    assert_eq!((leak.a.as_str(), leak.b.as_str(), leak.examples), ("train", "test", 2));
    assert_eq!(leak.shown, ["b", "b "]);
    assert_eq!((leak.groups, facts.splits[0].count(GROUPS)), (None, None));
    let json = serde_json::to_value(&facts).unwrap();
    assert_eq!(json["splits"][1]["examples"], 3);
}

#[test]
fn targets_of_a_regression() {
    let (rows, text) = encoded("text,label\na,1.5\nb,2.5\nc,5\n", &Layout::text("text").labels(["label"]));
    let numbers = Numbers::read(&*rows, 1).unwrap();
    let facts = SplitFacts::gather("train", &Examples::new(rows, text, numbers).unwrap()).unwrap();
    let number = |name: &str| match facts.fact(name).unwrap().value {
        FactValue::Number(value) => value,
        ref other => panic!("{other:?}"),
    };
    let found = ["smallest target", "largest target", "mean target"].map(number);
    assert_eq!(found, [1.5, 5.0, 3.0]);
    assert!((number("standard deviation of targets") - (6.5f64 / 3.0).sqrt()).abs() < 1e-12);
}

#[test]
fn histograms_have_few_equal_bars() {
    let lengths: Vec<usize> = (3..500).collect();
    let bars = histogram(&lengths);
    assert!(bars.len() <= MOST_BINS && bars.windows(2).all(|pair| pair[1].0 - pair[0].0 == 25), "{bars:?}");
    assert_eq!(bars.iter().map(|(_, count)| count).sum::<usize>(), lengths.len());
    assert!(histogram(&[]).is_empty());
}

#[test]
fn groups_on_both_sides_are_a_leak() {
    let of = |content: &str| grouped(content, Some("patient"));
    let train = of("text,label,patient\na,x,P1\nb,y,P2\n");
    let test = of("text,label,patient\nc,x,P2\na b,y,P3\na c,y,P2\n");
    let facts = DataFacts::gather(&[("train", &train), ("test", &test)]).unwrap();
    assert_eq!(
        (facts.splits[1].count(GROUPS), facts.leakage[0].groups, facts.leakage[0].examples),
        (Some(2), Some(1), 0)
    );
    assert_eq!(test.split_groups(), [0, 1, 0]);
}
