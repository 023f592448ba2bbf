//! Recommendation through the program: files and leave-one-out, identities and texts, users and histories, broken input.

use crate::support::{Desk, assert_done, assert_said, json, json_lines, model, read, tensors};
use std::process::Output;

/// Users go round one of two circles of items, so that what comes next follows from what came before.
fn circles(from: usize, users: usize, length: usize, head: bool) -> String {
    let mut text = if head { "user_id,item_id,rating,timestamp\n" } else { "" }.to_owned();
    for user in from..from + users {
        for step in 0..length {
            let item = (user % 2) * 10 + (user / 2 + step) % 10;
            text.push_str(&format!("u{user},i{item},{},{}\n", 1 + step % 5, 1000 * user + step));
        }
    }
    text
}

fn items(desk: &Desk) {
    let line = |item: usize| {
        let words = if item < 10 || item == 20 { "a film of war" } else { "a table and food" };
        format!("i{item},{words} {item},{}\n", item % 3)
    };
    desk.write("items.csv", &format!("item_id,title,genre\n{}", (0..22).map(line).collect::<String>()));
}

fn desk() -> Desk {
    let desk = Desk::new();
    desk.write("train.csv", &circles(0, 60, 12, true));
    items(&desk);
    desk
}

const RUN: [&str; 12] = [
    "--task",
    "recommendation",
    "--from-scratch",
    "--config",
    "sasrec:tiny",
    "--epochs",
    "20",
    "--learning-rate",
    "3e-3",
    "--history-length",
    "8",
    "--batch-size",
];

fn arguments(output: &str, more: &[&str]) -> Vec<String> {
    let own = ["--train", "train.csv", "--output", output, "--device", "cpu", "--threads", "1", "--precision", "fp32"];
    let mut all = vec!["finetune"];
    for pair in [&RUN[..2], &RUN[3..5], &RUN[5..7], &RUN[7..9], &RUN[9..11], &["--batch-size", "16"]] {
        if !more.contains(&pair[0]) {
            all.extend(pair);
        }
    }
    all.push("--from-scratch");
    for pair in own.chunks(2) {
        if !more.contains(&pair[0]) {
            all.extend(pair);
        }
    }
    all.extend(more);
    all.into_iter().map(str::to_owned).collect()
}

fn run(desk: &Desk, output: &str, more: &[&str]) -> Output {
    desk.retune(arguments(output, more))
}

#[test]
fn what_follows_is_learnt_better_than_what_is_popular() {
    let desk = desk();
    let output = run(&desk, "run", &[]);
    assert_said(
        &output,
        0,
        &["leave-one-out by time", "60 users, 20 items, 20 of them in training", "all 20 items are ranked"],
    );
    let metrics = json(desk.path("run/metrics.json"));
    assert_eq!(metrics["best"]["metric"], "ndcg_at_10");
    let test = |key: &str| metrics["test"][key].as_f64().unwrap();
    // All but two items of each circle were seen, which are left out: one of the two is right.
    assert!(test("mrr") > 0.9, "{metrics}");
    assert!(test("hit_rate_at_5") >= test("ndcg_at_5") && test("coverage") > 0.9);
    let popular = metrics["baselines"]["popularity"]["mrr"].as_f64().unwrap();
    assert!(popular < test("mrr"), "{metrics}");
    assert!(metrics["baselines"]["item k-nearest-neighbours"]["ndcg_at_10"].is_number());
    let config = json(desk.path("run/model/config.json"));
    assert_eq!((&config["num_items"], &config["max_position_embeddings"]), (&20.into(), &8.into()));
    assert_eq!(config["architectures"][0], "SASRecForNextItem");
    let lines = json_lines(&read(desk.path("run/predictions.jsonl")));
    let first = &lines[0];
    assert_eq!((first["items"].as_array().unwrap().len(), first["user_id"].as_str()), (10, Some("u0")));
    assert!(
        String::from_utf8(read(desk.path("run/report.html"))).unwrap().contains("Each interaction that is held out")
    );

    // A history goes on; a user has one in the files of the run.
    let predict = ["predict", "--model", "run", "--device", "cpu", "--recommendations", "3"];
    let output = desk.feed(&predict, "{\"history\": [\"i3\", \"i4\", \"i5\"]}\nu1\n{\"user_id\": \"u2\"}\n");
    assert_done(&output);
    let answers = json_lines(&output.stdout);
    assert_eq!((&answers[0]["items"][0]["item_id"], answers[0]["items"].as_array().unwrap().len()), (&"i6".into(), 3));
    assert!(answers[1]["items"][0]["item_id"].as_str().unwrap().starts_with('i'));
    let output = desk.feed(&predict, "nobody\n{\"history\": [\"x\"]}\n{}\n");
    assert_said(
        &output,
        2,
        &[
            "standard input:1: user `nobody` has no interaction",
            "standard input:2: the model knows none",
            ":3: names neither",
        ],
    );
    let skip = [&predict[..], &["--on-bad-example", "skip"]].concat();
    let answers = json_lines(&desk.feed(&skip, "nobody\nu1\n").stdout);
    assert!(answers[0]["error"].is_string() && answers[1]["items"].is_array(), "{answers:?}");
    desk.write("who.csv", "user_id\nu5\nu6\n");
    let output = desk.retune(["predict", "--model", "run", "--input", "who.csv", "--device", "cpu"]);
    assert_done(&output);
    assert_eq!(json_lines(&output.stdout).len(), 2);
}

