//! Hand-computed cases of the single-label metrics.

use super::super::bootstrap::Random;
use super::super::calibration::CalibrationBin;
use super::*;
use proptest::prelude::*;

fn metric(classes: usize) -> ClassificationMetric {
    ClassificationMetric::new((0..classes).map(|c| format!("c{c}")).collect())
}

/// Probabilities that put `0.8` on the predicted class and share the rest.
fn rows(predicted: &[usize], classes: usize) -> Vec<f32> {
    let rest = 0.2 / (classes - 1) as f32;
    predicted.iter().flat_map(|p| (0..classes).map(move |c| if c == *p { 0.8 } else { rest })).collect()
}

fn close(found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-7, "{found} is not {expected}");
}

#[test]
fn binary_case_by_hand() {
    // Gold 1 1 1 0 0 0, predicted 1 1 0 0 0 1: two hits, one miss, one false alarm.
    let mut metric = metric(2);
    let predicted = rows(&[1, 1, 0, 0, 0, 1], 2);
    metric.update(&predicted, &[1, 1, 1, 0, 0, 0]).unwrap();
    let found = metric.compute();
    let value = |key: &str| found.metrics[key];
    close(value("accuracy"), 4.0 / 6.0);
    close(value("precision"), 2.0 / 3.0);
    close(value("recall"), 2.0 / 3.0);
    close(value("f1"), 2.0 / 3.0);
    close(value("macro_f1"), 2.0 / 3.0);
    // (2·2 − 1·1) / √(3·3·3·3)
    close(value("mcc"), 3.0 / 9.0);
    // Pairs: 4 in order, 4 tied, 1 reversed.
    close(value("auroc"), 6.0 / 9.0);
    // Two of three at the top (precision 2/3), all at the bottom (1/2).
    close(value("auprc"), 2.0 / 3.0 * 2.0 / 3.0 + 1.0 / 3.0 * 0.5);
    close(value("sensitivity"), 2.0 / 3.0);
    close(value("specificity"), 2.0 / 3.0);
    assert!(!found.metrics.contains_key("top_5_accuracy"));
    // Every confidence is 0.8, and two thirds are right.
    close(value("calibration_error"), 0.8 - 4.0 / 6.0);
    close(value("log_loss"), -(4.0 * 0.8f64.ln() + 2.0 * 0.2f64.ln()) / 6.0);
    let confusion: Confusion = found.read("confusion").unwrap();
    assert_eq!(confusion.counts, [[2, 1], [1, 2]]);
    let bin = found.read::<Vec<CalibrationBin>>("calibration").unwrap().into_iter().find(|b| b.count > 0).unwrap();
    assert_eq!((bin.count, bin.low, bin.high), (6, 12.0 / 15.0, 13.0 / 15.0));
    let (low, high) = found.intervals["accuracy"];
    assert!(low < 4.0 / 6.0 && 4.0 / 6.0 < high);
}

#[test]
fn three_classes_by_hand() {
    let mut metric = metric(3);
    let predicted = rows(&[0, 0, 1, 1, 2], 3);
    metric.update(&predicted, &[0, 1, 1, 1, 0]).unwrap();
    let found = metric.compute();
    let f1 = [2.0 / 4.0, 4.0 / 5.0, 0.0];
    close(found.metrics["macro_f1"], (f1[0] + f1[1] + f1[2]) / 3.0);
    close(found.metrics["f1"], found.metrics["macro_f1"]);
    close(found.metrics["micro_f1"], 3.0 / 5.0);
    close(found.metrics["weighted_f1"], (2.0 * f1[0] + 3.0 * f1[1]) / 5.0);
    close(found.metrics["precision"], (0.5 + 1.0 + 0.0) / 3.0);
    close(found.metrics["recall"], (0.5 + 2.0 / 3.0 + 0.0) / 3.0);
    // (3·5 − (2·2 + 3·2)) / √((25 − 13)(25 − 9))
    close(found.metrics["mcc"], 5.0 / (12f64 * 16.0).sqrt());
    assert_eq!(found.read::<Vec<ClassRow>>("per_class").unwrap()[1].support, 3);
    assert!(found.notes.iter().any(|n| n.contains("2 of 3 classes")));
}

