//! Every metric against scikit-learn and SciPy, on the cases of `scripts/make_metric_fixtures.py`.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::operating_point::Rule;
use super::*;

const FIXTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/metrics/sklearn.json");

#[derive(Deserialize)]
struct Fixture {
    classification: Vec<Case<i64>>,
    multi_label: Vec<Case<f32>>,
    regression: Vec<Case<f32>>,
    operating_point: Vec<Chosen>,
    wilson: Vec<(u64, u64, f64, f64)>,
    mcnemar: Vec<(usize, usize, f64)>,
}

/// `outputs` are probabilities [N, C] or predictions [N].
#[derive(Deserialize)]
struct Case<L> {
    name: String,
    columns: usize,
    positive: Option<usize>,
    outputs: Vec<f32>,
    labels: Vec<L>,
    expected: BTreeMap<String, f64>,
}

/// A threshold that a rule chooses on some rows, and what it does there.
#[derive(Deserialize)]
struct Chosen {
    rule: Rule,
    columns: usize,
    positive: usize,
    outputs: Vec<f32>,
    labels: Vec<i64>,
    /// None: above every score.
    threshold: Option<f32>,
    sensitivity: f64,
    specificity: f64,
    precision: Option<f64>,
}

fn fixture() -> Fixture {
    let text = std::fs::read_to_string(FIXTURE).expect(FIXTURE);
    serde_json::from_str(&text).expect(FIXTURE)
}

fn names(columns: usize) -> Vec<String> {
    (0..columns).map(|c| format!("c{c}")).collect()
}

/// The same keys with the same values: a metric that one side lacks is a difference too.
fn compare(name: &str, found: &Metrics, expected: &BTreeMap<String, f64>) {
    let keys = |map: &BTreeMap<String, f64>| map.keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(found), keys(expected), "{name}");
    for (key, value) in expected {
        // scikit-learn takes the logarithm of float32 probabilities in float32.
        let tolerance = if key == "log_loss" { 1e-6 } else { 1e-9 };
        let error = (found[key] - value).abs() / value.abs().max(1.0);
        assert!(error <= tolerance, "{name} {key}: {} is not {value}", found[key]);
    }
}

#[test]
fn classification_agrees_with_scikit_learn() {
    let cases = fixture().classification;
    assert!(cases.len() >= 5);
    for case in cases {
        let metric = ClassificationMetric::new(names(case.columns));
        let mut metric = match case.positive {
            Some(class) => metric.with_positive(class),
            None => metric,
        };
        metric.update(&case.outputs, &case.labels).unwrap();
        compare(&case.name, &metric.compute().metrics, &case.expected);
    }
}

#[test]
fn multi_label_agrees_with_scikit_learn() {
    let cases = fixture().multi_label;
    assert!(cases.len() >= 2);
    for case in cases {
        let mut metric = MultiLabelMetric::new(names(case.columns));
        metric.update(&case.outputs, &case.labels).unwrap();
        compare(&case.name, &metric.compute().metrics, &case.expected);
    }
}

#[test]
fn regression_agrees_with_scikit_learn_and_scipy() {
    let cases = fixture().regression;
    assert!(cases.len() >= 3);
    for case in cases {
        let mut metric = RegressionMetric::new(names(case.columns));
        metric.update(&case.outputs, &case.labels).unwrap();
        compare(&case.name, &metric.compute().metrics, &case.expected);
    }
}

#[test]
fn thresholds_agree_with_scikit_learn() {
    let cases = fixture().operating_point;
    assert!(cases.len() >= 12);
    for case in cases {
        let mut metric = ClassificationMetric::new(names(case.columns)).with_positive(case.positive);
        metric.update(&case.outputs, &case.labels).unwrap();
        let curve = metric.curve().unwrap();
        let threshold = curve.choose(case.rule);
        let above = case.threshold.is_none() && curve.at(threshold).precision.is_none();
        assert!(above || Some(threshold) == case.threshold, "{}: {threshold} is not {:?}", case.rule, case.threshold);
        let found = curve.at(threshold);
        for (found, expected) in [
            (found.sensitivity, Some(case.sensitivity)),
            (found.specificity, Some(case.specificity)),
            (found.precision, case.precision),
        ] {
            assert_eq!(found.is_some(), expected.is_some(), "{}", case.rule);
            assert!((found.unwrap_or(0.0) - expected.unwrap_or(0.0)).abs() < 1e-12, "{}", case.rule);
        }
    }
}

#[test]
fn intervals_agree_with_scipy() {
    let fixture = fixture();
    assert!(!fixture.wilson.is_empty() && !fixture.mcnemar.is_empty());
    for (successes, total, low, high) in fixture.wilson {
        let found = wilson(successes, total).unwrap();
        assert!((found.0 - low).abs() < 1e-9 && (found.1 - high).abs() < 1e-9);
    }
    for (only_a, only_b, p_value) in fixture.mcnemar {
        let a: Vec<bool> = (0..only_a + only_b + 9).map(|i| i >= only_b).collect();
        let b: Vec<bool> = (0..only_a + only_b + 9).map(|i| i < only_b || i >= only_a + only_b).collect();
        let found = paired_accuracy_difference(&a, &b).unwrap();
        assert!((found.p_value - p_value).abs() < 1e-9, "{only_a} {only_b}");
    }
}
