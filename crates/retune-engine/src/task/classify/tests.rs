//! What is predicted is what is scored; positive classes, baselines and what a validation split can decide.

use super::super::preflight;
use super::*;
use crate::metric::operating_point::Rule;
use retune_data::{Batch, DataError, Dataset, Pass, Source};
use retune_models::heads::SEQUENCE_CLASSIFICATION;

/// Labels without inputs.
struct Labelled(Vec<EncodedLabel>);

impl Dataset for Labelled {
    fn len(&self) -> usize {
        self.0.len()
    }
    fn length(&self, _row: usize) -> usize {
        1
    }
    fn batch(&self, _rows: &[usize], _pass: Option<Pass>) -> Result<Batch, DataError> {
        unreachable!("no model is run")
    }
    fn source(&self, _row: usize) -> Result<Source, DataError> {
        unreachable!("no row is shown")
    }
    fn has_labels(&self) -> bool {
        true
    }
}

impl Described for Labelled {
    fn schema(&self) -> Option<&LabelSchema> {
        None
    }
    fn label(&self, row: usize) -> Option<EncodedLabel> {
        self.0.get(row).cloned()
    }
    fn content_hash(&self, row: usize) -> u64 {
        row as u64
    }
    fn group(&self, _row: usize) -> Option<u64> {
        None
    }
    fn subset(&self, rows: &[usize]) -> Result<Self, DataError> {
        Ok(Self(rows.iter().map(|&row| self.0[row].clone()).collect()))
    }
    fn extent(&self, _row: usize) -> usize {
        1
    }
    fn extent_unit(&self) -> &'static str {
        "tokens"
    }
}

fn classes(labels: &[u32]) -> Labelled {
    Labelled(labels.iter().map(|&class| EncodedLabel::Class(class)).collect())
}

fn values(rows: &[&[f32]]) -> Labelled {
    Labelled(rows.iter().map(|row| EncodedLabel::Values(row.to_vec())).collect())
}

fn names(count: usize) -> Vec<String> {
    (0..count).map(|class| format!("c{class}")).collect()
}

fn single(count: usize) -> LabelSchema {
    LabelSchema::SingleLabel { names: names(count) }
}

fn made(schema: LabelSchema, recipe: &Recipe) -> Result<Classification> {
    let purpose = &SEQUENCE_CLASSIFICATION;
    let modality = Modality { name: "text-classification", purpose, files: Vec::new(), _folder: None };
    Classification::trained(modality, schema, recipe, &classes(&[]))
}

fn task(schema: LabelSchema) -> Classification {
    made(schema, &Recipe::default()).unwrap()
}

fn said(scores: &[f32]) -> Prediction {
    Prediction { scores: scores.to_vec() }
}

#[test]
fn ties_are_predicted_as_they_are_scored() {
    let task = task(single(3));
    let scores = [0.2, 0.4, 0.4];
    assert_eq!(task.describe(&said(&scores))["prediction"], "c1");
    let severity = |class| task.severities(&classes(&[class]), &[said(&scores)]).unwrap()[0];
    assert_eq!((severity(1), severity(2)), (0.0, f64::from(0.4f32)));
    assert_eq!(task.judge(&scores, &[EncodedLabel::Class(1)]).unwrap().metrics["accuracy"], 1.0);
}

#[test]
fn a_label_of_exactly_one_half_is_predicted_as_it_is_scored() {
    let task = task(LabelSchema::MultiLabel { names: names(2) });
    let (scores, gold) = ([0.5, 0.25], EncodedLabel::Classes(vec![0]));
    assert_eq!(task.describe(&said(&scores))["prediction"], json!(["c0"]));
    assert_eq!(task.judge(&scores, std::slice::from_ref(&gold)).unwrap().metrics["accuracy"], 1.0);
    assert_eq!(task.severities(&Labelled(vec![gold]), &[said(&scores)]).unwrap(), [0.0]);
    let wrong = Labelled(vec![EncodedLabel::Classes(vec![])]);
    assert_eq!(task.severities(&wrong, &[said(&scores)]).unwrap(), [0.5]);
}

