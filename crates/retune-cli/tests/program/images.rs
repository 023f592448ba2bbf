//! Images from class folders and tables: the methods, resuming, images that cannot be read, groups, and pretraining.

use crate::support::{Desk, assert_done, assert_said, checkpoints, fixture, json, json_lines, read, tree};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};

const CLASSES: [&str; 3] = ["blue", "green", "red"];
const SIDE: usize = 24;

/// A bitmap in which the colour of its class is the strongest.
fn picture(class: usize, number: usize) -> Vec<u8> {
    let mut file = b"BM".to_vec();
    let size = 54 + SIDE * SIDE * 3;
    for field in [size, 0, 54, 40, SIDE, SIDE] {
        file.extend((field as u32).to_le_bytes());
    }
    file.extend([1u16, 24].map(u16::to_le_bytes).concat());
    file.extend([0u8; 24]);
    for place in 0..SIDE * SIDE {
        let noise = (place * 31 + number * 97 + place / SIDE * (number % 7)) % 120;
        file.extend((0..3).map(|channel| (noise + if channel == class { 120 } else { 0 }) as u8));
    }
    file
}

/// `NAME/class/N.bmp`; numbers start at `first`, so that no two folders share an image.
fn class_folders(desk: &Desk, name: &str, first: usize, per_class: usize) {
    for (class, label) in CLASSES.iter().enumerate() {
        let folder = desk.path(name).join(label);
        fs::create_dir_all(&folder).unwrap();
        for number in first..first + per_class {
            fs::write(folder.join(format!("{number}.bmp")), picture(class, number)).unwrap();
        }
    }
}

/// With `train` (36 images), `validation` (12) and `test` (15).
fn desk() -> Desk {
    let desk = Desk::new();
    for (name, first, per_class) in [("train", 0, 12), ("validation", 100, 4), ("test", 200, 5)] {
        class_folders(&desk, name, first, per_class);
    }
    desk
}

fn arguments(desk: &Desk, output: &str, model: &Path, more: &[&str]) -> Vec<String> {
    let mut all = vec!["--model", model.to_str().unwrap()];
    for (flag, value) in [
        ("--task", "image-classification"),
        ("--train", "train"),
        ("--validation", "validation"),
        ("--test", "test"),
        ("--steps", "8"),
    ] {
        if !more.contains(&flag) {
            all.extend([flag, value]);
        }
    }
    desk.arguments(output, &[&all, more].concat())
}

fn evaluated(desk: &Desk, model: &str, data: &str) -> Value {
    let flags = ["--data", data, "--device", "cpu", "--threads", "1", "--precision", "fp32"];
    let output = desk.retune(["evaluate", "--model", model].into_iter().chain(flags));
    assert_done(&output);
    json_lines(&output.stdout).remove(0)
}

fn predicted(desk: &Desk, model: &str, data: &str) -> Vec<Value> {
    let flags = ["--input", data, "--device", "cpu", "--threads", "1", "--precision", "fp32"];
    let output = desk.retune(["predict", "--model", model].into_iter().chain(flags));
    assert_done(&output);
    json_lines(&output.stdout)
}

/// Every method trains, and what it saved answers as the run did.
fn methods_work(model: &str) {
    let desk = desk();
    let model = fixture("parity").join(model);
    for method in ["full", "head", "last:1", "lora"] {
        let run = format!("run-{}", method.replace(':', "-"));
        let more = ["--method", method, "--learning-rate", "5e-3"];
        assert_done(&desk.retune(arguments(&desk, &run, &model, &more)));
        let metrics = json(desk.path(&run).join("metrics.json"));
        assert_eq!((&metrics["method"], &metrics["task"]), (&method.into(), &"image-classification".into()));
        let train = &metrics["train"];
        let all = train["trainable_parameters"] == train["total_parameters"];
        assert_eq!(all, method == "full", "{method}: {train}");
        let accuracy = &metrics["test"]["accuracy"];
        assert!(accuracy.is_number(), "{metrics}");
        assert_eq!(evaluated(&desk, &run, "test")["metrics"]["accuracy"], *accuracy, "{method}");

        let answers = predicted(&desk, &format!("{run}/model"), "test");
        assert_eq!(answers.len(), 15);
        let right = answers.iter().filter(|it| it["prediction"] == it["label"]).count();
        assert!((right as f64 / 15.0 - accuracy.as_f64().unwrap()).abs() < 1e-9, "{method}: {answers:?}");
        assert!(answers[0]["image"].as_str().unwrap().ends_with("blue/200.bmp"), "{}", answers[0]);
        assert!(desk.path(&run).join("model/preprocessor_config.json").is_file(), "{method}");
    }
}

