//! One run from data to a model that is used: files, repeatability, evaluation and prediction.

use crate::support::{Desk, assert_done, assert_said, checkpoints, json, json_lines, read, text};
use std::fs;

/// Dropout, several epochs and accumulation: everything that draws random numbers takes part.
const RUN: &[&str] = &["--epochs", "2", "--dropout", "0.1", "--gradient-accumulation", "2", "--learning-rate", "1e-3"];

#[test]
fn a_run_leaves_everything_that_is_promised() {
    let desk = Desk::new();
    let output = desk.finetune("run", RUN);
    assert_done(&output);
    let run = desk.path("run");
    for file in ["model/config.json", "model/model.safetensors", "model/tokenizer.json", "recipe.toml"] {
        assert!(run.join(file).is_file(), "{file}");
    }
    let saved = checkpoints(&run);
    assert!(!saved.is_empty() && saved.iter().all(|it| it.join("manifest.json").is_file()), "{saved:?}");
    assert!(text(&read(run.join("report.html"))).contains("<svg"));
    let names = fs::read_dir(&run).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let names: Vec<String> = names.collect();
    assert_eq!(names.iter().filter(|name| name.starts_with("events.out.tfevents.")).count(), 1, "{names:?}");
    assert!(!names.iter().any(|name| name.starts_with('.')), "leftovers: {names:?}");

    let metrics = json(run.join("metrics.json"));
    assert_eq!(metrics["task"], "text-classification");
    assert_eq!(metrics["method"], "full");
    assert_eq!(metrics["best"]["metric"], "accuracy");
    for key in ["step", "value"] {
        assert!(metrics["best"][key].is_number(), "best.{key}");
    }
    for split in ["validation", "test"] {
        let accuracy = metrics[split]["accuracy"].as_f64().unwrap();
        assert!((0.0..=1.0).contains(&accuracy), "{split}");
    }
    let keys = "steps examples tokens padding_fraction seconds samples_per_second tokens_per_second \
        model_flops_per_second peak_flops_per_second final_loss peak_memory_bytes trainable_parameters total_parameters";
    for key in keys.split_whitespace() {
        assert!(metrics["train"][key].is_number(), "train.{key}");
    }
    // 160 rows are 10 batches of 16 and 5 steps of two batches, twice.
    assert_eq!(metrics["train"]["steps"], 10);
    assert_eq!(metrics["train"]["examples"], 320);

    let log = json_lines(&read(run.join("log.jsonl")));
    let steps: Vec<u64> =
        log.iter().filter(|it| it.get("evaluation").is_none()).map(|it| it["step"].as_u64().unwrap()).collect();
    assert_eq!(steps, (1..=10).collect::<Vec<_>>());
    assert_eq!(log.iter().filter(|it| it["evaluation"] == "validation").count(), 2);
    assert!(log.iter().all(|it| it["loss"].is_number()), "{log:?}");

    let predictions = json_lines(&read(run.join("predictions.jsonl")));
    assert_eq!(predictions.len(), 50);
    let right = predictions.iter().filter(|it| it["prediction"] == it["label"]).count();
    assert_eq!(right as f64 / 50.0, metrics["test"]["accuracy"].as_f64().unwrap());
    // Standard output of a program that is piped: the same numbers, as one line of JSON.
    assert_eq!(json_lines(&output.stdout)[0]["test"], metrics["test"]);
}