#[test]
fn baselines_are_called_what_they_are() {
    let numbers = values(&[&[1.0], &[3.0]]);
    let regression = task(LabelSchema::Regression { outputs: 1 });
    let (name, found) = regression.majority(&numbers, &numbers).unwrap();
    assert_eq!((name, found.metrics["mae"]), ("mean of the training targets", 1.0));
    let (name, found) = task(single(2)).majority(&classes(&[1, 1, 0]), &classes(&[1, 0])).unwrap();
    assert_eq!((name, found.metrics["accuracy"]), ("majority class", 0.5));
}

#[test]
fn several_outputs_are_named_as_their_columns() {
    let recipe = Recipe { label_column: "width, height".into(), ..Recipe::default() };
    let task = made(LabelSchema::Regression { outputs: 2 }, &recipe).unwrap();
    assert_eq!(task.head().unwrap().0, ["width", "height"]);
    let found = task.ideal(&values(&[&[1.0, 5.0], &[2.0, 9.0]])).unwrap().unwrap();
    let outputs: Vec<crate::metric::OutputRow> = found.read("per_output").unwrap();
    assert_eq!(outputs[1].name, "height");
}

#[test]
fn the_positive_class_is_the_second_of_two_or_the_named_one() {
    let named = |name: &str| Recipe { positive_class: Some(name.into()), ..Recipe::default() };
    assert_eq!(task(single(2)).positive, Some(1));
    assert_eq!(task(single(3)).positive, None);
    assert_eq!(made(single(3), &named("c0")).unwrap().positive, Some(0));
    let refused = |schema, recipe: &Recipe| made(schema, recipe).err().expect("refused").to_string();
    let text = refused(single(3), &named("c7"));
    assert!(text.contains("`c7`") && text.contains("`c0`, `c1`, `c2`"), "{text}");
    let point = Recipe { operating_point: Some(Rule::Specificity(0.9)), ..Recipe::default() };
    assert!(refused(single(3), &point).contains("--positive-class"));
    assert!(refused(LabelSchema::Regression { outputs: 1 }, &point).contains("operating-point"));
    assert!(refused(LabelSchema::MultiLabel { names: names(2) }, &named("c0")).contains("positive-class"));
}

fn by(metric: &str) -> Recipe {
    Recipe { best_by: Some(metric.into()), ..Recipe::default() }
}

#[test]
fn a_metric_that_the_task_never_has_is_refused() {
    let regression = task(LabelSchema::Regression { outputs: 1 });
    let data = values(&[&[1.0], &[3.0]]);
    let text = preflight::check(&by("f1"), &regression, &data).unwrap_err().to_string();
    assert!(text.contains("`f1`") && text.contains("loss, mae, mse, pearson, r2, rmse, spearman"), "{text}");
    for metric in ["r2", "pearson", "loss"] {
        preflight::check(&by(metric), &regression, &data).unwrap();
    }
}

#[test]
fn a_metric_that_the_validation_split_cannot_have_is_refused() {
    let two = task(single(2));
    let text = preflight::check(&by("auroc"), &two, &classes(&[1, 1])).unwrap_err().to_string();
    assert!(text.contains("auroc is undefined") && text.contains("accuracy"), "{text}");
    assert!(!text.split("choose one of").nth(1).unwrap().contains("auroc"), "{text}");
    preflight::check(&by("auroc"), &two, &classes(&[1, 0])).unwrap();
    preflight::check(&by("loss"), &two, &classes(&[1, 1])).unwrap();
    let regression = task(LabelSchema::Regression { outputs: 1 });
    let text = preflight::check(&by("pearson"), &regression, &values(&[&[2.0], &[2.0]])).unwrap_err().to_string();
    assert!(text.contains("all the same"), "{text}");
}

#[test]
fn an_operating_point_needs_both_sides_in_the_validation_split() {
    let recipe = |rule| Recipe { operating_point: Some(rule), ..Recipe::default() };
    let task = made(single(2), &recipe(Rule::Specificity(0.9))).unwrap();
    let text = preflight::check(&recipe(Rule::Specificity(0.9)), &task, &classes(&[0, 0])).unwrap_err().to_string();
    assert!(text.contains("specificity:0.9") && text.contains("positive class"), "{text}");
    preflight::check(&recipe(Rule::Threshold(0.9)), &task, &classes(&[0, 0])).unwrap();
    preflight::check(&recipe(Rule::Sensitivity(0.9)), &task, &classes(&[0, 1])).unwrap();
}
