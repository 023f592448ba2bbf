//! Tests of data sets as tools export them: lists, roots, and boxes at edges.

use super::*;
use crate::image::boxes::CheckedBoxes;
use crate::image::fixtures;
use crate::image::{ImageOptions, ImageProcessor, Images};
use crate::{LabelRows as _, Targets as _};

fn tree(files: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    files.iter().for_each(|file| write(folder.path(), file, fixtures::file("rgb.png")));
    folder
}

fn write(folder: &Path, file: &str, content: impl AsRef<[u8]>) {
    let path = folder.join(file);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
}

fn read(path: impl AsRef<Path>, required: bool) -> Result<ObjectRows, DataError> {
    read_objects(path.as_ref(), None, &Layout::image("image"), "objects", (required, OnBadExample::Fail))
}

fn said(path: impl AsRef<Path>) -> String {
    read(path, true).err().unwrap().to_string()
}

fn places(rows: &ObjectRows) -> Vec<String> {
    let name = |row| Path::new(&rows.rows.place(row).unwrap()).file_name().unwrap().to_str().unwrap().to_owned();
    (0..rows.rows.len()).map(name).collect()
}

fn xml(name: &str) -> String {
    format!(
        "<annotation><object><name>{name}</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>5</xmax><ymax>5</ymax></bndbox></object></annotation>"
    )
}

#[test]
fn lists_say_which_images_of_pascal_voc_are_of_a_split() {
    let data = tree(&["JPEGImages/a.b.png", "JPEGImages/c.png", "JPEGImages/d.png", "SegmentationClass/c.png"]);
    let root = data.path();
    ["a.b", "c", "d"].iter().for_each(|name| write(root, &format!("Annotations/{name}.xml"), xml("dog")));
    // Without lists all images count, masks of the same names not.
    assert_eq!(places(&read(root, true).unwrap()), ["a.b.png", "c.png", "d.png"]);
    write(root, "ImageSets/Main/train.txt", "a.b\r\nc.png\n");
    write(root, "ImageSets/Main/test.txt", "d\n");
    let rows = read(root.join("ImageSets/Main/train.txt"), true).unwrap();
    let set = rows.set.as_ref().unwrap();
    assert_eq!((places(&rows), set.problems.len()), (vec!["a.b.png".to_owned(), "c.png".to_owned()], 0));
    assert_eq!(set.images[0].objects[0].class, "dog");
    let test = root.join("ImageSets/Main/test.txt");
    assert_eq!(places(&read(&test, false).unwrap()), ["d.png"]);
    let said_of_root = said(root);
    let lists = format!("--train {}", root.join("ImageSets/Main/train.txt").display());
    assert!(said_of_root.contains(&lists) && said_of_root.contains("--test "), "{said_of_root}");
    assert_eq!(read(root, false).unwrap().rows.len(), 4, "whatever is there is predicted");

    write(root, "ImageSets/Main/test.txt", "d\nnone\n");
    let problems = read(&test, true).unwrap().set.unwrap().problems;
    assert!(problems[0].contains("test.txt:2: there is no image `none`"), "{problems:?}");
    write(root, "ImageSets/Main/dog_train.txt", "c  1\nd -1\n");
    assert!(said(root.join("ImageSets/Main/dog_train.txt")).contains("dog_train.txt:1: `c  1` has more than the name"));
}

#[test]
fn what_holds_several_splits_says_what_to_name() {
    let data = tree(&["train/images/1.png", "valid/images/2.png", "images/val/3.png"]);
    let root = data.path();
    write(root, "README.roboflow.txt", "exported");
    write(root, "train/labels/1.txt", "1 0.5 0.5 0.2 0.2\n");
    write(root, "train/labels/README.txt", "labels");
    write(root, "data.yaml", "path: elsewhere\ntrain: ../train/images # here\nval: images/val\nnames: ['a', 'b']\n");
    let shown = |flag: &str, path: &str| format!("{flag} {}", root.join(path).display());
    let whole = said(root);
    assert!(whole.contains(&shown("--train", "train")) && whole.contains(&shown("--validation", "valid")), "{whole}");
    let yaml = said(root.join("data.yaml"));
    assert!(yaml.contains(&shown("--train", "train/images")), "{yaml}");
    assert!(yaml.contains(&shown("--validation", "images/val")) && !yaml.contains("--test"), "{yaml}");
    // Its names are known two folders below, and what tools say of themselves is no label.
    let set = read(root.join("train/images"), true).unwrap().set.unwrap();
    assert_eq!((set.images[0].objects[0].class.as_str(), set.problems), ("b", Vec::new()));
}

#[test]
fn of_several_files_of_annotations_none_is_taken_for_all() {
    let data = tree(&["a.png"]);
    let coco =
        r#"{"images": [{"id": 1, "file_name": "a.png"}], "categories": [{"id": 1, "name": "dog"}], "annotations": []}"#;
    write(data.path(), "annotations/instances_train.json", coco);
    write(data.path(), "annotations/other.json", "no JSON");
    assert_eq!(read(data.path(), true).unwrap().rows.len(), 1);
    write(data.path(), "annotations/instances_val.json", coco);
    let message = said(data.path());
    assert!(
        ["instances_train.json", "instances_val.json", "--image-folder"].iter().all(|it| message.contains(it)),
        "{message}"
    );
}

#[test]
fn one_image_can_be_named_where_nothing_is_to_be_known_of_it() {
    let data = tree(&["1.png"]);
    assert_eq!(places(&read(data.path().join("1.png"), false).unwrap()), ["1.png"]);
    assert!(!read(data.path().join("1.png"), false).unwrap().rows.has_labels());
}

