//! Images with objects: every format, what is learnt, said and drawn, resuming, and boxes that cannot be used.

use crate::support::{Desk, assert_done, assert_said, checkpoints, fixture, json, json_lines, read, tensors, text};
use serde_json::{Value, json};
use std::fs;
use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Width and height of the pictures, which are of two shapes.
fn size(number: usize) -> (usize, usize) {
    if number.is_multiple_of(3) { (36, 48) } else { (48, 36) }
}

/// Class, left, top, width and height: a bright square and, in every second picture, a dark one.
fn objects(number: usize) -> Vec<(usize, [usize; 4])> {
    let bright = (0, [2 + number * 7 % 14, 3 + number * 5 % 12, 14, 14]);
    let dark = (1, [20 + number * 3 % 6, 18 + number % 8, 8, 8]);
    match number % 5 {
        4 => Vec::new(),
        odd if odd % 2 == 1 => vec![bright, dark],
        _ => vec![bright],
    }
}

/// A bitmap of 24 bits.
fn picture(number: usize) -> Vec<u8> {
    let (width, height) = size(number);
    let mut file = b"BM".to_vec();
    let stride = (width * 3).next_multiple_of(4);
    for field in [54 + stride * height, 0, 54, 40, width, height] {
        file.extend((field as u32).to_le_bytes());
    }
    file.extend([1u16, 24].map(u16::to_le_bytes).concat());
    file.extend([0u8; 24]);
    let inside = |x: usize, y: usize| {
        let has = |b: &[usize; 4]| (b[0]..b[0] + b[2]).contains(&x) && (b[1]..b[1] + b[3]).contains(&y);
        objects(number).iter().rev().find(|(_, sides)| has(sides)).map(|(class, _)| *class)
    };
    for y in (0..height).rev() {
        let row: Vec<u8> = (0..width)
            .flat_map(|x| {
                let noise = ((x * 31 + y * 17 + number * 97) % 30) as u8;
                match inside(x, y) {
                    Some(0) => [20, 220, 225 + noise],
                    Some(_) => [noise, noise, noise],
                    None => [120 + noise, 110, 100 + noise],
                }
            })
            .collect();
        file.extend(&row);
        file.extend(vec![0; stride - row.len()]);
    }
    file
}

const NAMES: [&str; 2] = ["lamp", "hole"];

fn pictures(desk: &Desk, folder: &str, first: usize, count: usize) {
    fs::create_dir_all(desk.path(folder)).unwrap();
    for number in first..first + count {
        fs::write(desk.path(folder).join(format!("{number}.bmp")), picture(number)).unwrap();
    }
}

/// In the order of their files.
fn by_name(first: usize, count: usize) -> Vec<usize> {
    let mut numbers: Vec<usize> = (first..first + count).collect();
    numbers.sort_by_key(|number| format!("{number}.bmp"));
    numbers
}

/// COCO's document of pictures; ids of categories have gaps.
fn coco(first: usize, count: usize) -> Value {
    let (mut images, mut annotations) = (Vec::new(), Vec::new());
    for number in by_name(first, count) {
        let (width, height) = size(number);
        images.push(json!({"id": number + 10, "file_name": format!("{number}.bmp"), "width": width, "height": height}));
        for (class, sides) in objects(number) {
            let id = annotations.len() + 1;
            annotations.push(json!({"id": id, "image_id": number + 10, "category_id": class * 4 + 3, "bbox": sides,
                "area": sides[2] * sides[3], "iscrowd": 0}));
        }
    }
    let categories = [json!({"id": 7, "name": NAMES[1]}), json!({"id": 3, "name": NAMES[0]})];
    json!({"images": images, "annotations": annotations, "categories": categories})
}

/// With `train` (15 pictures), `validation` (6) and `test` (6).
fn desk() -> Desk {
    let desk = Desk::new();
    for (name, first, count) in [("train", 0, 15), ("validation", 100, 6), ("test", 200, 6)] {
        pictures(&desk, &format!("{name}/images"), first, count);
        desk.write(&format!("{name}/annotations.coco.json"), &coco(first, count).to_string());
    }
    // The model, with a processor that keeps the shapes of pictures.
    fs::create_dir_all(desk.path("yolos")).unwrap();
    for file in ["config.json", "model.safetensors"] {
        fs::copy(fixture("parity/yolos-object-detection").join(file), desk.path("yolos").join(file)).unwrap();
    }
    desk.write(
        "yolos/preprocessor_config.json",
        &json!({"image_processor_type": "YolosImageProcessor", "size": {"shortest_edge": 32, "longest_edge": 64}})
            .to_string(),
    );
    desk
}

