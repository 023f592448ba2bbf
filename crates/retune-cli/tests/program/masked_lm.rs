//! Masked language modelling through the program: from a checkpoint and from nothing, and what cannot be used.

use crate::support::{Desk, assert_done, assert_said, fixture, json, json_lines, read, tensors};
use serde_json::{Map, Value};
use std::fs;
use std::path::{Path, PathBuf};

const RUN: &[&str] = &["--task", "masked-lm", "--block-size", "32", "--epochs", "2", "--learning-rate", "1e-3"];

fn run(desk: &Desk, output: &str, more: &[&str]) -> std::process::Output {
    desk.finetune(output, &[RUN, more].concat())
}

/// The texts of a table of the desk, a line each.
fn plain(desk: &Desk, table: &str, name: &str) {
    let text = fs::read_to_string(desk.path(table)).unwrap();
    // What stands before the label; commas and quotes are text like others.
    let lines = text.lines().skip(1).map(|line| format!("{}\n", line.rsplit_once(',').map_or(line, |it| it.0)));
    desk.write(name, &lines.collect::<String>());
}

#[test]
fn a_checkpoint_goes_on_learning_and_fills_masks() {
    let desk = Desk::new();
    assert_done(&run(&desk, "run", &[]));
    let metrics = json(desk.path("run/metrics.json"));
    assert_eq!((&metrics["task"], &metrics["best"]["metric"]), (&"masked-lm".into(), &"perplexity".into()));
    for split in ["validation", "test"] {
        let value = |key: &str| metrics[split][key].as_f64().unwrap();
        assert!((value("perplexity") - value("loss").exp()).abs() < 1e-9 * value("perplexity"), "{split}");
        assert!((0.0..=1.0).contains(&value("accuracy")) && value("perplexity") > 1.0, "{split}");
        let interval = &metrics["intervals"][split]["perplexity"];
        assert!(interval[0].as_f64().unwrap() < value("perplexity"), "{metrics}");
    }
    let log = json_lines(&read(desk.path("run/log.jsonl")));
    let losses: Vec<f64> = log
        .iter()
        .filter(|it| it["evaluation"] == "validation")
        .map(|it| it["metrics"]["loss"].as_f64().unwrap())
        .collect();
    assert!(losses.len() == 2 && losses[1] < losses[0], "{losses:?}");
    assert!(metrics["baselines"]["frequencies of words"]["perplexity"].as_f64().unwrap() > 1.0);
    let config = json(desk.path("run/model/config.json"));
    assert_eq!(config["architectures"], serde_json::json!(["BertForMaskedLM"]));
    let lines = json_lines(&read(desk.path("run/predictions.jsonl")));
    assert!(lines.iter().all(|it| it["text"].is_string() && it["masked"].as_u64().unwrap() > 0), "{lines:?}");

    // The same places are hidden whenever a split is measured.
    let output = desk.evaluate("run");
    assert_done(&output);
    let evaluation = &json_lines(&output.stdout)[0];
    for key in ["perplexity", "accuracy"] {
        let (once, again) = (metrics["test"][key].as_f64().unwrap(), evaluation["metrics"][key].as_f64().unwrap());
        assert!((once - again).abs() < 1e-6 * once.abs().max(1.0), "{key}: {once} {again}");
    }

    let texts = "the [MASK] was good\n\nno mask here\n[MASK] [MASK]\n{\"text\": \"a [MASK] film\"}\n";
    let predict = ["predict", "--model", "run", "--top-k", "3", "--device", "cpu", "--precision", "fp32"];
    let output = desk.feed(&predict, texts);
    assert_done(&output);
    let answers = json_lines(&output.stdout);
    let masks: Vec<usize> = answers.iter().map(|it| it["masks"].as_array().unwrap().len()).collect();
    assert_eq!(masks, [1, 0, 0, 2, 1]);
    let best = answers[0]["masks"][0].as_array().unwrap();
    let scores: Vec<f64> = best.iter().map(|it| it["score"].as_f64().unwrap()).collect();
    assert!(scores.len() == 3 && scores.is_sorted_by(|a, b| a >= b) && scores[0] <= 1.0, "{scores:?}");
    let filled = format!("the {} was good", best[0]["token"].as_str().unwrap());
    assert_eq!((&answers[0]["prediction"], &answers[2]["prediction"]), (&filled.into(), &"no mask here".into()));
}