fn images(rows: &ObjectRows) -> Images {
    let processor = ImageProcessor::load(&fixtures::folder().join("processors/vit-bicubic"), (9, 9), 3).unwrap();
    Images::encode(rows.rows(), &processor, &ImageOptions::default(), &|_, _| ()).unwrap()
}

/// What is made of boxes of one image, by their sides.
fn checked(boxes: &[[f64; 4]], convention: Option<BoxConvention>) -> Result<(String, Vec<[f64; 4]>), String> {
    let data = tree(&["1.png"]);
    let annotations: Vec<serde_json::Value> = boxes
        .iter()
        .zip(1..)
        .map(|(sides, id)| serde_json::json!({"id": id, "image_id": 1, "category_id": 1, "bbox": sides}))
        .collect();
    let document = serde_json::json!({"images": [{"id": 1, "file_name": "1.png"}],
        "categories": [{"id": 1, "name": "dog"}], "annotations": annotations});
    write(data.path(), "annotations.coco.json", document.to_string());
    let rows = read(data.path(), true).unwrap();
    let checked = CheckedBoxes::of(&rows, &images(&rows), convention).map_err(|error| error.to_string())?;
    let (boxes, bad) = checked.into_boxes(&rows, vec!["dog".to_owned()]).unwrap();
    match bad.first() {
        Some(bad) => Err(bad.reason.clone()),
        None => Ok((boxes.remarks().join("\n"), boxes.objects(0).iter().map(|object| object.corners).collect())),
    }
}

#[test]
fn few_boxes_over_an_edge_are_cut_there_and_counted() {
    let (width, height) = fixtures::decoded(&fixtures::file("rgb.png"), 3).map(|it| (it.width(), it.height())).unwrap();
    let (w, h) = (width as f64, height as f64);
    let mut boxes = vec![[0.0, 0.0, 4.0, 4.0], [w - 4.0, h - 4.0, 4.0, 4.0], [0.0, h - 4.0, 4.0, 4.0], [4.0; 4]];
    assert_eq!(checked(&boxes, None).unwrap().0, "");
    boxes.push([w - 6.0, 2.0, 10.0, 4.0]);
    let (remark, corners) = checked(&boxes, None).unwrap();
    assert_eq!(corners[4], [w - 6.0, 2.0, w, 6.0]);
    assert!(
        remark.contains("1 box that reaches over the edge") && remark.contains("annotation 5 of 1.png"),
        "{remark}"
    );
    // Mostly outside, and too many.
    boxes[4] = [w - 3.0, 2.0, 10.0, 4.0];
    assert!(checked(&boxes, None).unwrap_err().contains("annotation 5: its box"));
    boxes[4] = [w - 6.0, 2.0, 10.0, 4.0];
    boxes.push(boxes[4]);
    assert!(checked(&boxes, None).unwrap_err().contains("reaches outside the image"));
}

#[test]
fn another_convention_is_named_before_anything_is_cut() {
    let (width, height) = fixtures::decoded(&fixtures::file("rgb.png"), 3).map(|it| (it.width(), it.height())).unwrap();
    let (w, h) = (width as f64, height as f64);
    // Corners, of which one reaches over its edge, read as sides.
    let mut boxes = vec![[w / 2.0, h / 2.0, w - 1.0, h - 1.0]; 7];
    boxes.push([1.0, 1.0, w + 5.0, h - 1.0]);
    let named = checked(&boxes, None).unwrap_err();
    assert!(named.contains("8 of 8 boxes") && named.contains("all but 1 fit as xyxy"), "{named}");
    let (remark, corners) = checked(&boxes, Some(BoxConvention::Corners)).unwrap();
    assert!(remark.contains("1 box") && corners[7][2] == w);
    // One box alone that would fit otherwise: who says how it is meant is believed.
    let mut boxes = vec![[w / 2.0, h / 2.0, 3.0, 3.0]; 7];
    boxes.push([w - 5.0, h / 2.0, 8.0, 4.0]);
    let named = checked(&boxes, None).unwrap_err();
    assert!(named.contains("all fit as cxcywh") && named.contains("--box-format xywh"), "{named}");
    assert!(checked(&boxes, Some(BoxConvention::Sides)).unwrap().0.contains("1 box"));
}

#[test]
fn boxes_that_are_there_twice_are_told() {
    let mut boxes = vec![[1.0, 2.0, 4.0, 4.0], [1.0, 2.0, 4.0, 5.0]];
    assert_eq!(checked(&boxes, None).unwrap().0, "");
    boxes.push(boxes[0]);
    let (remark, corners) = checked(&boxes, None).unwrap();
    let expected = "annotations.coco.json: 1 box is there twice, in the same image and class (annotation 1 and annotation 3 of 1.png)";
    assert!(remark.contains(expected), "{remark}");
    assert_eq!(corners.len(), 3, "what is told is not taken away");
    boxes.extend([boxes[0], boxes[1]]);
    let (remark, _) = checked(&boxes, None).unwrap();
    assert!(remark.contains("3 boxes are") && remark.contains("; annotation 2 and annotation 5 of 1.png"), "{remark}");
}

#[test]
fn a_size_that_is_wrong_names_the_file_that_says_it() {
    let data = tree(&["1.png"]);
    let sized = xml("dog").replace("<object>", "<size><width>9</width><height>8</height></size><object>");
    write(data.path(), "1.xml", sized);
    let rows = read(data.path(), true).unwrap();
    let checked = CheckedBoxes::of(&rows, &images(&rows), None).unwrap();
    let (_, bad) = checked.into_boxes(&rows, vec!["dog".to_owned()]).unwrap();
    let expected = format!("{} says 9 × 8", data.path().join("1.xml").display());
    assert!(bad[0].reason.contains(&expected), "{bad:?}");
}
