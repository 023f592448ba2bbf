//! Images with masks: what is learnt, said, drawn and written, the methods, resuming, and masks that cannot be used.

use crate::support::{Desk, assert_done, assert_said, checkpoints, fixture, json, json_lines, read, tensors, text};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Width and height of the pictures; neither is the size of the model.
const SIZE: (usize, usize) = (44, 36);
const VOID: u8 = 2;

/// A bitmap of 24 bits, by its pixels from the top.
fn bitmap((width, height): (usize, usize), pixel: impl Fn(usize, usize) -> [u8; 3]) -> Vec<u8> {
    let mut file = b"BM".to_vec();
    let stride = (width * 3).next_multiple_of(4);
    for field in [54 + stride * height, 0, 54, 40, width, height] {
        file.extend((field as u32).to_le_bytes());
    }
    file.extend([1u16, 24].map(u16::to_le_bytes).concat());
    file.extend([0u8; 24]);
    for y in (0..height).rev() {
        let row: Vec<u8> = (0..width).flat_map(|x| pixel(x, y).into_iter().rev()).collect();
        file.extend(&row);
        file.extend(vec![0; stride - row.len()]);
    }
    file
}

/// The class of a pixel: a bright field somewhere, and a frame that nobody drew.
fn class(number: usize, x: usize, y: usize) -> u8 {
    let (left, top) = (4 + number * 7 % 20, 3 + number * 5 % 14);
    match () {
        () if x == 0 || y == 0 => VOID,
        () if (left..left + 18).contains(&x) && (top..top + 16).contains(&y) => 1,
        () => 0,
    }
}

fn picture(number: usize) -> Vec<u8> {
    bitmap(SIZE, |x, y| {
        let noise = ((x * 31 + y * 17 + number * 97) % 50) as u8;
        if class(number, x, y) == 1 { [200 + noise, 150 + noise, noise] } else { [noise, 20 + noise, 60 + noise] }
    })
}

/// `NAME/images/N.bmp` and `NAME/masks/N.bmp`.
fn folder(desk: &Desk, name: &str, first: usize, count: usize) {
    for part in ["images", "masks"] {
        fs::create_dir_all(desk.path(name).join(part)).unwrap();
    }
    for number in first..first + count {
        let file = format!("{number}.bmp");
        fs::write(desk.path(name).join("images").join(&file), picture(number)).unwrap();
        let mask = bitmap(SIZE, |x, y| [class(number, x, y); 3]);
        fs::write(desk.path(name).join("masks").join(&file), mask).unwrap();
    }
}

/// With `train` (16 pictures), `validation` (6) and `test` (6), and names of the classes beside them.
fn desk() -> Desk {
    let desk = Desk::new();
    for (name, first, count) in [("train", 0, 16), ("validation", 100, 6), ("test", 200, 6)] {
        folder(&desk, name, first, count);
    }
    desk.write("classes.json", "[\"ground\", \"field\", \"void\"]");
    desk
}

fn model() -> std::path::PathBuf {
    fixture("parity/segformer-image-classification")
}

fn arguments(desk: &Desk, output: &str, more: &[&str]) -> Vec<String> {
    let model = model();
    let usual = [
        ("--model", model.to_str().unwrap()),
        ("--task", "semantic-segmentation"),
        ("--train", "train"),
        ("--validation", "validation"),
        ("--test", "test"),
        ("--steps", "8"),
        ("--batch-size", "4"),
        ("--image-size", "40"),
        ("--augmentation", "none"),
    ];
    desk.arguments_over(output, &usual, more)
}

/// Width, height and samples of a PNG of 8-bit grey, as its header says and its data would be decoded elsewhere.
fn png_size(path: &Path) -> (u32, u32) {
    let bytes = read(path);
    assert!(bytes.starts_with(b"\x89PNG"), "{}", path.display());
    assert_eq!((bytes[24], bytes[25]), (8, 0), "8-bit grey");
    let number = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
    (number(16), number(20))
}

