//! Language models: continued on texts, taught by conversations, and writing.

use crate::support::{Desk, assert_done, assert_said, fixture, json, json_lines, text};
use std::fs;
use std::path::PathBuf;

const TEMPLATE: &str = "{% for m in messages %}{{ m.role }}: {{ m.content }}</s>{% endfor %}\
     {% if add_generation_prompt %}assistant: {% endif %}";

/// A copy of the small decoder, with a chat template.
fn model(desk: &Desk) -> PathBuf {
    let folder = desk.path("llama");
    fs::create_dir(&folder).unwrap();
    for entry in fs::read_dir(fixture("parity/llama-with-tokenizer")).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), folder.join(entry.file_name())).unwrap();
    }
    fs::write(folder.join("chat_template.jinja"), TEMPLATE).unwrap();
    folder
}

/// Lines of reviews.
fn texts(desk: &Desk) {
    let lines = ["the film was good", "a very bad film", "the best film of all", "it was bad, very bad"];
    let all: String = (0..48).map(|i| format!("{} {i}\n", lines[i % lines.len()])).collect();
    desk.write("texts.txt", &all);
}

fn chats(desk: &Desk) {
    let line = |i: usize| {
        let (asked, said) = if i.is_multiple_of(2) { ("good film", "good") } else { ("bad film", "bad") };
        let messages = serde_json::json!([
            {"role": "user", "content": format!("{asked} {i}")},
            {"role": "assistant", "content": said},
        ]);
        format!("{}\n", serde_json::json!({"messages": messages}))
    };
    desk.write("chats.jsonl", &(0..40).map(line).collect::<String>());
}

fn finetune(desk: &Desk, train: &str, output: &str, more: &[&str]) -> std::process::Output {
    let common = ["finetune", "--task", "causal-lm", "--model", "llama", "--train", train, "--output", output];
    let fixed = ["--device", "cpu", "--threads", "1", "--precision", "fp32", "--batch-size", "8"];
    desk.retune(common.iter().chain(&fixed).chain(more))
}

#[test]
fn a_decoder_goes_on_learning_from_texts_and_writes() {
    let desk = Desk::new();
    model(&desk);
    texts(&desk);
    let more = ["--steps", "12", "--learning-rate", "0.01", "--block-size", "24", "--evaluate-every", "6"];
    let output = finetune(&desk, "texts.txt", "run", &more);
    assert_done(&output);
    let metrics = json(desk.path("run/metrics.json"));
    for key in ["perplexity", "word_perplexity", "byte_perplexity", "accuracy"] {
        assert!(metrics["validation"][key].as_f64().is_some_and(f64::is_finite), "{key}: {metrics}");
    }
    assert!(metrics["validation"]["perplexity"].as_f64().unwrap() < 300.0, "{metrics}");
    assert!(desk.path("run/model/chat_template.jinja").is_file());

    let use_it = ["--model", "run", "--device", "cpu", "--threads", "1"];
    let evaluated = desk.retune(["evaluate", "--data", "texts.txt"].iter().chain(&use_it));
    assert_done(&evaluated);
    assert!(text(&evaluated.stdout).contains("byte_perplexity"));

    let predict: Vec<&str> = ["predict", "--max-new-tokens", "5"].into_iter().chain(use_it).collect();
    let predicted = desk.feed(&predict, "the film\n{\"prompt\": \"a very\"}\nthe\n");
    assert_done(&predicted);
    let lines = json_lines(&predicted.stdout);
    assert_eq!(lines.len(), 3);
    assert!(lines.iter().all(|line| line["prediction"].is_string() && line["prompt"].is_string()), "{lines:?}");

    // The same text, heard as it is written; and alone as in a batch.
    let generate: Vec<&str> =
        ["generate", "--max-new-tokens", "5", "--prompt", "the film"].into_iter().chain(use_it).collect();
    let written = desk.retune(&generate);
    assert_done(&written);
    assert_eq!(text(&written.stdout).trim_end_matches('\n'), lines[0]["prediction"].as_str().unwrap());
    let beams: Vec<&str> = predict.iter().copied().chain(["--beams", "3"]).collect();
    assert_done(&desk.feed(&beams, "the film\n"));
    let short: Vec<&str> = beams.iter().copied().chain(["--length-penalty", "-2"]).collect();
    assert_done(&desk.feed(&short, "the film\n"));
    let refused = desk.feed(&["predict", "--model", "run", "--max-new-tokens", "900"], "a\n");
    assert_said(&refused, 2, &["max-new-tokens: 900", "64 positions"]);
}

