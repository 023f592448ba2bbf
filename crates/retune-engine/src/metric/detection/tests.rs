//! What pycocotools says, and what a threshold does, by hand.

use super::*;
use crate::metric::Confusion;
use serde_json::Value;

fn names(count: usize) -> Vec<String> {
    (0..count).map(|i| format!("c{i}")).collect()
}

fn corners(sides: &Value) -> [f64; 4] {
    let side = |i: usize| sides[i].as_f64().unwrap();
    [side(0), side(1), side(0) + side(2), side(1) + side(3)]
}

fn items(value: &Value) -> &[Value] {
    value.as_array().unwrap()
}

#[test]
fn every_case_equals_pycocotools() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/metrics/detections.json");
    let fixture: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let cases = fixture["cases"].as_object().unwrap();
    assert!(cases.len() >= 9);
    for (name, case) in cases {
        let mut metric = DetectionMetric::new(names(case["classes"].as_u64().unwrap() as usize));
        for (truth, found) in items(&case["truth"]).iter().zip(items(&case["found"])) {
            let class = |it: &Value| it["class"].as_u64().unwrap() as usize;
            let truth = items(truth).iter().map(|it| TrueBox {
                class: class(it),
                corners: corners(&it["box"]),
                area: it["area"].as_f64().unwrap(),
                crowd: it["crowd"].as_bool().unwrap(),
            });
            let found = items(found).iter().map(|it| FoundBox {
                class: class(it),
                score: it["score"].as_f64().unwrap(),
                corners: corners(&it["box"]),
            });
            let severity = metric.add(truth.collect(), found.collect(), 0.5);
            assert!((0.0..=1.0).contains(&severity), "{name}: {severity}");
        }
        let evaluation = metric.compute(0.5, false);
        let expected = case["expected"]["metrics"].as_object().unwrap();
        assert_eq!(evaluation.metrics.len(), expected.len(), "{name}: {:?} {expected:?}", evaluation.metrics);
        for (key, value) in expected {
            let (found, value) = (evaluation.metrics[key], value.as_f64().unwrap());
            assert!((found - value).abs() < 1e-9, "{name} {key}: {found}, not {value}");
        }
        let rows: Vec<DetectedClass> = evaluation.read("per_class").unwrap_or_default();
        for (row, (ap, ap_50)) in
            rows.iter().zip(items(&case["expected"]["ap"]).iter().zip(items(&case["expected"]["ap_50"])))
        {
            for (found, expected) in [(row.ap, ap), (row.ap_50, ap_50)] {
                let same = match (found, expected.as_f64()) {
                    (Some(found), Some(expected)) => (found - expected).abs() < 1e-9,
                    (found, expected) => found.is_none() && expected.is_none(),
                };
                assert!(same, "{name} {}: {found:?} {expected}", row.name);
            }
        }
    }
}

fn truth(class: usize, left: f64) -> TrueBox {
    TrueBox { class, corners: [left, 0.0, left + 10.0, 10.0], area: 100.0, crowd: false }
}

fn found(class: usize, left: f64, score: f64) -> FoundBox {
    FoundBox { class, score, corners: [left, 0.0, left + 10.0, 10.0] }
}

#[test]
fn a_threshold_counts_what_is_right_missed_and_invented() {
    let mut metric = DetectionMetric::new(names(2));
    // Right; another class; missed.
    let severity = metric.add(
        vec![truth(0, 0.0), truth(1, 20.0), truth(0, 40.0)],
        vec![found(0, 0.0, 0.9), found(0, 20.0, 0.8), found(1, 60.0, 0.3)],
        0.5,
    );
    assert!((severity - 0.6).abs() < 1e-6, "{severity}");
    metric.add(vec![], vec![found(1, 0.0, 0.2)], 0.5);
    // Any threshold from 0.9 down to 0.8 gives F1 = 2 / (1 + 3).
    let best = metric.best_threshold().unwrap();
    assert!((best - 0.85).abs() < 1e-12, "{best}");
    let evaluation = metric.compute(best, true);
    let confusion: Confusion = evaluation.read("confusion").unwrap();
    assert_eq!(
        (confusion.names.last().unwrap().as_str(), confusion.counts),
        ("background", vec![vec![1, 0, 1], vec![0, 0, 1], vec![0; 3]])
    );
    let low = metric.compute(0.25, false);
    let confusion: Confusion = low.read("confusion").unwrap();
    assert_eq!(confusion.counts, [[1, 0, 1], [1, 0, 0], [0, 1, 0]]);
    assert_eq!(evaluation.detail("score_threshold").unwrap().value["precision"], 1.0);
    assert!(evaluation.decided().next().unwrap().contains("chosen by F1") && low.decided().next().is_none());
}

#[test]
fn intervals_resample_pictures() {
    let mut metric = DetectionMetric::new(names(1));
    for picture in 0..60 {
        let there = if picture % 4 == 0 { vec![] } else { vec![found(0, 0.0, 0.9)] };
        metric.add(vec![truth(0, 0.0)], there, 0.5);
    }
    let evaluation = metric.compute(0.5, false);
    let (value, interval) = evaluation.value("map_50").unwrap();
    let (low, high) = interval.unwrap();
    assert!((value - 0.76).abs() < 0.01 && low < 0.70 && high > 0.80 && high < 0.95, "{value} {low} {high}");
    assert!(DetectionMetric::new(names(2)).compute(0.5, false).metrics.is_empty());
}