fn arguments(desk: &Desk, output: &str, more: &[&str]) -> Vec<String> {
    let usual = [
        ("--model", "yolos"),
        ("--task", "object-detection"),
        ("--train", "train"),
        ("--validation", "validation"),
        ("--test", "test"),
        ("--steps", "4"),
        ("--batch-size", "5"),
        ("--augmentation", "none"),
    ];
    desk.arguments_over(output, &usual, more)
}

#[test]
fn lamps_are_found_and_drawn() {
    let desk = desk();
    let more = ["--steps", "150", "--learning-rate", "3e-3", "--gradient-accumulation", "2"];
    let output = desk.retune(arguments(&desk, "run", &more));
    let warning = "150 steps are planned, and a detector whose classes are new needs at least 200";
    assert_said(&output, 0, &["2 classes: lamp, hole", warning, "mAP is likely to stay near 0; give `--steps 200`"]);
    let metrics = json(desk.path("run/metrics.json"));
    let test = &metrics["test"];
    assert!(test["map_50"].as_f64().unwrap() > 0.2, "{metrics}");
    for key in ["map", "map_75", "map_small", "mar_1", "mar_10", "mar_100", "mar_small"] {
        assert!(test[key].is_number(), "{key}: {test}");
    }
    let guess = &metrics["baselines"]["mean box of each class"];
    assert!(guess["map"].as_f64().unwrap() < test["map"].as_f64().unwrap(), "{metrics}");
    let threshold = metrics["score_threshold"]["threshold"].as_f64().unwrap();
    assert!(threshold > 0.0 && metrics["score_threshold"]["test"]["f1"].is_number(), "{metrics}");
    let report = text(&read(desk.path("run/report.html")));
    for part in ["Score threshold", "Precision by recall", "background", "<figcaption>true", "<figcaption>predicted"] {
        assert!(report.contains(part), "no `{part}` in the report");
    }
    // Saved as transformers has it.
    let config = json(desk.path("run/model/config.json"));
    assert_eq!(
        (&config["architectures"][0], &config["id2label"]["1"]),
        (&"YolosForObjectDetection".into(), &"hole".into())
    );
    assert_eq!(tensors(desk.path("run/model/model.safetensors"))["class_labels_classifier.layers.2.bias"].len(), 3 * 4);
    let processor = json(desk.path("run/model/preprocessor_config.json"));
    assert_eq!(processor["image_processor_type"], "YolosImageProcessor");
    // Evaluation of the saved model gives the run's own figures, whatever the size of batches.
    let evaluation = |more: &[&str]| {
        let output = desk.used("evaluate", "run", &[&["--data", "test"], more].concat());
        assert_done(&output);
        json_lines(&output.stdout).remove(0)
    };
    for batch in ["1", "4"] {
        let evaluated = evaluation(&["--batch-size", batch]);
        let difference = evaluated["metrics"]["map"].as_f64().unwrap() - test["map"].as_f64().unwrap();
        assert!(difference.abs() < 1e-6, "{evaluated}");
        assert_eq!(evaluated["per_class"][0]["name"], "lamp");
    }
    // Predictions of pictures without annotations, drawn; of a stream; with another threshold and suppression.
    let lines = json_lines(&read(desk.path("run/predictions.jsonl")));
    let more = ["--input", "test/images", "--output", "out.jsonl", "--draw", "drawn"];
    assert_done(&desk.used("predict", "run", &more));
    let answers = json_lines(&read(desk.path("out.jsonl")));
    assert_eq!(answers.len(), 6);
    for (answer, line) in answers.iter().zip(&lines) {
        assert_eq!(answer["objects"], line["objects"]);
        let drawn = read(desk.path(answer["drawn"].as_str().unwrap()));
        assert!(drawn.starts_with(b"\x89PNG"));
        for object in answer["objects"].as_array().unwrap() {
            assert!(
                object["score"].as_f64().unwrap() >= threshold - 1e-4
                    && NAMES.contains(&object["label"].as_str().unwrap())
            );
            let sides: Vec<f64> = object["box"].as_array().unwrap().iter().map(|side| side.as_f64().unwrap()).collect();
            assert!(sides[0] >= 0.0 && sides[1] >= 0.0 && sides[0] + sides[2] <= 48.01 && sides[1] + sides[3] <= 48.01);
        }
    }
    assert!(answers.iter().any(|answer| !answer["objects"].as_array().unwrap().is_empty()), "{answers:?}");
    let all = desk.used("predict", "run/model", &["--input", "test/images", "--score-threshold", "0"]);
    assert_done(&all);
    assert_eq!(json_lines(&all.stdout)[0]["objects"].as_array().unwrap().len(), 5, "one for each query");
    let few = desk.used("predict", "run/model", &["--input", "test/images", "--score-threshold", "0", "--nms", "0.01"]);
    assert!(json_lines(&few.stdout)[0]["objects"].as_array().unwrap().len() < 5);
    let streamed =
        desk.feed(&["predict", "--model", "run", "--device", "cpu", "--precision", "fp32"], "test/images/200.bmp\n");
    assert_done(&streamed);
    assert_eq!(json_lines(&streamed.stdout)[0]["objects"], answers[0]["objects"]);
}

