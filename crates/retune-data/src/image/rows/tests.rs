//! Tests of folders, tables and lines of images.

use std::fs::File;

use serde_json::json;

use super::*;
use crate::image::fixtures;
use crate::{LabelRows, LabelSchema, Records};

fn columns() -> Layout {
    Layout::image("image").labels(["label"])
}

fn read(path: impl AsRef<Path>, layout: &Layout, labels_required: bool) -> Result<TableRows, DataError> {
    read_images(path, layout, labels_required, OnBadExample::Fail)
}

fn tree(files: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for file in files {
        let path = folder.path().join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, fixtures::file("rgb.png")).unwrap();
    }
    folder
}

fn labels(rows: &TableRows) -> Vec<Option<Vec<Cell>>> {
    (0..rows.len()).map(|row| LabelRows::label(rows, row).unwrap()).collect()
}

fn said(result: Result<TableRows, DataError>) -> String {
    result.err().unwrap().to_string()
}

#[test]
fn class_folders_give_labels_in_the_order_of_paths() {
    let folder = tree(&["b/2.PNG", "b/1.jpeg", "a/deep/x.png", "a/notes.txt", ".hidden/y.png", "README.md"]);
    let rows = read(folder.path(), &columns(), true).unwrap();
    let places: Vec<String> = (0..3).map(|row| rows.place(row).unwrap()).collect();
    let expected = ["a/deep/x.png", "b/1.jpeg", "b/2.PNG"].map(|path| folder.path().join(path).display().to_string());
    assert_eq!((rows.len(), places.as_slice()), (3, expected.as_slice()));
    let text = |text: &str| Some(vec![Cell::Text(text.into())]);
    assert_eq!(labels(&rows), [text("a"), text("b"), text("b")]);
    assert_eq!(LabelSchema::infer(&rows, None).unwrap().names(), ["a", "b"]);
    let source = rows.source(1).unwrap();
    assert_eq!((source.line, source.label, &source.fields["image"]), (0, Some(json!("b")), &json!(expected[1])));
    assert_eq!(source.file, folder.path().join("b/1.jpeg"));
    assert!(bytes(&rows, 0).unwrap().is_ok());
}

#[test]
fn files_that_are_not_read_are_counted() {
    let folder =
        tree(&["a/1.png", "b/1.png", "b/2.heic", "b/3.HEIC", "b/notes.txt", "Thumbs.db", ".DS_Store", "a/plain"]);
    std::fs::create_dir(folder.path().join("empty")).unwrap();
    std::fs::write(folder.path().join("b/readme"), "text").unwrap();
    let rows = read(folder.path(), &columns(), true).unwrap();
    // By its content, where a name has no ending.
    let places: Vec<String> = (0..rows.len()).map(|row| rows.place(row).unwrap()).collect();
    assert_eq!(places, ["a/1.png", "a/plain", "b/1.png"].map(|path| folder.path().join(path).display().to_string()));
    let remarks = rows.remarks();
    assert!(remarks[0].contains("2 .heic, 1 without ending, 1 .txt (such as b/2.heic)"), "{remarks:?}");
    assert!(remarks[1].contains("folders without any file, which are no classes: `empty`"), "{remarks:?}");
}

#[test]
fn a_class_of_nothing_but_other_files_is_refused() {
    let folder = tree(&["a/1.png", "b/1.png", "fox/1.avif", "fox/deep/2.dcm", "fox/3.avif"]);
    let said = said(read(folder.path(), &columns(), true));
    assert!(said.contains("the class folder `fox` has no image that can be read, but 2 .avif, 1 .dcm"), "{said}");
    assert_eq!(read(folder.path(), &columns(), false).unwrap().len(), 2);
    // Nor may it lose all its images later on.
    let folder = tree(&["a/1.png", "b/1.png", "b/2.png"]);
    let rows = read(folder.path(), &columns(), true).unwrap();
    assert!(check_classes(&rows, &[true, false, true]).is_ok());
    let lost = check_classes(&rows, &[true, false, false]).unwrap_err().to_string();
    assert!(lost.contains("none of the images of the class folders `b` can be used"), "{lost}");
}

#[test]
fn advice_about_folders_is_about_folders() {
    let one = read(tree(&["a/1.png", "a/2.png"]).path(), &columns(), true).unwrap();
    let said = LabelSchema::infer(&one, None).unwrap_err().to_string();
    assert!(said.contains("holds one class folder, `a`") && !said.contains("--label-column"), "{said}");
}

