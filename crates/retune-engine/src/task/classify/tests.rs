//! What is predicted is what is scored; positive classes, baselines and what a validation split can decide.

use super::kind::Kind;
use super::multi::Multi;
use super::numbers::Numbers;
use super::single::Single;
use super::threshold::Threshold;
use super::*;
use crate::Recipe;
use crate::metric::operating_point::Rule;
use crate::task::{Prepared, Split, Splits, Work, check};
use retune_data::{
    Batch, Classes, DataError, Examples, Numbers as NumberTargets, Pass, Records, Seen, Source, Targets,
};
use retune_models::heads::SEQUENCE_CLASSIFICATION;
use serde_json::json;
use std::path::Path;

/// Examples without inputs.
struct Nothing(usize);

struct Unseen;

impl Seen for Unseen {}

impl Medium for Nothing {
    type Seen = Unseen;

    fn examples(&self) -> usize {
        self.0
    }
    fn length(&self, _row: usize) -> usize {
        1
    }
    fn fill(&self, _rows: &[usize], _pass: Option<Pass>, _into: &mut Batch) -> Result<Vec<Unseen>, DataError> {
        unreachable!("no model is run")
    }
    fn seen(&self, _row: usize) -> Result<Unseen, DataError> {
        Ok(Unseen)
    }
    fn hash(&self, example: usize) -> u64 {
        example as u64
    }
    fn size(&self, _example: usize) -> usize {
        1
    }
    fn unit(&self) -> &'static str {
        "tokens"
    }
}

impl Records for Nothing {
    fn file(&self) -> &Path {
        Path::new("nothing.csv")
    }
    fn len(&self) -> usize {
        self.0
    }
    fn line(&self, _example: usize) -> u64 {
        1
    }
    fn source(&self, _example: usize) -> Result<Source, DataError> {
        unreachable!("no example is shown")
    }
}

fn data<T: Targets<Nothing>>(targets: T) -> Examples<Nothing, T> {
    let count = targets.len();
    Examples::new(Arc::new(Nothing(count)), Nothing(count), Some(targets)).unwrap()
}

fn names(count: usize) -> Vec<String> {
    (0..count).map(|class| format!("c{class}")).collect()
}

fn work<K: Kind<Nothing>>(kind: K, train: K::Targets, validation: K::Targets) -> impl Work {
    let task = Classification::<Nothing, K>::new(&SEQUENCE_CLASSIFICATION, kind, Files::default());
    Prepared::new(task, Splits::of(data(train), data(validation)))
}

fn single(count: usize, rule: Option<Rule>) -> Single {
    Single::saved(names(count), Threshold::new(&names(count), None, rule).unwrap())
}

fn classes(count: usize, labels: &[u32]) -> Classes {
    Classes::new(names(count), labels.to_vec())
}

fn two(rule: Option<Rule>, labels: &[u32]) -> impl Work {
    work(single(2, rule), classes(2, labels), classes(2, labels))
}

fn numbers(values: &[f32]) -> impl Work {
    let targets = || NumberTargets::new(1, values.to_vec());
    work(Numbers::new(names(1)), targets(), targets())
}

fn accuracy<K: Kind<Nothing>>(kind: &K, scores: &[f32], gold: &kind::Gold<Nothing, K>) -> f64 {
    let mut meter = kind.meter();
    meter.add(scores, gold).unwrap();
    meter.evaluation().metrics["accuracy"]
}

#[test]
fn ties_are_predicted_as_they_are_scored() {
    let kind = single(3, None);
    let scores = [0.2, 0.4, 0.4];
    assert_eq!(Kind::<Nothing>::describe(&kind, &scores)["prediction"], "c1");
    let judged = |gold| Kind::<Nothing>::judge(&kind, &scores, &gold);
    assert_eq!((judged(1).severity, judged(2).severity), (0.0, 0.4));
    assert_eq!((judged(1).right, judged(2).right), (Some(true), Some(false)));
    assert_eq!(accuracy(&kind, &scores, &1), 1.0);
}

