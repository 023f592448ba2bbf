//! Texts that are compared, through the program: scores, labels, texts that belong together, and vectors alone.

use crate::support::{Desk, assert_done, assert_said, json, json_lines, model, read, tensors, text};
use std::fs;

/// Sentences of two kinds: those of one kind share words.
fn sentence(kind: usize, i: usize) -> String {
    let words = [["film", "actor", "story", "scene"], ["food", "table", "price", "place"]][kind % 2];
    format!("the {} and the {} of the {} {i}", words[i % 4], words[(i / 4) % 4], words[(i / 3) % 4])
}

/// Pairs of which every other is of one kind.
fn pairs(desk: &Desk, name: &str, head: &str, from: usize, count: usize, alike: [&str; 2]) {
    let line = |i: usize| {
        let other = i % 2;
        format!("{},{},{}\n", sentence(i / 2, i), sentence(i / 2 + other, i + 7), alike[other])
    };
    desk.write(name, &format!("{head}\n{}", (from..from + count).map(line).collect::<String>()));
}

fn desk(head: &str, alike: [&str; 2]) -> Desk {
    let desk = Desk::new();
    pairs(&desk, "train.csv", head, 0, 96, alike);
    pairs(&desk, "validation.csv", head, 96, 32, alike);
    pairs(&desk, "test.csv", head, 128, 32, alike);
    desk
}

const RUN: &[&str] = &["--task", "sentence-similarity", "--epochs", "3", "--learning-rate", "1e-3"];

fn run(desk: &Desk, output: &str, more: &[&str]) -> std::process::Output {
    desk.finetune(output, &[RUN, more].concat())
}

#[test]
fn scores_are_learnt_and_saved_as_sentence_transformers_reads_them() {
    let desk = desk("sentence1,sentence2,score", ["5", "0.5"]);
    let output = run(&desk, "run", &["--pooling", "max"]);
    assert_said(&output, 0, &["from 0 to 5, are mapped to cosines from 0 to 1", "vectors: max of tokens"]);
    let metrics = json(desk.path("run/metrics.json"));
    assert_eq!(metrics["best"]["metric"], "spearman");
    assert!(metrics["test"]["spearman"].as_f64().unwrap() > 0.5, "{metrics}");
    assert!(metrics["baselines"]["words in common (TF-IDF cosine)"]["pearson"].is_number());
    let modules = json(desk.path("run/model/modules.json"));
    assert_eq!(modules[1]["type"], "sentence_transformers.models.Pooling");
    assert_eq!(modules.as_array().unwrap().len(), 2);
    let pooling = json(desk.path("run/model/1_Pooling/config.json"));
    assert_eq!((&pooling["pooling_mode_max_tokens"], &pooling["word_embedding_dimension"]), (&true.into(), &32.into()));
    assert_eq!(json(desk.path("run/model/config.json"))["architectures"][0], "BertModel");
    assert!(tensors(desk.path("run/model/model.safetensors")).contains_key("bert.pooler.dense.weight"));
    let output = desk.evaluate("run");
    assert_done(&output);
    let again = &json_lines(&output.stdout)[0]["metrics"];
    assert!((again["spearman"].as_f64().unwrap() - metrics["test"]["spearman"].as_f64().unwrap()).abs() < 1e-9);
    // Without its recipe the folder alone says what it is.
    fs::remove_file(desk.path("run/model/recipe.toml")).unwrap();
    fs::rename(desk.path("run/model"), desk.path("alone")).unwrap();
    let output = desk.evaluate("alone");
    assert_done(&output);
    assert_eq!(json_lines(&output.stdout)[0]["metrics"]["spearman"], again["spearman"]);
    let line = "{\"sentence1\": \"the film\", \"sentence2\": \"the film\"}\n";
    let output = desk.feed(&["predict", "--model", "alone", "--device", "cpu"], line);
    assert_done(&output);
    assert!((json_lines(&output.stdout)[0]["score"].as_f64().unwrap() - 1.0).abs() < 1e-5);
}

#[test]
fn labels_choose_a_threshold_that_is_kept() {
    let desk = desk("sentence1,sentence2,label", ["1", "0"]);
    assert_done(&run(&desk, "run", &[]));
    let metrics = json(desk.path("run/metrics.json"));
    assert_eq!(metrics["best"]["metric"], "auprc");
    assert!(metrics["test"]["accuracy"].as_f64().unwrap() > 0.7, "{metrics}");
    assert!(metrics["similarity_threshold"]["threshold"].is_number(), "{metrics}");
    let output = desk.evaluate("run");
    assert_done(&output);
    assert_eq!(json_lines(&output.stdout)[0]["metrics"]["accuracy"], metrics["test"]["accuracy"]);
}

