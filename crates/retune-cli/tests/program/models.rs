//! The model a run starts from: what its labels say, where it comes from, and that it stays the same model.

use crate::support::{Desk, assert_done, assert_said, fixture, json, json_lines, model, read, tensors, text};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// A classifier of three classes called as told.
fn classifier(desk: &Desk, name: &str, labels: [&str; 3]) -> String {
    let folder = desk.path(name);
    copy(&fixture("parity/bert-sequence-classification"), &folder);
    let mut config = json(folder.join("config.json"));
    config["id2label"] = json!({"0": labels[0], "1": labels[1], "2": labels[2]});
    config["label2id"] = json!({labels[0]: 0, labels[1]: 1, labels[2]: 2});
    fs::write(folder.join("config.json"), config.to_string()).unwrap();
    name.to_owned()
}

/// A model in the cache of the hub, at a commit that `main` stands at.
fn cached(desk: &Desk, commit: &str) -> PathBuf {
    let place = desk.path("hub/hub/models--org--tiny");
    let snapshot = place.join("snapshots").join(commit);
    copy(&model(), &snapshot);
    fs::create_dir_all(place.join("refs")).unwrap();
    fs::write(place.join("refs/main"), commit).unwrap();
    snapshot
}

fn shift(file: &Path) {
    let mut bytes = read(file);
    let last = bytes.len() - 1;
    // The exponent of the last number.
    bytes[last] ^= 1;
    fs::write(file, bytes).unwrap();
}

fn said(model: &str, desk: &Desk) -> Vec<Value> {
    let texts = "good food\nterrible service\nso so\nnever again\nI loved it\n";
    let output = desk.feed(&["predict", "--model", model, "--device", "cpu", "--precision", "fp32"], texts);
    assert_done(&output);
    json_lines(&output.stdout)
}

#[test]
fn a_head_goes_on_meaning_what_it_meant() {
    let desk = Desk::new();
    let rows = ["good,positive", "so so,neutral", "bad,negative"].map(|row| format!("{row}\n").repeat(8)).concat();
    for file in ["train.csv", "validation.csv", "test.csv"] {
        desk.write(file, &format!("text,label\n{rows}"));
    }
    let tune = |name: &str| {
        let output = format!("run-{name}");
        let more = ["--model", name, "--steps", "1", "--learning-rate", "1e-9"];
        desk.finetune(&output, &more)
    };
    // The data has the same labels, which sorted by name stand in another order.
    let same = classifier(&desk, "same", ["POSITIVE", "NEUTRAL", "NEGATIVE"]);
    let output = tune(&same);
    assert_said(&output, 0, &["labels are numbered as in the model: positive, neutral, negative"]);
    assert!(!text(&output.stderr).contains(" new ("), "{}", text(&output.stderr));
    let (before, after) = (said(&same, &desk), said("run-same", &desk));
    for (before, after) in before.iter().zip(&after) {
        assert_eq!(before["prediction"].as_str().unwrap().to_lowercase(), after["prediction"], "{before} {after}");
    }
    assert!(before.iter().any(|it| it["prediction"] != "NEUTRAL"), "predictions that tell the order: {before:?}");

    let unnamed = classifier(&desk, "unnamed", ["LABEL_0", "LABEL_1", "LABEL_2"]);
    assert_said(&tune(&unnamed), 0, &["its head is kept", "negative, neutral, positive"]);
    let other = classifier(&desk, "other", ["ham", "spam", "eggs"]);
    assert_said(&tune(&other), 0, &["2 new (its labels are ham, spam, eggs", "classifier.weight"]);
}