#[test]
fn a_label_of_exactly_one_half_is_predicted_as_it_is_scored() {
    let kind = Multi::new(names(2));
    let scores = [0.5, 0.25];
    assert_eq!(Kind::<Nothing>::describe(&kind, &scores)["prediction"], json!(["c0"]));
    assert_eq!(accuracy(&kind, &scores, &vec![0]), 1.0);
    let severity = |gold: Vec<u32>| Kind::<Nothing>::judge(&kind, &scores, &gold).severity;
    assert_eq!((severity(vec![0]), severity(vec![])), (0.0, 0.5));
}

#[test]
fn baselines_are_called_what_they_are() {
    let (name, found) = numbers(&[1.0, 3.0]).guesses(Split::Validation).unwrap().remove(0);
    assert_eq!((name, found.metrics["mae"]), ("mean of the training targets", 1.0));
    let work = work(single(2, None), classes(2, &[1, 1, 0]), classes(2, &[1, 0]));
    let (name, found) = work.guesses(Split::Validation).unwrap().remove(0);
    assert_eq!((name, found.metrics["accuracy"]), ("majority class", 0.5));
}

#[test]
fn several_outputs_keep_their_names() {
    let targets = || NumberTargets::new(2, vec![1.0, 5.0, 2.0, 9.0]);
    let work = work(Numbers::new(vec!["width".into(), "height".into()]), targets(), targets());
    assert_eq!(work.head().labels.unwrap(), ["width", "height"]);
    let found = work.ideal(Split::Validation).unwrap().unwrap();
    let outputs: Vec<crate::metric::OutputRow> = found.read("per_output").unwrap();
    assert_eq!(outputs[1].name, "height");
}

#[test]
fn the_positive_class_is_the_second_of_two_or_the_named_one() {
    let of = |count, positive: Option<&str>, rule| Threshold::new(&names(count), positive, rule);
    assert_eq!(of(2, None, None).unwrap().positive(), Some(1));
    assert_eq!(of(3, None, None).unwrap().positive(), None);
    assert_eq!(of(3, Some("c0"), None).unwrap().positive(), Some(0));
    let refused = |threshold: Result<Threshold>| threshold.err().expect("refused").to_string();
    let text = refused(of(3, Some("c7"), None));
    assert!(text.contains("`c7`") && text.contains("`c0`, `c1`, `c2`"), "{text}");
    assert!(refused(of(3, None, Some(Rule::Specificity(0.9)))).contains("--positive-class"));
    let text = demand_single(&[("operating-point", false), ("positive-class", true)]).unwrap_err().to_string();
    assert_eq!(text, "positive-class needs one label per example");
}

fn by(metric: &str) -> Recipe {
    format!("best-by = '{metric}'").parse().unwrap()
}

#[test]
fn a_metric_that_the_task_never_has_is_refused() {
    let regression = numbers(&[1.0, 3.0]);
    let text = check(&by("f1"), &regression).unwrap_err().to_string();
    assert!(text.contains("`f1`") && text.contains("loss, mae, mse, pearson, r2, rmse, spearman"), "{text}");
    for metric in ["r2", "pearson", "loss"] {
        check(&by(metric), &regression).unwrap();
    }
}

#[test]
fn a_metric_that_the_validation_split_cannot_have_is_refused() {
    let text = check(&by("auroc"), &two(None, &[1, 1])).unwrap_err().to_string();
    assert!(text.contains("auroc is undefined") && text.contains("accuracy"), "{text}");
    assert!(!text.split("choose one of").nth(1).unwrap().contains("auroc"), "{text}");
    check(&by("auroc"), &two(None, &[1, 0])).unwrap();
    check(&by("loss"), &two(None, &[1, 1])).unwrap();
    let text = check(&by("pearson"), &numbers(&[2.0, 2.0])).unwrap_err().to_string();
    assert!(text.contains("all the same"), "{text}");
}

#[test]
fn an_operating_point_needs_both_sides_in_the_validation_split() {
    let usual = Recipe::default();
    let text = check(&usual, &two(Some(Rule::Specificity(0.9)), &[0, 0])).unwrap_err().to_string();
    assert!(text.contains("specificity:0.9") && text.contains("positive class"), "{text}");
    check(&usual, &two(Some(Rule::Threshold(0.9)), &[0, 0])).unwrap();
    check(&usual, &two(Some(Rule::Sensitivity(0.9)), &[0, 1])).unwrap();
}