#[test]
fn vit_learns_by_every_method() {
    methods_work("vit-image-classification");
}

#[test]
fn swin_learns_by_every_method() {
    methods_work("swin-image-classification");
}

#[test]
fn the_colour_of_the_images_is_learnt() {
    let desk = desk();
    let more = ["--steps", "30", "--learning-rate", "3e-3"];
    assert_done(&desk.retune(arguments(&desk, "run", &fixture("parity/vit-image-classification"), &more)));
    let metrics = json(desk.path("run/metrics.json"));
    assert!(metrics["test"]["accuracy"].as_f64().unwrap() > 0.8, "{}", metrics["test"]);
    assert!((metrics["baselines"]["majority class"]["accuracy"].as_f64().unwrap() - 1.0 / 3.0).abs() < 1e-9);
}

#[test]
fn a_killed_run_ends_with_the_same_bytes() {
    let desk = desk();
    let model = fixture("parity/vit-image-classification");
    let more = ["--steps", "40", "--evaluate-every", "2", "--batch-size", "4", "--dropout", "0.1"];
    assert_done(&desk.retune(arguments(&desk, "whole", &model, &more)));
    let (run, whole) = (desk.path("run"), desk.path("whole"));
    let (mut killed, patience) = (0, Instant::now() + Duration::from_secs(60));
    while killed < 2 {
        let newest = checkpoints(&run).pop();
        let resume: &[&str] = if newest.is_some() { &["--resume"] } else { &[] };
        let mut command = desk.command(arguments(&desk, "run", &model, &[&more, resume].concat()));
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        while checkpoints(&run).pop() == newest {
            assert!(child.try_wait().unwrap().is_none(), "the run ended before it was killed");
            assert!(Instant::now() < patience, "no checkpoint");
            sleep(Duration::from_millis(1));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        killed += 1;
    }
    assert_done(&desk.retune(arguments(&desk, "run", &model, &[&more[..], &["--resume"]].concat())));
    for file in ["model/model.safetensors", "predictions.jsonl", "model/preprocessor_config.json"] {
        assert!(read(run.join(file)) == read(whole.join(file)), "{file} differs");
    }
    assert_eq!(json(run.join("metrics.json"))["test"], json(whole.join("metrics.json"))["test"]);
}

#[test]
fn images_that_cannot_be_read() {
    let desk = desk();
    fs::write(desk.path("train/green/broken.png"), &read(fixture("images/files/rgb.png"))[..100]).unwrap();
    fs::write(desk.path("train/red/empty.jpg"), "").unwrap();
    let model = fixture("parity/vit-image-classification");
    desk.refuses(&arguments(&desk, "run", &model, &[]), &["train/green/broken.png", "train/red/empty.jpg", "2 of 38"]);

    let skip = ["--on-bad-example", "skip", "--grey-range", "0,4095"];
    let output = desk.retune(arguments(&desk, "run", &model, &skip));
    assert_said(&output, 0, &["train: 2 images", "train/green/broken.png", "train/red/empty.jpg"]);
    assert_eq!(json(desk.path("run/metrics.json"))["train"]["examples"], 8 * 16 - 3 * 12);
    assert_eq!(json(desk.path("run/model/preprocessor_config.json"))["grey_range"], "0,4095");
    let listed = json_lines(&read(desk.path("run/bad_examples.jsonl")));
    assert_eq!((listed.len(), &listed[0]["split"]), (2, &"train".into()));
    assert!(listed.iter().all(|it| it["path"].is_string() && it["reason"].is_string()), "{listed:?}");
    let report = crate::support::text(&read(desk.path("run/report.html")));
    assert!(report.contains("train: 2 examples cannot be used and were left out"));
    desk.refuses(&arguments(&desk, "again", &model, &["--augmentation", "loud"]), &["loud", "medium"]);
    desk.refuses(&arguments(&desk, "again", &model, &["--grey-range", "loud"]), &["grey-range", "LOW,HIGH"]);
    desk.refuses(&arguments(&desk, "again", &model, &["--image-size", "4"]), &["image-size", "4×4", "8×8"]);
}

#[test]
fn every_row_has_its_answer_and_a_bad_one_says_why() {
    let desk = desk();
    let model = fixture("parity/vit-image-classification");
    fs::copy(fixture("images/files/grey12.png"), desk.path("train/blue/dark.png")).unwrap();
    let output = desk.retune(arguments(&desk, "run", &model, &["--on-bad-example", "skip", "--steps", "1"]));
    assert_said(&output, 0, &["16-bit grey images reach 40", "of 65535 only", "--grey-range 0,40"]);
    fs::write(desk.path("test/blue/000.png"), "no image").unwrap();
    let answers = predicted(&desk, "run", "test");
    assert_eq!(answers.len(), 16);
    let said = answers[0]["error"].as_str().unwrap();
    assert!(said.contains("is not a PNG") && answers[0].get("prediction").is_none(), "{}", answers[0]);
    assert!(answers[0]["image"].as_str().unwrap().ends_with("blue/000.png"), "{}", answers[0]);
    assert!(answers[1..].iter().all(|it| it["prediction"].is_string() && it.get("error").is_none()));

    // A part of the stream that holds nothing else does not end it.
    let flags = ["predict", "--model", "run", "--device", "cpu", "--threads", "1", "--batch-size", "1"];
    let output = desk.feed(&flags, "test/blue/000.png\ntest/red/204.bmp\ntest/none.png\n");
    assert_done(&output);
    let streamed = json_lines(&output.stdout);
    assert!(streamed.len() == 3 && streamed[1]["prediction"].is_string(), "{streamed:?}");
    assert!(streamed[0]["error"].is_string() && streamed[2]["error"].is_string(), "{streamed:?}");

    let evaluation = evaluated(&desk, "run", "test");
    assert_eq!(evaluation["examples"], 15);
    let notes = evaluation["notes"].to_string();
    assert!(notes.contains("1 of 16 examples cannot be used") && notes.contains("blue/000.png"), "{notes}");
    let strict = ["evaluate", "--model", "run", "--data", "test", "--on-bad-example", "fail", "--device", "cpu"];
    assert_said(&desk.retune(strict), 2, &["test/blue/000.png", "1 of 16"]);
    fs::create_dir_all(desk.path("broken/blue")).unwrap();
    fs::write(desk.path("broken/blue/1.png"), "no image").unwrap();
    let nothing = ["evaluate", "--model", "run", "--data", "broken", "--device", "cpu"];
    assert_said(&desk.retune(nothing), 2, &["no example can be used", "broken/blue/1.png"]);
}

#[test]
fn images_of_a_group_stay_on_one_side() {
    let desk = desk();
    let table = |name: &str, folder: &str, first: usize, per_class: usize, groups: std::ops::Range<usize>| {
        let mut text = "file,kind,patient\n".to_owned();
        for number in first..first + per_class {
            for (class, label) in CLASSES.iter().enumerate() {
                let group = groups.start + (number * CLASSES.len() + class) % groups.len();
                text += &format!("{folder}/{label}/{number}.bmp,{label},p{group}\n");
            }
        }
        desk.write(name, &text);
    };
    // Nine patients of four images; the last one is also in the test.
    table("train.csv", "train", 0, 12, 0..9);
    table("test.csv", "test", 200, 5, 8..10);
    let arguments = |output: &str, more: &[&str]| {
        let columns =
            ["--train", "train.csv", "--test", "test.csv", "--image-column", "file", "--label-column", "kind"];
        let model = fixture("parity/vit-image-classification");
        let all = arguments(&desk, output, &model, &[&columns, more].concat());
        let at = all.iter().position(|it| it == "--validation").unwrap();
        [&all[..at], &all[at + 2..]].concat()
    };
    let grouped = ["--group-column", "patient", "--validation-fraction", "0.2"];
    let output = desk.retune(arguments("run", &grouped));
    // Patients are not divided: two of them are nearest to a fifth.
    assert_said(&output, 0, &["8 of 36 training rows validate", "1 group of test is also in"]);
    let said = crate::support::text(&output.stderr);
    assert!(!said.contains("of validation is also") && !said.contains("of validation are also"), "{said}");
    let report = crate::support::text(&read(desk.path("run/report.html")));
    assert!(
        report.contains("data:image/png;base64,") || json(desk.path("run/metrics.json"))["test"]["accuracy"] == 1.0
    );

    let output = desk.retune(arguments("loose", &grouped[2..]));
    assert_said(&output, 0, &["7 of 36 training rows validate"]);
}

#[test]
fn an_autoencoder_is_pretrained_and_becomes_a_classifier() {
    let desk = desk();
    fs::create_dir(desk.path("unlabelled")).unwrap();
    (0..24).for_each(|number| {
        fs::write(desk.path(&format!("unlabelled/{number}.bmp")), picture(number % 3, 300 + number)).unwrap();
    });
    let start = fixture("configs/vit_mae_tiny");
    let masked =
        ["--task", "masked-image-modeling", "--from-scratch", "--train", "unlabelled", "--learning-rate", "1e-3"];
    let more = [&masked[..], &["--batch-size", "8", "--steps", "6", "--baselines", "all"]].concat();
    assert_done(&desk.retune(arguments(&desk, "mae", &start, &more)));
    let metrics = json(desk.path("mae/metrics.json"));
    let loss = metrics["test"]["reconstruction_loss"].as_f64().unwrap();
    assert!(loss.is_finite() && metrics["intervals"]["test"]["reconstruction_loss"].is_array(), "{metrics}");
    let baselines = metrics["baselines"].as_object().unwrap();
    assert_eq!(baselines.len(), 1, "random weights are no baseline for themselves: {metrics}");
    assert!(baselines["patches without contrast"]["reconstruction_loss"].as_f64().unwrap() > 0.5);
    let config = json(desk.path("mae/model/config.json"));
    assert_eq!(config["architectures"][0], "ViTMAEForPreTraining");
    assert!(config.get("id2label").is_none(), "{config}");
    let report = crate::support::text(&read(desk.path("mae/report.html")));
    assert!(report.contains("Reconstruction loss on test") && !report.contains("id=\"classes\""));

    let evaluation = evaluated(&desk, "mae/model", "test");
    assert_eq!(evaluation["metrics"]["reconstruction_loss"], metrics["test"]["reconstruction_loss"]);
    // The mask is that of the image, whatever stands before it and whatever its folder says.
    let answers = predicted(&desk, "mae/model", "test");
    assert_eq!(answers.len(), 15);
    assert!(answers.iter().all(|it| it["reconstruction_loss"].is_number() && it.get("label").is_none()));
    fs::copy(desk.path("test/red/204.bmp"), desk.path("alone.bmp")).unwrap();
    let flags = ["predict", "--model", "mae/model", "--device", "cpu", "--threads", "1", "--batch-size", "1"];
    let streamed = json_lines(&desk.feed(&flags, "alone.bmp\n").stdout);
    let [first, last] = [&streamed[0], &answers[14]].map(|it| it["reconstruction_loss"].as_f64().unwrap());
    assert!((first - last).abs() < 1e-5, "{first} {last}");

    let before = tree(&desk.path("mae/model"));
    assert_done(&desk.retune(arguments(&desk, "classifier", &desk.path("mae/model"), &[])));
    assert!(tree(&desk.path("mae/model")) == before);
    let saved = json(desk.path("classifier/model/config.json"));
    assert_eq!(
        (&saved["model_type"], &saved["architectures"][0]),
        (&"vit".into(), &"ViTForImageClassification".into())
    );
    assert!(saved.get("mask_ratio").is_none(), "{saved}");
    let metrics = json(desk.path("classifier/metrics.json"));
    assert_eq!(evaluated(&desk, "classifier", "test")["metrics"]["accuracy"], metrics["test"]["accuracy"]);
    let output = desk.retune(arguments(&desk, "mae-again", &desk.path("classifier/model"), &masked[..2]));
    assert_said(&output, 2, &["vit_mae"]);
}