/// The same pictures in every format give the same run.
#[test]
fn every_format_says_the_same() {
    let desk = desk();
    let run = |name: &str, train: &str, more: &[&str]| {
        let more = [&["--train", train, "--steps", "2", "--evaluate-every", "2"], more].concat();
        let output = format!("{name}-run");
        assert_done(&desk.retune(arguments(&desk, &output, &more)));
        read(desk.path(&output).join("model/model.safetensors"))
    };
    let expected = run("coco", "train", &[]);
    // A file apart from its pictures.
    desk.write("apart.json", &coco(0, 15).to_string());
    assert!(expected == run("apart", "apart.json", &["--image-folder", "train/images"]));
    for name in ["voc", "yolo", "hub", "apple"] {
        pictures(&desk, &format!("{name}/images"), 0, 15);
        for folder in ["annotations", "labels"] {
            fs::create_dir_all(desk.path(name).join(folder)).unwrap();
        }
        desk.write(&format!("{name}/classes.txt"), "lamp\nhole\n");
    }
    let (mut hub, mut apple) = (String::new(), Vec::new());
    for number in by_name(0, 15) {
        let ((width, height), objects) = (size(number), objects(number));
        let each = |of: &dyn Fn(&str, [usize; 4]) -> String| -> String {
            objects.iter().map(|(class, sides)| of(NAMES[*class], *sides)).collect()
        };
        let xml = each(&|name, [x, y, w, h]| {
            let corners = format!("<xmin>{x}</xmin><ymin>{y}</ymin><xmax>{}</xmax><ymax>{}</ymax>", x + w, y + h);
            format!("<object><name>{name}</name><bndbox>{corners}</bndbox></object>")
        });
        let size = format!("<size><width>{width}</width><height>{height}</height><depth>3</depth></size>");
        desk.write(&format!("voc/annotations/{number}.xml"), &format!("<annotation>{size}{xml}</annotation>"));
        let lines = each(&|name, [x, y, w, h]| {
            let share = |at: f64, side: usize| at / side as f64;
            let class = NAMES.iter().position(|it| *it == name).unwrap();
            let middle = (share(x as f64 + w as f64 / 2.0, width), share(y as f64 + h as f64 / 2.0, height));
            format!("{class} {} {} {} {}\n", middle.0, middle.1, share(w as f64, width), share(h as f64, height))
        });
        desk.write(&format!("yolo/labels/{number}.txt"), &lines);
        let boxes: Vec<_> = objects.iter().map(|(_, sides)| *sides).collect();
        let classes: Vec<_> = objects.iter().map(|(class, _)| *class).collect();
        let line =
            json!({"file_name": format!("images/{number}.bmp"), "objects": {"bbox": boxes, "category": classes}});
        hub += &format!("{line}\n");
        let annotations: Vec<Value> = objects
            .iter()
            .map(|(class, [x, y, w, h])| {
                json!({"label": NAMES[*class], "coordinates":
            {"x": *x as f64 + *w as f64 / 2.0, "y": *y as f64 + *h as f64 / 2.0, "width": w, "height": h}})
            })
            .collect();
        apple.push(json!({"image": format!("{number}.bmp"), "annotations": annotations}));
    }
    desk.write("hub/metadata.jsonl", &hub);
    desk.write("apple/_annotations.createml.json", &json!(apple).to_string());
    assert!(expected == run("hub", "hub", &[]));
    // These list no classes, which then come in alphabetical order.
    assert!(run("apple", "apple", &[]) == run("voc", "voc", &[]));
    assert_eq!(json(desk.path("voc-run/model/config.json"))["id2label"]["0"], "hole");
    // Shares of a picture are rounded.
    run("yolo", "yolo", &[]);
    assert_eq!(json(desk.path("yolo-run/model/config.json"))["id2label"]["0"], "lamp");
}

