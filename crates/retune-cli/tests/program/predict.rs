//! Prediction as a part of a pipe, and models that do not say what they do.

use crate::support::{Desk, assert_done, assert_said, fixture, json_lines, text};
use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;

const PREDICT: [&str; 7] = ["predict", "--model", "run", "--device", "cpu", "--threads", "1"];

#[test]
fn every_line_has_its_answer_also_a_blank_one() {
    let desk = Desk::new();
    assert_done(&desk.finetune("run", &["--steps", "1"]));
    let output = desk.feed(&PREDICT, "\nfine film\n\n\nbad film\n");
    assert_done(&output);
    assert!(output.stderr.is_empty(), "no progress where nobody looks: {}", text(&output.stderr));
    let texts: Vec<String> = json_lines(&output.stdout).iter().map(|it| it["text"].as_str().unwrap().into()).collect();
    assert_eq!(texts, ["", "fine film", "", "", "bad film"]);
    let objects = "{\"text\": \"fine film\"}\n\n{\"text\": \"bad film\"}\n";
    let output = desk.feed(&PREDICT, objects);
    assert_done(&output);
    assert_eq!(json_lines(&output.stdout).len(), 2);
    // A row that cannot be used is named by its line, also in a later part.
    let late = [&PREDICT[..], &["--batch-size", "1"]].concat();
    let output = desk.feed(&late, "fine film\n\n{\"txt\": 1}\n");
    assert_said(&output, 2, &["standard input:3", "`text`", "`txt`"]);
    assert_eq!(json_lines(&output.stdout).len(), 2);
}

#[test]
fn a_model_carries_its_recipe_and_takes_no_other() {
    let desk = Desk::new();
    for name in ["train.csv", "validation.csv"] {
        let data = std::fs::read_to_string(desk.path(name)).unwrap();
        desk.write(name, &data.replacen("text,", "sentence,", 1));
    }
    assert_done(&desk.finetune("run", &["--steps", "1", "--text-column", "sentence", "--test", "validation.csv"]));
    // The model moves away from its run, to where another recipe lies around.
    std::fs::rename(desk.path("run/model"), desk.path("moved")).unwrap();
    desk.write("recipe.toml", "text-column = \"elsewhere\"\n");
    let predict = ["predict", "--model", "moved", "--device", "cpu", "--input", "validation.csv"];
    let output = desk.retune(predict);
    assert_done(&output);
    assert_eq!(json_lines(&output.stdout).len(), 40);
    desk.write("moved/recipe.toml", "text-column = 1\n");
    assert_said(&desk.retune(predict), 2, &["moved/recipe.toml", "text-column", "move it away"]);
}

#[test]
fn files_to_predict_may_have_any_labels_and_empty_texts() {
    let desk = Desk::new();
    assert_done(&desk.finetune("run", &["--steps", "1"]));
    desk.write("new.csv", "text,label\nfine film,splendid\n,\n");
    let output = desk.retune([&PREDICT[..], &["--input", "new.csv"]].concat());
    assert_said(&output, 0, &["new.csv: 1 text is empty, at line 3"]);
    let answers = json_lines(&output.stdout);
    assert_eq!((answers[0]["label"].as_str(), answers[1]["text"].as_str()), (Some("splendid"), Some("")));
    assert!(answers.iter().all(|answer| answer["prediction"].is_string()));
    let output = desk.feed(&PREDICT, "{\"text\": \"\", \"label\": {\"odd\": 1}}\n");
    assert_done(&output);
    assert_eq!(json_lines(&output.stdout).len(), 1);
}

#[test]
fn rows_that_cannot_be_used_are_left_out_on_demand() {
    let desk = Desk::new();
    let rows: String = (0..20).map(|n| format!("{{\"text\": \"film {n}\", \"label\": \"{}\"}}\n", n % 2)).collect();
    desk.write("train.jsonl", &format!("{rows}{{\"text\": null, \"label\": \"1\"}}\n"));
    let train = ["--train", "train.jsonl", "--validation", "train.jsonl", "--test", "train.jsonl", "--steps", "1"];
    desk.refuses(&desk.arguments("run", &train), &["train.jsonl:21", "`text`", "has no text"]);
    let output = desk.finetune("run", &[&train[..], &["--on-bad-example", "skip"]].concat());
    let left_out = "1 of 21 examples cannot be used and are left out:";
    assert_said(&output, 0, &[left_out, "train.jsonl:21: column `text`: has no text"]);
    // As in training, unless said otherwise.
    let evaluate = ["evaluate", "--model", "run", "--data", "train.jsonl", "--device", "cpu", "--threads", "1"];
    let output = desk.retune(evaluate);
    assert_done(&output);
    assert!(text(&output.stdout).contains(left_out), "{}", text(&output.stdout));
    assert_said(&desk.retune([&evaluate[..], &["--on-bad-example", "fail"]].concat()), 2, &["train.jsonl:21"]);
    let lines = "{\"text\": \"a\"}\n{\"text\": null}\n{\"text\": \"b\"}\n";
    let output = desk.feed(&PREDICT, lines);
    assert_done(&output);
    // Every line has its answer.
    let answers = json_lines(&output.stdout);
    assert_eq!((answers.len(), answers[1]["line"].as_u64()), (3, Some(2)));
    assert!(answers[1]["error"].as_str().unwrap().starts_with("column `text`: has no text"), "{}", answers[1]);
    assert!(answers[1].get("prediction").is_none() && answers[2]["text"] == "b");
}