#[test]
fn the_saved_model_scores_predicts_and_describes_itself() {
    let desk = Desk::new();
    assert_done(&desk.finetune("run", RUN));
    let metrics = json(desk.path("run/metrics.json"));

    for model in ["run", "run/model"] {
        let output = desk.evaluate(model);
        assert_done(&output);
        assert_eq!(json_lines(&output.stdout)[0]["metrics"]["accuracy"], metrics["test"]["accuracy"], "{model}");
    }
    let texts = ["a truly great film", "it broke after a day", "naïve café ☕", "great great great"];
    let lines = texts.map(|it| format!("{it}\n")).concat();
    let output =
        desk.feed(&["predict", "--model", "run", "--device", "cpu", "--threads", "1", "--precision", "fp32"], &lines);
    assert_done(&output);
    let predictions = json_lines(&output.stdout);
    let back: Vec<&str> = predictions.iter().map(|it| it["text"].as_str().unwrap()).collect();
    assert_eq!(back, texts);
    assert!(predictions.iter().all(|it| ["positive", "negative"].contains(&it["prediction"].as_str().unwrap())));

    // The rows of the test split, one after the other or in the run's own batches: the same answers.
    let output = desk.retune([
        "predict",
        "--model",
        "run",
        "--input",
        "test.csv",
        "--batch-size",
        "1",
        "--device",
        "cpu",
        "--precision",
        "fp32",
    ]);
    assert_done(&output);
    let answers = |bytes: &[u8]| json_lines(bytes).iter().map(|it| it["prediction"].clone()).collect::<Vec<_>>();
    assert_eq!(answers(&output.stdout), answers(&read(desk.path("run/predictions.jsonl"))));

    let output = desk.retune(["inspect", "run"]);
    assert_done(&output);
    let said = text(&output.stdout);
    for part in ["bert", "negative, positive", "BertForSequenceClassification", "accuracy"] {
        assert!(said.contains(part), "no `{part}` in: {said}");
    }
}

#[test]
fn a_threshold_is_chosen_on_validation_kept_and_applied() {
    let desk = Desk::new();
    let more = ["--steps", "4", "--operating-point", "sensitivity:0.8", "--positive-class", "negative"];
    assert_done(&desk.finetune("run", &more));
    let metrics = json(desk.path("run/metrics.json"));
    let point = &metrics["operating_point"];
    assert_eq!((&point["positive_class"], &point["rule"]), (&"negative".into(), &"sensitivity:0.8".into()));
    assert!(point["validation"]["sensitivity"].as_f64().unwrap() >= 0.8);
    let threshold = point["threshold"].as_f64().unwrap() as f32;
    let predictions = json_lines(&read(desk.path("run/predictions.jsonl")));
    let reaches = |it: &serde_json::Value| it["scores"]["negative"].as_f64().unwrap() as f32 >= threshold;
    assert!(predictions.iter().all(|it| it["positive"] == reaches(it)), "{predictions:?}");
    let hits = predictions.iter().filter(|it| it["label"] == "negative" && it["positive"] == true).count();
    assert_eq!(point["test"]["true_positives"], hits);

    let output = desk.evaluate("run");
    assert_said(&output, 0, &["`negative` from a probability of"]);
    let found = &json_lines(&output.stdout)[0]["operating_point"];
    for key in ["sensitivity", "specificity", "precision", "true_positives", "false_positives", "intervals"] {
        assert_eq!(found[key], point["test"][key], "{key}");
    }
    assert_eq!(found["threshold"], point["threshold"]);
    let output = desk.feed(&["predict", "--model", "run", "--device", "cpu", "--precision", "fp32"], "a film\n");
    assert_done(&output);
    assert!(json_lines(&output.stdout)[0]["positive"].is_boolean());

    desk.refuses(&desk.arguments("no", &["--operating-point", "youden"]), &["youden", "sensitivity:X"]);
    desk.refuses(&desk.arguments("no", &["--positive-class", "nice"]), &["`nice`", "`negative`, `positive`"]);
    desk.refuses(&desk.arguments("no", &["--best-by", "r2"]), &["best-by: `r2`", "accuracy", "macro_f1"]);
}

#[test]
fn a_run_can_be_repeated_to_the_byte() {
    let desk = Desk::new();
    let weights = |run: &str| read(desk.path(run).join("model/model.safetensors"));
    assert_done(&desk.finetune("first", RUN));
    assert_done(&desk.finetune("second", RUN));
    assert!(weights("first") == weights("second"), "the same seed gave other weights");
    assert_done(&desk.retune(["finetune", "first/recipe.toml", "--output", "third"]));
    assert!(weights("first") == weights("third"), "the saved recipe gave other weights");
    assert_eq!(read(desk.path("first/predictions.jsonl")), read(desk.path("third/predictions.jsonl")));
    assert_done(&desk.retune(["finetune", "first/recipe.toml", "--output", "fourth", "--seed", "7"]));
    assert!(weights("first") != weights("fourth"), "another seed gave the same weights");
}