#[test]
fn runs_repeat_and_resume_exactly() {
    let desk = Desk::new();
    plain(&desk, "train.csv", "train.txt");
    let files = ["--train", "train.txt", "--whole-words", "--dropout", "0.1", "--gradient-accumulation", "2"];
    assert_done(&run(&desk, "once", &files));
    assert_done(&run(&desk, "again", &files));
    let weights = |name: &str| tensors(desk.path(name).join("model/model.safetensors"));
    assert!(weights("once") == weights("again"), "two runs differ");
    // What the last checkpoint does not hold is computed again.
    fs::remove_dir_all(desk.path("again/model")).unwrap();
    fs::remove_file(desk.path("again/metrics.json")).unwrap();
    assert_done(&desk.retune(["finetune", "again/recipe.toml", "--resume"]));
    assert!(weights("once") == weights("again"), "a resumed run differs");
    let metrics = |name: &str| json(desk.path(name).join("metrics.json"))["validation"].clone();
    assert_eq!(metrics("once"), metrics("again"));
}

#[test]
fn every_method_learns_masked_words() {
    let desk = Desk::new();
    for (method, blocks) in [("lora", "split"), ("last:1", "join"), ("head", "whole")] {
        let output = run(&desk, "run", &["--method", method, "--blocks", blocks, "--overwrite"]);
        assert_done(&output);
        let metrics = json(desk.path("run/metrics.json"));
        let output = desk.evaluate("run");
        assert_done(&output);
        let again = json_lines(&output.stdout)[0]["metrics"]["perplexity"].as_f64().unwrap();
        let once = metrics["test"]["perplexity"].as_f64().unwrap();
        assert!((once - again).abs() < 1e-4 * once, "{method}: {once} {again}");
    }
}

#[test]
fn documents_are_held_out_and_cut_off_ones_told() {
    let desk = Desk::new();
    plain(&desk, "train.csv", "train.txt");
    let mut arguments = desk.arguments("run", &[RUN, &["--train", "train.txt", "--blocks", "whole"]].concat());
    let validation = arguments.iter().position(|it| it == "--validation").unwrap();
    arguments.drain(validation..validation + 2);
    let output = desk.retune(&arguments);
    assert_said(&output, 0, &["of 160 training documents validate", "texts are longer than 32 tokens and cut off"]);
}

#[test]
fn what_cannot_be_used_is_refused_before_anything_is_written() {
    let desk = Desk::new();
    desk.write("empty.txt", " \n\n");
    fs::write(desk.path("latin.txt"), b"good\nb\xe4d\n").unwrap();
    desk.write("one.txt", "only one\n");
    let masks = desk.model_copy("no-mask");
    for name in ["tokenizer.json", "vocab.txt", "tokenizer_config.json", "special_tokens_map.json"] {
        let file = masks.join(name);
        let text = fs::read_to_string(&file).unwrap();
        fs::write(&file, text.replace("[MASK]", "[HIDE]").replace("mask_token", "hide_token")).unwrap();
    }
    let refused = |more: &[&str], parts: &[&str]| {
        let mut arguments = desk.arguments("run", &[RUN, more].concat());
        if more.contains(&"one.txt") {
            let validation = arguments.iter().position(|it| it == "--validation").unwrap();
            arguments.drain(validation..validation + 2);
        }
        desk.refuses(&arguments, parts);
    };
    refused(&["--train", "empty.txt"], &["empty.txt", "has no rows"]);
    refused(&["--train", "latin.txt"], &["latin.txt:2", "not valid UTF-8"]);
    refused(&["--train", "one.txt"], &["no validation file, and none can be made"]);
    refused(&["--train", "none.doc"], &["none.doc", "no such file"]);
    refused(&["--text-column", "body"], &["train.csv", "no column `body`", "--text-column"]);
    refused(&["--text-pair-column", "label"], &["masked-lm has no pairs of texts"]);
    refused(&["--max-length", "32"], &["--block-size"]);
    refused(&["--group-column", "label"], &["--blocks split or whole"]);
    refused(&["--model", "no-mask"], &["no mask token"]);
    refused(&["--mask-probability", "1"], &["mask-probability: 1"]);
    refused(&["--best-by", "f1"], &["`f1` is not a metric", "perplexity"]);
    refused(&["--config", "bert:tiny"], &["config", "--from-scratch"]);
    let wrong = |block: &str, parts: &[&str]| {
        let mut arguments = desk.arguments("run", RUN);
        let at = arguments.iter().position(|it| it == "--block-size").unwrap();
        block.clone_into(&mut arguments[at + 1]);
        desk.refuses(&arguments, parts);
    };
    wrong("2", &["leave no room for text", "at least 4 (--block-size)"]);
    wrong("65", &["block-size: 65 is more than the 64 positions"]);
}

/// Without `--model`, which `Desk::arguments` gives.
fn from_nothing(desk: &Desk, output: &str, more: &[&str]) -> std::process::Output {
    let flags = ["--task", "masked-lm", "--block-size", "48", "--steps", "4", "--from-scratch"];
    let mut arguments = desk.arguments(output, &[&flags, more].concat());
    let model = arguments.iter().position(|it| it == "--model").unwrap();
    arguments.drain(model..model + 2);
    desk.retune(&arguments)
}