#[test]
fn a_metadata_table_beside_images_says_what_they_are() {
    let folder = tree(&["part1/1.png", "part2/2.png", "part2/more.png"]);
    let table = folder.path().join("metadata.csv");
    std::fs::write(&table, "file_name,label,patient\npart1/1.png,cat,x\n./part2/2.png,dog,y\n").unwrap();
    let grouped = columns().group(Some("patient".into()));
    let rows = read(folder.path(), &grouped, true).unwrap();
    let text = |text: &str| Some(vec![Cell::Text(text.into())]);
    assert_eq!(labels(&rows), [text("cat"), text("dog")]);
    assert!(bytes(&rows, 1).unwrap().is_ok() && rows.group(0) != rows.group(1));
    let remarks = rows.remarks();
    assert!(remarks[0].contains("those of this table, folders are no classes"), "{remarks:?}");
    assert!(remarks[1].contains("1 image of the folder is not in it and not read (such as part2/more.png)"));
    let source = rows.source(0).unwrap();
    assert_eq!((source.line, &source.fields["file_name"]), (2, &json!("part1/1.png")));

    std::fs::write(&table, "name,label\nx,cat\n").unwrap();
    assert!(said(read(folder.path(), &columns(), true)).contains("there is no column `file_name`"));
    std::fs::write(folder.path().join("metadata.jsonl"), "{}").unwrap();
    assert!(said(read(folder.path(), &columns(), true)).contains("join them into one metadata.csv"));
    let deeper = tree(&["a/1.png", "b/1.png"]);
    std::fs::write(deeper.path().join("a/metadata.csv"), "file_name,label\n1.png,cat\n").unwrap();
    assert!(said(read(deeper.path(), &columns(), true)).contains("holds `a/metadata.csv`"));
}

#[test]
fn tables_may_name_images_without_their_endings() {
    let folder = tree(&["images/1.png", "images/2.JPG", "images/3.png", "images/3.jpg"]);
    let table = folder.path().join("train.csv");
    std::fs::write(&table, "image,label\nimages/1,x\nimages/2,y\nimages/3,y\nimages/4,y\n").unwrap();
    let rows = read(&table, &columns(), true).unwrap();
    let found: Vec<bool> = (0..4).map(|row| bytes(&rows, row).unwrap().is_ok()).collect();
    assert_eq!(found, [true, true, false, false]);
}

#[test]
fn images_without_class_folders_have_no_labels() {
    let flat = tree(&["2.png", "1.png"]);
    let rows = read(flat.path(), &columns(), false).unwrap();
    assert_eq!((rows.len(), rows.has_labels()), (2, false));
    assert!(said(read(flat.path(), &columns(), true)).contains("1.png lies in no class folder"));
    let mixed = tree(&["a/1.png", "2.png"]);
    assert!(!read(mixed.path(), &columns(), false).unwrap().has_labels());
    let unlabelled = Layout::image("image");
    let classes = tree(&["a/1.png", "b/2.png"]);
    assert!(!read(classes.path(), &unlabelled, false).unwrap().has_labels());
}

#[test]
fn folders_that_are_something_else_are_refused() {
    let splits = tree(&["train/a/1.png", "train/b/1.png", "val/a/1.png"]);
    let message = said(read(splits.path(), &columns(), true));
    assert!(message.contains("holds the splits `train`, `val`, not classes"), "{message}");
    assert_eq!(read(splits.path().join("train"), &columns(), true).unwrap().len(), 2);
    assert!(said(read(tree(&["a/x.npy"]).path(), &columns(), true)).contains("holds no images"));
    let grouped = columns().group(Some("patient".into()));
    assert!(said(read(splits.path(), &grouped, true)).contains("a folder has no column `patient`"));
}

