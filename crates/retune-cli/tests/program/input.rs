//! Arguments and files that cannot be used: exit code 2, a message that says where and what to do, nothing written.

use crate::support::{Desk, assert_done, fixture, read, text};
use std::fs;

#[test]
fn data_that_cannot_be_used() {
    let desk = Desk::new();
    desk.write("headless.csv", "sentence,label\ngood,positive\nbad,negative\n");
    desk.write("empty.csv", "");
    desk.write("header.csv", "text,label\n");
    desk.write("one.csv", "text,label\ngood,positive\nfine,positive\nnice,positive\n");
    desk.write("broken.csv", "text,label\ngood,positive\nbad,negative,too,many\nfine,positive\n");
    desk.write("quote.csv", "text,label\ngood,positive\n\"never closed,negative\nfine,positive\n");
    desk.write("unlabelled.csv", "text,label\ngood,positive\nbad,\nfine,negative\n");
    let cases: [(&str, &[&str]); 8] = [
        ("headless.csv", &["headless.csv:1", "`text`", "`sentence`", "`label`", "--text-column"]),
        ("empty.csv", &["empty.csv", "no rows"]),
        ("header.csv", &["header.csv", "no rows"]),
        ("one.csv", &["one.csv", "positive"]),
        ("broken.csv", &["broken.csv:3"]),
        ("quote.csv", &["quote.csv:3"]),
        ("unlabelled.csv", &["unlabelled.csv:3", "`label`"]),
        ("absent.csv", &["absent.csv", "no such file"]),
    ];
    for (file, parts) in cases {
        desk.refuses(&desk.arguments("run", &["--train", file]), parts);
    }
}

#[test]
fn a_label_that_only_validation_has() {
    let desk = Desk::new();
    desk.write("unseen.csv", "text,label\ngood,positive\nso so,neutral\nbad,negative\n");
    let arguments = desk.arguments("run", &["--validation", "unseen.csv"]);
    desk.refuses(&arguments, &["unseen.csv:3", "neutral", "negative", "positive"]);
}

#[test]
fn weights_that_cannot_be_used() {
    let desk = Desk::new();
    let weights = read(desk.model_copy("short").join("model.safetensors"));
    fs::write(desk.path("short/model.safetensors"), &weights[..weights.len() - 100]).unwrap();
    desk.refuses(&desk.arguments("run", &["--model", "short"]), &["model.safetensors", "the header claims"]);

    let mut lying = weights.clone();
    lying[..8].copy_from_slice(&(weights.len() as u64 * 1000).to_le_bytes());
    desk.model_copy("lying");
    fs::write(desk.path("lying/model.safetensors"), &lying).unwrap();
    desk.refuses(&desk.arguments("run", &["--model", "lying"]), &["model.safetensors", "the header claims"]);

    desk.model_copy("pickled");
    fs::rename(desk.path("pickled/model.safetensors"), desk.path("pickled/pytorch_model.bin")).unwrap();
    desk.refuses(&desk.arguments("run", &["--model", "pickled"]), &["pickled/pytorch_model.bin", "pickle", "convert"]);

    desk.model_copy("bare");
    fs::remove_file(desk.path("bare/model.safetensors")).unwrap();
    desk.refuses(&desk.arguments("run", &["--model", "bare"]), &["bare", "safetensors"]);
}

#[test]
fn a_model_and_a_tokenizer_that_do_not_belong_together() {
    let desk = Desk::new();
    let copy = desk.model_copy("mixed");
    fs::remove_file(copy.join("vocab.txt")).unwrap();
    for file in ["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"] {
        fs::copy(fixture("tiny-tokenizer-bpe").join(file), copy.join(file)).unwrap();
    }
    desk.refuses(&desk.arguments("run", &["--model", "mixed"]), &["mixed", "tokenizer", "300 rows"]);
    desk.refuses(&desk.arguments("run", &["--max-length", "65"]), &["max-length", "65", "64 positions"]);
}

