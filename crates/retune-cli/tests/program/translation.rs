//! One text becomes another: translation and other texts, with tokenizers that are SentencePiece models.

use crate::support::{Desk, assert_done, assert_said, fixture, json, json_lines, read, text};
use serde_json::{Value, json};
use std::fs;

/// A folder with a tokenizer of the fixtures and a configuration, without weights.
fn model(desk: &Desk, tokenizer: &str, config: &Value) {
    let folder = desk.path(tokenizer);
    fs::create_dir(&folder).unwrap();
    for entry in fs::read_dir(fixture("sentencepiece/tokenizers").join(tokenizer)).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), folder.join(entry.file_name())).unwrap();
    }
    fs::write(folder.join("config.json"), config.to_string()).unwrap();
}

/// Of BART's kind.
fn config(kind: &str, class: &str, vocabulary: usize, more: &Value) -> Value {
    let mut config = json!({
        "model_type": kind, "architectures": [class], "vocab_size": vocabulary, "d_model": 16, "encoder_layers": 2,
        "decoder_layers": 2, "encoder_attention_heads": 2, "decoder_attention_heads": 2, "encoder_ffn_dim": 24,
        "decoder_ffn_dim": 24, "max_position_embeddings": 40, "is_encoder_decoder": true, "dropout": 0.0,
        "activation_function": "gelu", "scale_embedding": true, "tie_word_embeddings": true,
    });
    for (key, value) in more.as_object().unwrap() {
        config[key] = value.clone();
    }
    config
}

fn marian(desk: &Desk) {
    let vocabulary: Value = json(fixture("sentencepiece/tokenizers/marian/vocab.json"));
    let size = vocabulary.as_object().unwrap().len();
    let pad = &vocabulary["<pad>"];
    let ids = json!({"pad_token_id": pad, "decoder_start_token_id": pad, "eos_token_id": 0, "bad_words_ids": [[pad]]});
    model(desk, "marian", &config("marian", "MarianMTModel", size, &ids));
}

fn t5(desk: &Desk) {
    let config = json!({
        "model_type": "t5", "architectures": ["T5ForConditionalGeneration"], "vocab_size": 170, "d_model": 16, "d_kv": 8,
        "d_ff": 24, "num_layers": 2, "num_decoder_layers": 2, "num_heads": 2, "is_encoder_decoder": true, "dropout_rate": 0.0,
        "pad_token_id": 0, "eos_token_id": 1, "decoder_start_token_id": 0,
    });
    model(desk, "t5", &config);
}

const WORDS: [(&str, &str); 4] =
    [("a man", "ein Mann"), ("a dog", "ein Hund"), ("the man", "der Mann"), ("red", "rotes")];

fn pairs() -> impl Iterator<Item = (String, String)> {
    (0..40).map(|i| {
        let (first, second) = (WORDS[i % 4], WORDS[i / 4 % 4]);
        (format!("{} {}", first.0, second.0), format!("{} {}", first.1, second.1))
    })
}

fn table(desk: &Desk) {
    let rows: String = pairs().map(|(source, target)| format!("{source},{target}\n")).collect();
    desk.write("pairs.csv", &format!("source,target\n{rows}"));
    desk.write("languages.csv", &format!("en,de\n{rows}"));
}

/// Hugging Face's column, with several references.
fn objects(desk: &Desk, name: &str, several: bool) {
    let line = |(source, target): (String, String)| {
        let target = if several { json!([target, "ein Mann"]) } else { json!(target) };
        format!("{}\n", json!({"translation": {"en": source, "de": target}}))
    };
    desk.write(name, &pairs().map(line).collect::<String>());
}

fn finetune(desk: &Desk, task: &str, model: &str, more: &[&str]) -> std::process::Output {
    let common = ["finetune", "--task", task, "--model", model, "--from-scratch", "--output", "run"];
    let fixed =
        ["--device", "cpu", "--threads", "1", "--precision", "fp32", "--batch-size", "8", "--learning-rate", "0.01"];
    desk.retune(common.iter().chain(&fixed).chain(more))
}