#[test]
fn tables_name_images_relative_to_themselves() {
    let folder = tree(&["images/1.png"]);
    let table = folder.path().join("train.csv");
    std::fs::write(&table, "image,label,patient\nimages/1.png,x,P1\nimages/none.png,y,P2\n").unwrap();
    let grouped = columns().group(Some("patient".into()));
    let rows = read(&table, &grouped, true).unwrap();
    assert!(bytes(&rows, 0).unwrap().is_ok());
    assert!(bytes(&rows, 1).unwrap().unwrap_err().contains("there is no such file"));
    assert_ne!(rows.group(0), rows.group(1));
    let source = rows.source(0).unwrap();
    assert_eq!((source.line, &source.fields["image"], source.file), (2, &json!("images/1.png"), table.clone()));

    std::fs::write(&table, "image,label\n,x\nhttps://a.b/c.png,y\nok.png,\n").unwrap();
    let message = said(read(&table, &columns(), true));
    for part in [
        "train.csv:2: column `image`: is empty",
        "train.csv:3: column `image`: is an address; fetch the image",
        "train.csv:4: column `label`: has no label",
    ] {
        assert!(message.contains(part), "{part} in {message}");
    }
    std::fs::write(&table, "path,label\na.png,x\n").unwrap();
    assert!(said(read(&table, &columns(), true)).contains("--image-column"));
    std::fs::write(&table, "image,label,patient\na.png,x,\n").unwrap();
    assert!(said(read(&table, &grouped, true)).contains("column `patient`: has no group"));
}

#[test]
fn json_lines_may_hold_hugging_faces_objects() {
    let folder = tree(&["1.png"]);
    let table = folder.path().join("train.jsonl");
    let content = "{\"image\": {\"path\": \"1.png\", \"bytes\": null}, \"label\": 3}\n{\"image\": {}, \"label\": 3}\n";
    std::fs::write(&table, content).unwrap();
    assert!(said(read(&table, &columns(), true)).contains("train.jsonl:2: column `image`: is an object"));
    let with_bytes = |text: &str| json!({"image": {"bytes": text, "path": "gone.png"}, "label": 3}).to_string();
    std::fs::write(&table, with_bytes("AAH/")).unwrap();
    let rows = read(&table, &columns(), true).unwrap();
    assert_eq!(bytes(&rows, 0).unwrap().unwrap(), [0, 1, 255]);
    std::fs::write(&table, with_bytes("no base64")).unwrap();
    assert!(said(read(&table, &columns(), true)).contains("is an object whose `bytes` are not base64"));
    std::fs::write(&table, content.lines().next().unwrap()).unwrap();
    assert!(bytes(&read(&table, &columns(), true).unwrap(), 0).unwrap().is_ok());
}

/// Writes a Parquet file whose `image` column is a group of bytes and path, or plain bytes.
fn parquet_file(path: &Path, group: bool) {
    use ::parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
    use ::parquet::file::writer::SerializedFileWriter;
    use ::parquet::schema::parser::parse_message_type;

    let schema = if group {
        "message m { optional group image { optional binary bytes; optional binary path (UTF8); } required int64 label; }"
    } else {
        "message m { optional binary image; required int64 label; }"
    };
    let schema = std::sync::Arc::new(parse_message_type(schema).unwrap());
    let mut writer = SerializedFileWriter::new(File::create(path).unwrap(), schema, Default::default()).unwrap();
    let mut rows = writer.next_row_group().unwrap();
    let images = [fixtures::file("palette.bmp"), fixtures::file("rgb.png")].map(ByteArray::from);
    // The second image is there by its path alone where there are paths.
    let defined: [i16; 2] = if group { [2, 1] } else { [1, 1] };
    let kept = if group { &images[..1] } else { &images[..] };
    let mut column = rows.next_column().unwrap().unwrap();
    column.typed::<ByteArrayType>().write_batch(kept, Some(&defined), None).unwrap();
    column.close().unwrap();
    if group {
        let mut column = rows.next_column().unwrap().unwrap();
        let paths = [ByteArray::from("first.bmp"), ByteArray::from("second.png")];
        column.typed::<ByteArrayType>().write_batch(&paths, Some(&[2, 2]), None).unwrap();
        column.close().unwrap();
    }
    let mut column = rows.next_column().unwrap().unwrap();
    column.typed::<Int64Type>().write_batch(&[0, 1], None, None).unwrap();
    column.close().unwrap();
    rows.close().unwrap();
    writer.close().unwrap();
}