#[test]
fn fields_are_found_and_drawn() {
    let desk = desk();
    let more = ["--steps", "60", "--learning-rate", "5e-3", "--dice-weight", "0.5", "--class-weights", "balanced"];
    let output = desk.retune(arguments(&desk, "run", &more));
    assert_said(&output, 0, &["2 classes: ground, field", "pixels of `void` count as having no class"]);
    let metrics = json(desk.path("run/metrics.json"));
    let test = &metrics["test"];
    assert!(test["mean_iou"].as_f64().unwrap() > 0.6, "{metrics}");
    assert!(["dice", "pixel_accuracy", "mean_accuracy"].iter().all(|key| test[key].is_number()), "{test}");
    let guess = &metrics["baselines"]["most frequent class of each place"];
    assert!(guess["mean_iou"].as_f64().unwrap() < test["mean_iou"].as_f64().unwrap(), "{metrics}");
    let report = text(&read(desk.path("run/report.html")));
    for part in ["Colours of the masks", "IoU", "data:image/png;base64,", "<figcaption>true", "<figcaption>predicted"] {
        assert!(report.contains(part), "no `{part}` in the report");
    }
    // Saved as transformers has it, statistics of the batch norm included.
    let config = json(desk.path("run/model/config.json"));
    assert_eq!(config["architectures"][0], "SegformerForSemanticSegmentation");
    assert_eq!((&config["id2label"]["1"], &config["semantic_loss_ignore_index"]), (&"field".into(), &255.into()));
    let saved = tensors(desk.path("run/model/model.safetensors"));
    let batches = saved["decode_head.batch_norm.num_batches_tracked"].as_slice();
    assert!(i64::from_le_bytes(batches.try_into().unwrap()) > 0);
    // Predictions of the run lie beside their lines, in the size of the pictures.
    let lines = json_lines(&read(desk.path("run/predictions.jsonl")));
    assert_eq!(lines.len(), 6);
    for line in &lines {
        let mask = desk.path("run").join(line["mask"].as_str().unwrap());
        assert_eq!(png_size(&mask), (SIZE.0 as u32, SIZE.1 as u32));
        let shares = line["classes"].as_array().unwrap();
        let sum: f64 = shares.iter().map(|class| class["share"].as_f64().unwrap()).sum();
        assert!((sum - 1.0).abs() < 1e-6 && shares[0]["rle"]["size"] == serde_json::json!([SIZE.1, SIZE.0]), "{line}");
    }
    // Evaluation of the saved model gives the run's own figures, of the same masks under other numbers too.
    let evaluation = |data: &[&str]| {
        let output = desk.used("evaluate", "run", &[&["--data"], data].concat());
        assert_done(&output);
        json_lines(&output.stdout).remove(0)
    };
    let evaluated = evaluation(&["test"]);
    assert_eq!(evaluated["metrics"]["mean_iou"], test["mean_iou"]);
    assert_eq!(evaluated["per_class"][1]["name"], "field");
    desk.write("other.json", "{\"void\": 2, \"FIELD\": 1, \"ground\": 0}");
    assert_eq!(evaluation(&["test", "--classes", "other.json"])["metrics"], evaluated["metrics"]);
    // Predictions of pictures without masks, to a file and to a stream.
    let done = desk.used("predict", "run/model", &["--input", "test/images", "--output", "out.jsonl"]);
    assert_done(&done);
    let answers = json_lines(&read(desk.path("out.jsonl")));
    assert_eq!((answers.len(), &answers[0]["mask"]), (6, &"out/200.png".into()));
    assert!(answers[0].get("label").is_none());
    for (answer, line) in answers.iter().zip(&lines) {
        assert_eq!(answer["classes"], line["classes"]);
        assert_eq!(
            read(desk.path(answer["mask"].as_str().unwrap())),
            read(desk.path("run").join(line["mask"].as_str().unwrap()))
        );
    }
    let streamed =
        desk.feed(&["predict", "--model", "run", "--device", "cpu", "--precision", "fp32"], "test/images/200.bmp\n");
    assert_done(&streamed);
    let line = json_lines(&streamed.stdout).remove(0);
    assert!(line.get("mask").is_none() && line["classes"][0]["label"].is_string(), "{line}");
}

/// What is learnt is what evaluations report, of the saved model too; where nothing reads it, it is refused.
#[test]
fn focal_loss_is_learnt_reported_and_remembered() {
    let desk = desk();
    let more =
        ["--loss", "focal", "--focal-gamma", "1.5", "--dice-weight", "0.5", "--steps", "4", "--evaluate-every", "4"];
    assert_done(&desk.retune(arguments(&desk, "run", &more)));
    let log = json_lines(&read(desk.path("run/log.jsonl")));
    let validation = log.iter().rfind(|line| line["evaluation"].is_string()).unwrap();
    let loss_of = |model: &str| {
        let output = desk.used("evaluate", model, &["--data", "validation"]);
        assert_done(&output);
        json_lines(&output.stdout)[0]["metrics"]["loss"].as_f64().unwrap()
    };
    let (told, found) = (validation["loss"].as_f64().unwrap(), loss_of("run"));
    assert!((told - found).abs() < 1e-5, "{told} {found}");
    assert_eq!(loss_of("run/model"), found);
    // It is smaller than the cross-entropy of the same model, which it is without a recipe.
    let recipe = fs::read_to_string(desk.path("run/recipe.toml")).unwrap();
    for file in ["run/recipe.toml", "run/model/recipe.toml"] {
        fs::remove_file(desk.path(file)).unwrap();
    }
    assert!(loss_of("run") > found);
    assert!(recipe.contains("loss = \"focal\"") && recipe.contains("focal-gamma = 1.5"), "{recipe}");
    desk.refuses(&arguments(&desk, "none", &["--focal-gamma", "1"]), &["focal-gamma: 1 is a power of focal loss"]);
    desk.refuses(&arguments(&desk, "none", &["--loss", "dice"]), &["`dice` is not one of cross-entropy, focal"]);
    let other = arguments(&desk, "none", &["--loss", "focal", "--task", "image-classification"]);
    desk.refuses(&other, &["loss: image-classification has no masks"]);
}