#[test]
fn a_killed_run_ends_with_the_same_bytes() {
    let desk = desk();
    let more = ["--evaluate-every", "2", "--steps", "16", "--augmentation", "scale"];
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
    for file in ["model/model.safetensors", "predictions.jsonl"] {
        assert!(read(run.join(file)) == read(whole.join(file)), "{file} differs");
    }
}

/// Every method trains; pictures of one size let frozen blocks be computed once.
#[test]
fn every_method_learns() {
    let desk = desk();
    fs::remove_file(desk.path("yolos/preprocessor_config.json")).unwrap();
    for method in ["head", "last:1", "lora"] {
        let run = format!("run-{}", method.replace(':', "-"));
        let more = ["--method", method, "--steps", "9", "--image-size", "32", "--learning-rate", "1e-3"];
        let output = desk.retune(arguments(&desk, &run, &more));
        let kept = if method == "lora" { "" } else { "what the frozen blocks return is kept" };
        assert_said(&output, 0, &[kept]);
        let metrics = json(desk.path(&run).join("metrics.json"));
        let output = desk.used("evaluate", &run, &["--data", "test"]);
        assert_done(&output);
        let evaluated: Value = json_lines(&output.stdout).remove(0);
        assert_eq!(evaluated["metrics"]["mar_100"], metrics["test"]["mar_100"], "{method}");
    }
}

/// Of its own weights there are none; parts of four pictures stand in one, pictures lie over each other, and batches are of several
/// sizes.
#[test]
fn a_detector_begins_with_the_convolutions_of_a_classifier() {
    let desk = desk();
    fs::create_dir_all(desk.path("conditional")).unwrap();
    fs::copy(fixture("parity/conditional-detr").join("config.json"), desk.path("conditional/config.json")).unwrap();
    desk.write(
        "conditional/preprocessor_config.json",
        &json!({"image_processor_type": "ConditionalDetrImageProcessor", "size": {"shortest_edge": 24, "longest_edge": 48}})
            .to_string(),
    );
    let classifier = fixture("parity/resnet-image-classification").display().to_string();
    let changes = ["--augmentation", "light", "--mosaic", "0.5", "--mixup", "0.5", "--multi-scale", "0.25"];
    let with = |backbone: &str, more: &[&str]| {
        let own = ["--model", "conditional", "--backbone", backbone, "--steps", "3"];
        arguments(&desk, "begun", &[&own[..], &changes[..], more].concat())
    };
    desk.refuses(&with(&classifier, &["--method", "lora"]), &["saved beside its base model"]);
    desk.refuses(&with("yolos", &[]), &["is of yolos; a backbone is a ResNet"]);
    desk.refuses(&with(&classifier, &["--from-scratch"]), &["backbone: contradicts from-scratch"]);
    let output = desk.retune(with(&classifier, &[]));
    assert_said(&output, 0, &["the backbone starts from", "without classifier.1.bias", "all else starts anew"]);
    let config = json(desk.path("begun/model/config.json"));
    assert_eq!(config["architectures"][0], "ConditionalDetrForObjectDetection");
    assert_eq!(
        (&config["backbone_config"]["hidden_sizes"], &config["use_timm_backbone"]),
        (&json!([8, 12]), &json!(false))
    );
    let (theirs, ours) =
        (tensors(format!("{classifier}/model.safetensors")), tensors(desk.path("begun/model/model.safetensors")));
    // Frozen norms stay what they were.
    let mean = "embedder.embedder.normalization.running_mean";
    assert_eq!(ours[&format!("model.backbone.conv_encoder.model.{mean}")], theirs[&format!("resnet.{mean}")]);
    assert_done(&desk.used("evaluate", "begun/model", &["--data", "test"]));
}

