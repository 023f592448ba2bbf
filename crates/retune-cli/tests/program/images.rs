//! Images from class folders and tables: the methods, resuming, images that cannot be read, groups, and pretraining.

use crate::support::{Desk, assert_done, assert_said, checkpoints, fixture, json, json_lines, read, tree};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
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
    let usual = [
        ("--model", model.to_str().unwrap()),
        ("--task", "image-classification"),
        ("--train", "train"),
        ("--validation", "validation"),
        ("--test", "test"),
        ("--steps", "8"),
    ];
    desk.arguments_over(output, &usual, more)
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
    killed_and_resumed(&desk, &fixture("parity/vit-image-classification"), &["--dropout", "0.1"]);
}

/// Stochastic depth draws from the same stream as dropout.
#[test]
fn a_killed_run_with_stochastic_depth_ends_with_the_same_bytes() {
    let desk = desk();
    let (model, source) = (desk.path("swin"), fixture("parity/swin-image-classification"));
    fs::create_dir(&model).unwrap();
    fs::copy(source.join("model.safetensors"), model.join("model.safetensors")).unwrap();
    let mut config = json(source.join("config.json"));
    config["drop_path_rate"] = 0.3.into();
    fs::write(model.join("config.json"), config.to_string()).unwrap();
    killed_and_resumed(&desk, &model, &[]);
    // Without it the weights are others: it was on.
    let more = [&KILLED[..], &["--steps", "2"]].concat();
    assert_done(&desk.retune(arguments(&desk, "with", &model, &more)));
    assert_done(&desk.retune(arguments(&desk, "without", &source, &more)));
    let weights = |run: &str| read(desk.path(run).join("model/model.safetensors"));
    assert!(weights("with") != weights("without"));
}

const KILLED: [&str; 4] = ["--evaluate-every", "2", "--batch-size", "4"];