#[test]
fn parquet_holds_bytes_or_hugging_faces_groups() {
    let folder = tree(&["second.png"]);
    let path = folder.path().join("train.parquet");
    for group in [true, false] {
        parquet_file(&path, group);
        let rows = read(&path, &columns(), true).unwrap();
        assert_eq!(bytes(&rows, 0).unwrap().unwrap(), fixtures::file("palette.bmp"), "{group}");
        assert_eq!(bytes(&rows, 1).unwrap().unwrap(), fixtures::file("rgb.png"), "{group}");
        assert_eq!(labels(&rows)[1], Some(vec![Cell::Integer(1)]));
        let place = rows.place(0).unwrap();
        assert!(place.ends_with("train.parquet:1"), "{place}");
        let shown = &rows.source(0).unwrap().fields["image"];
        assert_eq!(*shown, if group { json!("first.bmp") } else { json!(place) });
    }
}

#[test]
fn lines_are_paths_or_objects() {
    let folder = tree(&["a b.png"]);
    let path = folder.path().join("a b.png").display().to_string();
    let input = format!("\n{path}\n\n{{\"image\": \"none.png\"}}\n");
    let mut lines = crate::TableLines::new(input.as_bytes(), Path::new("<stdin>"), &columns()).unwrap();
    let rows = lines.next_rows(9).unwrap().unwrap();
    assert_eq!((rows.len(), rows.line(0), rows.line(1), rows.has_labels()), (2, 2, 4, false));
    assert!(bytes(&rows, 0).unwrap().is_ok() && bytes(&rows, 1).unwrap().is_err());
    assert!(lines.next_rows(9).unwrap().is_none());
}

#[test]
fn rows_without_an_image_may_be_left_out() {
    let folder = tree(&["a.png", "b.png"]);
    let table = folder.path().join("train.csv");
    std::fs::write(&table, "image,label\na.png,x\n,y\nb.png,y\n").unwrap();
    let message = said(read(&table, &columns(), true));
    assert!(message.contains("train.csv:3: column `image`: is empty"), "{message}");
    let rows = read_images(&table, &columns(), true, OnBadExample::Skip).unwrap();
    let left_out = rows.left_out();
    assert_eq!((rows.len(), left_out.len(), left_out[0].row, left_out[0].line), (2, 1, 1, 3));
}

#[test]
fn masks_of_single_objects_lie_in_the_folders_of_their_images() {
    let folder = tree(&["b/images/b.png", "b/masks/1.png", "b/masks/2.png", "a/images/a.png", "a/masks/1.png"]);
    let layout = Layout::image("image").masks("mask");
    let rows = read(folder.path(), &layout, true).unwrap();
    assert!(rows.remarks()[0].ends_with("the masks of all objects of an image are joined into one"));
    let (name, files) = mask_files(&rows, 1).unwrap().unwrap();
    assert!(name.ends_with("b/masks") && rows.place(1).unwrap().ends_with("b/images/b.png"));
    let names: Vec<Option<String>> = files.unwrap().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, [Some("1.png".to_owned()), Some("2.png".to_owned())]);
    // Nothing but the images is predicted.
    assert_eq!(read(folder.path(), &layout, false).unwrap().len(), 2);
    // An image without an object has an empty folder.
    std::fs::remove_file(folder.path().join("a/masks/1.png")).unwrap();
    let rows = read(folder.path(), &layout, true).unwrap();
    assert!(
        mask_files(&rows, 0)
            .unwrap()
            .is_some_and(|(name, files)| name.ends_with("a/masks") && files.unwrap().is_empty())
    );
    std::fs::write(folder.path().join("a/images/other.png"), fixtures::file("rgb.png")).unwrap();
    assert!(said(read(folder.path(), &layout, true)).contains("holds no folders `images` and `masks`"));
}

#[test]
fn lists_say_which_images_with_masks_are_of_a_split() {
    let folder = tree(&[
        "JPEGImages/a.png",
        "JPEGImages/b.png",
        "JPEGImages/boxes-only.png",
        "SegmentationClass/a.png",
        "SegmentationClass/b.png",
        "SegmentationObject/a.png",
    ]);
    let root = folder.path();
    let layout = Layout::image("image").masks("mask");
    let list = |name: &str, names: &str| {
        let path = root.join("ImageSets/Segmentation").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, names).unwrap();
        path
    };
    let (train, val) = (list("train.txt", "a\n"), list("val.txt", "b.png\n"));
    let rows = read(&train, &layout, true).unwrap();
    assert_eq!((rows.len(), rows.place(0).unwrap()), (1, root.join("JPEGImages/a.png").display().to_string()));
    assert_eq!(labels(&rows), [Some(vec![Cell::Text("SegmentationClass/a.png".into())])]);
    assert_eq!(read(&val, &layout, true).unwrap().len(), 1);
    let whole = said(read(root, &layout, true));
    let named = format!("--train {} --validation {}", train.display(), val.display());
    assert!(whole.contains("lists of the images of each split") && whole.contains(&named), "{whole}");
    assert_eq!(read(root, &layout, false).unwrap().len(), 3, "whatever is there is predicted");
    let lost = list("test.txt", "a\nnone\n");
    assert!(said(read(&lost, &layout, true)).contains("test.txt:2: there is no image `none`"));
    let unmasked = list("trainval.txt", "a\nboxes-only\n");
    assert_eq!(labels(&read(&unmasked, &layout, true).unwrap())[1], None, "which is told with all else that is wrong");
}

