//! A report with realistic, invented numbers in every section, for tests and for looking at.

use super::data::*;
use super::sample_blocks::{answers, blocks, entities};
use super::sample_values::{PIXEL, Say, noise};
use super::verdict::{Baseline, Comparison, Headline};
use crate::directory::{Best, EvaluationPoint};
use crate::metric::operating_point::{Cut, Operated, Rule};
use crate::metric::regression::RMSE;
use crate::metric::{
    ACCURACY, ClassificationMetric, Difference, Evaluation, RegressionMetric, Said, threshold_details,
};
use crate::summary::TrainSummary;
use retune_data::Leak;
use retune_models::LoadReport;
use retune_models::checkpoint::NewTensor;

/// A classifier over `names` that is right with probability `skill`.
pub(super) fn classifier(names: &[String], rows: u64, skill: f64) -> Evaluation {
    classified(names, rows, skill).compute()
}

fn classified(names: &[String], rows: u64, skill: f64) -> ClassificationMetric {
    let classes = names.len();
    let mut metric = ClassificationMetric::new(names.to_vec());
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
    metric
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

fn split(say: Say<'_>, name: &str, rows: u64, classes: &[String]) -> SplitCard {
    let mut left = rows;
    let fact = |name: &str, value: &str, flagged: bool| Fact { name: say(name), value: say(value), flagged };
    let count = |(index, class): (usize, &String)| {
        let count = if index + 1 == classes.len() { left } else { left * 2 / 5 };
        left -= count;
        (class.clone(), count)
    };
    SplitCard {
        name: say(name),
        file: say(&format!("reviews/{name}.csv")),
        rows,
        classes: classes.iter().enumerate().map(count).collect(),
        lengths: Some(Histogram {
            unit: say("tokens"),
            edges: (0..=16).map(|i| f64::from(i) * 8.0).collect(),
            counts: (0..16u64)
                .map(|i| (rows as f64 * 0.16 * (-((i as f64 - 4.0) / 3.4).powi(2)).exp()) as u64 + rows / 400)
                .collect(),
        }),
        facts: vec![
            fact("truncated", "37 (0.6 %)", false),
            fact("duplicates", "19 (0.3 %)", false),
            fact("conflicting labels", "14", true),
            fact("unknown tokens", "under 0.1 %", false),
        ],
    }
}

fn error(say: Say<'_>, text: &str, right: &str, prediction: &str, confidence: f64, line: u32) -> WorstError {
    WorstError {
        said: Said { prediction: say(prediction), right: say(right), confidence: Some(confidence), marked: None },
        severity: confidence,
        fields: vec![(say("text"), say(text))],
        place: say(&format!("reviews/test.csv:{line}")),
        picture: None,
        sound: None,
        pictures: Vec::new(),
    }
}

fn errors(say: Say<'_>) -> Vec<WorstError> {
    let case = |text, right, prediction, confidence, line| error(say, text, right, prediction, confidence, line);
    let mut errors = vec![
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
    ];
    errors[2].fields.push((say("title"), say("A kettle")));
    errors[1].picture = Some(PIXEL.to_vec());
    errors[1].sound = Some(b"RIFF\x24\0\0\0WAVE".to_vec());
    errors
}

/// Every section that a text classifier can have.
pub(super) fn classification(say: Say<'_>) -> ReportData {
    let names = ["positive", "negative", "neutral", "mixed", "off topic"].map(say);
    let test = classifier(&names, 1490, 0.84);
    let accuracy = test.metrics["accuracy"];
    let scratch = "from scratch, same budget";
    ReportData {
        title: say("Sorting product reviews"),
        date: say("12 March 2025"),
        task: say(crate::task::USUAL_TASK),
        model: say("distilbert-base-uncased"),
        method: say("lora"),
        headline: Some(Headline {
            metric: &ACCURACY,
            split: say("test"),
            value: accuracy,
            interval: test.intervals.get("accuracy").copied(),
            examples: test.examples,
            baselines: vec![
                Baseline { name: say(scratch), value: 0.612, interval: Some((0.587, 0.636)) },
                Baseline { name: say("majority class"), value: 0.398, interval: Some((0.373, 0.423)) },
            ],
            comparison: Some(Comparison {
                against: say(scratch),
                difference: Difference {
                    difference: accuracy - 0.612,
                    low: accuracy - 0.641,
                    high: accuracy - 0.584,
                    p_value: 1e-12,
                },
            }),
            remarks: Vec::new(),
        }),
        steps: steps(),
        evaluations: evaluations(),
        best: Some(Best { step: 840, metric: "accuracy".into(), value: Some(evaluations()[3].metrics["accuracy"]) }),
        metrics: ClassificationMetric::new(names.to_vec()).metrics(),
        validation: Some(classifier(&names, 745, 0.86)),
        test: Some(test),
        errors: errors(say),
        about_errors: Some(say("Colour: what the prediction rests on.")),
        splits: [("train", 6720), ("validation", 745), ("test", 1490)]
            .map(|(name, rows)| split(say, name, rows, &names))
            .into(),
        left_out: vec![LeftOut { split: say("train"), count: 2, first: vec![say("reviews/train.csv:9: no text")] }],
        leaks: vec![Leak { a: say("train"), b: say("test"), examples: 23, shown: Vec::new(), groups: None }],
        load: Some(LoadReport {
            loaded: 100,
            new: ["pre_classifier.weight", "pre_classifier.bias", "classifier.weight", "classifier.bias"]
                .map(|name| NewTensor { name: say(name), reason: say("the new head of this task") })
                .into(),
            unexpected: ["vocab_transform.weight", "vocab_transform.bias", "vocab_layer_norm.weight"].map(say).into(),
            notes: Vec::new(),
        }),
        recipe: say(
            "task = \"text-classification\"\nmodel = \"distilbert-base-uncased\"\ntrain = \"reviews/train.csv\"\ntest = \"reviews/test.csv\"\nmethod = \"lora\"\nlora_rank = 8\nlearning_rate = 3e-5\nschedule = \"linear\"\nwarmup = 0.06\nepochs = 6\nbatch_size = 32\nseed = 17\n",
        ),
        speed: Some(TrainSummary {
            seconds: 734.0,
            samples_per_second: 54.9,
            tokens_per_second: 2310.0,
            padding_fraction: 0.063,
            model_flops_per_second: 9.1e11,
            peak_flops_per_second: 1.46e12,
            peak_memory_bytes: 1_932_735_283,
            trainable_parameters: 742_661,
            total_parameters: 67_698_442,
            ..TrainSummary::default()
        }),
        environment: Some(Environment {
            retune: say("0.1.0"),
            libtorch: say("2.11.0"),
            device: say("cpu"),
            cpu: say("16-core server processor with AVX-512"),
            threads: 16,
        }),
    }
}

/// A screening: two classes, and a threshold that was chosen.
pub(super) fn screening(say: Say<'_>, rule: Rule) -> ReportData {
    let names = ["healthy", "ill"].map(say);
    let metrics = [300, 700].map(|rows| classified(&names, rows, 0.8));
    let curves = metrics.each_ref().map(|metric| metric.curve().expect("two classes have one"));
    let cut = Cut { positive_class: names[1].clone(), rule, threshold: curves[0].choose(rule) };
    let [mut validation, mut test] = metrics.map(|metric| metric.compute());
    for (evaluation, curve) in [(&mut validation, &curves[0]), (&mut test, &curves[1])] {
        let operated = Operated { cut: cut.clone(), found: curve.at(cut.threshold) };
        evaluation.details.extend(threshold_details(curve, &names[1], Some(operated)));
    }
    ReportData {
        title: say("Finding the ill"),
        validation: Some(validation),
        test: Some(test),
        ..ReportData::default()
    }
}

/// Two numbers for each example.
pub(super) fn outputs(say: Say<'_>) -> ReportData {
    let mut metric = RegressionMetric::new(vec![say("width"), say("height")]);
    for row in 0..200 {
        let gold = [noise(row), 40.0 * noise(row + 700)].map(|x| x as f32);
        metric.update(&[gold[0] * 0.9, gold[1] + noise(row + 90) as f32], &gold).expect("shapes agree");
    }
    ReportData { title: say("Sizes"), test: Some(metric.compute()), ..ReportData::default() }
}

/// A regression run.
pub(super) fn regression(say: Say<'_>) -> ReportData {
    let test = regressor(900);
    ReportData {
        title: say("How alike are two sentences?"),
        model: say("roberta-base"),
        method: say("full"),
        headline: Some(Headline {
            metric: &RMSE,
            split: say("test"),
            value: test.metrics["rmse"],
            interval: test.intervals.get("rmse").copied(),
            examples: test.examples,
            baselines: vec![Baseline {
                name: say("mean of the training numbers"),
                value: 1.46,
                interval: Some((1.42, 1.51)),
            }],
            comparison: None,
            remarks: Vec::new(),
        }),
        metrics: RegressionMetric::new(Vec::new()).metrics(),
        test: Some(test),
        ..ReportData::default()
    }
}

/// More classes than a grid can show.
pub(super) fn many_classes(say: Say<'_>, count: usize) -> ReportData {
    let names: Vec<String> = (0..count).map(|i| say(&format!("intent {i}"))).collect();
    ReportData {
        title: say(&format!("{count} intents")),
        test: Some(classifier(&names, 3000, 0.8)),
        splits: vec![split(say, "train", 9000, &names)],
        ..ReportData::default()
    }
}

/// All of them, by name.
pub(super) fn all(say: Say<'_>) -> Vec<(&'static str, ReportData)> {
    vec![
        ("classification", classification(say)),
        ("regression", regression(say)),
        ("screening", screening(say, Rule::Specificity(0.9))),
        ("outputs", outputs(say)),
        ("nine", many_classes(say, 9)),
        ("many", many_classes(say, 64)),
        ("entities", entities(say)),
        ("answers", answers(say)),
        ("blocks", blocks(say)),
        ("nothing", ReportData::default()),
    ]
}