#[test]
fn the_first_five_of_six_classes() {
    let mut six = metric(6);
    let row = [0.05, 0.25, 0.15, 0.2, 0.3, 0.05];
    for gold in 0..6 {
        six.update(&row, &[gold]).unwrap();
    }
    // Classes 0 and 5 tie for the fifth place: it goes to the first.
    let found = six.compute();
    close(found.metrics["top_5_accuracy"], 5.0 / 6.0);
    assert_eq!(found.intervals["top_5_accuracy"], wilson(5, 6).unwrap());
    for key in ["sensitivity", "specificity"] {
        assert!(!found.metrics.contains_key(key), "{key}");
    }
    let mut five = metric(5);
    five.update(&rows(&[1], 5), &[0]).unwrap();
    assert!(!five.compute().metrics.contains_key("top_5_accuracy"));
}

#[test]
fn the_positive_class_can_be_named() {
    let probabilities = rows(&[1, 1, 0, 0, 0, 1, 0], 2);
    let labels = [1, 1, 1, 0, 0, 0, 0];
    let mut usual = metric(2);
    usual.update(&probabilities, &labels).unwrap();
    let mut first = metric(2).with_positive(0);
    first.update(&probabilities, &labels).unwrap();
    let curves = (usual.curve().unwrap(), first.curve().unwrap());
    let (usual, first) = (usual.compute(), first.compute());
    close(usual.metrics["recall"], 2.0 / 3.0);
    close(first.metrics["recall"], 3.0 / 4.0);
    assert_eq!(first.metrics["sensitivity"], usual.metrics["specificity"]);
    assert_eq!(first.metrics["specificity"], usual.metrics["sensitivity"]);
    close(first.metrics["precision"], 3.0 / 4.0);
    for key in ["accuracy", "macro_f1", "mcc", "auroc"] {
        close(first.metrics[key], usual.metrics[key]);
    }
    assert_eq!((curves.0.positive, curves.1.totals()), (1, (4, 3)));
}

#[test]
fn one_class_of_several_against_the_rest() {
    let mut metric = metric(3).with_positive(2);
    metric.update(&rows(&[0, 1, 2, 2, 2, 1], 3), &[0, 1, 2, 1, 2, 2]).unwrap();
    let found = metric.compute();
    close(found.metrics["sensitivity"], 2.0 / 3.0);
    close(found.metrics["specificity"], 2.0 / 3.0);
    assert_eq!(found.intervals["specificity"], wilson(2, 3).unwrap());
    // Precision, recall and F1 of several classes stay averages over all of them.
    close(found.metrics["recall"], (1.0 + 0.5 + 2.0 / 3.0) / 3.0);
    let at = metric.curve().unwrap().at(0.8);
    assert_eq!((at.true_positives, at.false_positives, at.false_negatives, at.true_negatives), (2, 1, 1, 2));
}

#[test]
fn the_calibration_error_has_an_interval_around_it() {
    let mut random = Random::new(11);
    let mut metric = metric(2);
    for _ in 0..600 {
        // Says 0.9, is right three times out of four.
        let gold = usize::from(random.below(4) == 0);
        metric.update(&[0.9, 0.1], &[gold as i64]).unwrap();
    }
    let found = metric.compute();
    let (value, (low, high)) = (found.metrics["calibration_error"], found.intervals["calibration_error"]);
    assert!(low < value && value < high, "{low} {value} {high}");
    // One bin: the width is that of a proportion, 2 · 1.96 · √(0.75 · 0.25 / 600).
    assert!(((high - low) / 0.0693 - 1.0).abs() < 0.2, "{low} {high}");
}

#[test]
fn every_key_is_announced() {
    let sorted = |metrics: Vec<&'static Metric>| {
        let mut keys: Vec<&str> = metrics.iter().map(|metric| metric.key).collect();
        keys.sort_unstable();
        keys
    };
    for (classes, positive) in [(2, None), (3, None), (3, Some(2)), (7, None)] {
        let plain = metric(classes);
        let mut metric = match positive {
            Some(class) => plain.with_positive(class),
            None => plain,
        };
        let labels: Vec<i64> = (0..classes as i64).chain([0]).collect();
        metric.update(&rows(&vec![0; classes + 1], classes), &labels).unwrap();
        let found = metric.compute();
        assert_eq!(found.metrics.keys().collect::<Vec<_>>(), sorted(metric.metrics()), "{classes}");
    }
}

#[test]
fn ignored_labels_batches_and_order_do_not_matter() {
    let probabilities = rows(&[0, 1, 2, 1, 0, 2], 3);
    let labels = [0, -100, 2, 0, -1, 1];
    let mut whole = metric(3);
    whole.update(&probabilities, &labels).unwrap();
    let mut parts = metric(3);
    for (row, label) in probabilities.chunks(3).zip(&labels) {
        parts.update(row, &[*label]).unwrap();
    }
    assert_eq!(whole.compute(), parts.compute());
    assert_eq!(whole.compute().examples, 4);
}