#[test]
fn given_files_and_saved_models_say_the_same() {
    let desk = desk();
    let all = circles(0, 60, 12, false);
    let (mut train, mut validation, mut test) = (String::new(), String::new(), String::new());
    for (at, line) in all.lines().enumerate() {
        let part = match at % 12 {
            11 => &mut test,
            10 => &mut validation,
            _ => &mut train,
        };
        part.push_str(&format!("{line}\n"));
    }
    // Somebody new, an item that is in no training history, and a row twice.
    test.push_str("u999,i1,3,5\nu0,i21,3,99999\n");
    train.push_str("u3,i13,4,3000\nu3,i13,4,3000\n");
    for (name, rows) in [("a.csv", &train), ("v.csv", &validation), ("e.csv", &test)] {
        desk.write(name, &format!("user_id,item_id,rating,timestamp\n{rows}"));
    }
    let files = ["--train", "a.csv", "--validation", "v.csv", "--test", "e.csv", "--epochs", "6"];
    for config in ["sasrec:tiny", "bert4rec:tiny"] {
        let name = config.replace(':', "-");
        let output = run(&desk, &name, &[&files[..], &["--config", config]].concat());
        assert_said(
            &output,
            0,
            &["the given files", "e.csv:62: user `u999` has no interaction before", "rows repeat an interaction"],
        );
        let metrics = json(desk.path(&format!("{name}/metrics.json")));
        let cold = metrics["test"]["cold_mrr"].as_f64().unwrap();
        assert!(cold > 0.0 && metrics["validation"]["cold_mrr"].is_null(), "{metrics}");
        let data =
            ["--data", "e.csv", "--device", "cpu", "--threads", "1", "--precision", "fp32", "--on-bad-example", "skip"];
        let output = desk.retune(["evaluate", "--model", &name].into_iter().chain(data));
        assert_done(&output);
        let again = &json_lines(&output.stdout)[0]["metrics"];
        for key in ["ndcg_at_10", "mrr", "cold_mrr", "coverage"] {
            let (now, then) = (again[key].as_f64().unwrap(), metrics["test"][key].as_f64().unwrap());
            assert!((now - then).abs() < 1e-9, "{config} {key}: {now} {then}");
        }
    }
}

#[test]
fn losses_of_drawn_items_learn_too() {
    let desk = desk();
    for loss in ["sampled", "bpr", "gbce"] {
        let more = ["--item-loss", loss, "--negatives", "8", "--epochs", "12"];
        assert_done(&run(&desk, loss, &more));
        let metrics = json(desk.path(&format!("{loss}/metrics.json")));
        let popular = metrics["baselines"]["popularity"]["mrr"].as_f64().unwrap();
        assert!(metrics["test"]["mrr"].as_f64().unwrap() > popular, "{loss}: {metrics}");
    }
}

