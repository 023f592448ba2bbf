//! Every method and every kind of label, from data to a saved model that is used again.

use crate::support::{Desk, assert_done, assert_said, json, json_lines, model, read, tensors, text};
use std::collections::BTreeSet;
use std::fmt::Write;

/// Trains with a method, reloads what it saved, and expects the metrics of the run.
fn trains_and_reloads(desk: &Desk, method: &str) {
    let run = format!("run-{}", method.replace(':', "-"));
    let output = desk.finetune(&run, &["--method", method, "--steps", "12", "--learning-rate", "5e-3"]);
    assert_done(&output);
    let metrics = json(desk.path(&run).join("metrics.json"));
    assert_eq!(metrics["method"], method);
    let train = &metrics["train"];
    assert!(train["trainable_parameters"].as_u64() < train["total_parameters"].as_u64(), "{method}: {train}");
    assert_eq!(score(desk, &run, "accuracy"), metrics["test"]["accuracy"], "{method}");
}

fn score(desk: &Desk, run: &str, metric: &str) -> serde_json::Value {
    let output = desk.evaluate(run);
    assert_done(&output);
    json_lines(&output.stdout)[0]["metrics"][metric].clone()
}

/// Names of the base model's tensors that a run changed, as the saved model calls them.
fn changed(desk: &Desk, run: &str) -> BTreeSet<String> {
    let base = tensors(model().join("model.safetensors"));
    let saved = tensors(desk.path(run).join("model/model.safetensors"));
    let name = |name: &str| format!("bert.{}", name.trim_start_matches("bert."));
    base.iter().filter(|(key, bytes)| saved[&name(key)] != **bytes).map(|(key, _)| name(key)).collect()
}

#[test]
fn head_leaves_the_encoder_as_it_was() {
    let desk = Desk::new();
    trains_and_reloads(&desk, "head");
    let changed = changed(&desk, "run-head");
    // BERT's pooler belongs to the head only where the checkpoint has none.
    assert!(changed.is_empty(), "{changed:?}");
    assert!(tensors(desk.path("run-head/model/model.safetensors")).contains_key("classifier.weight"));
}

#[test]
fn last_one_changes_the_last_block_only() {
    let desk = Desk::new();
    trains_and_reloads(&desk, "last:1");
    let changed = changed(&desk, "run-last-1");
    assert!(changed.contains("bert.encoder.layer.1.output.dense.weight"), "{changed:?}");
    let below = |name: &&String| name.contains(".layer.0.") || name.contains(".embeddings.");
    assert_eq!(changed.iter().find(below), None);
}

#[test]
fn bitfit_changes_biases_only() {
    let desk = Desk::new();
    trains_and_reloads(&desk, "bitfit");
    let changed = changed(&desk, "run-bitfit");
    assert!(changed.contains("bert.encoder.layer.0.intermediate.dense.bias"), "{changed:?}");
    assert_eq!(changed.iter().find(|name| !name.ends_with(".bias")), None);
}

#[test]
fn lora_saves_an_adapter_as_peft_does() {
    let desk = Desk::new();
    trains_and_reloads(&desk, "lora");
    let folder = desk.path("run-lora/model");
    assert!(!folder.join("model.safetensors").exists(), "an adapter without a second copy of its base");
    let config = json(folder.join("adapter_config.json"));
    assert_eq!(config["peft_type"], "LORA");
    assert_eq!(config["r"], 8);
    let names: Vec<String> = tensors(folder.join("adapter_model.safetensors")).into_keys().collect();
    assert!(names.iter().all(|name| name.starts_with("base_model.model.")), "{names:?}");
    assert!(names.iter().any(|name| name.ends_with("query.lora_A.weight")), "{names:?}");
    assert!(names.iter().any(|name| name.contains("classifier")), "the head belongs to the adapter: {names:?}");
    let said = text(&desk.retune(["inspect", "run-lora"]).stdout);
    assert!(said.contains("LoRA rank 8, alpha 16"), "{said}");
}