/// Pictures of the same name in different folders are drawn apart, at their own size, with a legend below.
#[test]
fn masks_are_drawn_over_their_pictures() {
    let desk = desk();
    assert_done(&desk.retune(arguments(&desk, "run", &["--steps", "2"])));
    for (name, number) in [("a", 300), ("b", 301)] {
        fs::create_dir(desk.path(name)).unwrap();
        fs::write(desk.path(name).join("1.bmp"), picture(number)).unwrap();
    }
    desk.write("pictures.csv", "image\na/1.bmp\nb/1.bmp\n");
    let done = desk.used("predict", "run", &["--input", "pictures.csv", "--output", "out.jsonl", "--draw", "drawn"]);
    assert_done(&done);
    let answers = json_lines(&read(desk.path("out.jsonl")));
    let names: Vec<&str> = answers.iter().map(|answer| answer["drawn"].as_str().unwrap()).collect();
    assert_eq!(names, ["drawn/1.png", "drawn/1-2.png"]);
    assert_eq!((&answers[0]["mask"], &answers[1]["mask"]), (&"out/1.png".into(), &"out/1-2.png".into()));
    let drawn = names.iter().map(|name| read(desk.path(name))).collect::<Vec<_>>();
    assert_ne!(drawn[0], drawn[1]);
    for bytes in drawn {
        assert!(bytes.starts_with(b"\x89PNG"));
        let number = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
        assert_eq!((number(16), bytes[25]), (SIZE.0, 2), "as wide as the picture, in colours");
        assert!(number(20) > SIZE.1, "a legend below");
    }
    let other =
        ["finetune", "--task", "image-classification", "--model", "m", "--train", "t", "--output", "o", "--draw", "d"];
    desk.refuses(&other.map(str::to_owned), &["draw: image-classification finds no places in pictures"]);
}

/// Every method trains, and what it saved answers as the run did.
#[test]
fn every_method_learns() {
    let desk = desk();
    for method in ["head", "last:1", "lora"] {
        let run = format!("run-{}", method.replace(':', "-"));
        // Frozen blocks are computed once over several epochs, maps of all stages with them.
        let output =
            desk.retune(arguments(&desk, &run, &["--method", method, "--learning-rate", "5e-3", "--steps", "12"]));
        let kept = if method == "lora" { "" } else { "what the frozen blocks return is kept" };
        assert_said(&output, 0, &[kept]);
        let metrics = json(desk.path(&run).join("metrics.json"));
        let output = desk.used("evaluate", &run, &["--data", "test"]);
        assert_done(&output);
        let evaluated: Value = json_lines(&output.stdout).remove(0);
        assert_eq!(evaluated["metrics"]["mean_iou"], metrics["test"]["mean_iou"], "{method}");
        assert!(metrics["test"]["mean_iou"].is_number(), "{method}: {metrics}");
    }
    // An adapter brings the statistics of its head.
    let adapter = tensors(desk.path("run-lora/model/adapter_model.safetensors"));
    assert!(adapter.keys().any(|name| name.ends_with("decode_head.batch_norm.running_mean")), "{:?}", adapter.keys());
}