fn killed_and_resumed(desk: &Desk, model: &Path, more: &[&str]) {
    let more = [&KILLED[..], &["--steps", "40"], more].concat();
    assert_done(&desk.retune(arguments(desk, "whole", model, &more)));
    let (run, whole) = (desk.path("run"), desk.path("whole"));
    let (mut killed, patience) = (0, Instant::now() + Duration::from_secs(60));
    while killed < 2 {
        let newest = checkpoints(&run).pop();
        let resume: &[&str] = if newest.is_some() { &["--resume"] } else { &[] };
        let mut command = desk.command(arguments(desk, "run", model, &[&more[..], resume].concat()));
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
    assert_done(&desk.retune(arguments(desk, "run", model, &[&more[..], &["--resume"]].concat())));
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
    assert_said(&output, 0, &["train: 2 of 38 examples", "train/green/broken.png", "train/red/empty.jpg"]);
    assert_eq!(json(desk.path("run/metrics.json"))["train"]["examples"], 8 * 16 - 3 * 12);
    assert_eq!(json(desk.path("run/model/preprocessor_config.json"))["grey_range"], "0,4095");
    let listed = json_lines(&read(desk.path("run/bad_examples.jsonl")));
    assert_eq!((listed.len(), &listed[0]["split"]), (2, &"train".into()));
    assert!(listed.iter().all(|it| it["path"].is_string() && it["reason"].is_string()), "{listed:?}");
    let report = crate::support::text(&read(desk.path("run/report.html")));
    assert!(report.contains("train: 2 examples cannot be used and were left out"));
    desk.refuses(&arguments(&desk, "again", &model, &["--augmentation", "loud"]), &["loud", "medium"]);
    desk.refuses(&arguments(&desk, "again", &model, &["--grey-range", "loud"]), &["grey-range", "LOW,HIGH"]);
}

/// Before an image is decoded: one that cannot be read goes unnoticed.
#[test]
fn image_sizes_that_do_not_fit_are_refused_first() {
    let desk = desk();
    fs::write(desk.path("train/red/empty.jpg"), "").unwrap();
    for (model, size, parts) in [
        ("vit-image-classification", "4", ["4×4", "at least 8×8"]),
        ("vit-image-classification", "20", ["20×20", "16×16 or 24×24"]),
        ("swin-image-classification", "3", ["3×3", "at least 4×4"]),
        ("convnext-image-classification", "31", ["31×31", "at least 32×32"]),
    ] {
        let model = fixture("parity").join(model);
        let arguments = arguments(&desk, "run", &model, &["--image-size", size]);
        desk.refuses(&arguments, &[&["image-size"], &parts[..]].concat());
        let said = crate::support::text(&desk.retune(arguments).stderr);
        assert!(!said.contains("empty.jpg"), "{said}");
    }
}

#[test]
fn interpolated_positions_are_told_where_there_are_any() {
    let desk = desk();
    let told = |model: &str, size: &str| {
        let model = fixture("parity").join(model);
        let output =
            desk.retune(arguments(&desk, &format!("run-{size}"), &model, &["--image-size", size, "--steps", "1"]));
        assert_said(&output, 0, &[&format!("images are {size}×{size}, the model was made for")]);
        crate::support::text(&output.stderr).contains("positions are interpolated")
    };
    assert!(told("vit-image-classification", "40"));
    assert!(!told("swin-image-classification", "36"));
}

/// Pictures in a report, as they are written there.
fn pictures(desk: &Desk, run: &str) -> Vec<String> {
    let report = crate::support::text(&read(desk.path(run).join("report.html")));
    let parts = report.split("data:image/png;base64,").skip(1);
    parts.map(|part| part.split('"').next().unwrap().to_owned()).collect()
}

#[test]
fn heat_maps_are_laid_over_the_worst_errors() {
    let desk = desk();
    // One picture under two labels: whatever a model says, one of them is wrong.
    fs::copy(desk.path("test/blue/200.bmp"), desk.path("test/red/blue.bmp")).unwrap();
    let vit = fixture("parity/vit-image-classification");
    let run = |output: &str, model: &Path, more: &[&str]| {
        assert_done(&desk.retune(arguments(&desk, output, model, &[&["--steps", "2"], more].concat())));
        let report = crate::support::text(&read(desk.path(output).join("report.html")));
        (pictures(&desk, output), report.contains("Colour, from yellow to red"))
    };
    let (plain, told) = run("plain", &vit, &["--method", "head"]);
    assert!(!plain.is_empty() && !told);
    for how in ["gradient", "rollout"] {
        // Of a model of which only the head is trained, and whose lower layers have no graph.
        let (coloured, told) = run(how, &vit, &["--method", "head", "--heat-maps", how]);
        assert!(told && coloured.len() == plain.len(), "{how}");
        assert!(coloured.iter().all(|picture| !plain.contains(picture)), "{how}: no colour");
    }
    assert_ne!(pictures(&desk, "gradient"), pictures(&desk, "rollout"));
    let swin = fixture("parity/swin-image-classification");
    assert!(run("swin", &swin, &["--heat-maps", "gradient"]).1);

    let rollout = |model: &Path| arguments(&desk, "refused", model, &["--heat-maps", "rollout"]);
    desk.refuses(&rollout(&swin), &["heat-maps", "no rollout", "use gradient"]);
    desk.refuses(&desk.arguments("refused", &["--heat-maps", "gradient"]), &["heat-maps", "no gradient heat maps"]);
    desk.refuses(&arguments(&desk, "refused", &vit, &["--heat-maps", "magic"]), &["heat-maps: `magic`", "rollout"]);
    let convnext = fixture("parity/convnext-image-classification");
    let dropout = arguments(&desk, "refused", &convnext, &["--dropout", "0.1"]);
    desk.refuses(&dropout, &["dropout", "drop_path_rate"]);
}

/// Images as bytes beside their label, as data sets on the hub have them.
fn parquet(desk: &Desk, name: &str, numbers: std::ops::Range<usize>) {
    use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
    let message = "message m { required binary image; required int64 label; }";
    let schema = Arc::new(parquet::schema::parser::parse_message_type(message).unwrap());
    let file = fs::File::create(desk.path(name)).unwrap();
    let mut writer = parquet::file::writer::SerializedFileWriter::new(file, schema, Default::default()).unwrap();
    let mut rows = writer.next_row_group().unwrap();
    let images: Vec<ByteArray> = numbers.clone().map(|number| picture(number % 3, number).into()).collect();
    let labels: Vec<i64> = numbers.map(|number| number as i64 % 3).collect();
    let mut column = rows.next_column().unwrap().unwrap();
    column.typed::<ByteArrayType>().write_batch(&images, None, None).unwrap();
    column.close().unwrap();
    let mut column = rows.next_column().unwrap().unwrap();
    column.typed::<Int64Type>().write_batch(&labels, None, None).unwrap();
    column.close().unwrap();
    rows.close().unwrap();
    writer.close().unwrap();
}

/// Of the presets only `strong` has both mixup and CutMix.
#[test]
fn mixed_images_from_parquet_train_a_model() {
    let desk = desk();
    for (name, numbers) in [("train", 0..36), ("validation", 100..112), ("test", 200..215)] {
        parquet(&desk, &format!("{name}.parquet"), numbers);
    }
    let model = fixture("parity/vit-image-classification");
    let run = |output: &str, augmentation: &str| {
        let tables = ["--train", "train.parquet", "--validation", "validation.parquet", "--test", "test.parquet"];
        let more =
            [&tables[..], &["--augmentation", augmentation, "--steps", "30", "--learning-rate", "3e-3"]].concat();
        assert_done(&desk.retune(arguments(&desk, output, &model, &more)));
        let log = json_lines(&read(desk.path(output).join("log.jsonl")));
        assert!(log.iter().all(|line| line["loss"].as_f64().unwrap().is_finite()));
        (read(desk.path(output).join("model/model.safetensors")), log)
    };
    let (mixed, log) = run("mixed", "strong");
    assert!(run("again", "strong").0 == mixed, "mixing is not a function of the seed");
    let (plain, plain_log) = run("plain", "none");
    assert!(plain != mixed);
    // Shares of classes cannot be learnt by heart.
    let last = |log: &[Value]| log.iter().rfind(|line| line.get("evaluation").is_none()).unwrap()["loss"].as_f64();
    assert!(last(&log) > last(&plain_log), "{:?} {:?}", last(&log), last(&plain_log));
    let accuracy = &json(desk.path("mixed/metrics.json"))["test"]["accuracy"];
    assert!(accuracy.as_f64().unwrap() > 0.5, "{accuracy}");
    assert_eq!(evaluated(&desk, "mixed", "test.parquet")["metrics"]["accuracy"], *accuracy);
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
    // One picture under two labels: whatever a model says, one of them is wrong.
    let rows = crate::support::text(&read(desk.path("test.csv")));
    desk.write("test.csv", &(rows + "test/blue/200.bmp,red,p9\n"));
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
    let wrong = json_lines(&read(desk.path("run/predictions.jsonl")));
    let wrong = wrong.iter().filter(|it| it["prediction"] != it["label"]).count();
    assert!(wrong > 0 && pictures(&desk, "run").len() == wrong, "a picture for each of {wrong} errors");

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
    assert!(report.contains("Reconstruction loss on test") && !report.contains("id=\"per-class"));

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