#[test]
fn checkpointed_gradients_train_the_same_weights() {
    let desk = Desk::new();
    let more = ["--steps", "5", "--gradient-accumulation", "2", "--dropout", "0.1"];
    assert_done(&desk.finetune("kept", &more));
    assert_done(&desk.finetune("again", &[&more[..], &["--gradient-checkpointing"]].concat()));
    let weights = |run: &str| read(desk.path(run).join("model/model.safetensors"));
    assert!(weights("kept") == weights("again"), "the weights differ");
}

#[test]
fn several_labels_per_text() {
    let desk = Desk::new();
    let mut rows = "text,label\n".to_owned();
    for i in 0..60 {
        let (a, b) = (i % 2 == 0, i % 3 == 0);
        let words = [(a, "great film"), (b, "bad food")].map(|(on, it)| if on { it } else { "so" });
        let labels = [(a, "film"), (b, "food")].iter().filter(|it| it.0).map(|it| it.1).collect::<Vec<_>>().join("|");
        writeln!(rows, "{} number {i},{labels}", words.join(" ")).unwrap();
    }
    for file in ["train.csv", "validation.csv", "test.csv"] {
        desk.write(file, &rows);
    }
    assert_done(&desk.finetune("run", &["--label-separator", "|", "--problem", "multi-label", "--steps", "6"]));
    let metrics = json(desk.path("run/metrics.json"));
    assert_eq!(score(&desk, "run", "micro_f1"), metrics["test"]["micro_f1"]);
    assert_eq!(json(desk.path("run/model/config.json"))["problem_type"], "multi_label_classification");
    let predictions = json_lines(&read(desk.path("run/predictions.jsonl")));
    assert!(
        predictions.len() == 60 && predictions.iter().all(|it| it["prediction"].is_array()),
        "{:?}",
        predictions[0]
    );
}

#[test]
fn a_number_per_text() {
    let desk = Desk::new();
    let mut rows = "text,label\n".to_owned();
    (0..60).for_each(|i| {
        writeln!(rows, "{} the food number {i},{}", "good ".repeat(i % 5), (i % 5) as f64 / 2.0 + 0.25).unwrap()
    });
    for file in ["train.csv", "validation.csv", "test.csv"] {
        desk.write(file, &rows);
    }
    assert_done(&desk.finetune("run", &["--steps", "60", "--learning-rate", "1e-3"]));
    let metrics = json(desk.path("run/metrics.json"));
    for metric in ["pearson", "spearman", "rmse", "mae", "r2"] {
        assert!(metrics["test"][metric].is_number(), "{metric}: {metrics}");
    }
    assert_eq!(score(&desk, "run", "rmse"), metrics["test"]["rmse"]);
    assert!(metrics["test"]["pearson"].as_f64().unwrap() > 0.5, "{metrics}");
    assert_eq!(json(desk.path("run/model/config.json"))["problem_type"], "regression");
}

#[test]
fn two_texts_per_row() {
    let desk = Desk::new();
    let mut rows = "text,second,label\n".to_owned();
    for i in 0..60 {
        let second = if i % 2 == 0 { "good" } else { "terrible" };
        writeln!(rows, "the food was good {i},it was {second},{}", ["same", "other"][i % 2]).unwrap();
    }
    for file in ["train.csv", "validation.csv", "test.csv"] {
        desk.write(file, &rows);
    }
    let more = ["--text-pair-column", "second", "--steps", "40", "--learning-rate", "5e-3"];
    assert_done(&desk.finetune("run", &more));
    let metrics = json(desk.path("run/metrics.json"));
    assert_eq!(score(&desk, "run", "accuracy"), metrics["test"]["accuracy"]);
    // The label lies in the second text alone.
    assert!(metrics["test"]["accuracy"].as_f64().unwrap() > 0.9, "{metrics}");
}

