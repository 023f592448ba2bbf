//! Entities against seqeval and answers against SQuAD's scripts, on the cases of `scripts/make_metric_fixtures.py`.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::entities::{Reading, entities};
use super::overlap::{Squad, normalized};
use super::tags::Sequence;
use super::*;

fn fixture<T: DeserializeOwned>(name: &str) -> T {
    let path = format!("{}/../../fixtures/metrics/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(&path).expect(&path)).expect(&path)
}

fn close(what: &str, found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-9, "{what}: {found} is not {expected}");
}

#[derive(Deserialize)]
struct Seqeval {
    cases: Vec<Tagged>,
}

#[derive(Deserialize)]
struct Tagged {
    name: String,
    gold: Vec<Vec<String>>,
    predicted: Vec<Vec<String>>,
    accuracy: f64,
    strict: Report,
    lenient: Report,
}

#[derive(Deserialize)]
struct Report {
    #[serde(flatten)]
    scores: BTreeMap<String, serde_json::Value>,
    /// Precision, recall, F1 and support.
    types: BTreeMap<String, (f64, f64, f64, u64)>,
}

#[test]
fn entities_agree_with_seqeval() {
    let cases = fixture::<Seqeval>("seqeval").cases;
    assert!(cases.len() >= 7);
    for case in &cases {
        for (reading, report) in [(Reading::Strict, &case.strict), (Reading::Lenient, &case.lenient)] {
            let name = format!("{} {reading:?}", case.name);
            let mut metric = TagsMetric::default();
            for (gold, predicted) in case.gold.iter().zip(&case.predicted) {
                let right = gold.iter().zip(predicted).filter(|(gold, predicted)| gold == predicted).count() as u64;
                let words = gold.len() as u64;
                let (gold, predicted) = (entities(gold, reading), entities(predicted, reading));
                metric.add(&Sequence { gold: &gold, predicted: &predicted, words, right, unseen: 0 });
            }
            let found = metric.evaluation();
            close(&name, found.metrics["accuracy"], case.accuracy);
            assert_eq!(report.scores.len(), 5, "{name}");
            for (key, expected) in &report.scores {
                close(&format!("{name} {key}"), found.metrics[key], expected.as_f64().unwrap());
            }
            let rows: Vec<ClassRow> = found.read("per_class").unwrap();
            assert_eq!(rows.len(), report.types.len(), "{name}");
            for row in rows {
                let (precision, recall, f1, support) = report.types[&row.name];
                close(&name, row.precision, precision);
                close(&name, row.recall, recall);
                close(&name, row.f1, f1);
                assert_eq!(row.support, support, "{name} {}", row.name);
            }
        }
    }
}

#[derive(Deserialize)]
struct Answers {
    answerable: Answerable,
    unanswerable: Unanswerable,
}

#[derive(Deserialize)]
struct Answerable {
    normalized: Vec<(String, String)>,
    questions: Vec<Question>,
    expected: BTreeMap<String, f64>,
}

#[derive(Deserialize)]
struct Unanswerable {
    questions: Vec<Question>,
    expected: BTreeMap<String, f64>,
    best: BTreeMap<String, f64>,
}

#[derive(Deserialize)]
struct Question {
    gold: Vec<String>,
    answer: String,
    words: Option<String>,
    doubt: Option<f64>,
    exact: f64,
    f1: f64,
}

fn answered(squad: Squad, questions: &[Question], expected: &BTreeMap<String, f64>) -> Evaluation {
    let mut metric = OverlapMetric::new(squad);
    for it in questions {
        let score = metric.add(&it.gold, &it.answer, it.doubt.zip(it.words.as_deref()));
        let what = format!("{:?} for {:?}", it.answer, it.gold);
        close(&what, f64::from(u8::from(score.exact)), it.exact);
        close(&what, score.f1, it.f1);
    }
    let found = metric.evaluation();
    assert_eq!(found.metrics.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    expected.iter().for_each(|(key, value)| close(key, found.metrics[key], *value));
    found
}

#[test]
fn answers_agree_with_squad() {
    let Answers { answerable, unanswerable } = fixture("squad");
    assert!(answerable.questions.len() >= 70 && unanswerable.questions.len() >= 90);
    for (text, expected) in &answerable.normalized {
        assert_eq!(normalized(text).join(" "), *expected, "{text}");
    }
    answered(Squad::Answerable, &answerable.questions, &answerable.expected);
    let found = answered(Squad::Unanswerable, &unanswerable.questions, &unanswerable.expected);
    let best = &found.detail("best_threshold").unwrap().value;
    unanswerable.best.iter().for_each(|(key, value)| close(key, best[key].as_f64().unwrap(), *value));
}