#[test]
fn an_adapter_learns_what_the_assistant_says_and_can_be_merged() {
    let desk = Desk::new();
    model(&desk);
    chats(&desk);
    // Half of the prompts of the validation data are answered, and what was answered stands beside what is right.
    let more = ["--method", "lora", "--steps", "10", "--learning-rate", "0.01", "--answered-rows", "2"];
    let more = more.into_iter().chain(["--test", "chats.jsonl", "--max-new-tokens", "3"]).collect::<Vec<_>>();
    let output = finetune(&desk, "chats.jsonl", "run", &more);
    assert_said(&output, 0, &["tokens carry loss", "«"]);
    let metrics = json(desk.path("run/metrics.json"));
    for key in ["perplexity", "exact_match", "rouge1", "rouge2", "rougeL"] {
        let both = [&metrics["validation"][key], &metrics["test"][key]];
        assert!(both.iter().all(|value| value.as_f64().is_some_and(f64::is_finite)), "{key}: {metrics}");
    }
    let report = text(&fs::read(desk.path("run/report.html")).unwrap());
    assert!(report.contains("answers to 2 of 40 prompts: the first 2 rows"), "how many were answered is told");
    let lines = json_lines(&fs::read(desk.path("run/predictions.jsonl")).unwrap());
    let answered: Vec<bool> = lines.iter().map(|line| line["prediction"].is_string()).collect();
    assert_eq!((answered.len(), &answered[..3]), (40, &[true, true, false][..]));
    assert_eq!((&lines[0]["reference"], &lines[1]["reference"]), (&"good".into(), &"bad".into()));
    let adapter = json(desk.path("run/model/adapter_config.json"));
    assert_eq!(adapter["task_type"], "CAUSAL_LM");
    assert_eq!(adapter["target_modules"], serde_json::json!(["q_proj", "v_proj"]));
    assert_eq!(adapter["modules_to_save"], serde_json::json!([]));

    assert_done(&desk.retune(["merge", "run", "--output", "merged"]));
    let of = |model: &str| {
        let arguments =
            ["predict", "--model", model, "--task", "causal-lm", "--max-new-tokens", "6", "--device", "cpu"];
        let ask =
            r#"{"messages": [{"role": "user", "content": "good film 3"}, {"role": "assistant", "content": "x"}]}"#;
        let predicted = desk.feed(&arguments, &format!("{ask}\n"));
        assert_done(&predicted);
        json_lines(&predicted.stdout)[0]["prediction"].clone()
    };
    assert_eq!(of("run"), of("merged"));
    assert_said(&desk.retune(["merge", "merged", "--output", "again"]), 2, &["no adapter"]);
    let chat =
        desk.feed(&["generate", "--model", "merged", "--chat", "--max-new-tokens", "4"], "good film\nbad film\n");
    assert_done(&chat);
    assert_eq!(text(&chat.stdout).lines().count(), 2);
}

#[test]
fn packed_rows_resume_and_lower_blocks_may_be_frozen() {
    let desk = Desk::new();
    model(&desk);
    chats(&desk);
    texts(&desk);
    let packed = ["--packing", "--block-size", "48", "--epochs", "2", "--method", "last:1"];
    assert_done(&finetune(&desk, "chats.jsonl", "packed", &packed));
    assert_done(&finetune(&desk, "texts.txt", "texts", &packed));
    let perplexity = |run: &str| json(desk.path(&format!("{run}/metrics.json")))["validation"]["perplexity"].clone();
    assert!(perplexity("packed").as_f64().is_some() && perplexity("texts").as_f64().is_some());
}

#[test]
fn what_cannot_be_learnt_is_refused_before_anything_is_computed() {
    let desk = Desk::new();
    let folder = model(&desk);
    desk.write("silent.jsonl", "{\"messages\": [{\"role\": \"user\", \"content\": \"a\"}]}\n");
    let refused = |train: &str, more: &[&str], parts: &[&str]| {
        assert_said(&finetune(&desk, train, "none", more), 2, parts);
    };
    refused("silent.jsonl", &[], &["silent.jsonl:1", "no turn of the assistant"]);
    chats(&desk);
    refused("chats.jsonl", &["--end-token", "<nothing>"], &["end-token", "<nothing>"]);
    fs::write(folder.join("chat_template.jinja"), "{{ raise_exception('not today') }}").unwrap();
    refused("chats.jsonl", &[], &["chat_template.jinja:1", "not today", "chats.jsonl:1"]);
    fs::remove_file(folder.join("chat_template.jinja")).unwrap();
    refused("chats.jsonl", &[], &["no chat template", "chats.jsonl:1"]);
}