#[test]
fn a_classifier_is_made_from_nothing_and_a_detector_over_it() {
    let desk = desk();
    let without_model = |output: &str, more: &[&str]| {
        let usual = [&["--from-scratch", "--image-size", "96", "--steps", "1"][..], more].concat();
        let mut all = arguments(&desk, output, &usual);
        let model = all.iter().position(|it| it == "--model").unwrap();
        all.drain(model..model + 2);
        all
    };
    let table = |name: &str, first: usize, count: usize| {
        let row = |number| format!("{name}/images/{number}.bmp,{}\n", number % 2);
        desk.write(
            &format!("{name}.csv"),
            &("image,label\n".to_owned() + &(first..first + count).map(row).collect::<String>()),
        );
    };
    table("test", 200, 6);
    table("validation", 100, 6);
    let tables = ["--train", "test.csv", "--validation", "validation.csv", "--test", "validation.csv"];
    let task = ["--task", "image-classification", "--config", "resnet:tiny"];
    assert_done(&desk.retune(without_model("classifier", &[&task[..], &tables].concat())));
    assert_eq!(json(desk.path("classifier/model/config.json"))["image_size"], 96);
    let few = ["--train", "test", "--test", "validation"];
    let own = [&few[..], &["--config", "rt_detr_v2:tiny", "--backbone", "classifier/model"]].concat();
    let output = desk.retune(without_model("run", &own));
    assert_said(&output, 0, &["rt_detr_v2:tiny from nothing", "the backbone starts from", "all else starts anew"]);
    let processor = json(desk.path("run/model/preprocessor_config.json"));
    assert_eq!(processor["image_processor_type"], "RTDetrImageProcessor");
    // It sees pixels as the classifier did.
    assert_eq!((&processor["size"]["height"], &processor["image_mean"][0]), (&json!(96), &json!(0.5)));
    let mean = |folder: &str, name: &str| {
        tensors(desk.path(folder).join("model.safetensors"))
            .remove(&format!("{name}embedder.embedder.normalization.running_mean"))
    };
    assert_eq!(mean("run/model", "model.backbone.model."), mean("classifier/model", "resnet."));
}

#[test]
fn what_is_wrong_with_boxes_is_told_at_once() {
    let desk = desk();
    let mut document = coco(0, 15);
    let more = |document: &mut Value, image: usize, category: usize, sides: Value| {
        let annotations = document["annotations"].as_array_mut().unwrap();
        let id = annotations.len() + 1;
        annotations.push(json!({"id": id, "image_id": image + 10, "category_id": category, "bbox": sides}));
        id
    };
    let ids = [
        more(&mut document, 1, 3, json!([40, 10, 30, 10])),
        more(&mut document, 2, 3, json!([10, 10, 0, 10])),
        more(&mut document, 5, 3, json!([100, 10, 20, 10])),
        more(&mut document, 7, 9, json!([1, 1, 5, 5])),
        more(&mut document, 990, 3, json!([1, 1, 5, 5])),
    ];
    let image = document["images"].as_array_mut().unwrap().iter_mut().find(|image| image["id"] == 18).unwrap();
    (image["width"], image["height"]) = (json!(36), json!(48));
    desk.write("train/annotations.coco.json", &document.to_string());
    fs::remove_file(desk.path("train/images/10.bmp")).unwrap();
    let parts = [
        format!(
            "1.bmp: annotation {}: its box [40, 10, 30, 10] (left, top, width, height in pixels) reaches outside",
            ids[0]
        ),
        format!(
            "2.bmp: annotation {}: its box [10, 10, 0, 10] (left, top, width, height in pixels) has no area",
            ids[1]
        ),
        format!(
            "5.bmp: annotation {}: its box [100, 10, 20, 10] (left, top, width, height in pixels) lies outside",
            ids[2]
        ),
        format!("7.bmp: annotation {} has the category id 9, which is not among `categories`", ids[3]),
        format!("annotation {} belongs to the image id 1000, which is not among `images`", ids[4]),
        "8.bmp: is 48 × 36 pixels, train/annotations.coco.json says 36 × 48, turned".to_owned(),
        "10.bmp: there is no such file".to_owned(),
        "6 of 15 cannot be used".to_owned(),
    ];
    desk.refuses(&arguments(&desk, "run", &[]), &parts.iter().map(String::as_str).collect::<Vec<_>>());
    let output = desk.retune(arguments(&desk, "run", &["--on-bad-example", "skip", "--steps", "2"]));
    assert_said(&output, 0, &["6 of 15 examples cannot be used", "is left out"]);
    // Corners where sides are meant.
    let mut document = coco(200, 6);
    for annotation in document["annotations"].as_array_mut().unwrap() {
        let sides: Vec<u64> =
            annotation["bbox"].as_array().unwrap().iter().map(|side| side.as_u64().unwrap()).collect();
        annotation["bbox"] = json!([sides[0], sides[1], sides[0] + sides[2], sides[1] + sides[3]]);
    }
    desk.write("test/annotations.coco.json", &document.to_string());
    let more = ["--train", "test", "--validation", "test"];
    desk.refuses(
        &arguments(&desk, "none", &more),
        &["all fit as xyxy (left, top, right, bottom in pixels)", "--box-format"],
    );
    assert_done(&desk.retune(arguments(
        &desk,
        "said",
        &[&more[..], &["--box-format", "xyxy", "--steps", "1"]].concat(),
    )));
    fs::remove_file(desk.path("test/annotations.coco.json")).unwrap();
    desk.refuses(&arguments(&desk, "none", &more), &["nothing says what is in the images"]);
}