#[test]
fn accumulated_batches_follow_one_large_batch() {
    let desk = Desk::new();
    // Texts of one length: bucketing has nothing to sort by. Windows are compared only if they hold the same rows.
    let mut rows = "text,label\n".to_owned();
    (0..64).for_each(|i| writeln!(rows, "{} food,{}", ["good", "bad"][i % 2], ["yes", "no"][i % 2]).unwrap());
    for file in ["train.csv", "validation.csv", "test.csv"] {
        desk.write(file, &rows);
    }
    let losses = |run: &str, batch: &str, accumulation: &str, precision: &str| {
        let more = ["--batch-size", batch, "--gradient-accumulation", accumulation, "--dropout", "0", "--steps", "16"];
        let more = [&more[..], &["--precision", precision, "--learning-rate", "2e-3"]].concat();
        assert_done(&desk.finetune(run, &more));
        let log = json_lines(&read(desk.path(run).join("log.jsonl")));
        let steps = log.into_iter().filter(|it| it.get("evaluation").is_none());
        steps.map(|it| it["loss"].as_f64().unwrap()).collect::<Vec<_>>()
    };
    for (precision, tolerance) in [("fp32", 1e-4), ("bf16", 0.02)] {
        let whole = losses(&format!("whole-{precision}"), "64", "1", precision);
        let split = losses(&format!("split-{precision}"), "16", "4", precision);
        assert_eq!(whole.len(), 16);
        for (step, (a, b)) in whole.iter().zip(&split).enumerate() {
            assert!((a - b).abs() < tolerance, "{precision}, step {}: {a} and {b}", step + 1);
        }
        assert!(whole[15] < 0.5 * whole[0], "{precision}: {whole:?} {split:?}");
    }
}

/// With several epochs, what frozen blocks return is computed once; with a single one it is not.
#[test]
fn kept_features_train_as_the_frozen_blocks_do() {
    let desk = Desk::new();
    for method in ["head", "last:1"] {
        let losses = |run: &str, epochs: &str| {
            let more = ["--method", method, "--epochs", epochs, "--schedule", "constant", "--warmup", "0"];
            assert_done(&desk.finetune(run, &[&more[..], &["--batch-size", "16", "--precision", "fp32"]].concat()));
            let log = json_lines(&read(desk.path(run).join("log.jsonl")));
            let evaluated = log.iter().find(|it| it.get("evaluation").is_some()).unwrap()["loss"].as_f64().unwrap();
            let steps = log.iter().filter(|it| it.get("evaluation").is_none());
            let steps: Vec<f64> = steps.map(|it| it["loss"].as_f64().unwrap()).collect();
            std::fs::remove_dir_all(desk.path(run)).unwrap();
            (steps, evaluated)
        };
        let (computed, first) = losses("once", "1");
        let (kept, again) = losses("kept", "3");
        assert_eq!((computed.len(), kept.len()), (10, 30));
        for (step, (a, b)) in computed.iter().zip(&kept).enumerate() {
            assert!((a - b).abs() < 1e-5, "{method}, step {}: {a} and {b}", step + 1);
        }
        assert!((first - again).abs() < 1e-5, "{method}: validation {first} and {again}");
    }
}

#[test]
fn batches_by_tokens_are_as_many_and_alike() {
    let desk = Desk::new();
    let steps = |by: &str| {
        assert_done(&desk.finetune(by, &["--batch-by", by, "--epochs", "1", "--batch-size", "8"]));
        let log = json_lines(&read(desk.path(by).join("log.jsonl")));
        let steps = log.into_iter().filter(|it| it.get("evaluation").is_none());
        steps.map(|it| (it["examples"].as_u64().unwrap(), it["tokens"].as_u64().unwrap())).collect::<Vec<_>>()
    };
    let (examples, tokens) = (steps("examples"), steps("tokens"));
    assert_eq!((examples.len(), tokens.len()), (20, 20));
    assert_eq!(tokens.iter().map(|it| it.0).sum::<u64>(), 160);
    let most = |steps: &[(u64, u64)]| steps.iter().map(|it| it.1).max().unwrap();
    assert!(most(&tokens) * 5 < most(&examples) * 4, "{} and {}", most(&tokens), most(&examples));
    assert_said(
        &desk.finetune("odd", &["--batch-by", "words"]),
        2,
        &["batch-by: `words` is not one of examples, tokens"],
    );
}
