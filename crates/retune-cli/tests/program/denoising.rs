//! Denoising through the program: an encoder–decoder from nothing learns to write again what is taken out, and then to translate.

use crate::support::{Desk, assert_done, assert_said, json, json_lines, read, tensors};
use std::fs;

const RUN: &[&str] =
    &["--task", "denoising", "--train", "train.txt", "--block-size", "24", "--epochs", "2", "--learning-rate", "3e-3"];

fn desk() -> Desk {
    let desk = Desk::new();
    let text = fs::read_to_string(desk.path("train.csv")).unwrap();
    let lines = text.lines().skip(1).map(|line| format!("{}\n", line.rsplit_once(',').map_or(line, |it| it.0)));
    desk.write("train.txt", &lines.collect::<String>());
    desk
}

#[test]
fn pieces_are_written_again_and_the_model_goes_on_to_other_texts() {
    let desk = desk();
    let fresh = [
        "--from-scratch",
        "--config",
        "bart:tiny",
        "--vocabulary",
        "300",
        "--validation",
        "train.txt",
        "--test",
        "train.txt",
    ];
    let run = |output: &str, more: &[&str]| {
        desk.retune(
            [&["finetune", "--output", output, "--device", "cpu", "--precision", "fp32"], RUN, &fresh, more].concat(),
        )
    };
    assert_done(&run("run", &[]));
    let metrics = json(desk.path("run/metrics.json"));
    let value = |of: &serde_json::Value| of["perplexity"].as_f64().unwrap();
    assert_eq!(metrics["best"]["metric"], "perplexity");
    let guess = value(&metrics["baselines"]["frequencies of words"]);
    assert!(value(&metrics["test"]) < guess, "{metrics}");
    let lines = json_lines(&read(desk.path("run/predictions.jsonl")));
    assert!(lines.iter().all(|line| line["tokens"].as_u64().unwrap() > 0), "{lines:?}");
    // The same pieces are taken out whenever a split is measured.
    let output =
        desk.retune(["evaluate", "--model", "run", "--data", "train.txt", "--device", "cpu", "--precision", "fp32"]);
    assert_done(&output);
    let again = value(&json_lines(&output.stdout)[0]["metrics"]);
    assert!((again - value(&metrics["test"])).abs() < 1e-5 * again, "{again}");
    // Two runs are one.
    assert_done(&run("again", &[]));
    let weights = |name: &str| tensors(desk.path(name).join("model/model.safetensors"));
    assert!(weights("run") == weights("again"));
    let predict = ["predict", "--model", "run", "--max-new-tokens", "4", "--device", "cpu", "--precision", "fp32"];
    let output = desk.feed(&predict, "the <mask> was good\n");
    assert_done(&output);
    assert!(json_lines(&output.stdout)[0]["prediction"].is_string());

    // It begins another task as any checkpoint does.
    desk.write("pairs.csv", "source,target\na good film,ein guter film\na bad film,ein mieser film\n");
    let translate = [
        "finetune",
        "--task",
        "translation",
        "--model",
        "run/model",
        "--train",
        "pairs.csv",
        "--validation",
        "pairs.csv",
    ];
    let more = ["--steps", "1", "--max-new-tokens", "3", "--output", "pairs", "--device", "cpu", "--precision", "fp32"];
    assert_done(&desk.retune([&translate[..], &more].concat()));
}

#[test]
fn noise_needs_tokens_that_stand_for_it() {
    let desk = desk();
    let fresh = ["--from-scratch", "--config", "bart:tiny", "--vocabulary", "300"];
    let output = desk.retune([&["finetune", "--output", "run", "--noise", "spans"], RUN, &fresh].concat());
    assert_said(&output, 2, &["noise", "has no sentinels"]);
    assert!(!desk.path("run").exists());
}