const USE: [&str; 6] = ["--model", "run", "--device", "cpu", "--threads", "1"];

#[test]
fn a_translator_learns_is_measured_and_writes() {
    let desk = Desk::new();
    marian(&desk);
    table(&desk);
    let more =
        ["--train", "pairs.csv", "--test", "pairs.csv", "--steps", "40", "--evaluate-every", "20", "--beams", "2"];
    let output = finetune(&desk, "translation", "marian", &more);
    assert_done(&output);
    let metrics = json(desk.path("run/metrics.json"));
    for key in ["bleu", "chrf", "exact_match", "perplexity", "accuracy"] {
        assert!(metrics["test"][key].as_f64().is_some_and(f64::is_finite), "{key}: {metrics}");
    }
    assert!(metrics["test"]["perplexity"].as_f64().unwrap() < 40.0, "{metrics}");
    assert!(metrics.to_string().contains("a copy of the source"), "{metrics}");
    let generation = json(desk.path("run/model/generation_config.json"));
    assert_eq!((&generation["num_beams"], &generation["max_new_tokens"]), (&json!(2), &json!(39)));
    for file in ["source.spm", "target.spm", "vocab.json", "tokenizer_config.json"] {
        assert_eq!(read(desk.path("run/model").join(file)), read(desk.path("marian").join(file)), "{file}");
    }
    let report = text(&read(desk.path("run/report.html")));
    assert!(
        report.contains("ein Hund") && report.contains("nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp"),
        "source, reference and output are shown"
    );

    let evaluated = desk.retune(["evaluate", "--data", "pairs.csv", "--bleu-words", "char"].iter().chain(&USE));
    assert_done(&evaluated);
    assert!(text(&evaluated.stdout).contains("tok:char"), "{}", text(&evaluated.stdout));
    let predict: Vec<&str> = ["predict", "--max-new-tokens", "6"].into_iter().chain(USE).collect();
    let lines = json_lines(&desk.feed(&predict, "a man red\n{\"source\": \"the man a dog\"}\n").stdout);
    assert_eq!(lines.len(), 2);
    assert!(lines.iter().all(|line| line["prediction"].is_string() && line["source"].is_string()), "{lines:?}");
    // The same text, heard as it is written.
    for beams in ["1", "2"] {
        let both = |verb: &str| {
            let arguments: Vec<&str> = [verb, "--beams", beams].into_iter().chain(USE).collect();
            text(&desk.feed(&arguments, "a man red\n").stdout)
        };
        let predicted: Value = serde_json::from_str(&both("predict")).unwrap();
        assert_eq!(both("generate").trim_end_matches('\n'), predicted["prediction"].as_str().unwrap());
    }
    let chat: Vec<&str> = ["generate", "--chat"].into_iter().chain(USE).collect();
    assert_said(&desk.feed(&chat, "a man\n"), 2, &["does not chat"]);
    let long: Vec<&str> = ["generate", "--max-length", "4"].into_iter().chain(USE).collect();
    assert_said(&desk.feed(&long, "a man a dog red\n"), 2, &["4 tokens", "--max-length"]);
}