/// Batches of several lengths, an odd number of them, and a last one that is alone.
#[test]
fn two_lanes_answer_what_one_thread_does() {
    let desk = Desk::new();
    assert_done(&desk.finetune("run", &["--steps", "1"]));
    let lines: String = (0..39).map(|n| format!("film {n}{}\n", " fine".repeat(n % 7))).collect();
    let answer = |threads: &str| {
        let flags = ["predict", "--model", "run", "--device", "cpu", "--precision", "fp32", "--batch-size", "3"];
        let output = desk.feed(&[&flags[..], &["--threads", threads]].concat(), &lines);
        assert_done(&output);
        text(&output.stdout)
    };
    assert_eq!(answer("1"), answer("2"));
}

#[test]
fn a_reader_that_leaves_ends_the_program_quietly() {
    let desk = Desk::new();
    assert_done(&desk.finetune("run", &["--steps", "1"]));
    let mut command = desk.command(PREDICT.iter().chain(&["--batch-size", "1"]));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    input.write_all(b"fine film\n").unwrap();
    let mut answer = String::new();
    output.read_line(&mut answer).unwrap();
    assert!(answer.starts_with('{') && answer.ends_with("}\n"), "an answer before the input ends: {answer}");
    drop(output);
    // The program notices with its next answer, and may be gone before all is written.
    while child.try_wait().unwrap().is_none() {
        let _ = input.write_all(b"bad film\n");
    }
    let status = child.wait_with_output().unwrap();
    assert_said(&status, 0, &[]);
    assert_eq!(text(&status.stderr), "");
}

#[test]
fn a_model_that_does_not_say_its_task() {
    let desk = Desk::new();
    let base = fixture("parity/bert-base-only");
    let base = base.to_str().unwrap();
    let output = desk.feed(&["predict", "--model", base, "--device", "cpu"], "hello\n");
    assert_said(&output, 2, &["BertModel", "--task"]);
    let output =
        desk.feed(&["predict", "--model", base, "--device", "cpu", "--task", "text-classification"], "hello\n");
    assert_said(&output, 2, &["classifier"]);
    let output = desk.retune(["inspect", base]);
    assert_done(&output);
    assert!(text(&output.stdout).contains("task         text-classification"), "{}", text(&output.stdout));
    let output = desk.retune(["inspect", base, "--task", "telepathy"]);
    assert_said(&output, 2, &["telepathy", "text-classification"]);
}

#[test]
fn raw_outputs_for_a_named_task() {
    let desk = Desk::new();
    let case = fixture("parity/bert-sequence-classification");
    let header = "{\"input_ids\":{\"dtype\":\"I64\",\"shape\":[1,3],\"data_offsets\":[0,24]}}";
    let ids = [5i64, 7, 9].map(i64::to_le_bytes).concat();
    let file = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &ids].concat();
    std::fs::write(desk.path("in.safetensors"), file).unwrap();
    let forward = |task: &[&str]| {
        let files = ["--inputs", "in.safetensors", "--outputs", "out.safetensors", "--device", "cpu"];
        let model = ["forward", "--model", case.to_str().unwrap()];
        desk.retune([&model[..], &files, task].concat())
    };
    assert_done(&forward(&[]));
    let own = crate::support::tensors(desk.path("out.safetensors"));
    assert!(own.contains_key("logits") && own.contains_key("last_hidden_state"), "{:?}", own.keys());
    assert_done(&forward(&["--task", "text-classification"]));
    assert_eq!(crate::support::tensors(desk.path("out.safetensors")), own);
    assert_said(&forward(&["--task", "telepathy"]), 2, &["telepathy"]);
}