#[test]
fn texts_rank_items_that_nobody_met_and_move_to_another_catalogue() {
    let desk = desk();
    let encoder = model();
    let texts =
        ["--items", "items.csv", "--item-text-columns", "title,genre", "--item-encoder", encoder.to_str().unwrap()];
    let output = run(&desk, "run", &[&texts[..], &["--epochs", "6"]].concat());
    assert_said(&output, 0, &["vectors of 22 texts of items", "22 items, 20 of them in training"]);
    let metrics = json(desk.path("run/metrics.json"));
    assert!(metrics["baselines"]["identities without texts"]["ndcg_at_10"].is_number(), "{metrics}");
    assert_eq!(json(desk.path("run/model/config.json"))["item_features"], 32);
    let output = desk.feed(
        &["predict", "--model", "run", "--device", "cpu", "--recommendations", "22"],
        "{\"history\": [\"i1\"]}\n",
    );
    assert_done(&output);
    let answers = json_lines(&output.stdout);
    let named: Vec<&str> =
        answers[0]["items"].as_array().unwrap().iter().map(|it| it["item_id"].as_str().unwrap()).collect();
    assert!(named.contains(&"i20") && named.len() == 21, "{named:?}");

    // Another shop.
    desk.write("other.csv", "user_id,item_id,timestamp\na,x,1\na,y,2\na,z,3\na,w,4\nb,y,1\nb,z,2\nb,w,3\nb,x,4\n");
    desk.write("goods.csv", "item_id,title,genre\nx,war,1\ny,food,2\nz,film,0\nw,table,1\n");
    let moved = |more: &[&str]| {
        let files = [
            "finetune",
            "--task",
            "recommendation",
            "--model",
            "run/model",
            "--train",
            "other.csv",
            "--output",
            "moved",
        ];
        let fixed = ["--device", "cpu", "--threads", "1", "--precision", "fp32", "--epochs", "1", "--batch-size", "4"];
        let all = files.into_iter().chain(fixed).chain(more.iter().copied());
        all.map(str::to_owned).collect::<Vec<_>>()
    };
    desk.refuses(&moved(&[]), &["the model's catalogue has 22 items", "--item-encoder"]);
    let goods =
        ["--items", "goods.csv", "--item-text-columns", "title,genre", "--item-encoder", encoder.to_str().unwrap()];
    assert_done(&desk.retune(moved(&goods)));
    // What has learnt vectors item by item knows no others.
    assert_done(&run(&desk, "ids", &["--epochs", "1"]));
    let mut ids = moved(&[]);
    (ids[4], ids[8]) = ("ids/model".to_owned(), "elsewhere".to_owned());
    desk.refuses(&ids, &["has learnt vectors item by item"]);
}

