//! Tests of the facts on small hand-counted data.

use super::*;
use crate::{TextColumns, TextDataset, TextRows, Tokenizer};

fn dataset(content: &str) -> TextDataset {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("vocab.txt"), "[PAD]\n[UNK]\n[CLS]\n[SEP]\na\nb\nc\n").unwrap();
    std::fs::write(folder.path().join("d.csv"), content).unwrap();
    let rows = TextRows::read(folder.path().join("d.csv"), &TextColumns::new("text", "label"), true).unwrap();
    let schema = LabelSchema::infer(&rows, None).unwrap();
    TextDataset::encode(rows, &Tokenizer::load(folder.path()).unwrap(), Some(&schema), 6, &|_, _| ()).unwrap()
}

#[test]
fn counts_of_a_split() {
    let data = dataset("text,label\na,x\na b,y\na ,y\nb,x\nb,x\na b c a b c,y\nz,x\n");
    let facts = SplitFacts::gather("train", &data);
    assert_eq!((facts.rows, facts.truncated), (7, Some(1)));
    assert_eq!(facts.classes, [("x".to_owned(), 4), ("y".to_owned(), 3)]);
    assert_eq!((facts.length_min, facts.length_median, facts.length_p95, facts.length_max), (3, 3, 6, 6));
    assert_eq!(facts.length_histogram, [(3, 5), (4, 1), (5, 0), (6, 1)]);
    // `a` twice (x and y), `b` twice (both x).
    assert_eq!((facts.duplicates, facts.conflicting_duplicates), (2, 2));
    let unknown = facts.unknown_token_fraction.unwrap();
    assert!((unknown - 1.0 / 11.0).abs() < 1e-12, "{unknown}");
    assert_eq!(facts.target, None);
}

#[test]
fn leaks_between_splits() {
    let (train, test) = (dataset("text,label\na,x\nb,y\n"), dataset("text,label\nb,x\nc,x\nb ,y\n"));
    let facts = DataFacts::gather(&[("train", &train), ("test", &test)]).unwrap();
    assert_eq!(facts.leakage.len(), 1);
    let leak = &facts.leakage[0];
    assert_eq!((leak.a.as_str(), leak.b.as_str(), leak.rows), ("train", "test", 2));
    assert_eq!(leak.examples, ["b", "b "]);
    assert_eq!((leak.groups, facts.splits[0].groups), (None, None));
    let json = serde_json::to_value(&facts).unwrap();
    assert_eq!(json["splits"][1]["rows"], 3);
}

#[test]
fn targets_of_a_regression() {
    let target = SplitFacts::gather("train", &dataset("text,label\na,1.5\nb,2.5\nc,5\n")).target.unwrap();
    assert_eq!((target.min, target.max, target.mean), (1.5, 5.0, 3.0));
    assert!((target.std - (6.5f64 / 3.0).sqrt()).abs() < 1e-12);
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
    let of = |content: &str| {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("vocab.txt"), "[PAD]\n[UNK]\n[CLS]\n[SEP]\na\nb\nc\n").unwrap();
        std::fs::write(folder.path().join("d.csv"), content).unwrap();
        let columns = TextColumns { group: Some("patient".into()), ..TextColumns::new("text", "label") };
        let rows = TextRows::read(folder.path().join("d.csv"), &columns, true).unwrap();
        let schema = LabelSchema::infer(&rows, None).unwrap();
        TextDataset::encode(rows, &Tokenizer::load(folder.path()).unwrap(), Some(&schema), 6, &|_, _| ()).unwrap()
    };
    let train = of("text,label,patient\na,x,P1\nb,y,P2\n");
    let test = of("text,label,patient\nc,x,P2\na b,y,P3\na c,y,P2\n");
    let facts = DataFacts::gather(&[("train", &train), ("test", &test)]).unwrap();
    assert_eq!((facts.splits[1].groups, facts.leakage[0].groups, facts.leakage[0].rows), (Some(2), Some(1), 0));
    assert_eq!(test.split_groups(), [0, 1, 0]);
}