#[test]
fn a_killed_run_ends_with_the_same_bytes() {
    let desk = desk();
    let more = ["--evaluate-every", "2", "--steps", "24", "--dropout", "0.1", "--augmentation", "scale"];
    assert_done(&desk.retune(arguments(&desk, "whole", &more)));
    let (run, whole) = (desk.path("run"), desk.path("whole"));
    let mut child = desk.command(arguments(&desk, "run", &more));
    let mut child = child.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let patience = Instant::now() + Duration::from_secs(120);
    while checkpoints(&run).is_empty() {
        assert!(child.try_wait().unwrap().is_none(), "the run ended before it was killed");
        assert!(Instant::now() < patience, "no checkpoint");
        sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert_done(&desk.retune(arguments(&desk, "run", &[&more[..], &["--resume"]].concat())));
    for file in ["model/model.safetensors", "predictions.jsonl", "predictions/200.png"] {
        assert!(read(run.join(file)) == read(whole.join(file)), "{file} differs");
    }
}

#[test]
fn what_is_wrong_with_masks_is_told_at_once() {
    let desk = desk();
    let in_masks = |file: &str| desk.path("train/masks").join(file);
    fs::write(in_masks("1.bmp"), bitmap((10, 8), |_, _| [0; 3])).unwrap();
    fs::write(in_masks("2.bmp"), bitmap(SIZE, |x, _| [if x == 5 { 77 } else { 0 }; 3])).unwrap();
    fs::remove_file(in_masks("3.bmp")).unwrap();
    fs::write(in_masks("4.bmp"), "nothing").unwrap();
    fs::write(in_masks("5.bmp"), bitmap(SIZE, |_, _| [1, 2, 3])).unwrap();
    fs::write(desk.path("train/images/6.bmp"), "").unwrap();
    fs::write(in_masks("alone.bmp"), bitmap(SIZE, |_, _| [0; 3])).unwrap();
    let parts = [
        "train/images/1.bmp: its mask train/masks/1.bmp is 10 × 8 pixels, the image 44 × 36",
        "train/images/2.bmp: its mask has the value 77 in 36 pixels, first at column 5, row 0; classes are 0 to 1",
        "train/images/3.bmp: has no mask",
        "train/images/4.bmp: its mask train/masks/4.bmp is not a PNG",
        "train/images/5.bmp: its mask train/masks/5.bmp holds colours",
        "train/images/6.bmp: is empty",
        "6 of 16 cannot be used",
    ];
    desk.refuses(&arguments(&desk, "run", &[]), &parts);
    let output = desk.retune(arguments(&desk, "run", &["--on-bad-example", "skip", "--steps", "2"]));
    assert_said(&output, 0, &["6 of 16 examples cannot be used", "1 mask has no image"]);
    // Colours that a palette knows are values.
    desk.write("palette.csv", "name,r,g,b\nground,0,0,0\nfield,1,2,3\n");
    let output = desk.retune(arguments(&desk, "again", &["--palette", "palette.csv", "--on-bad-example", "skip"]));
    assert_said(&output, 0, &["5 of 16 examples cannot be used"]);

    desk.write("one.json", "[\"ground\"]");
    desk.refuses(
        &arguments(&desk, "none", &["--classes", "one.json", "--train", "test"]),
        &["there is one class, `ground`"],
    );
    desk.refuses(&arguments(&desk, "none", &["--train", "train/images"]), &["no folders `images` and `masks`"]);
    desk.refuses(&arguments(&desk, "none", &["--ignore-index", "300"]), &["ignore-index: 300 is not in 0..=255"]);
    desk.refuses(
        &arguments(&desk, "none", &["--mosaic", "0.5", "--batch-size", "1"]),
        &["mosaic: takes another image"],
    );
    // Of two images over each other a pixel would be of two classes.
    desk.refuses(&arguments(&desk, "none", &["--mixup", "0.5"]), &["mixup", "semantic-segmentation has no boxes"]);
}

/// Without a list, in a table, black and white are two classes.
#[test]
fn black_and_white_masks_need_no_list() {
    let desk = Desk::new();
    folder(&desk, "data", 0, 12);
    let mut table = "image,mask,patient\n".to_owned();
    for number in 0..12 {
        let mask = bitmap(SIZE, |x, y| [if class(number, x, y) == 1 { 255 } else { 0 }; 3]);
        fs::write(desk.path(&format!("data/{number}-mask.bmp")), mask).unwrap();
        table += &format!("data/images/{number}.bmp,data/{number}-mask.bmp,P{}\n", number % 4);
    }
    let train = desk.write("pictures.csv", &table);
    let table = train.to_str().unwrap();
    let more = ["--train", table, "--validation", table, "--test", table, "--steps", "2", "--group-column", "patient"];
    let output = desk.retune(arguments(&desk, "run", &more));
    assert_said(&output, 0, &["2 classes: background, foreground", "masks hold 0 and 255 only: 255 is `foreground`"]);
    assert_eq!(String::from_utf8_lossy(&output.stderr).matches("masks hold").count(), 1, "of three files");
    assert_eq!(json(desk.path("run/model/config.json"))["id2label"]["1"], "foreground");
    let output = desk.used("evaluate", "run", &["--data", table]);
    assert_done(&output);
    let evaluated = json_lines(&output.stdout).remove(0);
    let pixels: u64 = evaluated["per_class"].as_array().unwrap().iter().map(|it| it["pixels"].as_u64().unwrap()).sum();
    assert_eq!(pixels as usize, 12 * SIZE.0 * SIZE.1);
}