#[test]
fn folders_that_cannot_hold_a_run() {
    let desk = Desk::new();
    desk.write("file.txt", "not a folder");
    desk.refuses(&desk.arguments("file.txt/run", &[]), &["file.txt"]);
    desk.refuses(&desk.arguments("file.txt", &[]), &["file.txt", "--output"]);
    assert_eq!(read(desk.path("file.txt")), b"not a folder");
}

#[test]
fn a_disk_budget_that_no_checkpoint_fits() {
    let desk = Desk::new();
    desk.refuses(&desk.arguments("run", &["--disk-budget", "1KB"]), &["disk-budget", "checkpoints", "need"]);
}

#[test]
fn arguments_that_cannot_be_used() {
    let desk = Desk::new();
    let refuses = |more: &[&str], parts: &[&str]| desk.refuses(&desk.arguments("run", more), parts);
    refuses(&["--method", "adapter"], &["adapter", "full", "bitfit", "lora"]);
    refuses(&["--method", "last:3"], &["last:3", "2 blocks"]);
    refuses(&["--task", "telepathy"], &["telepathy", "text-classification"]);
    refuses(&["--schedule", "staircase"], &["staircase", "linear"]);
    refuses(&["--learning-rate", "-1"], &["learning-rate"]);
    refuses(&["--batch-size", "0"], &["batch-size"]);
    refuses(&["--lerning-rate", "1"], &["--lerning-rate", "--learning-rate"]);
    refuses(&["--model", "no/such-model"], &["no/such-model"]);
    // What nothing would read.
    refuses(&["--lora-rank", "4", "--revision", "main"], &["lora-rank", "--method lora", "revision", "is a folder"]);
    refuses(&["--image-size", "64", "--augmentation", "strong"], &["image-size", "augmentation", "no images"]);
    // All problems at once, not one a run.
    refuses(&["--batch-size", "0", "--clip", "-1"], &["batch-size", "clip"]);
}

#[test]
fn a_recipe_that_cannot_be_used() {
    let desk = Desk::new();
    desk.write("typo.toml", "task = \"text-classification\"\nlerning-rate = 1e-4\n");
    desk.write("broken.toml", "task = \"text-classification\"\nepochs = = 3\n");
    desk.write("wrong.toml", "epochs = \"many\"\n");
    let cases: [(&str, &[&str]); 4] = [
        ("typo.toml", &["typo.toml", "2", "lerning-rate", "learning-rate"]),
        ("broken.toml", &["broken.toml", "line 2"]),
        ("wrong.toml", &["wrong.toml", "epochs"]),
        ("absent.toml", &["absent.toml"]),
    ];
    for (file, parts) in cases {
        let mut arguments = desk.arguments("run", &[]);
        arguments.insert(1, file.to_owned());
        desk.refuses(&arguments, parts);
    }
}

#[test]
fn a_model_that_is_used_wrongly() {
    let desk = Desk::new();
    assert_done(&desk.finetune("run", &["--steps", "1"]));
    let strings = |all: &[&str]| all.iter().map(|&it| it.to_owned()).collect::<Vec<_>>();
    desk.write("other.csv", "sentence,label\ngood,positive\n");
    let evaluate = |data: &str| strings(&["evaluate", "--model", "run", "--device", "cpu", "--data", data]);
    desk.refuses(&evaluate("other.csv"), &["other.csv:1", "`text`", "`sentence`"]);
    desk.write("unseen.csv", "text,label\ngood,positive\nso so,neutral\n");
    desk.refuses(&evaluate("unseen.csv"), &["unseen.csv:3", "neutral"]);
    desk.refuses(&strings(&["predict", "--model", "nowhere"]), &["nowhere"]);
    desk.refuses(&strings(&["inspect", "nowhere"]), &["nowhere"]);
    // A base model has no head to predict with.
    let base = fixture("parity/bert-base-only");
    let output = desk.feed(&["predict", "--model", base.to_str().unwrap(), "--device", "cpu"], "hello\n");
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
    assert!(output.stdout.is_empty());
}