#[test]
fn a_hub_model_is_pinned_to_its_commit() {
    let desk = Desk::new();
    let (old, new) = ("0123456789abcdef0123456789abcdef01234567", "fedcba9876543210fedcba9876543210fedcba98");
    cached(&desk, old);
    assert_done(&desk.finetune("run", &["--model", "org/tiny@main", "--method", "lora", "--steps", "2"]));
    let recipe: toml::Table = text(&read(desk.path("run/recipe.toml"))).parse().unwrap();
    assert_eq!((recipe["model"].as_str(), recipe["revision"].as_str()), (Some("org/tiny"), Some(old)));
    let adapter = json(desk.path("run/model/adapter_config.json"));
    assert_eq!(adapter["base_model_name_or_path"], "org/tiny");
    assert_eq!(adapter["revision"], old);
    let scores = desk.evaluate("run").stdout;

    // The branch moves on; the run and its model do not.
    let moved = cached(&desk, new);
    shift(&moved.join("model.safetensors"));
    let output = desk.evaluate("run");
    assert_done(&output);
    assert_eq!(output.stdout, scores);
    assert_done(&desk.retune(["finetune", "run/recipe.toml", "--resume"]));
    // Unless somebody asks for where the branch stands now, which is another run.
    let again = desk.finetune("run", &["--revision", "main", "--model", "org/tiny", "--resume"]);
    assert_said(&again, 2, &["revision", old, new]);

    // Other commands take hub ids too.
    let output = desk.retune(["inspect", "org/tiny"]);
    assert_done(&output);
    assert!(text(&output.stdout).contains(new), "{}", text(&output.stdout));
    assert_said(&desk.retune(["inspect", "org/unknown"]), 2, &["org/unknown", "no file or folder here"]);
}

#[test]
fn an_adapter_is_not_resumed_on_another_base() {
    let desk = Desk::new();
    let base = desk.model_copy("base");
    let more = ["--model", "base", "--method", "lora", "--steps", "2"];
    assert_done(&desk.finetune("run", &more));
    let adapter = json(desk.path("run/model/adapter_config.json"));
    assert_eq!(adapter["base_model_name_or_path"], base.to_str().unwrap());
    assert_eq!(adapter["revision"], Value::Null);
    let resume = [&more[..], &["--resume"]].concat();
    assert_done(&desk.finetune("run", &resume));
    shift(&base.join("model.safetensors"));
    assert_said(&desk.finetune("run", &resume), 2, &["the files of the model", "base", "--overwrite"]);
}

/// A file with `input_ids` of one row.
fn ids(desk: &Desk, name: &str, ids: &[i64]) {
    let shape = format!("\"shape\":[1,{}],\"data_offsets\":[0,{}]", ids.len(), 8 * ids.len());
    let header = format!("{{\"input_ids\":{{\"dtype\":\"I64\",{shape}}}}}");
    let values = ids.iter().flat_map(|id| id.to_le_bytes());
    let bytes = (header.len() as u64).to_le_bytes().into_iter().chain(header.bytes()).chain(values);
    fs::write(desk.path(name), bytes.collect::<Vec<u8>>()).unwrap();
}

#[test]
fn hidden_states_of_a_base_model() {
    let desk = Desk::new();
    let model = model();
    let forward = |inputs: &str, more: &[&str]| {
        let arguments = ["forward", "--model", model.to_str().unwrap(), "--inputs", inputs, "--device", "cpu"];
        desk.retune([&arguments[..], &["--outputs", "out.safetensors"], more].concat())
    };
    ids(&desk, "in.safetensors", &[5, 7, 299]);
    assert_done(&forward("in.safetensors", &[]));
    let names: Vec<String> = tensors(desk.path("out.safetensors")).into_keys().collect();
    assert_eq!(names, ["last_hidden_state", "pooler_output"]);
    // Who names a task wants its head.
    assert_said(&forward("in.safetensors", &["--task", "text-classification"]), 2, &["classifier.weight"]);
    for (values, part) in
        [(&[5, 300][..], "300 is outside 0..300"), (&[-1, 5], "-1 is outside"), (&[5; 65], "65 tokens")]
    {
        ids(&desk, "bad.safetensors", values);
        assert_said(&forward("bad.safetensors", &[]), 2, &["input_ids", part]);
    }
}