#[test]
fn a_used_folder_is_replaced_only_on_request() {
    let desk = Desk::new();
    assert_done(&desk.finetune("run", &["--steps", "2"]));
    desk.write("run/notes.txt", "mine");
    desk.refuses(&desk.arguments("run", &["--steps", "3"]), &["run", "--overwrite", "--resume"]);
    let output = desk.finetune("run", &["--steps", "3", "--overwrite"]);
    assert_done(&output);
    assert_eq!(json(desk.path("run/metrics.json"))["train"]["steps"], 3);
    assert_eq!(read(desk.path("run/notes.txt")), b"mine");
}

/// The rate of the first step is zero; those after it push activations (1e30) or weights (1e40) out of their range.
fn diverging<'a>(rate: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["--learning-rate", rate, "--clip", "0", "--warmup", "20", "--steps", "40"], more].concat()
}

#[test]
fn a_loss_that_is_not_a_number_stops_the_run_and_names_the_culprits() {
    let desk = Desk::new();
    for (rate, culprit) in
        [("1e30", "all weights are finite"), ("1e40", "first tensor with values that are not finite: `")]
    {
        let run = format!("run-{rate}");
        let output = desk.finetune(&run, &diverging(rate, &[]));
        assert_said(&output, 1, &["step ", " of 40", "train.csv:", "not ", "try a lower --learning-rate", culprit]);
        let said = text(&output.stderr);
        let line = said.split("train.csv:").nth(1).unwrap().split([',', ' ', ';']).next().unwrap();
        assert!((2..=161).contains(&line.parse::<u64>().unwrap()), "{said}");
        if let Some((_, tensor)) = said.split_once("not finite: `") {
            let name = tensor.split('`').next().unwrap();
            assert!(name.ends_with(".weight") || name.ends_with(".bias"), "{said}");
        }
        assert!(!desk.path(&run).join("metrics.json").exists());
    }
}

#[test]
fn a_run_that_diverges_keeps_its_last_good_checkpoint() {
    let desk = Desk::new();
    let output = desk.finetune("run", &diverging("1e30", &["--evaluate-every", "1"]));
    assert_said(&output, 1, &["not finite", "learning rate", "retune finetune run/recipe.toml --resume"]);
    let saved = checkpoints(&desk.path("run"));
    assert!(saved.last().is_some_and(|it| it.ends_with("step-00000001")), "{saved:?}");
    let output = desk.evaluate("run");
    assert_done(&output);
    assert!(json_lines(&output.stdout)[0]["metrics"]["loss"].is_number());
}

#[test]
fn lists_of_flags_are_labels_from_data_to_prediction() {
    let desk = Desk::new();
    let flags = |n: usize| format!("[{},{},{}]", n % 2, n / 2 % 2, n / 4 % 2);
    let rows: String = (0..24).map(|n| format!("{{\"text\":\"film {n}\",\"label\":{}}}\n", flags(n))).collect();
    desk.write("lists.jsonl", &rows);
    let data = ["--train", "lists.jsonl", "--validation", "lists.jsonl", "--test", "lists.jsonl", "--steps", "1"];
    assert_done(&desk.finetune("run", &data));
    let config = json(desk.path("run/model/config.json"));
    assert_eq!(config["problem_type"], "multi_label_classification");
    assert_eq!(config["id2label"], serde_json::json!({"0": "0", "1": "1", "2": "2"}));
    let model = ["--model", "run", "--device", "cpu", "--threads", "1"];
    let evaluate = |file: &str| desk.retune([&["evaluate", "--data", file][..], &model].concat());
    assert_done(&evaluate("lists.jsonl"));
    desk.write("short.jsonl", "{\"text\":\"film\",\"label\":[0,1]}\n");
    assert_said(&evaluate("short.jsonl"), 2, &["short.jsonl:1", "`label`", "a list of 2 where 3 entries"]);
    // Its labels are the names for other lists of as many.
    let mut named = config.clone();
    named["id2label"] = serde_json::json!({"0": "joy", "1": "fear", "2": "anger"});
    named["label2id"] = serde_json::json!({"joy": 0, "fear": 1, "anger": 2});
    fs::write(desk.path("run/model/config.json"), named.to_string()).unwrap();
    let again = [&data[..], &["--model", "run/model"]].concat();
    assert_done(&desk.finetune("again", &again));
    assert_eq!(json(desk.path("again/model/config.json"))["id2label"], named["id2label"]);
}
