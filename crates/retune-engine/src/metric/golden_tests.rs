//! The JSON of an evaluation, as `retune evaluate` prints it, key for key: people's scripts read it.

use serde_json::{Value, json};

use super::operating_point::{Cut, Operated, Rule};
use super::*;

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/metrics/evaluations.json");

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// A score between 0 and 1 that depends on its place only.
fn score(place: usize) -> f32 {
    (place * 37 % 101) as f32 / 101.0
}

fn shown(evaluation: &Evaluation) -> Value {
    serde_json::to_value(evaluation).unwrap()
}

fn single_label() -> Value {
    let mut metric = ClassificationMetric::new(names(&["healthy", "ill"]));
    for row in 0..40 {
        let ill = score(row);
        metric.update(&[1.0 - ill, ill], &[i64::from(score(row * 3 + 1) > 0.6)]).unwrap();
    }
    let mut evaluation = metric.compute();
    let cut = Cut { positive_class: "ill".into(), rule: Rule::Specificity(0.9), threshold: 0.625 };
    let found = metric.curve().unwrap().at(cut.threshold);
    evaluation.details.push(Operated { cut, found }.detail());
    evaluation.metrics.insert("loss".into(), 0.5);
    evaluation.notes.push("a note".into());
    shown(&evaluation)
}

fn many_classes() -> Value {
    let mut metric = ClassificationMetric::new(names(&["a", "b", "c", "d", "e", "f", "g"]));
    for row in 0..60 {
        let total: f32 = (0..7).map(|class| score(row * 7 + class)).sum();
        let row_scores: Vec<f32> = (0..7).map(|class| score(row * 7 + class) / total).collect();
        metric.update(&row_scores, &[(row * row % 6) as i64]).unwrap();
    }
    shown(&metric.compute())
}

fn multi_label() -> Value {
    let mut metric = MultiLabelMetric::new(names(&["new", "urgent", "read"]));
    for row in 0..40 {
        let scores: Vec<f32> = (0..3).map(|label| score(row * 3 + label)).collect();
        let gold: Vec<f32> = (0..3).map(|label| f32::from(score(row * 5 + label * 2) > 0.5)).collect();
        metric.update(&scores, &gold).unwrap();
    }
    shown(&metric.compute())
}

fn regression(outputs: &[&str]) -> Value {
    let mut metric = RegressionMetric::new(names(outputs));
    for row in 0..30 {
        let gold: Vec<f32> = (0..outputs.len()).map(|output| score(row * 2 + output)).collect();
        let predicted: Vec<f32> = gold.iter().map(|x| x * 0.75 + score(row * 11) * 0.25).collect();
        metric.update(&predicted, &gold).unwrap();
    }
    shown(&metric.compute())
}

fn reconstruction() -> Value {
    let mut metric = ReconstructionMetric::new();
    metric.update((0..30).map(score));
    shown(&metric.compute())
}

fn evaluations() -> Value {
    json!({
        "single label": single_label(),
        "many classes": many_classes(),
        "multi label": multi_label(),
        "regression": regression(&["score"]),
        "regression with two outputs": regression(&["width", "height"]),
        "reconstruction": reconstruction(),
    })
}

/// The same keys in the same order, the same words, and numbers that differ by a rounding at most.
fn compare(place: &str, found: &Value, golden: &Value) {
    match (found, golden) {
        (Value::Object(found), Value::Object(golden)) => {
            let keys = |object: &serde_json::Map<String, Value>| object.keys().cloned().collect::<Vec<_>>();
            assert_eq!(keys(found), keys(golden), "{place}");
            found.iter().for_each(|(key, value)| compare(&format!("{place}.{key}"), value, &golden[key]));
        }
        (Value::Array(found), Value::Array(golden)) => {
            assert_eq!(found.len(), golden.len(), "{place}");
            found.iter().zip(golden).enumerate().for_each(|(i, (a, b))| compare(&format!("{place}[{i}]"), a, b));
        }
        (Value::Number(found), Value::Number(golden)) => {
            assert_eq!(found.is_f64(), golden.is_f64(), "{place}");
            let (found, golden) = (found.as_f64().unwrap(), golden.as_f64().unwrap());
            assert!((found - golden).abs() <= 1e-9, "{place}: {found} is not {golden}");
        }
        _ => assert_eq!(found, golden, "{place}"),
    }
}

#[test]
fn evaluations_keep_their_public_keys() {
    let golden: Value = serde_json::from_str(&std::fs::read_to_string(GOLDEN).expect(GOLDEN)).expect(GOLDEN);
    compare("evaluations", &evaluations(), &golden);
}

#[test]
fn an_evaluation_comes_back_from_its_json() {
    for (name, value) in evaluations().as_object().unwrap() {
        let read: Evaluation = serde_json::from_value(value.clone()).unwrap();
        compare(name, &shown(&read), value);
    }
}

/// `cargo test -p retune-engine write_golden -- --ignored`, after a change that adds keys.
#[test]
#[ignore = "writes the file that the test above compares with"]
fn write_golden() {
    std::fs::write(GOLDEN, serde_json::to_string(&evaluations()).unwrap() + "\n").unwrap();
}