#[test]
fn a_model_is_made_from_nothing_and_resumed() {
    let desk = Desk::new();
    let more = ["--config", "bert:tiny", "--vocabulary", "400", "--tokenizer", "bpe"];
    let output = from_nothing(&desk, "run", &more);
    assert_said(&output, 0, &["bert:tiny from nothing", "400 pieces"]);
    let config = json(desk.path("run/model/config.json"));
    assert_eq!((&config["vocab_size"], &config["hidden_size"]), (&400.into(), &128.into()));
    let tokenizer = json(desk.path("run/model/tokenizer_config.json"));
    assert_eq!(tokenizer["mask_token"], "[MASK]");
    let weights = tensors(desk.path("run/model/model.safetensors"));
    fs::remove_dir_all(desk.path("run/model")).unwrap();
    fs::remove_file(desk.path("run/metrics.json")).unwrap();
    // The tokenizer of the run is kept; it is not learnt again.
    assert_said(&desk.retune(["finetune", "run/recipe.toml", "--resume"]), 0, &["as the run was started"]);
    assert!(weights == tensors(desk.path("run/model/model.safetensors")));
    let output = desk.feed(&["predict", "--model", "run/model", "--device", "cpu"], "this [MASK] is good\n");
    assert_done(&output);
    assert_eq!(json_lines(&output.stdout)[0]["masks"][0].as_array().unwrap().len(), 5);
}

#[test]
fn a_model_of_molecules_is_made_from_nothing() {
    let desk = Desk::new();
    let molecules = ["CCO", "c1ccccc1O", "CC(=O)Nc1ccc(O)cc1", "C[C@@H](N)C(=O)O", "ClCCBr", "O=C(O)c1ccccc1"];
    desk.write("smiles.txt", &molecules.map(|it| format!("{it}\n{it}C\n")).concat());
    let files = ["--train", "smiles.txt", "--validation", "smiles.txt", "--test", "smiles.txt", "--blocks", "whole"];
    let more = ["--config", "roberta:tiny", "--tokenizer", "smiles"];
    assert_done(&from_nothing(&desk, "run", &[&files[..], &more].concat()));
    let output = desk.feed(&["predict", "--model", "run", "--device", "cpu"], "c1ccc<mask>c1O\n");
    assert_done(&output);
    let answer = &json_lines(&output.stdout)[0];
    let best = answer["masks"][0][0]["token"].as_str().unwrap();
    assert_eq!(answer["prediction"], format!("c1ccc{best}c1O"));
    for (config, part) in [("swin:tiny", "`swin`"), ("bert:huge", "not one of tiny, mini"), ("bert", "names no size")] {
        assert_said(&from_nothing(&desk, "other", &["--config", config]), 2, &[part]);
    }
    assert!(!desk.path("other").exists());
}

/// `input.…` of a case of transformers as a file of their own.
fn inputs_of(desk: &Desk, case: &Path) -> PathBuf {
    let bytes = read(case);
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header: Map<String, Value> = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    let kept = header.into_iter().filter_map(|(name, it)| Some((name.strip_prefix("input.")?.to_owned(), it)));
    let (mut kept, mut data) = (kept.collect::<Map<String, Value>>(), Vec::new());
    for entry in kept.values_mut() {
        let place = |i: usize| 8 + length + entry["data_offsets"][i].as_u64().unwrap() as usize;
        let start = data.len();
        data.extend(&bytes[place(0)..place(1)]);
        entry["data_offsets"] = serde_json::json!([start, data.len()]);
    }
    let header = serde_json::to_vec(&kept).unwrap();
    let path = desk.path("in.safetensors");
    fs::write(&path, [&(header.len() as u64).to_le_bytes()[..], &header, &data].concat()).unwrap();
    path
}

#[test]
fn raw_outputs_and_their_loss_are_those_of_transformers() {
    let desk = Desk::new();
    let model = fixture("parity/bert-masked-lm");
    let case = model.join("case.safetensors");
    let inputs = inputs_of(&desk, &case);
    let mut arguments = vec!["forward", "--task", "masked-lm", "--device", "cpu", "--outputs", "out.safetensors"];
    arguments.extend(["--model", model.to_str().unwrap(), "--inputs", inputs.to_str().unwrap()]);
    assert_done(&desk.retune(arguments));
    let (case, out) = (tensors(&case), tensors(desk.path("out.safetensors")));
    let numbers = |bytes: &[u8]| -> Vec<f32> {
        bytes.chunks_exact(4).map(|it| f32::from_le_bytes(it.try_into().unwrap())).collect()
    };
    for (ours, theirs) in [("loss", "loss"), ("logits", "output.logits")] {
        let (ours, theirs) = (numbers(&out[ours]), numbers(&case[theirs]));
        assert_eq!(ours.len(), theirs.len());
        let most = ours.iter().zip(&theirs).map(|(a, b)| (a - b).abs()).fold(0f32, f32::max);
        assert!(most < 1e-5, "{most}");
    }
}