#[test]
fn other_texts_are_measured_by_rouge_and_columns_found_by_language() {
    let desk = Desk::new();
    t5(&desk);
    objects(&desk, "one.jsonl", false);
    objects(&desk, "several.jsonl", true);
    let languages = ["--source-language", "en", "--target-language", "de"];
    let more = [
        "--train",
        "one.jsonl",
        "--validation",
        "several.jsonl",
        "--source-prefix",
        "translate: ",
        "--label-smoothing",
        "0.1",
    ];
    let more: Vec<&str> = more.into_iter().chain(languages).chain(["--epochs", "2", "--max-new-tokens", "5"]).collect();
    assert_done(&finetune(&desk, "text-to-text", "t5", &more));
    let metrics = json(desk.path("run/metrics.json"));
    for key in ["rouge1", "rouge2", "rougeL", "exact_match", "perplexity"] {
        assert!(metrics["validation"][key].as_f64().is_some(), "{key}: {metrics}");
    }
    assert!(metrics.to_string().contains("the first sentence of the source"), "{metrics}");
    // The recipe says what the model is for, and its prefix.
    let predicted = desk.feed(&["predict", "--model", "run", "--device", "cpu"], "a man\n");
    assert_done(&predicted);
    assert!(json_lines(&predicted.stdout)[0]["prediction"].is_string());
    // Pretrained blocks that are frozen are computed once; what is written needs the texts themselves.
    let common =
        ["finetune", "--task", "text-to-text", "--model", "run/model", "--output", "again", "--method", "last:1"];
    let data = ["--train", "one.jsonl", "--epochs", "2", "--device", "cpu", "--threads", "1", "--max-new-tokens", "5"];
    assert_done(&desk.retune(common.iter().chain(&data).chain(&languages)));
    let common = ["finetune", "--task", "translation", "--model", "run/model", "--output", "lora", "--method", "lora"];
    assert_done(&desk.retune(common.iter().chain(&data).chain(&languages)));
    let adapter = json(desk.path("lora/model/adapter_config.json"));
    assert_eq!(adapter["task_type"], "SEQ_2_SEQ_LM");
}

#[test]
fn languages_are_asked_for_by_code() {
    let desk = Desk::new();
    let ids = json!({"pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2, "decoder_start_token_id": 2});
    model(&desk, "mbart", &config("mbart", "MBartForConditionalGeneration", 220, &ids));
    table(&desk);
    let refused = finetune(&desk, "translation", "mbart", &["--train", "languages.csv", "--target-language", "xx_YY"]);
    assert_said(&refused, 2, &["target-language", "no language `xx_YY`", "de_DE", "ro_RO"]);
    let languages =
        ["--train", "languages.csv", "--source-language", "en", "--target-language", "de_DE", "--steps", "4"];
    assert_done(&finetune(&desk, "translation", "mbart", &languages));
    let generation = json(desk.path("run/model/generation_config.json"));
    assert_eq!(generation["decoder_start_token_id"], json!(153), "the code of the language that is written");
    let tokenizer = json(desk.path("run/model/tokenizer_config.json"));
    assert_eq!((&tokenizer["src_lang"], &tokenizer["tgt_lang"]), (&json!("en_XX"), &json!("de_DE")));
    assert_done(&desk.feed(&["predict", "--model", "run", "--device", "cpu", "--max-new-tokens", "4"], "a man\n"));
}

#[test]
fn what_cannot_be_learnt_is_told_before_anything_is_computed() {
    let desk = Desk::new();
    marian(&desk);
    let refused = |name: &str, rows: &str, more: &[&str], parts: &[&str]| {
        desk.write(name, rows);
        let more: Vec<&str> = ["--train", name].into_iter().chain(more.iter().copied()).collect();
        assert_said(&finetune(&desk, "translation", "marian", &more), 2, parts);
        assert!(!desk.path("run").exists());
    };
    refused("empty.csv", "source,target\na man,ein Mann\na dog,\n", &[], &["empty.csv:3", "target"]);
    let empty = "{\"source\": \"a\", \"target\": \"b\"}\n{\"source\": \"a\", \"target\": [\" \"]}\n";
    refused("empty.jsonl", empty, &[], &["empty.jsonl:2", "an empty target"]);
    let long = format!("source,target\na man,{}\n", "Straße ".repeat(60));
    refused("long.csv", &long, &[], &["long.csv:2", "more than 40 tokens"]);
    refused("columns.csv", "text,other\na,b\n", &[], &["source", "--source-column"]);
    refused("far.csv", "source,target\na,b\n", &["--target-length", "50"], &["target-length: 50", "40 positions"]);
    let rows: String = pairs().map(|(source, target)| format!("{source},{target}\n")).collect();
    desk.write("cut.csv", &format!("source,target\n{},ein Mann\n{rows}", "the red bicycle ".repeat(60)));
    let cut =
        finetune(&desk, "translation", "marian", &["--train", "cut.csv", "--steps", "1", "--max-new-tokens", "2"]);
    assert_said(&cut, 0, &["sources are longer than 40 tokens and are cut"]);
}