/// The encoder of texts learns with the model, and all that it needs lies in the saved folder.
#[test]
fn an_encoder_of_texts_learns_and_is_saved_with_the_model() {
    let desk = desk();
    let encoder = model();
    let texts =
        ["--items", "items.csv", "--item-text-columns", "title,genre", "--item-encoder", encoder.to_str().unwrap()];
    let short = ["--epochs", "2", "--dropout", "0"];
    let trained = [&texts[..], &short, &["--train-item-encoder"]].concat();
    let output = run(&desk, "learnt", &[&trained[..], &["--item-loss", "sampled", "--negatives", "4"]].concat());
    assert_said(&output, 0, &["the encoder of items starts from", "which learn; all else starts anew"]);
    let weights = |run: &str, name: &str| tensors(desk.path(&format!("{run}/model.safetensors")))[name].clone();
    let name = "model.backbone.bert.encoder.layer.0.output.dense.weight";
    let before = &tensors(encoder.join("model.safetensors"))[name.trim_start_matches("model.backbone.bert.")];
    assert!(*before != weights("learnt/model", name));

    // Where its steps are nothing, all is as with an encoder that stays as it is.
    let still = [&trained[..], &["--item-loss", "sampled", "--backbone-learning-rate", "1e-30"]].concat();
    assert_done(&run(&desk, "still", &still));
    assert_done(&run(&desk, "frozen", &[&texts[..], &short, &["--item-loss", "sampled"]].concat()));
    let metrics = |run: &str| json(desk.path(&format!("{run}/metrics.json")))["test"].clone();
    let (still, frozen) = (metrics("still"), metrics("frozen"));
    for (key, value) in frozen.as_object().unwrap() {
        // Rounding may let two items of like scores change places.
        let apart = (value.as_f64().unwrap() - still[key].as_f64().unwrap()).abs();
        assert!(apart < 0.05, "{key}: {frozen} {still}");
    }

    // The folder alone: who is asked, and another shop.
    std::fs::rename(desk.path("learnt/model"), desk.path("alone")).unwrap();
    let predict = ["predict", "--model", "alone", "--device", "cpu", "--recommendations", "22"];
    let answers = json_lines(&desk.feed(&predict, "{\"history\": [\"i1\"]}\n").stdout);
    assert_eq!(answers[0]["items"].as_array().unwrap().len(), 21);
    desk.write("other.csv", "user_id,item_id,timestamp\na,x,1\na,y,2\na,z,3\na,w,4\nb,y,1\nb,z,2\nb,w,3\nb,x,4\n");
    desk.write("goods.csv", "item_id,title,genre\nx,war,1\ny,food,2\nz,film,0\nw,table,1\n");
    let moved = |output: &str, more: &[&str]| {
        let files =
            ["finetune", "--task", "recommendation", "--model", "alone", "--train", "other.csv", "--output", output];
        let fixed = ["--device", "cpu", "--threads", "1", "--precision", "fp32", "--epochs", "1", "--batch-size", "4"];
        let all = files.into_iter().chain(fixed).chain(more.iter().copied());
        all.map(str::to_owned).collect::<Vec<_>>()
    };
    let goods = ["--items", "goods.csv", "--item-text-columns", "title,genre"];
    desk.refuses(&moved("moved", &[]), &["give --items"]);
    assert_done(&desk.retune(moved("moved", &goods)));
    assert!(weights("moved/model", name) == weights("alone", name));
    assert_done(&desk.retune(moved("again", &[&goods[..], &["--train-item-encoder", "--warmup", "0"]].concat())));
    assert!(weights("again/model", name) != weights("alone", name));

    let refused = |more: &[&str], parts: &[&str]| desk.refuses(&arguments("no", &[&trained[..], more].concat()), parts);
    refused(&["--item-loss", "full"], &["in-batch, sampled, bpr or gbce"]);
    refused(&["--method", "head"], &["computed once and kept"]);
    refused(&["--method", "lora"], &["lora"]);
    desk.refuses(&arguments("no", &["--item-loss", "in-batch"]), &["needs --train-item-encoder"]);
    desk.refuses(&arguments("no", &["--train-item-encoder", "--items", "items.csv"]), &["give --item-encoder"]);
}

#[test]
fn broken_interactions_are_refused_before_anything_is_written() {
    let desk = desk();
    items(&desk);
    desk.write("bad.csv", "user_id,item_id,timestamp\n,i1,1\nu1,,2\nu1,i1,soon\n");
    desk.write("lone.csv", "user_id,item_id,timestamp\nu1,i1,1\nu2,i1,2\n");
    let refused = |more: &[&str], parts: &[&str]| desk.refuses(&arguments("run", more), parts);
    refused(&["--train", "bad.csv"], &["bad.csv:2: column `user_id`", "bad.csv:3", "`soon` is no time"]);
    refused(&["--train", "lone.csv"], &["no user has two interactions"]);
    refused(&["--user-column", "who"], &["no column `who`", "--user-column"]);
    refused(&["--time-column", "when"], &["no column `when`", "--time-column"]);
    refused(&["--item-encoder", "somewhere"], &["--items"]);
    refused(&["--items", "items.csv", "--item-text-columns", "plot"], &["no column `plot`", "--item-text-columns"]);
    refused(&["--config", "bert:tiny"], &["bert"]);
    refused(&["--tokenizer", "bpe"], &["sasrec reads no texts"]);
    refused(&["--text-column", "a"], &["has no column of texts"]);
    refused(&["--group-column", "rating"], &["holds out by time"]);
}