/// A Parquet file of one row whose columns of these names hold an image each, beside a number.
fn parquet_of(path: &Path, names: &[&str], described: Option<serde_json::Value>) {
    use ::parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
    use ::parquet::file::metadata::KeyValue;
    use ::parquet::file::properties::WriterProperties;
    use ::parquet::file::writer::SerializedFileWriter;
    use ::parquet::schema::parser::parse_message_type;

    let groups = names.iter().map(|name| format!("optional group {name} {{ optional binary bytes; }}"));
    let schema = format!("message m {{ {} required int64 scene; }}", groups.collect::<Vec<_>>().join(" "));
    let schema = std::sync::Arc::new(parse_message_type(&schema).unwrap());
    let described = described.map(|features| json!({"info": {"features": features}}).to_string());
    let metadata = described.map(|text| vec![KeyValue::new("huggingface".to_owned(), text)]);
    let properties = WriterProperties::builder().set_key_value_metadata(metadata).build();
    let mut writer = SerializedFileWriter::new(File::create(path).unwrap(), schema, properties.into()).unwrap();
    let mut rows = writer.next_row_group().unwrap();
    for name in names {
        let mut column = rows.next_column().unwrap().unwrap();
        let bytes = [ByteArray::from(name.as_bytes().to_vec())];
        column.typed::<ByteArrayType>().write_batch(&bytes, Some(&[2]), None).unwrap();
        column.close().unwrap();
    }
    let mut column = rows.next_column().unwrap().unwrap();
    column.typed::<Int64Type>().write_batch(&[3], None, None).unwrap();
    column.close().unwrap();
    rows.close().unwrap();
    writer.close().unwrap();
}

#[test]
fn the_other_images_of_a_parquet_file_are_masks() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("train.parquet");
    let usual = Layout::image("image").usual_masks();
    let mask = |rows: TableRows| match LabelRows::label(&rows, 0).unwrap().unwrap().remove(0) {
        Cell::File { bytes, .. } => String::from_utf8(bytes).unwrap(),
        other => panic!("{other:?}"),
    };
    parquet_of(&path, &["image", "label"], None);
    let rows = read(&path, &usual, true).unwrap();
    assert!(rows.remarks()[0].ends_with("train.parquet: each mask is taken from the column `label`"));
    assert_eq!(mask(rows), "label");
    assert!(!read(&path, &usual, false).unwrap().has_labels(), "nobody asks for them");
    // Who names a column means it.
    let message = said(read(&path, &Layout::image("image").masks("mask"), true));
    assert!(message.contains("`mask`") && message.contains("--mask-column"), "{message}");
    // So does who calls it as usual.
    parquet_of(&path, &["annotation", "image", "mask"], None);
    let rows = read(&path, &usual, true).unwrap();
    assert!(rows.remarks().is_empty());
    assert_eq!(mask(rows), "mask");
    parquet_of(&path, &["annotation", "image", "label"], None);
    let message = said(read(&path, &usual, true));
    assert!(message.contains("several of images beside `image`: `annotation`, `label`; name"), "{message}");
    let features = json!({"image": {"_type": "Image"}, "label": {"_type": "Image"}, "annotation": {"_type": "Audio"}});
    parquet_of(&path, &["annotation", "image", "label"], Some(features));
    assert_eq!(mask(read(&path, &usual, true).unwrap()), "label");
    // Without the images themselves nothing else can be told apart.
    parquet_of(&path, &["pixel_values", "label"], None);
    let message = said(read(&path, &usual, true));
    assert!(message.contains("`image`") && message.contains("--image-column"), "{message}");
}