#[test]
fn texts_that_belong_together_are_found_among_others() {
    let desk = Desk::new();
    for (name, from, count) in [("train.csv", 0, 96), ("validation.csv", 96, 24), ("test.csv", 120, 24)] {
        let line = |i: usize| format!("{},{},{}\n", sentence(i, i), sentence(i, i + 1), sentence(i + 1, i));
        desk.write(name, &format!("anchor,positive,negative\n{}", (from..from + count).map(line).collect::<String>()));
    }
    let output = run(&desk, "run", &["--gradient-accumulation", "2"]);
    assert_said(&output, 0, &["texts that belong together", "and the third texts"]);
    let metrics = json(desk.path("run/metrics.json"));
    for key in ["mrr", "recall_at_1", "recall_at_5", "recall_at_10"] {
        assert!((0.0..=1.0).contains(&metrics["test"][key].as_f64().unwrap()), "{metrics}");
    }
    assert!(metrics["intervals"]["test"]["mrr"].is_array(), "{metrics}");
    let lines = json_lines(&read(desk.path("run/predictions.jsonl")));
    assert!(lines[0]["anchor"].is_string() && lines[0]["score"].is_number());
    let line = "{\"anchor\": \"a\", \"positive\": \"b\"}\n";
    assert_done(&desk.feed(&["predict", "--model", "run", "--device", "cpu"], line));
}

#[test]
fn vectors_are_written_as_lines_arrays_and_tensors() {
    let desk = Desk::new();
    desk.write("texts.csv", "text\nthe film\nfood and a table\n");
    let base = model();
    let base = base.to_str().unwrap();
    let embed = |output: &str| {
        let files = ["--input", "texts.csv", "--output", output, "--device", "cpu"];
        let output = desk.retune(["embed", "--model", base].into_iter().chain(files));
        assert_said(&output, 0, &["2 embeddings"]);
    };
    embed("a.jsonl");
    let lines = json_lines(&read(desk.path("a.jsonl")));
    assert_eq!((&lines[1]["text"], lines[1]["embedding"].as_array().unwrap().len()), (&"food and a table".into(), 32));
    let numbers: Vec<f32> = lines
        .iter()
        .flat_map(|line| line["embedding"].as_array().unwrap())
        .map(|it| it.as_f64().unwrap() as f32)
        .collect();
    embed("a.npy");
    let bytes = read(desk.path("a.npy"));
    assert!(bytes.starts_with(b"\x93NUMPY") && text(&bytes[10..128]).contains("(2, 32)"));
    let of_bytes =
        |bytes: &[u8]| -> Vec<f32> { bytes.chunks(4).map(|it| f32::from_le_bytes(it.try_into().unwrap())).collect() };
    assert_eq!(of_bytes(&bytes[128..]), numbers);
    embed("a.safetensors");
    assert_eq!(of_bytes(&tensors(desk.path("a.safetensors"))["embeddings"]), numbers);
    // Alone or beside longer ones, a text has one vector.
    let output = desk.feed(&["embed", "--model", base, "--device", "cpu", "--batch-size", "1"], "the film\n");
    assert_said(&output, 0, &["says nothing of vectors of texts; they are mean"]);
    let alone = json_lines(&output.stdout)[0]["embedding"][0].as_f64().unwrap();
    assert!((alone - f64::from(numbers[0])).abs() < 1e-5);
}

#[test]
fn what_cannot_be_compared_is_refused() {
    let desk = desk("sentence1,sentence2,score", ["5", "0.5"]);
    desk.write("odd.csv", "sentence1,sentence2,score\na,b,700\nc,d,2\n");
    desk.write("words.csv", "sentence1,sentence2,label\na,b,yes\nc,d,1\n");
    desk.write("half.csv", "sentence1,label\na,1\n");
    let refused = |more: &[&str], parts: &[&str]| desk.refuses(&desk.arguments("run", &[RUN, more].concat()), parts);
    refused(&["--train", "odd.csv"], &["score-range: scores go from 2 to 700"]);
    refused(&["--train", "odd.csv", "--score-range", "0:5"], &["odd.csv:2", "is 700, not between 0 and 5"]);
    refused(&["--train", "words.csv", "--validation", "words.csv", "--test", "words.csv"], &["words.csv:2", "yes"]);
    refused(&["--train", "half.csv"], &["no column `sentence2`", "--second-column"]);
    refused(&["--problem", "regression"], &["problem: sentence-similarity does not read it"]);
    refused(&["--score-range", "5:0"], &["score-range"]);
    refused(&["--text-column", "a"], &["has no column of texts"]);
}
