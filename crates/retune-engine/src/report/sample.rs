//! A report with realistic, invented numbers in every section, for tests and for looking at.

use super::data::*;
use crate::metric::operating_point::Rule;
use crate::metric::{ClassificationMetric, Difference, Evaluation, RegressionMetric};

/// A deterministic number in 0..1.
fn noise(seed: u64) -> f64 {
    let mixed = (seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (mixed >> 11) as f64 / (1u64 << 53) as f64
}

/// A classifier over `names` that is right with probability `skill`.
pub(super) fn classifier(names: &[&str], rows: u64, skill: f64) -> Evaluation {
    let classes = names.len();
    let mut metric = ClassificationMetric::new(names.iter().map(|n| (*n).to_owned()).collect());
    for row in 0..rows {
        let gold = (noise(row * 5).powf(1.4) * classes as f64) as usize;
        let sure = 0.45 + 0.55 * noise(row * 5 + 1).sqrt();
        let right = noise(row * 5 + 2) < skill * (0.7 + 0.45 * sure);
        let other = (gold + 1 + (noise(row * 5 + 3).powi(2) * (classes - 1) as f64) as usize) % classes;
        let predicted = if right { gold } else { other };
        let rest = ((1.0 - sure) / (classes - 1) as f64) as f32;
        let mut probabilities = vec![rest; classes];
        probabilities[predicted] = sure as f32;
        metric.update(&probabilities, &[gold as i64]).expect("shapes agree");
    }
    metric.compute()
}

/// A regressor on a scale from 0 to 5.
pub(super) fn regressor(rows: u64) -> Evaluation {
    let mut metric = RegressionMetric::new(vec!["similarity".into()]);
    for row in 0..rows {
        let gold = (noise(row * 3) * 25.0).round() / 5.0;
        let error = noise(row * 3 + 1) + noise(row * 3 + 2) - 1.0;
        let predicted = 0.4 + 0.84 * gold + 1.3 * error;
        metric.update(&[predicted as f32], &[gold as f32]).expect("shapes agree");
    }
    metric.compute()
}

fn steps() -> Vec<StepPoint> {
    (1..=1260u64)
        .map(|step| {
            let progress = step as f64 / 1260.0;
            let loss = 0.16 + 1.25 * (-5.5 * progress).exp();
            let warmed = (progress / 0.06).min((1.0 - progress) / 0.94);
            let spike = if step == 431 { 24.0 } else { 0.0 };
            StepPoint {
                step,
                loss: (step != 17).then_some(loss * (0.6 + 0.8 * noise(step))),
                learning_rate: Some(3e-5 * warmed),
                gradient_norm: Some(0.8 + 2.6 * loss * noise(step + 9000) + spike),
            }
        })
        .collect()
}

fn evaluations() -> Vec<EvaluationPoint> {
    (1..=6u64)
        .map(|epoch| {
            let x = epoch as f64;
            let accuracy = 0.86 - 0.25 * (-0.9 * x).exp() - 0.004 * (x - 4.0).max(0.0);
            EvaluationPoint {
                step: epoch * 210,
                loss: Some(0.36 + 0.5 * (-0.9 * x).exp() + 0.018 * (x - 2.0).max(0.0)),
                metrics: [("accuracy".to_owned(), accuracy), ("macro_f1".to_owned(), accuracy - 0.02)].into(),
                interval: Some((accuracy - 0.026, accuracy + 0.024)),
            }
        })
        .collect()
}

fn split(name: &str, rows: u64, classes: &[&str]) -> SplitFacts {
    let mut left = rows;
    SplitFacts {
        name: name.into(),
        file: format!("reviews/{name}.csv"),
        rows,
        classes: classes
            .iter()
            .enumerate()
            .map(|(i, class)| {
                let count = if i + 1 == classes.len() { left } else { left * 2 / 5 };
                left -= count;
                ((*class).to_owned(), count)
            })
            .collect(),
        lengths: Some(Histogram {
            unit: "tokens".into(),
            edges: (0..=16).map(|i| f64::from(i) * 8.0).collect(),
            counts: (0..16u64)
                .map(|i| (rows as f64 * 0.16 * (-((i as f64 - 4.0) / 3.4).powi(2)).exp()) as u64 + rows / 400)
                .collect(),
        }),
        truncated: Some(rows / 180),
        duplicates: Some(rows / 350),
        conflicting: Some(if name == "train" { 14 } else { 0 }),
        groups: None,
        unknown_tokens: Some(0.0004),
    }
}

fn errors() -> Vec<WorstError> {
    let case = |text: &str, gold: &str, predicted: &str, confidence: f64, line: u32| WorstError {
        text: text.into(),
        gold: gold.into(),
        predicted: predicted.into(),
        confidence: Some(confidence),
        place: format!("reviews/test.csv:{line}"),
        thumbnail: None,
    };
    vec![
        case(
            "Not the disaster everyone promised me. I went in expecting to hate the heating controls and came out having bought a second set for the cabin.",
            "positive",
            "negative",
            0.994,
            412,
        ),
        case("Great. Another charger that lasts exactly as long as its warranty.", "negative", "positive", 0.989, 77),
        case(
            "It arrives, it works, it beeps. I have no further feelings about it.",
            "neutral",
            "negative",
            0.971,
            1031,
        ),
        case("المنتج جيد لكن التوصيل تأخر أسبوعين", "mixed", "positive", 0.958, 265),
    ]
}

/// Every section that a text classifier can have.
pub(super) fn classification() -> ReportData {
    let names = ["positive", "negative", "neutral", "mixed", "off topic"];
    let test = classifier(&names, 1490, 0.84);
    let accuracy = test.metrics["accuracy"];
    ReportData {
        title: "Sorting product reviews".into(),
        date: "12 March 2025".into(),
        task: crate::task::USUAL_TASK.into(),
        model: "distilbert-base-uncased".into(),
        method: "lora".into(),
        headline: Some(Headline {
            metric: "accuracy".into(),
            split: "test".into(),
            value: accuracy,
            interval: test.intervals.get("accuracy").copied(),
            examples: test.examples,
            baselines: vec![
                Baseline { name: "from scratch, same budget".into(), value: 0.612, interval: Some((0.587, 0.636)) },
                Baseline { name: "majority class".into(), value: 0.398, interval: Some((0.373, 0.423)) },
            ],
            comparison: Some(Comparison {
                against: "from scratch, same budget".into(),
                difference: Difference { difference: accuracy - 0.612, low: accuracy - 0.641, high: accuracy - 0.584, p_value: 1e-12 },
            }),
        }),
        steps: steps(),
        evaluations: evaluations(),
        best: Some(Best { step: 840, metric: "accuracy".into(), value: evaluations()[3].metrics["accuracy"] }),
        validation: Some(classifier(&names, 745, 0.86)),
        test: Some(test),
        roc: None,
        operating_point: None,
        errors: errors(),
        heat_maps: Some("Colour: what the prediction rests on.".into()),
        splits: vec![split("train", 6720, &names), split("validation", 745, &names), split("test", 1490, &names)],
        left_out: Vec::new(),
        leaks: vec![Leak { held_out: "test".into(), seen_in: "train".into(), rows: 23, of: 1490, groups: None }],
        load: Some(LoadFacts {
            source: "distilbert-base-uncased/model.safetensors".into(),
            loaded: 100,
            new: ["pre_classifier.weight", "pre_classifier.bias", "classifier.weight", "classifier.bias"]
                .map(|name| NewTensor { name: name.into(), reason: "the new head of this task".into() })
                .into(),
            unexpected: ["vocab_transform.weight", "vocab_transform.bias", "vocab_layer_norm.weight"]
                .map(str::to_owned)
                .into(),
        }),
        recipe: "task = \"text-classification\"\nmodel = \"distilbert-base-uncased\"\ntrain = \"reviews/train.csv\"\ntest = \"reviews/test.csv\"\nmethod = \"lora\"\nlora_rank = 8\nlearning_rate = 3e-5\nschedule = \"linear\"\nwarmup = 0.06\nepochs = 6\nbatch_size = 32\nseed = 17\n".into(),
        speed: Some(Speed {
            seconds: Some(734.0),
            examples_per_second: Some(54.9),
            tokens_per_second: Some(2310.0),
            padding_fraction: Some(0.063),
            model_flops_per_second: Some(9.1e11),
            peak_flops_per_second: Some(1.46e12),
            peak_memory_bytes: Some(1_932_735_283),
            peak_device_memory_bytes: None,
            trainable_parameters: Some(742_661),
            total_parameters: Some(67_698_442),
        }),
        environment: Some(Environment {
            retune: "0.1.0".into(),
            libtorch: "2.11.0".into(),
            device: "cpu".into(),
            cpu: "16-core server processor with AVX-512".into(),
            threads: Some(16),
        }),
    }
}

/// A screening: two classes, and a threshold that was chosen.
pub(super) fn screening() -> ReportData {
    let names = ["healthy", "ill"];
    let (validation, test) = (classifier(&names, 300, 0.8), classifier(&names, 700, 0.8));
    let curves = [&validation, &test].map(|evaluation| evaluation.curve.clone().expect("two classes have one"));
    let rule = Rule::Specificity(0.9);
    let threshold = curves[0].choose(rule);
    ReportData {
        title: "Finding the ill".into(),
        roc: Some(Roc { split: "test".into(), positive_class: "ill".into(), points: curves[1].roc(400) }),
        operating_point: Some(Operating {
            positive_class: "ill".into(),
            rule: rule.to_string(),
            chosen: true,
            threshold: threshold.into(),
            splits: vec![("validation".into(), curves[0].at(threshold)), ("test".into(), curves[1].at(threshold))],
        }),
        validation: Some(Evaluation { curve: None, ..validation }),
        test: Some(Evaluation { curve: None, ..test }),
        ..ReportData::default()
    }
}

/// Two numbers for each example.
pub(super) fn outputs() -> ReportData {
    let mut metric = RegressionMetric::new(vec!["width".into(), "height".into()]);
    for row in 0..200 {
        let gold = [noise(row), 40.0 * noise(row + 700)].map(|x| x as f32);
        metric.update(&[gold[0] * 0.9, gold[1] + noise(row + 90) as f32], &gold).expect("shapes agree");
    }
    ReportData { title: "Sizes".into(), test: Some(metric.compute()), ..ReportData::default() }
}

/// A regression run.
pub(super) fn regression() -> ReportData {
    let test = regressor(900);
    ReportData {
        title: "How alike are two sentences?".into(),
        task: crate::task::USUAL_TASK.into(),
        model: "roberta-base".into(),
        method: "full".into(),
        headline: Some(Headline {
            metric: "rmse".into(),
            split: "test".into(),
            value: test.metrics["rmse"],
            interval: test.intervals.get("rmse").copied(),
            examples: test.examples,
            baselines: vec![Baseline {
                name: "mean of the training numbers".into(),
                value: 1.46,
                interval: Some((1.42, 1.51)),
            }],
            comparison: None,
        }),
        test: Some(test),
        ..ReportData::default()
    }
}

/// More classes than a grid can show.
pub(super) fn many_classes(count: usize) -> ReportData {
    let names: Vec<String> = (0..count).map(|i| format!("intent {i}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    ReportData {
        title: format!("{count} intents"),
        test: Some(classifier(&names, 3000, 0.8)),
        splits: vec![split("train", 9000, &names)],
        ..ReportData::default()
    }
}