#[test]
fn degenerate_splits_leave_notes_instead_of_nan() {
    let empty = metric(2).compute();
    assert!(empty.metrics.is_empty() && !empty.notes.is_empty());

    let mut one_class = metric(2);
    one_class.update(&rows(&[0, 0, 0], 2), &[0, 0, 0]).unwrap();
    let found = one_class.compute();
    assert_eq!(found.metrics["accuracy"], 1.0);
    assert_eq!(found.metrics["f1"], 0.0);
    assert_eq!(found.metrics["macro_f1"], 1.0);
    assert_eq!(found.metrics["mcc"], 0.0);
    assert!(!found.metrics.contains_key("auroc"));
    assert_eq!(found.metrics["specificity"], 1.0);
    for key in ["auroc", "sensitivity is undefined"] {
        assert!(!found.metrics.contains_key(key), "{key}");
        assert!(found.notes.iter().any(|n| n.starts_with(key)), "{key}");
    }

    let mut diverged = metric(2);
    diverged.update(&[f32::NAN, 0.5], &[1]).unwrap();
    let found = diverged.compute();
    assert!(found.metrics.is_empty() && found.notes[0].contains("not finite"));
}

#[test]
fn wrong_shapes_are_refused_whole() {
    let mut metric = metric(2);
    assert!(matches!(metric.update(&[0.5; 3], &[0]), Err(MetricError::Length { .. })));
    let error = metric.update(&[0.5; 4], &[0, 2]).unwrap_err();
    assert!(error.to_string().contains("label 2 of row 1"), "{error}");
    assert_eq!(metric.compute().examples, 0);
}

#[test]
fn a_perfect_model_has_no_zero_width_interval() {
    let mut metric = metric(2);
    let gold: Vec<usize> = (0..40).map(|i| i % 2).collect();
    let labels: Vec<i64> = gold.iter().map(|g| *g as i64).collect();
    metric.update(&rows(&gold, 2), &labels).unwrap();
    let found = metric.compute();
    assert_eq!(found.metrics["macro_f1"], 1.0);
    assert!(!found.intervals.contains_key("macro_f1"));
    assert!(found.intervals["accuracy"].0 < 0.95);
}

#[test]
fn intervals_surround_their_points() {
    let mut random = Random::new(5);
    let mut metric = metric(4);
    for _ in 0..400 {
        let gold = random.below(4) as usize;
        let predicted = if random.below(10) < 7 { gold } else { random.below(4) as usize };
        metric.update(&rows(&[predicted], 4), &[gold as i64]).unwrap();
    }
    let found = metric.compute();
    for (key, (low, high)) in &found.intervals {
        let value = found.metrics[key];
        assert!(*low < value && value < *high, "{key}: {low} {value} {high}");
    }
    assert_eq!(found.intervals.len(), found.metrics.len());
    assert_eq!(metric.compute(), found, "the bootstrap is seeded");
}

proptest! {
    #[test]
    fn nothing_is_ever_out_of_range(
        cases in prop::collection::vec((prop::collection::vec(0.0f32..1.0, 3), -1i64..3), 0..40),
    ) {
        let mut metric = metric(3);
        for (row, label) in &cases {
            let sum: f32 = row.iter().sum::<f32>().max(1e-6);
            let row: Vec<f32> = row.iter().map(|p| p / sum).collect();
            metric.update(&row, &[*label]).unwrap();
        }
        let found = metric.compute();
        for (key, value) in &found.metrics {
            let least = if key == "mcc" { -1.0 } else { 0.0 };
            let most = if key == "log_loss" { 20.0 } else { 1.0 };
            prop_assert!((least..=most + 1e-12).contains(value), "{key} = {value}");
        }
        for (low, high) in found.intervals.values() {
            prop_assert!(low <= high);
        }
        let counted: u64 = found.read::<Vec<ClassRow>>("per_class").unwrap_or_default().iter().map(|c| c.support).sum();
        prop_assert_eq!(counted as usize, found.examples);
    }
}

#[test]
fn rounding_does_not_push_a_correlation_out_of_its_range() {
    let mut metric = metric(3);
    let row = |best: usize| rows(&[best], 3);
    for (predicted, gold) in [(2, 0), (2, 0), (0, 2), (2, 0)] {
        metric.update(&row(predicted), &[gold]).unwrap();
    }
    assert!((-1.0..=1.0).contains(&metric.compute().metrics["mcc"]));
}
